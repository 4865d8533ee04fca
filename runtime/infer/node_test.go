package infer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/bundle"
	"skiff/runtime/emit"
	"skiff/runtime/engine"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// replay is a model's goldens as a list of calls for testdata/bits/run.mjs.
type replay struct {
	model   *Model
	kernels []*kernel.Kernel
	calls   [][]any
}

// bitsOfNode is the goldens of a bundle as another WebAssembly engine computes them: V8 runs
// the same module, and the script no more than the calls that the engine would make.
func bitsOfNode(t *testing.T, node string, b *bundle.Bundle) (string, error) {
	t.Helper()
	m := load(t, b, Config{Kernels: "go"}) // weights in the layout that the module reads
	r := replay{model: m}
	var exports []emit.Export
	for i, name := range m.prog.Kernels {
		k, err := kernel.Parse(name)
		if err != nil {
			return "", err
		}
		r.kernels = append(r.kernels, k)
		exports = append(exports, emit.Export{Name: fmt.Sprintf("k%d", i), Params: k.Params(), Body: k.Body()})
	}
	for i, g := range m.manifest.Goldens {
		if err := r.golden(i, g.Texts); err != nil {
			return "", err
		}
	}
	calls, err := json.Marshal(r.calls)
	if err != nil {
		return "", err
	}
	dir, pages := t.TempDir(), uint32(m.prog.MemoryBytes(1)>>16+1)
	for name, data := range map[string][]byte{
		"module.wasm": emit.Module(pages, exports), "weights.bin": m.machine.Memory()[:m.prog.WeightsEnd], "calls.json": calls,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
	}
	return r.run(t, node, dir)
}

// run starts the script and reads the goldens that it prints.
func (r *replay) run(t *testing.T, node, dir string) (string, error) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(node, filepath.Join("testdata", "bits", "run.mjs"), dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run node: %w\n%s", err, stderr.Bytes())
	}
	t.Logf("%s", bytes.TrimSpace(stderr.Bytes()))
	digests := map[string]bundle.Digest{}
	for line := range strings.Lines(string(out)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) != len(bundle.Digest{}) {
			return "", fmt.Errorf("node says %q", line)
		}
		digests[name] = bundle.Digest(raw)
	}
	got := make([]bundle.Golden, len(r.model.manifest.Goldens))
	for i := range got {
		got[i].Answer = digests[fmt.Sprintf("%d/answer", i)]
		for j := range r.model.prog.Taps {
			got[i].Blocks = append(got[i].Blocks, digests[fmt.Sprintf("%d/%d", i, j)])
		}
	}
	return digestOf(got), nil
}

// load writes the inputs of a golden into the model's memory: what a call that is cancelled
// does. Computing the golden first leaves its tokens in the batch.
func (r *replay) load(texts []string) (tokens, seqs int, err error) {
	m := r.model
	if _, err := m.Golden(context.Background(), texts); err != nil {
		return 0, 0, err
	}
	b := &m.batch
	tokens, seqs = len(b.ids), len(b.starts)-1
	if seqs != len(texts) || len(b.picks) > 0 || m.prog.Rows != uint32(program.Seqs) {
		return 0, 0, errors.New("not one pass of an embedding")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.machine.Run(ctx, engine.Input{IDs: b.ids, Types: b.types, Starts: b.starts, Skip: b.skip}, nil); !errors.Is(err, context.Canceled) {
		return 0, 0, fmt.Errorf("cancelled call: %w", err)
	}
	return tokens, seqs, nil
}

// golden adds the calls of one golden.
func (r *replay) golden(i int, texts []string) error {
	m, p := r.model, r.model.prog
	tokens, seqs, err := r.load(texts)
	if err != nil {
		return fmt.Errorf("golden %d: %w", i, err)
	}
	r.calls = append(r.calls, []any{"fill", p.WeightsEnd, p.MemoryBytes(1) - uint64(p.WeightsEnd), 0x5a})
	for _, at := range []uint32{p.IDs, p.TypeIDs, p.Positions} {
		r.write(at, tokens)
	}
	r.write(p.Starts, seqs+1)
	if p.Skips != 0 {
		r.write(p.Skips, seqs)
	}
	for s := range p.Steps {
		r.step(s, tokens, seqs)
		for j, tap := range p.Taps {
			if int(tap.Step) == s {
				r.calls = append(r.calls, []any{"hash", fmt.Sprintf("%d/%d", i, j), tap.Offset, tokens * int(tap.Stride)})
			}
		}
	}
	stride := 4 * program.Pad16(int(p.Hidden))
	for row := range seqs {
		r.calls = append(r.calls, []any{"hash", fmt.Sprintf("%d/answer", i), int(p.Output) + row*stride, 4 * m.Dim()})
	}
	return nil
}

// write adds n int32 of the memory as they are.
func (r *replay) write(at uint32, n int) {
	r.calls = append(r.calls, []any{"write", at, base64.StdEncoding.EncodeToString(r.model.machine.Memory()[at:][:4*n])})
}

// step adds one step of the program, cut in two ranges of units.
func (r *replay) step(s, tokens, seqs int) {
	st := &r.model.prog.Steps[s]
	rows := tokens
	k := r.kernels[st.Kernel]
	if st.Over == program.Seqs && k.Domain() == kernel.Rows {
		rows = seqs
	}
	units := k.Units(rows, seqs)
	for _, span := range [][2]int{{0, units / 3}, {units / 3, units}} {
		call := []any{"call", fmt.Sprintf("k%d", st.Kernel), span[0], span[1], r.model.prog.ScratchOf(0)}
		for _, a := range st.Args {
			call = append(call, a)
		}
		r.calls = append(r.calls, call)
	}
}
