package onnxref

import (
	"cmp"
	"fmt"
	"slices"

	"skiff/formats/tensor"
)

// gathering lists the operators that read or write where an index says.
func gathering(name string) operator {
	switch name {
	case "Gather":
		return operator{2, 2, gather}
	case "GatherElements":
		return operator{2, 2, gatherElements}
	case "GatherND":
		return operator{2, 2, gatherND}
	case "ScatterElements", "Scatter":
		return operator{3, 3, scatterElements}
	case "ScatterND":
		return operator{3, 3, scatterND}
	case "OneHot":
		return operator{3, 3, oneHot}
	case "ArgMax", "ArgMin":
		return operator{1, 1, argMax}
	case "TopK":
		return operator{2, 2, topK}
	}
	return operator{}
}

// indices checks that every element of t is an index into n elements and returns
// them counted from the start.
func indices(t *Tensor, n int) ([]int, error) {
	if t.DType != tensor.I32 && t.DType != tensor.I64 {
		return nil, fmt.Errorf("indices are %v, want I32 or I64", t)
	}
	out := make([]int, len(t.I))
	for i, v := range t.I {
		j, err := index(v, n)
		if err != nil {
			return nil, err
		}
		out[i] = j
	}
	return out, nil
}

func index(v int64, n int) (int, error) {
	if v < -int64(n) || v >= int64(n) {
		return 0, fmt.Errorf("index %d into %d", v, n)
	}
	if v < 0 {
		v += int64(n)
	}
	return int(v), nil
}

// gather replaces an axis by the dimensions of the indices.
func gather(c *call) ([]*Tensor, error) {
	if v, ok := c.views[0]; ok {
		return one(c.rows(v, c.in[1]))
	}
	t := c.in[0]
	a, err := axis(c.integer("axis", 0), len(t.Shape))
	if err != nil {
		return nil, err
	}
	if _, err := c.size(c.in[1].Shape); err != nil {
		return nil, err
	}
	list, err := indices(c.in[1], t.Shape[a])
	if err != nil {
		return nil, err
	}
	rank := len(c.in[1].Shape)
	shape := slices.Concat(t.Shape[:a], c.in[1].Shape, t.Shape[a+1:])
	outer, inner, which := strides(t.Shape)[:a], strides(t.Shape)[a+1:], strides(c.in[1].Shape)
	return one(c.take(t, shape, func(at []int) int {
		i := list[offset(at[a:a+rank], which)]
		return offset(at[:a], outer) + i*product(t.Shape[a+1:]) + offset(at[a+rank:], inner)
	}))
}

// rows gathers along the first axis of a constant, of which it converts only the
// rows that are asked for.
func (c *call) rows(v tensor.View, which *Tensor) (*Tensor, error) {
	list, err := indices(which, v.Shape[0])
	if err != nil {
		return nil, err
	}
	got := tensor.View{Name: v.Name, DType: v.DType, Shape: slices.Concat(which.Shape, v.Shape[1:])}
	if _, err := c.size(got.Shape); err != nil {
		return nil, err
	}
	size := product(v.Shape[1:]) * v.DType.Size()
	if len(v.Data) != size*v.Shape[0] {
		return nil, fmt.Errorf("tensor %q: %d bytes for shape %v of %v", v.Name, len(v.Data), v.Shape, v.DType)
	}
	for _, i := range list {
		got.Data = append(got.Data, v.Data[i*size:(i+1)*size]...)
	}
	return FromView(got)
}

// gatherElements has the shape of its indices, which replace the position on the
// axis.
func gatherElements(c *call) ([]*Tensor, error) {
	t, which := c.in[0], c.in[1]
	a, list, err := c.along(t, which)
	if err != nil {
		return nil, err
	}
	steps, own := strides(t.Shape), strides(which.Shape)
	return one(c.take(t, which.Shape, func(at []int) int {
		return offset(at, steps) + (list[offset(at, own)]-at[a])*steps[a]
	}))
}

// along checks indices that stand for positions on an axis of t; on the others
// they may not reach beyond t.
func (c *call) along(t, which *Tensor) (a int, list []int, err error) {
	if a, err = axis(c.integer("axis", 0), len(t.Shape)); err != nil {
		return 0, nil, err
	}
	if len(which.Shape) != len(t.Shape) {
		return 0, nil, fmt.Errorf("indices %v into %v", which, t)
	}
	for d, n := range which.Shape {
		if d != a && n > t.Shape[d] {
			return 0, nil, fmt.Errorf("indices %v into %v", which, t)
		}
	}
	list, err = indices(which, t.Shape[a])
	return a, list, err
}

// gatherND reads the last dimension of the indices as a position in t, after
// batch_dims dimensions that both share.
func gatherND(c *call) ([]*Tensor, error) {
	t, which, b := c.in[0], c.in[1], c.integer("batch_dims", 0)
	if b < 0 || len(which.Shape) <= b || len(t.Shape) < b || !slices.Equal(t.Shape[:b], which.Shape[:b]) {
		return nil, fmt.Errorf("%d batch dimensions", b)
	}
	starts, tail, err := c.positions(t.Shape, which, b)
	if err != nil {
		return nil, err
	}
	head := which.Shape[:len(which.Shape)-1]
	own, inner := strides(head), strides(tail)
	return one(c.take(t, slices.Concat(head, tail), func(at []int) int {
		return starts[offset(at[:len(head)], own)] + offset(at[len(head):], inner)
	}))
}

// positions turns the last dimension of indices into offsets into a tensor of the
// given shape; tail is the shape of what stands there.
func (c *call) positions(shape []int, which *Tensor, b int) (starts, tail []int, err error) {
	r := len(which.Shape)
	if r == 0 || which.DType != tensor.I64 && which.DType != tensor.I32 || b+which.Shape[r-1] > len(shape) {
		return nil, nil, fmt.Errorf("indices are %v", which)
	}
	depth, steps := which.Shape[r-1], strides(shape)
	head := which.Shape[:r-1]
	n, err := c.size(head)
	if err != nil {
		return nil, nil, err
	}
	starts = make([]int, n)
	walk(head, func(i int, at []int) {
		starts[i] = offset(at[:b], steps)
		for d := range depth {
			p, wrong := index(which.I[i*depth+d], shape[b+d])
			if wrong != nil && err == nil {
				err = wrong
			}
			starts[i] += p * steps[b+d]
		}
	})
	return starts, shape[b+depth:], err
}

// scatterElements copies its first input and puts updates where the indices say.
func scatterElements(c *call) ([]*Tensor, error) {
	t, which, updates := c.in[0], c.in[1], c.in[2]
	a, list, err := c.along(t, which)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(which.Shape, updates.Shape) {
		return nil, fmt.Errorf("updates %v for indices %v", updates, which)
	}
	out, err := c.scattered(t, updates)
	if err != nil {
		return nil, err
	}
	put, err := c.reduction(t)
	if err != nil {
		return nil, err
	}
	steps := strides(t.Shape)
	walk(which.Shape, func(i int, at []int) {
		put(out, offset(at, steps)+(list[i]-at[a])*steps[a], updates, i)
	})
	return []*Tensor{out}, nil
}

// scatterND is the opposite of gatherND without batch dimensions.
func scatterND(c *call) ([]*Tensor, error) {
	t, which, updates := c.in[0], c.in[1], c.in[2]
	starts, tail, err := c.positions(t.Shape, which, 0)
	if err != nil {
		return nil, err
	}
	head := which.Shape[:len(which.Shape)-1]
	if !slices.Equal(updates.Shape, slices.Concat(head, tail)) {
		return nil, fmt.Errorf("updates %v for indices %v", updates, which)
	}
	out, err := c.scattered(t, updates)
	if err != nil {
		return nil, err
	}
	put, err := c.reduction(t)
	if err != nil {
		return nil, err
	}
	n := product(tail)
	for i, start := range starts {
		for j := range n {
			put(out, start+j, updates, i*n+j)
		}
	}
	return []*Tensor{out}, nil
}

// scattered is a copy of t that updates can be put into.
func (c *call) scattered(t, updates *Tensor) (*Tensor, error) {
	if t.DType != updates.DType {
		return nil, fmt.Errorf("updates are %v, want %v", updates.DType, t.DType)
	}
	steps := strides(t.Shape)
	return c.take(t, t.Shape, func(at []int) int { return offset(at, steps) })
}

// reduction says what becomes of an element that is written to.
func (c *call) reduction(t *Tensor) (func(out *Tensor, i int, from *Tensor, j int), error) {
	var f func(a, b float64) float64
	switch name := c.text("reduction", "none"); name {
	case "none":
		return (*Tensor).copy, nil
	case "add":
		f = func(a, b float64) float64 { return a + b }
	case "mul":
		f = func(a, b float64) float64 { return a * b }
	case "max":
		f = func(a, b float64) float64 { return max(a, b) }
	case "min":
		f = func(a, b float64) float64 { return min(a, b) }
	default:
		return nil, fmt.Errorf("reduction %q", name)
	}
	if t.DType == tensor.Bool {
		return nil, fmt.Errorf("element type %v is not computed with", t.DType)
	}
	return func(out *Tensor, i int, from *Tensor, j int) { out.set(i, f(out.number(i), from.number(j))) }, nil
}

// oneHot has its on value where an index points and its off value elsewhere, also
// along an index that is out of range.
func oneHot(c *call) ([]*Tensor, error) {
	which, values := c.in[0], c.in[2]
	if c.in[1].Len() != 1 || len(values.Shape) != 1 || values.Shape[0] != 2 {
		return nil, fmt.Errorf("depth %v, values %v", c.in[1], values)
	}
	a, err := axis(c.integer("axis", -1), len(which.Shape)+1)
	if err != nil {
		return nil, err
	}
	depth := int(truncate(c.in[1].number(0)))
	if depth < 1 || depth > c.budget {
		return nil, fmt.Errorf("depth %d with a budget of %d", depth, c.budget)
	}
	steps := slices.Insert(strides(which.Shape), a, 0)
	return one(c.take(values, slices.Insert(slices.Clone(which.Shape), a, depth), func(at []int) int {
		i := int(truncate(which.number(offset(at, steps))))
		if i == at[a] || i+depth == at[a] {
			return 1
		}
		return 0
	}))
}

// argMax finds the largest or smallest of every line along an axis.
func argMax(c *call) ([]*Tensor, error) {
	t := c.in[0]
	a, err := axis(c.integer("axis", 0), len(t.Shape))
	if err != nil {
		return nil, err
	}
	if t.Shape[a] == 0 {
		return nil, fmt.Errorf("largest of none")
	}
	shape := slices.Clone(t.Shape)
	shape[a] = 1
	out, err := c.make(tensor.I64, shape)
	if err != nil {
		return nil, err
	}
	sign := 1
	if c.node.Op == "ArgMin" {
		sign = -1
	}
	last, line := c.integer("select_last_index", 0) != 0, 0
	lines(t.Shape, a, func(start, step, n int) {
		best := 0
		for i := range n {
			if d := sign * t.compare(start+i*step, start+best*step); d > 0 || d == 0 && last {
				best = i
			}
		}
		out.I[line] = int64(best)
		line++
	})
	if c.integer("keepdims", 1) == 0 {
		out.Shape = slices.Delete(shape, a, a+1)
	}
	return []*Tensor{out}, nil
}

// compare orders two elements; what is no number comes first.
func (t *Tensor) compare(i, j int) int {
	if t.Float() {
		return cmp.Compare(t.F[i], t.F[j])
	}
	return cmp.Compare(t.I[i], t.I[j])
}

// topK sorts every line along an axis and keeps the first k; equal elements stay
// in order.
func topK(c *call) ([]*Tensor, error) {
	t := c.in[0]
	k, err := c.number(1)
	if err != nil {
		return nil, err
	}
	a, err := axis(c.integer("axis", -1), len(t.Shape))
	if err != nil {
		return nil, err
	}
	if k < 0 || k > t.Shape[a] {
		return nil, fmt.Errorf("first %d of %d", k, t.Shape[a])
	}
	shape := slices.Clone(t.Shape)
	shape[a] = k
	values, err := c.make(t.DType, shape)
	if err != nil {
		return nil, err
	}
	places, err := c.make(tensor.I64, shape)
	if err != nil {
		return nil, err
	}
	sign := -1
	if c.integer("largest", 1) == 0 {
		sign = 1
	}
	var starts []int
	lines(shape, a, func(start, _, _ int) { starts = append(starts, start) })
	line, step := 0, strides(shape)[a]
	lines(t.Shape, a, func(start, from, n int) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return sign * t.compare(start+i*from, start+j*from) })
		for i, o := range order[:k] {
			values.copy(starts[line]+i*step, t, start+o*from)
			places.I[starts[line]+i*step] = int64(o)
		}
		line++
	})
	return []*Tensor{values, places}, nil
}
