package native

import (
	"fmt"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// Prove compares the set's machine code for a kernel with the Go reference, on this CPU and
// bit for bit: on a few small cases of its own parameters, cut at every place, so that each
// size of tile is met. Nil means that they are equal, or that the set has no code for the
// kernel; the error names the first difference. It takes a fraction of a millisecond.
func (s *Set) Prove(k *kernel.Kernel) error {
	bound, ok := s.Bind(k)
	if !ok {
		return nil
	}
	for i, p := range s.proofs(k.Form()) {
		c, err := trial.New(k, p.shape, p.numbers, uint64(i))
		if err != nil {
			return fmt.Errorf("prove %s: %w", s.name, err)
		}
		if err := s.tryCuts(c, bound, p.cuts); err != nil {
			return fmt.Errorf("prove %s: %w", s.name, err)
		}
	}
	return nil
}

// proof is one case of Prove and after how many units it is cut, each in a run of its own.
type proof struct {
	shape   trial.Shape
	numbers trial.Numbers
	cuts    int
}

// proofs are the cases for a kernel: small, but with whole tiles and every sort of rest.
func (s *Set) proofs(f kernel.Form) []proof {
	lengths := []int{1, 21, 0, 6}
	switch f.Op {
	case "linear":
		rows, cols := s.int8.rows, s.int8.cols
		return []proof{
			{trial.Shape{Rows: rows + 1, Cols: 2*cols + 19, Depth: 75}, trial.Plain, rows + 1},
			{trial.Shape{Rows: 2, Cols: cols, Depth: 304, Slack: true}, trial.Extremes, 1},
			{trial.Shape{Rows: 2, Cols: 3, Depth: 1}, trial.Tiny, 1},
		}
	case "attention", "attend":
		return []proof{{trial.Shape{Lengths: lengths, Slack: true}, trial.Plain, 1}, {trial.Shape{Lengths: []int{3}}, trial.Wide, 1}}
	}
	return []proof{
		{trial.Shape{Rows: 5, Lengths: lengths, Slack: true}, trial.Plain, 2},
		{trial.Shape{Rows: 2, Lengths: []int{2}}, trial.Wide, 1},
		{trial.Shape{Rows: 2, Lengths: []int{2}}, trial.Zeros, 1},
	}
}

// tryCuts runs a case whole, then cut after each of the first units.
func (s *Set) tryCuts(c *trial.Case, bound Kernel, cuts int) error {
	t, err := c.Trial(s.PackWeights)
	if err != nil {
		return err
	}
	scratch := trial.Aligned(bound.Scratch(c.Args, c.Units(), c.Tokens))
	run := func(mem []byte, lo, hi int, args []uint32) { bound.Run(mem, scratch, lo, hi, args) }
	for cut := range min(cuts+1, c.Units()) {
		if err := t.Check(run, cut); err != nil {
			return err
		}
	}
	return nil
}
