package match

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/packager/graph"
)

// axes are the axes of a reduction, by attribute or input; nil for all.
func (w *walk) axes(n *onnx.Node, in []value, rank int) ([]int, error) {
	var list []int64
	if a, ok := n.Attrs["axes"]; ok {
		list = a.Ints
	}
	if len(in) > 1 && in[1] != nil {
		k, ok := in[1].(*known)
		if !ok {
			return nil, errors.New("axes that depend on the words")
		}
		a, err := k.array()
		if err != nil {
			return nil, err
		}
		list = a.I
	}
	var out []int
	for _, v := range list {
		if v < 0 {
			v += int64(rank)
		}
		if v < 0 || v >= int64(rank) {
			return nil, fmt.Errorf("axis %d of %d", v, rank)
		}
		out = append(out, int(v))
	}
	return out, nil
}

// reduce is a reduction over the columns, which makes a number a row, or over the
// tokens, which is a pooling.
func (w *walk) reduce(n *onnx.Node, in []value) (value, error) {
	t, ok := in[0].(*tens)
	if !ok {
		return nil, w.refuse(n, "axes that depend on the words")
	}
	t, err := w.settled(t)
	if err != nil {
		return nil, err
	}
	axes, err := w.axes(n, in, len(t.shape))
	if err != nil {
		return nil, err
	}
	axes = slices.DeleteFunc(axes, func(a int) bool { return t.shape[a] == 1 && len(axes) > 1 })
	if len(axes) != 1 {
		return nil, w.refuse(n, "a reduction over axes %v of %v", axes, t.shape)
	}
	keep := true
	if a, ok := n.Attrs["keepdims"]; ok {
		keep = a.I != 0
	}
	axis := axes[0]
	shape := slices.Clone(t.shape)
	shape[axis] = 1
	if !keep {
		shape = slices.Delete(shape, axis, axis+1)
	}
	if axis == len(t.shape)-1 {
		return w.reduction(n.Op, t, shape), nil
	}
	if axis == len(t.shape)-2 && t.shape[axis] == w.tokens {
		return w.pooled(n, t, shape)
	}
	return nil, w.refuse(n, "a reduction over axis %d of %v, which is neither the columns nor the tokens", axis, t.shape)
}

// pooled is a reduction over the tokens.
func (w *walk) pooled(n *onnx.Node, t *tens, shape []int) (value, error) {
	weight, bare, err := w.rowWeights(t)
	if err != nil {
		return nil, w.refuse(n, "a pooling: %v", err)
	}
	x, err := w.settle(bare)
	if err != nil {
		return nil, w.refuse(n, "what is pooled is not understood: %v", err)
	}
	if !x.rows {
		return nil, w.refuse(n, "a pooling of something that is not one row a token")
	}
	if n.Op == "ReduceMax" {
		if weight != nil {
			return nil, w.refuse(n, "the largest of weighted rows")
		}
		return whole(w.pool(x, graph.PoolMax), shape), nil
	}
	how, sum := poolingOf(weight, w.tokens)
	if how == graph.PoolNone || n.Op != "ReduceSum" && n.Op != "ReduceMean" {
		return nil, w.refuse(n, "a pooling that is none of mean, weighted mean, first and last token")
	}
	if n.Op == "ReduceMean" {
		sum /= float64(w.tokens)
	}
	out := whole(w.pool(x, how), shape)
	if math.Abs(sum-1) < 1e-6 {
		return out, nil
	}
	return out.times(scalarOf(float32(sum)).arr)
}

// rowWeights parts a tensor of rows into a number for each row and the rows; nil for
// numbers of 1.
func (w *walk) rowWeights(t *tens) ([]float64, *tens, error) {
	if len(t.terms) != 1 || t.add != nil || t.terms[0].coef == nil {
		return nil, t, nil
	}
	coef, err := expand(t.terms[0].coef, t.shape)
	if err != nil {
		return nil, nil, err
	}
	c := last(t.shape)
	out := make([]float64, count(t.shape)/c)
	for i := range coef.F {
		if i%c == 0 {
			out[i/c] = float64(coef.F[i])
		} else if float64(coef.F[i]) != out[i/c] {
			return nil, t, nil // by column: part of the rows
		}
	}
	bare := &tens{shape: t.shape, terms: []term{{a: t.terms[0].a, idx: t.terms[0].idx}}}
	return out, bare, nil
}

// poolingOf is the pooling that weights by token make, and their sum.
func poolingOf(weight []float64, tokens int) (graph.Pooling, float64) {
	if weight == nil {
		return graph.PoolMean, float64(tokens)
	}
	sum, equal, rising, first, final := 0.0, true, true, true, true
	for i, v := range weight {
		sum += v
		equal = equal && near(v, weight[0])
		rising = rising && near(v, float64(i+1)*weight[0])
		first = first && (i == 0 || v == 0)
		final = final && (i == len(weight)-1 || v == 0)
	}
	switch {
	case sum == 0 || len(weight) != tokens:
		return graph.PoolNone, 0
	case equal:
		return graph.PoolMean, sum
	case rising:
		return graph.PoolWeighted, sum
	case first:
		return graph.PoolCLS, sum
	case final:
		return graph.PoolLast, sum
	}
	return graph.PoolNone, 0
}

// near reports whether two numbers are equal but for rounding to float32.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*max(math.Abs(a), math.Abs(b)) }
