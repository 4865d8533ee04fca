package infer

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A profile has each step of the program, with the work of its linears, and leaves the model
// as it was.
func TestProfile(t *testing.T) {
	for _, kernels := range []string{"auto", "wasm", "go"} {
		m := load(t, openTiny(t), Config{Kernels: kernels, Workers: 2})
		before, err := m.Embed(t.Context(), []string{"a boat"})
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 40} { // more than a pass holds
			p, err := m.Profile(t.Context(), 7, batch, 2)
			if err != nil {
				t.Fatal(err)
			}
			if p.Tokens != 7 || p.Batch != batch || p.Time <= 0 || p.Between < 0 || p.Between > 1 || len(p.Steps) != len(m.prog.Steps) {
				t.Errorf("%s: %+v", kernels, p)
			}
			for i, s := range p.Steps {
				if s.Calls == 0 || s.Op == "" {
					t.Errorf("%s, step %d: %+v", kernels, i, s)
				}
				if s.Op == "linear" && (s.Tensor == "" || s.MACs != int64(7*batch*s.K*s.N)) {
					t.Errorf("%s, step %d: %+v", kernels, i, s)
				}
			}
		}
		after, err := m.Embed(t.Context(), []string{"a boat"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: another answer after a profile: %s", kernels, diff)
		}
	}
}

func TestProfileRefuses(t *testing.T) {
	m := load(t, openTiny(t), Config{Kernels: "go", Workers: 1})
	for _, c := range [][3]int{{0, 1, 1}, {1 << 20, 1, 1}, {8, 0, 1}, {8, 1, 0}} {
		if _, err := m.Profile(t.Context(), c[0], c[1], c[2]); !errors.Is(err, ErrInput) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Profile(t.Context(), 8, 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
