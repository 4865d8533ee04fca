package native

import (
	"testing"

	"skiff/runtime/trial"
)

// floatKernels are the ops that bindFloat is for.
func floatKernels() []string {
	return []string{
		"embed", "lookup", "addnorm", "norm", "nonorm", "add", "activation", "glu", "attention",
		"meanpool", "pool", "poolafter", "l2norm", "concat", "trigram",
	}
}

// testFloatKernels compares all kernels of a set of primitives with their references.
func testFloatKernels(t *testing.T, o floatOps, rounds int) {
	t.Helper()
	s := &Set{name: "float", usable: true, float: o}
	bound := map[string]int{}
	for i := range rounds {
		r := trial.Random{State: uint64(i)<<32 + 5}
		for _, op := range floatKernels() {
			if err := tryRandom(s, op, i, &r, bound); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
	}
	for _, op := range floatKernels() {
		if bound[op] == 0 {
			t.Errorf("%s is not bound", op)
		}
	}
}

// TestFloatDrivers runs the Go code that drives primitives over primitives in Go: what
// fails here fails with every set.
func TestFloatDrivers(t *testing.T) {
	for _, o := range []floatOps{goFloatOps(16, 12, 8, 4, 2, 1), goFloatOps(8, 6, 4, 2, 1), goFloatOps(4, 1)} {
		testFloatKernels(t, o, 60)
	}
}

// TestSteps wants every row done, by tiles that there are, none outside of the rows.
func TestSteps(t *testing.T) {
	o := goFloatOps(16, 12, 8, 4, 2, 1)
	for n := 1; n < 100; n++ {
		tiles := 0
		for done := 0; done < n; tiles++ {
			first, rows := o.step(done, n)
			if first < 0 || first > done || first+rows <= done || first+rows > n {
				t.Fatalf("of %d rows, %d done: %d from %d", n, done, rows, first)
			}
			done = first + rows
		}
		if most := n/12 + 3; tiles > most {
			t.Errorf("%d rows take %d tiles, more than %d", n, tiles, most)
		}
	}
}
