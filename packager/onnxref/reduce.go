package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/tensor"
)

// fold is how the elements of a reduction come together.
type fold struct {
	start  float64
	add    func(sum, v float64) float64
	finish func(sum float64, n int) float64 // nil for the sum itself
	whole  func(sum, v int64) int64         // for integers; nil where there is none
}

// reducing lists the operators that fold whole axes into one element.
func reducing(name string) operator {
	f, ok := reduction(name)
	if !ok {
		return operator{}
	}
	return operator{1, 2, func(c *call) ([]*Tensor, error) { return one(c.reduce(f)) }}
}

func reduction(name string) (fold, bool) {
	plus := func(sum, v float64) float64 { return sum + v }
	switch name {
	case "ReduceL1":
		return fold{0, func(sum, v float64) float64 { return sum + math.Abs(v) }, nil,
			func(sum, v int64) int64 { return sum + max(v, -v) }}, true
	case "ReduceL2":
		return fold{0, func(sum, v float64) float64 { return sum + v*v },
			func(sum float64, _ int) float64 { return math.Sqrt(sum) }, nil}, true
	case "ReduceLogSum":
		return fold{0, plus, func(sum float64, _ int) float64 { return math.Log(sum) }, nil}, true
	case "ReduceLogSumExp":
		return fold{math.Inf(-1), logAdd, nil, nil}, true
	case "ReduceMax":
		return fold{math.Inf(-1), math.Max, nil, func(a, b int64) int64 { return max(a, b) }}, true
	case "ReduceMean":
		return fold{0, plus, func(sum float64, n int) float64 { return sum / float64(n) },
			func(sum, v int64) int64 { return sum + v }}, true
	case "ReduceMin":
		return fold{math.Inf(1), math.Min, nil, func(a, b int64) int64 { return min(a, b) }}, true
	case "ReduceProd":
		return fold{1, func(a, b float64) float64 { return a * b }, nil, func(a, b int64) int64 { return a * b }}, true
	case "ReduceSum":
		return fold{0, plus, nil, func(sum, v int64) int64 { return sum + v }}, true
	case "ReduceSumSquare":
		return fold{0, func(sum, v float64) float64 { return sum + v*v }, nil, func(sum, v int64) int64 { return sum + v*v }}, true
	}
	return fold{}, false
}

// logAdd is log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	top, low := max(a, b), min(a, b)
	if math.IsInf(top, 0) {
		return top
	}
	return top + math.Log1p(math.Exp(low-top))
}

// reduce folds the listed axes, or all of them where none are listed.
func (c *call) reduce(f fold) (*Tensor, error) {
	t := c.in[0]
	list, _, err := c.list("axes", 1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && c.integer("noop_with_empty_axes", 0) != 0 {
		return c.untouched(f)
	}
	if list, err = axes(list, len(t.Shape)); err != nil {
		return nil, err
	}
	full, kept := slices.Clone(t.Shape), []int{}
	for d, n := range t.Shape {
		if len(list) == 0 || slices.Contains(list, d) {
			full[d] = 1
		} else {
			kept = append(kept, n)
		}
	}
	out, err := c.folded(f, full)
	if err == nil && c.integer("keepdims", 1) == 0 {
		out.Shape = kept
	}
	return out, err
}

// untouched is a reduction of no axes: of every element alone.
func (c *call) untouched(f fold) (*Tensor, error) { return c.folded(f, c.in[0].Shape) }

// folded reduces to shape, which has 1 where an axis is folded.
func (c *call) folded(f fold, shape []int) (*Tensor, error) {
	t := c.in[0]
	out, err := c.make(t.DType, slices.Clone(shape))
	if err != nil {
		return nil, err
	}
	n := 1 // elements that make one
	for d, size := range t.Shape {
		if shape[d] != size {
			n *= size
		}
	}
	if !t.Float() {
		return out, c.foldInts(f, out, n)
	}
	sums, steps := make([]float64, len(out.F)), stretched(shape, len(shape))
	for i := range sums {
		sums[i] = f.start
	}
	walk(t.Shape, func(i int, at []int) {
		j := offset(at, steps)
		sums[j] = f.add(sums[j], float64(t.F[i]))
	})
	for i, s := range sums {
		if f.finish != nil {
			s = f.finish(s, n)
		}
		out.F[i] = round(t.DType, s)
	}
	return out, nil
}

// foldInts starts with the first element of each fold, where there is one.
func (c *call) foldInts(f fold, out *Tensor, n int) error {
	t := c.in[0]
	if f.whole == nil || t.DType == tensor.Bool {
		return fmt.Errorf("element type %v is not computed with", t.DType)
	}
	if n == 0 && (math.IsInf(f.start, 0) || c.node.Op == "ReduceMean") {
		return fmt.Errorf("%s of no integers", c.node.Op)
	}
	for i := range out.I {
		out.I[i] = int64(f.start)
		switch f.start {
		case math.Inf(1):
			out.I[i] = math.MaxInt64
		case math.Inf(-1):
			out.I[i] = math.MinInt64
		}
	}
	steps := stretched(out.Shape, len(out.Shape))
	walk(t.Shape, func(i int, at []int) {
		j := offset(at, steps)
		out.I[j] = f.whole(out.I[j], t.I[i])
	})
	for i, v := range out.I {
		if c.node.Op == "ReduceMean" {
			v /= int64(n)
		}
		out.I[i] = wrap(t.DType, v)
	}
	return nil
}
