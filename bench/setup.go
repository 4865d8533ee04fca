package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"skiff/runtime/native"
)

// Where things are, from the folder of this module.
const (
	installed = ".peers" // what is built and installed; nothing of it is committed
	python    = installed + "/python/bin/python"
	modules   = installed + "/node_modules"
	shared    = "../../shared"
)

// peer is one thing to measure.
type peer struct {
	Name    string
	Ours    bool
	Kernels string // of ours
	Threads int
	argv    []string
	child   *child
	hello   string
	slow    bool // takes part in few rounds
	warm    map[string]bool
}

// bench is a run.
type bench struct {
	options
	log    io.Writer
	peers  []*peer
	model  model
	env    []string
	words  []string
	result result
}

// model is one model in every form that peers read.
type model struct {
	name                     string
	real                     bool
	folder, int8, f32, hugot string
	tokenizer                string
	bundle, trust            string
}

// prepare builds skiff, makes the model's files and lists the peers.
func prepare(ctx context.Context, o options, log io.Writer) (*bench, error) {
	b := &bench{options: o, log: log}
	work, err := filepath.Abs(installed)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(work, "model"), 0o755); err != nil {
		return nil, err
	}
	b.env = []string{"XDG_CONFIG_HOME=" + filepath.Join(work, "config"), "CGO_ENABLED=0"}
	if err := b.command(ctx, "go", "-C", "..", "build", "-o", filepath.Join(work, "skiff"), "."); err != nil {
		return nil, fmt.Errorf("build skiff: %w", err)
	}
	if err := b.command(ctx, "go", "-C", "..", "build", "-o", filepath.Join(work, "skiffd"), "./agent/cmd/skiffd"); err != nil {
		return nil, fmt.Errorf("build skiffd: %w", err)
	}
	if err := b.command(ctx, "go", "build", "-o", filepath.Join(work, "skiffpeer"), "./skiffpeer"); err != nil {
		return nil, fmt.Errorf("build skiffpeer: %w", err)
	}
	b.model = choose(work, o.builtin)
	if err := b.command(ctx, filepath.Join(work, "skiff"), "pack", "--fast", b.model.folder, "-o", b.model.bundle); err != nil {
		return nil, fmt.Errorf("pack %s: %w", b.model.folder, err)
	}
	b.model.trust = filepath.Join(work, "config", "skiff", "model.pub")
	b.result = newResult(b.model)
	b.export(ctx)
	b.list(ctx, work)
	return b, nil
}

// choose finds the real model, else takes the built-in one.
func choose(work string, builtin bool) model {
	at := func(name string) string { return filepath.Join(work, "model", name) }
	m := model{
		name: "all-MiniLM-L6-v2", real: true, folder: shared + "/models/all-MiniLM-L6-v2", int8: shared + "/minilm/model.int8.onnx",
		hugot: at("minilm"), bundle: at("minilm.skiff"),
	}
	if _, err := os.Stat(m.int8); err != nil || builtin {
		m = model{
			name: "skiff-mini-embed", folder: "../packager/builtin/skiff-mini-embed", int8: at("mini/int8.onnx"),
			hugot: at("mini"), bundle: at("mini.skiff"),
		}
	}
	m.f32, m.tokenizer = filepath.Join(m.hugot, "model.onnx"), filepath.Join(m.folder, "tokenizer.json")
	return m
}

// export makes the files of peers, once.
func (b *bench) export(ctx context.Context) {
	m := b.model
	if _, err := os.Stat(m.f32); err == nil {
		return
	}
	err := os.MkdirAll(m.hugot, 0o755)
	for _, name := range []string{"tokenizer.json", "config.json"} {
		err = errors.Join(err, copyFile(filepath.Join(m.folder, name), filepath.Join(m.hugot, name)))
	}
	args := []string{"peers/export.py", m.folder, m.f32}
	if !m.real {
		args = append(args, m.int8)
	}
	if err = errors.Join(err, b.command(ctx, python, args...)); err != nil {
		b.miss("ONNX of "+m.name, err)
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// list names all peers. Whether each can run is seen when it starts.
func (b *bench) list(ctx context.Context, work string) {
	kernels := []string{"wasm"}
	for _, s := range native.Sets() {
		kernels = append(kernels, s.Name())
	}
	for _, k := range kernels {
		for _, n := range []int{1, 2} {
			b.add(&peer{Name: fmt.Sprintf("skiff %s %d", k, n), Ours: true, Kernels: k, Threads: n, argv: []string{
				filepath.Join(work, "skiffpeer"), "-bundle", b.model.bundle, "-trust", b.model.trust, "-kernels", k, "-workers", fmt.Sprint(n)}})
		}
	}
	for _, f := range [][2]string{{"int8", b.model.int8}, {"f32", b.model.f32}} {
		for _, n := range []int{1, 2} {
			b.add(&peer{Name: fmt.Sprintf("onnxruntime %s %d", f[0], n), Threads: n, argv: []string{python, "peers/ort.py", f[1], b.model.tokenizer, fmt.Sprint(n)}})
		}
	}
	b.add(&peer{Name: "onnxruntime-web int8 1", Threads: 1, argv: []string{"node", "peers/web.mjs", modules, b.model.int8}})
	if err := b.command(ctx, "go", "build", "-o", filepath.Join(work, "hugotpeer"), "./hugotpeer"); err != nil {
		b.miss("hugot f32 "+fmt.Sprint(runtime.NumCPU()), err)
		return
	}
	b.add(&peer{Name: "hugot f32 2", Threads: 2, slow: true, argv: []string{filepath.Join(work, "hugotpeer"), "-model", b.model.hugot}})
}

// add takes a peer if it was asked for.
func (b *bench) add(p *peer) {
	p.warm = map[string]bool{}
	for _, part := range strings.Split(b.only, ",") {
		if strings.Contains(p.Name, part) {
			b.peers = append(b.peers, p)
			return
		}
	}
}

// miss says loudly what is not measured.
func (b *bench) miss(what string, err error) {
	fmt.Fprintf(b.log, "NOT MEASURED: %s: %v\n", what, err)
	b.result.Missing = append(b.result.Missing, fmt.Sprintf("%s: %v", what, err))
}

func (b *bench) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), b.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}

func (b *bench) close() {
	for _, p := range b.peers {
		_ = p.child.close()
	}
}
