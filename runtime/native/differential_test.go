package native

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// flip is a float32 with its lowest bit another.
func flip(x float32) float32 { return math.Float32frombits(math.Float32bits(x) ^ 1) }

// tryCase compares a bound kernel with its reference on one case, cut anywhere, and in place
// where the kernel may be. Memory and scratch end where their pages do: what is read or
// written past them is a fault, which names the case.
func tryCase(s *Set, bound Kernel, c *trial.Case, r *trial.Random) error {
	units := c.Units()
	cuts := r.Cuts(units)
	scratch, err := fence(bound.Scratch(c.Args, units, c.Tokens))
	if err != nil {
		return err
	}
	defer scratch.free()
	mem, err := fence(int(c.Scratch) - trial.Guard)
	if err != nil {
		return err
	}
	defer mem.free()
	run := func(all []byte, lo, hi int, args []uint32) {
		copy(mem.bytes, all)
		for i := range scratch.bytes {
			scratch.bytes[i] = byte(r.State) // it holds nothing between calls
		}
		bound.Run(mem.bytes, scratch.bytes, lo, hi, args)
		copy(all, mem.bytes)
	}
	if err := faultless(func() error { return c.Check(s.PackWeights, run, cuts...) }); err != nil {
		return fmt.Errorf("cut at %v: %w", cuts, err)
	}
	for _, in := range []string{"x", "residual", "y"} {
		same, ok := c.InPlace(in)
		if !ok {
			continue
		}
		if err := faultless(func() error { return same.Check(s.PackWeights, run, cuts...) }); err != nil {
			return fmt.Errorf("in place of %s, cut at %v: %w", in, cuts, err)
		}
	}
	return nil
}

// faultless is f, a fault of the processor or a panic as an error.
func faultless(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("fault: %v", r)
		}
	}()
	return f()
}

// TestRandomShapes compares what every set binds with the reference over random kernels,
// shapes, numbers and splits.
func TestRandomShapes(t *testing.T) {
	count := 20000
	switch {
	case testing.Short():
		count = 600
	case os.Getenv("SKIFF_EXHAUSTIVE") != "": // make exhaustive
		count = 1000000
	}
	for _, s := range tried(t) {
		t.Run(s.Name(), func(t *testing.T) {
			bound := map[string]int{}
			for i := range count {
				r := trial.Random{State: uint64(i) << 32}
				op := "linear"
				if i%2 == 1 {
					op = trial.Ops()[i/2%len(trial.Ops())]
				}
				if err := tryRandom(s, op, i, &r, bound); err != nil {
					t.Fatalf("case %d: %v", i, err)
				}
			}
			t.Logf("cases of what is bound: %v", bound)
			for _, op := range []string{"linear", "attention", "addnorm", "embed"} {
				if bound[op] == 0 {
					t.Errorf("%s is not bound", op)
				}
			}
		})
	}
}

// tryRandom draws a case of an op and tries it, if the set binds it. Every tenth is large.
func tryRandom(s *Set, op string, i int, r *trial.Random, bound map[string]int) error {
	most := 40
	if i%10 == 0 {
		most = 150
	}
	k := r.Kernel(op, most)
	code, ok := s.Bind(k)
	if !ok {
		return nil
	}
	bound[op]++
	shape, numbers := r.Shape(most), trial.Numbers(i/7)%trial.Sorts
	c, err := trial.New(k, shape, numbers, r.Next())
	if err != nil {
		return err
	}
	if err := tryCase(s, code, c, r); err != nil {
		return fmt.Errorf("%+v, numbers %d: %w", shape, numbers, err)
	}
	return nil
}

// TestRealShapes compares the shapes of real models: depths past what a panel holds in one
// piece, many panels, long sequences.
func TestRealShapes(t *testing.T) {
	r := trial.Random{State: 9}
	linear := func(outliers int, act kernel.Act) *kernel.Kernel {
		k, err := kernel.NewLinear(outliers, act)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	attention, err := kernel.NewAttention(12, 32, 0.17677669)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tried(t) {
		for i, test := range []struct {
			kernel *kernel.Kernel
			shape  trial.Shape
		}{
			{linear(1, kernel.ActGELU), trial.Shape{Rows: 37, Cols: 1536, Depth: 384}},
			{linear(4, kernel.ActNone), trial.Shape{Rows: 9, Cols: 384, Depth: 1536}},
			{linear(0, kernel.ActNone), trial.Shape{Rows: 3, Cols: 33, Depth: 9001}},
			{linear(2, kernel.ActNone), trial.Shape{Rows: 1, Cols: 16, Depth: 65536}},
			{attention, trial.Shape{Lengths: []int{128, 3, 0, 257}}},
			{attention, trial.Shape{Lengths: []int{512}}},
		} {
			if testing.Short() && i%2 == 1 {
				continue
			}
			code, ok := s.Bind(test.kernel)
			if !ok {
				continue
			}
			for _, n := range []trial.Numbers{trial.Plain, trial.Extremes} {
				c, err := trial.New(test.kernel, test.shape, n, 1)
				if err != nil {
					t.Fatal(err)
				}
				if err := tryCase(s, code, c, &r); err != nil {
					t.Errorf("%s: %+v: %v", s.Name(), test.shape, err)
				}
			}
		}
	}
}
