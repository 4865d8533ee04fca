# make test is the one to know; make check is what must also be green before a change lands.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s
PEERS       := .peers
PY          := $(PEERS)/bin/python

.PHONY: test check generate cross bits race fuzz exhaustive bench test-peers bench-peers notices

# Every test but those that need a library from another language.
test:
	go test ./...

# gofmt, vet, staticcheck, the structure tests on the tree as it is, and a build for every platform that devices have.
check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -count=1 ./formats/internal/...
	cd runtime/native/gen && go vet . && go test .
	$(MAKE) cross

# The assembly of runtime/native for amd64, from its generator, which is a module of its own.
generate:
	cd runtime/native/gen && go run . ..

# What devices are: all of it must link for each, without cgo. vet compares assembly with its declarations.
PLATFORMS := linux/amd64 linux/arm64 linux/arm/6 linux/arm/7 linux/riscv64 linux/386 darwin/amd64 darwin/arm64 windows/amd64

cross:
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT; for p in $(PLATFORMS); do \
	  IFS=/; set -- $$p; unset IFS; echo "build for $$p"; \
	  CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 GOARM=$$3 go build -o "$$out/" ./... || exit 1; done
	GOARCH=arm64 go vet ./runtime/native

race:
	go test -race -short ./...

# Every fuzz target in turn, each for FUZZTIME.
fuzz:
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
	    echo "== $$(dirname $$file) $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$(dirname $$file); done; done

# Law 1 as a table: the goldens of the committed bundle and of MiniLM (the built-in model where it is not beside the
# repository) on every engine and instruction set here, on emulated CPUs and on V8. Minutes; go test runs the quick part.
BITS_MODEL := $(abspath $(firstword $(wildcard ../shared/models/all-MiniLM-L6-v2)))

bits:
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && XDG_CONFIG_HOME=$$out \
	go run . pack $(or $(BITS_MODEL),builtin) --fast -o "$$out/$(if $(BITS_MODEL),minilm,builtin).skiff" && \
	SKIFF_BITS=1 SKIFF_BITS_BUNDLES="$$out/$(if $(BITS_MODEL),minilm,builtin).skiff" go test -count=1 -timeout 1h -v -run '^TestBits$$' ./runtime/infer

# Every kernel shape of 1 to 34 cubed, bit for bit on every engine, and a million random cases for each set of assembly:
# about an hour.
exhaustive:
	SKIFF_EXHAUSTIVE=1 go test -count=1 -timeout 4h -run Exhaustive ./runtime/kernel
	SKIFF_EXHAUSTIVE=1 go test -count=1 -timeout 4h -run RandomShapes ./runtime/native

bench:
	go test -run '^$$' -bench . -benchmem ./...

# Peers from PyPI, by name, in a folder of their own. Not part of test: they are large and move.
$(PY):
	python3 -m venv $(PEERS) && $(PY) -m pip install -q openai onnx onnxruntime transformers
	$(PY) -m pip install -q torch --index-url https://download.pytorch.org/whl/cpu || $(PY) -m pip install -q torch

test-peers: $(PY)
	SKIFF_PEERS=$(abspath $(PY)) go test -count=1 -v -run Peer . ./packager/onnxref

# skiff beside its peers, in interleaved rounds of one run: table, JSON and chart, in bench/out; then tokenizers beside the
# original library's. BENCH=--quick takes a minute or two instead of seven. onnxruntime and onnxruntime-web come by name,
# hugot with the Go module in bench.
BENCHPY := bench/.peers/python/bin/python
BENCHJS := bench/.peers/node_modules/onnxruntime-web

$(BENCHPY):
	python3 -m venv bench/.peers/python && $(BENCHPY) -m pip install -q numpy onnx onnxruntime tokenizers

$(BENCHJS):
	npm install --silent --no-fund --no-audit --prefix bench/.peers onnxruntime-web

bench-peers: $(PY) $(BENCHPY) $(BENCHJS)
	cd bench && go vet ./... && go run . $(BENCH)
	SKIFF_PEERS=$(abspath $(PY)) go test -count=1 -run '^$$' -bench Peer ./formats/tokenizer

notices:
	go run ./formats/internal/notices > THIRD_PARTY_NOTICES.md.new && mv THIRD_PARTY_NOTICES.md.new THIRD_PARTY_NOTICES.md
