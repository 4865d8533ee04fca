package native

import (
	"fmt"
	"testing"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// TestDriver: the driver is right whatever a set's tiles are, with primitives in Go.
func TestDriver(t *testing.T) {
	r := trial.Random{State: 5}
	for i := range 300 {
		s := &Set{name: "go", int8: goInt8(1+r.Intn(9), 16*(1+r.Intn(5))), float: goFloatOps(16, 4, 1)}
		if err := tryLinear(s, &r, 60, i); err != nil {
			t.Fatalf("case %d: tiles of %d by %d: %v", i, s.int8.rows, s.int8.cols, err)
		}
	}
}

// tryLinear draws a linear and compares what the set makes of it, cut anyhow.
func tryLinear(s *Set, r *trial.Random, most, i int) error {
	k := r.Kernel("linear", most)
	code, ok := s.Bind(k)
	if !ok {
		return nil
	}
	shape, numbers := r.Shape(most), trial.Numbers(i)%trial.Sorts
	c, err := trial.New(k, shape, numbers, r.Next())
	if err != nil {
		return err
	}
	if err := tryCase(s, code, c, r); err != nil {
		return fmt.Errorf("%+v, numbers %d: %w", shape, numbers, err)
	}
	return nil
}

// TestManyRows: ranges longer than what is quantised at once, and some of none.
func TestManyRows(t *testing.T) {
	k, err := kernel.NewLinear(2, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := trial.New(k, trial.Shape{Rows: 2*maxRows + 5, Cols: 20, Depth: 11}, trial.Plain, 1)
	if err != nil {
		t.Fatal(err)
	}
	sets := append(Sets(), &Set{name: "go", int8: goInt8(6, 32)})
	for _, s := range sets {
		code, ok := s.Bind(k)
		if !ok {
			continue
		}
		scratch := trial.Aligned(code.Scratch(c.Args, c.Units(), c.Tokens))
		run := func(mem []byte, lo, hi int, args []uint32) {
			code.Run(mem, scratch, lo, lo, args)
			code.Run(mem, scratch, lo, hi, args)
		}
		for _, cuts := range [][]int{nil, {0, 1, 1, maxRows + 1}, {maxRows, 2 * maxRows}} {
			if err := c.Check(s.PackWeights, run, cuts...); err != nil {
				t.Errorf("%s, cut at %v: %v", s.name, cuts, err)
			}
		}
	}
}

// TestPackRefuses what are no rows, or do not fit.
func TestPackRefuses(t *testing.T) {
	s := &Set{int8: goInt8(6, 16)}
	for _, test := range []struct{ dst, codes, first, k int }{
		{16 * 8, 5, 0, 0}, {16 * 8, 5, -1, 5}, {16 * 8, 6, 0, 5}, {16*8 - 1, 5, 0, 5}, {16 * 8, 5, 16, 5}, {0, 8, 0, 8},
	} {
		if s.PackWeights(make([]byte, test.dst), make([]byte, test.codes), test.first, test.k) == nil {
			t.Errorf("%+v: packed", test)
		}
	}
	if err := s.PackWeights(nil, nil, 0, 5); err != nil {
		t.Errorf("no rows: %v", err)
	}
}
