package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestBench: every length has a row, every step a time, every linear its work. How long
// anything takes is no test's business.
func TestBench(t *testing.T) {
	h := newHome(t)
	h.must(t, "", "pack", "--fast", "builtin", "-o", "mini.skiff")
	for _, kernels := range []string{"auto", "wasm", "go"} {
		r := h.must(t, "", "bench", "mini.skiff", "--rounds", "1", "--tokens", "8,21", "--batch", "3", "--workers", "2", "--kernels", kernels, "--json")
		var info benchInfo
		if err := json.Unmarshal([]byte(r.stdout), &info); err != nil {
			t.Fatalf("%s: %v\n%s", kernels, err, r.stdout)
		}
		if kernels != "auto" && info.Kernels != kernels || info.Workers != 2 || info.Memory.Weights == 0 || len(info.Passes) != 2 {
			t.Fatalf("%s: %+v", kernels, info)
		}
		for i, tokens := range []int{8, 21} {
			checkPass(t, kernels, info.Passes[i], tokens, 3)
		}
	}
	r := h.must(t, "", "bench", "mini.skiff", "--rounds", "1", "--batch", "1")
	for _, want := range []string{"steps of ", "linear ", "attention ", "all", "bytes of weights"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
}

func checkPass(t *testing.T, kernels string, p passInfo, tokens, batch int) {
	t.Helper()
	if p.Tokens != tokens || p.Batch != batch || p.Micros <= 0 || p.PerSecond <= 0 || p.Between < 0 || p.Between > 1 || len(p.Steps) == 0 {
		t.Fatalf("%s: pass %+v", kernels, p)
	}
	share := 0.0
	for _, s := range p.Steps {
		share += s.Share
		if s.Calls == 0 || s.Op == "" || s.Kernel == "" {
			t.Errorf("%s: step %+v", kernels, s)
		}
		if s.Op == "linear" && (s.Tensor == "" || s.MACs != int64(tokens*batch*s.K*s.N)) {
			t.Errorf("%s: linear %+v", kernels, s)
		}
	}
	if share < 0.999 || share > 1.001 {
		t.Errorf("%s: shares add up to %g", kernels, share)
	}
}

// TestBenchRefuses: what a model cannot be measured at is said before anything is.
func TestBenchRefuses(t *testing.T) {
	h := newHome(t)
	for _, c := range []struct{ args, want string }{
		{"--tokens 0", "--tokens 0, want 1 or more"},
		{"--tokens 8,many", "invalid argument"},
		{"--batch 0", "--batch 0, want 1 or more"},
		{"--rounds 0", "--rounds 0, want 1 or more"},
		{"--kernels abacus", "abacus"},
		{"--tokens 100000", "--tokens 100000: the model takes up to"},
	} {
		r := h.run(t, "", strings.Fields("bench builtin "+c.args)...)
		if r.status != statusUsage || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: status %d, stdout %q, stderr %q; want status 2 and %q", c.args, r.status, r.stdout, r.stderr, c.want)
		}
	}
	if r := h.run(t, "", "bench", "nothing.skiff"); r.status != statusFailed || !strings.Contains(r.stderr, "nothing.skiff") {
		t.Errorf("no such file: %s", fmt.Sprint(r))
	}
}
