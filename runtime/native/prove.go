package native

import (
	"fmt"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// Prove compares the set's machine code for a kernel with the Go reference, on this CPU and
// bit for bit: on a few small cases of its own parameters, cut at many places, so that each
// size of tile is met. Nil means that they are equal, or that the set has no code for the
// kernel, or the reference itself; the error names the first difference. It takes a fraction
// of a millisecond.
func (s *Set) Prove(k *kernel.Kernel) error {
	if f := k.Form(); f.Op != "linear" && f.Op != "attention" && s.float.bindRows(f) == nil {
		return nil
	}
	for i, p := range s.proofs(k) {
		if err := s.prove(p, uint64(i)); err != nil {
			return fmt.Errorf("prove %s: %w", s.name, err)
		}
	}
	return nil
}

// proof is one case of Prove and after how many units it is cut, each in a run of its own.
type proof struct {
	kernel  *kernel.Kernel
	shape   trial.Shape
	numbers trial.Numbers
	cuts    int
}

// proofs are the cases for a kernel: small, but with whole tiles and every sort of rest.
func (s *Set) proofs(k *kernel.Kernel) []proof {
	f, lengths := k.Form(), []int{1, 3, 0, 6}
	switch f.Op {
	case "linear":
		return s.linearProofs(k)
	case "attention":
		return append(s.headProofs(f), proof{k, trial.Shape{Lengths: lengths, Slack: true}, trial.Plain, 1})
	}
	return []proof{
		{k, trial.Shape{Rows: 5, Lengths: lengths, Slack: true}, trial.Plain, 2},
		{k, trial.Shape{Rows: 2, Lengths: []int{2}}, trial.Wide, 0},
		{k, trial.Shape{Rows: 2, Lengths: []int{2}}, trial.Zeros, 0},
	}
}

// linearProofs cut as many rows as a tile has, and one more, after each row: so tiles of
// every height are met, for every width that there is.
func (s *Set) linearProofs(k *kernel.Kernel) []proof {
	rows, cols := s.int8.rows, s.int8.cols
	out := []proof{
		{k, trial.Shape{Rows: rows + 1, Cols: 2*cols - 5, Depth: 75}, trial.Plain, rows},
		{k, trial.Shape{Rows: 2, Cols: cols, Depth: 304, Slack: true}, trial.Extremes, 0},
		{k, trial.Shape{Rows: 2, Cols: 3, Depth: 1}, trial.Tiny, 0},
	}
	for rest := 16; rest < cols; rest += 16 {
		out = append(out, proof{k, trial.Shape{Rows: rows + 1, Cols: rest, Depth: 20}, trial.Plain, rows})
	}
	return out
}

// headProofs are for attention of one head, since products cost the square of a length:
// for every number of rows that a product does at once a sequence of as many tokens, and
// one of more than a panel that leaves so many rows to the end.
func (s *Set) headProofs(f kernel.Form) []proof {
	head, err := kernel.NewAttention(1, f.HeadSize, f.Scale)
	if err != nil || len(s.float.tiles) == 0 {
		return nil
	}
	most := s.float.tiles[0]
	whole := (s.float.panel/most + 1) * most
	lengths := []int{most}
	for _, rows := range s.float.tiles[1:] {
		lengths = append(lengths, rows, whole+rows)
	}
	if len(lengths) == 1 {
		lengths = append(lengths, whole)
	}
	return []proof{
		{head, trial.Shape{Lengths: lengths}, trial.Plain, 0},
		{head, trial.Shape{Lengths: []int{4}}, trial.Wide, 0},
	}
}

// prove runs a case whole, then cut after each of the first units.
func (s *Set) prove(p proof, seed uint64) error {
	bound, ok := s.Bind(p.kernel)
	if !ok {
		return nil
	}
	c, err := trial.New(p.kernel, p.shape, p.numbers, seed)
	if err != nil {
		return err
	}
	t, err := c.Trial(s.PackWeights)
	if err != nil {
		return err
	}
	scratch := trial.Aligned(bound.Scratch(c.Args, c.Units(), c.Tokens))
	run := func(mem []byte, lo, hi int, args []uint32) { bound.Run(mem, scratch, lo, hi, args) }
	for cut := range min(p.cuts+1, c.Units()) {
		if err := t.Check(run, cut); err != nil {
			return err
		}
	}
	return nil
}
