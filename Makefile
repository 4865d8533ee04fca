# make test is the one to know; make check is what must also be green before a change lands.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s
PEERS       := .peers
PY          := $(PEERS)/bin/python

.PHONY: test check race fuzz exhaustive bench test-peers bench-peers notices

# Every test but those that need a library from another language.
test:
	go test ./...

# gofmt, vet, staticcheck, the structure tests on the tree as it is, and every platform that devices have.
check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -count=1 ./formats/internal/...
	for arch in arm64 arm riscv64; do CGO_ENABLED=0 GOARCH=$$arch go build -o /dev/null ./agent/cmd/skiffd || exit 1; done

race:
	go test -race -short ./...

# Every fuzz target in turn, each for FUZZTIME.
fuzz:
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
	    echo "== $$(dirname $$file) $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$(dirname $$file); done; done

# Every kernel shape of 1 to 34 cubed, bit for bit on every engine: about an hour.
exhaustive:
	SKIFF_EXHAUSTIVE=1 go test -count=1 -timeout 4h -run Exhaustive ./runtime/kernel

bench:
	go test -run '^$$' -bench . -benchmem ./...

# Peers from PyPI, by name, in a folder of their own. Not part of test: they are large and move.
$(PY):
	python3 -m venv $(PEERS) && $(PY) -m pip install -q openai onnx onnxruntime transformers
	$(PY) -m pip install -q torch --index-url https://download.pytorch.org/whl/cpu || $(PY) -m pip install -q torch

test-peers: $(PY)
	SKIFF_PEERS=$(abspath $(PY)) go test -count=1 -v -run Peer . ./packager/onnxref

bench-peers: $(PY)
	SKIFF_PEERS=$(abspath $(PY)) go test -count=1 -run '^$$' -bench Peer . ./formats/tokenizer

notices:
	go run ./formats/internal/notices > THIRD_PARTY_NOTICES.md.new && mv THIRD_PARTY_NOTICES.md.new THIRD_PARTY_NOTICES.md
