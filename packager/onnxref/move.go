package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// moving lists the operators that rearrange elements without computing.
func moving(name string) operator {
	switch name {
	case "Identity":
		return operator{1, 1, func(c *call) ([]*Tensor, error) { return c.in, nil }}
	case "Reshape":
		return operator{1, 2, reshape}
	case "Flatten":
		return operator{1, 1, flatten}
	case "Squeeze":
		return operator{1, 2, squeeze}
	case "Unsqueeze":
		return operator{1, 2, unsqueeze}
	case "Transpose":
		return operator{1, 1, transpose}
	case "Concat":
		return operator{1, many, concat}
	case "Split":
		return operator{1, 2, split}
	case "Slice":
		return operator{1, 5, slice}
	case "Expand":
		return operator{2, 2, expand}
	case "Tile":
		return operator{2, 2, tile}
	case "Pad":
		return operator{1, 4, pad}
	case "Trilu":
		return operator{1, 2, trilu}
	case "CumSum":
		return operator{2, 2, cumSum}
	}
	return operator{}
}

// reshape takes a dimension of 0 from the input (unless allowzero) and works out
// one of -1.
func reshape(c *call) ([]*Tensor, error) {
	t := c.in[0]
	want, err := c.needed("shape", 1)
	if err != nil {
		return nil, err
	}
	if c.integer("allowzero", 0) != 0 && slices.Contains(want, 0) && slices.Contains(want, -1) {
		return nil, fmt.Errorf("shape %v with allowzero", want)
	}
	shape, free := slices.Clone(want), -1
	for i, d := range shape {
		switch {
		case d == 0 && c.integer("allowzero", 0) == 0:
			if i >= len(t.Shape) {
				return nil, fmt.Errorf("shape %v copies a dimension that is not there", want)
			}
			shape[i] = t.Shape[i]
		case d == -1 && free < 0:
			free, shape[i] = i, 1
		case d < 0:
			return nil, fmt.Errorf("shape %v", want)
		}
	}
	n, ok := tensor.Elements(shape, 1) // without the free dimension
	if ok && free >= 0 && n > 0 && t.Len()%n == 0 {
		shape[free] = t.Len() / n
	} else if !ok || free >= 0 || n != t.Len() {
		return nil, fmt.Errorf("%v does not reshape to %v", t, want)
	}
	return []*Tensor{t.as(shape)}, nil
}

// flatten makes a matrix: the dimensions before the axis, and those from it on.
func flatten(c *call) ([]*Tensor, error) {
	t, a := c.in[0], c.integer("axis", 1)
	if a < -len(t.Shape) || a > len(t.Shape) {
		return nil, fmt.Errorf("axis %d of rank %d", a, len(t.Shape))
	}
	if a < 0 {
		a += len(t.Shape)
	}
	return []*Tensor{t.as([]int{product(t.Shape[:a]), product(t.Shape[a:])})}, nil
}

// squeeze drops dimensions of 1: those listed, or all.
func squeeze(c *call) ([]*Tensor, error) {
	t := c.in[0]
	list, given, err := c.list("axes", 1)
	if err != nil {
		return nil, err
	}
	if list, err = axes(list, len(t.Shape)); err != nil {
		return nil, err
	}
	shape := []int{}
	for i, d := range t.Shape {
		switch {
		case slices.Contains(list, i) && d != 1:
			return nil, fmt.Errorf("squeeze of dimension %d, which is %d", i, d)
		case given && !slices.Contains(list, i), !given && d != 1:
			shape = append(shape, d)
		}
	}
	return []*Tensor{t.as(shape)}, nil
}

// unsqueeze inserts dimensions of 1, counted in the result.
func unsqueeze(c *call) ([]*Tensor, error) {
	t := c.in[0]
	list, err := c.needed("axes", 1)
	if err != nil {
		return nil, err
	}
	rank := len(t.Shape) + len(list)
	if list, err = axes(list, rank); err != nil {
		return nil, err
	}
	shape, rest := make([]int, rank), t.Shape
	for i := range shape {
		if slices.Contains(list, i) {
			shape[i] = 1
			continue
		}
		shape[i], rest = rest[0], rest[1:]
	}
	return []*Tensor{t.as(shape)}, nil
}

// transpose reverses the dimensions unless perm says otherwise.
func transpose(c *call) ([]*Tensor, error) {
	t := c.in[0]
	order := make([]int, len(t.Shape))
	for i := range order {
		order[i] = len(order) - 1 - i
	}
	if a, ok := c.attr("perm", onnx.AttrInts); ok {
		perm, err := axes(toInts(a.Ints), len(order))
		if err != nil {
			return nil, err
		}
		if len(perm) != len(order) {
			return nil, fmt.Errorf("perm %v of rank %d", perm, len(order))
		}
		order = perm
	}
	return one(c.permute(t, order))
}

func concat(c *call) ([]*Tensor, error) {
	first := c.in[0]
	a, err := axis(c.integer("axis", 0), len(first.Shape))
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(first.Shape)
	shape[a] = 0
	for i, t := range c.in {
		if t == nil || t.DType != first.DType || len(t.Shape) != len(shape) {
			return nil, fmt.Errorf("input %d (%v) joins %v", i, t, first)
		}
		for d, n := range t.Shape {
			if d != a && n != shape[d] {
				return nil, fmt.Errorf("input %d (%v) joins %v", i, t, first)
			}
		}
		if shape[a] += t.Shape[a]; shape[a] < 0 {
			return nil, fmt.Errorf("axis %d overflows", a)
		}
	}
	out, err := c.make(first.DType, shape)
	if err != nil {
		return nil, err
	}
	start := 0
	for _, t := range c.in {
		place(out, t, a, start)
		start += t.Shape[a]
	}
	return []*Tensor{out}, nil
}

// place copies t into out from position start of axis a on.
func place(out, t *Tensor, a, start int) {
	steps := strides(out.Shape)
	walk(t.Shape, func(i int, at []int) { out.copy(offset(at, steps)+start*steps[a], t, i) })
}

// split cuts an axis into the given pieces, or into as many even ones as there
// are outputs (the last may be smaller).
func split(c *call) ([]*Tensor, error) {
	t := c.in[0]
	a, err := axis(c.integer("axis", 0), len(t.Shape))
	if err != nil {
		return nil, err
	}
	sizes, given, err := c.list("split", 1)
	if err != nil {
		return nil, err
	}
	if !given {
		pieces := c.integer("num_outputs", len(c.node.Outputs))
		if sizes, err = even(t.Shape[a], pieces); err != nil {
			return nil, err
		}
		if !c.has("num_outputs") && t.Shape[a]%pieces != 0 {
			return nil, fmt.Errorf("split of dimension %d into %d even pieces", t.Shape[a], pieces)
		}
	}
	return c.cut(t, a, sizes)
}

func even(n, pieces int) ([]int, error) {
	if pieces < 1 || pieces > 1<<16 {
		return nil, fmt.Errorf("split into %d pieces", pieces)
	}
	sizes := make([]int, pieces)
	each := (n + pieces - 1) / pieces
	for i := range sizes {
		sizes[i] = min(each, n)
		n -= sizes[i]
	}
	return sizes, nil
}

// cut copies consecutive pieces of axis a, which they must use up.
func (c *call) cut(t *Tensor, a int, sizes []int) ([]*Tensor, error) {
	var out []*Tensor
	start, steps := 0, strides(t.Shape)
	for _, n := range sizes {
		if n < 0 || n > t.Shape[a]-start {
			return nil, fmt.Errorf("split of dimension %d into %v", t.Shape[a], sizes)
		}
		shape := slices.Clone(t.Shape)
		shape[a] = n
		piece, err := c.take(t, shape, func(at []int) int { return offset(at, steps) + start*steps[a] })
		if err != nil {
			return nil, err
		}
		out = append(out, piece)
		start += n
	}
	if start != t.Shape[a] {
		return nil, fmt.Errorf("split of dimension %d into %v", t.Shape[a], sizes)
	}
	return out, nil
}

// slice takes every step-th element of each listed axis from start up to end.
// Both may count from the end and are held to the axis, as in Python.
func slice(c *call) ([]*Tensor, error) {
	t := c.in[0]
	starts, _, err := c.list("starts", 1)
	if err != nil {
		return nil, err
	}
	ends, _, err := c.list("ends", 2)
	if err != nil {
		return nil, err
	}
	list, given, err := c.list("axes", 3)
	if err != nil {
		return nil, err
	}
	for i := range starts {
		if !given {
			list = append(list, i)
		}
	}
	steps, given, err := c.list("steps", 4)
	if err != nil {
		return nil, err
	}
	for range starts {
		if !given {
			steps = append(steps, 1)
		}
	}
	if len(ends) != len(starts) || len(list) != len(starts) || len(steps) != len(starts) {
		return nil, fmt.Errorf("%d starts, %d ends, %d axes, %d steps", len(starts), len(ends), len(list), len(steps))
	}
	return one(c.sliced(t, starts, ends, list, steps))
}

func (c *call) sliced(t *Tensor, starts, ends, list, steps []int) (*Tensor, error) {
	list, err := axes(list, len(t.Shape))
	if err != nil {
		return nil, err
	}
	shape, stride, origin := slices.Clone(t.Shape), strides(t.Shape), 0
	for i, a := range list {
		first, n, err := span(t.Shape[a], starts[i], ends[i], steps[i])
		if err != nil {
			return nil, err
		}
		shape[a] = n
		origin += first * stride[a]
		stride[a] *= steps[i]
	}
	return c.take(t, shape, func(at []int) int { return origin + offset(at, stride) })
}

// span is the first element and the number of elements of a slice of n.
func span(n, start, end, step int) (first, count int, err error) {
	if step == 0 || step == math.MinInt {
		return 0, 0, fmt.Errorf("slice with step %d", step)
	}
	low, high := 0, n // what start and end are held to
	if step < 0 {
		low, high = -1, n-1
	}
	hold := func(v int) int {
		if v < 0 {
			v += n
		}
		return max(low, min(v, high))
	}
	start, end = hold(start), hold(end)
	if step > 0 && end > start {
		count = (end-start-1)/step + 1
	}
	if step < 0 && end < start {
		count = (start-end-1)/-step + 1
	}
	return start, count, nil
}

// expand stretches its input to the broadcast of its shape and the given one.
func expand(c *call) ([]*Tensor, error) {
	t := c.in[0]
	want, err := c.needed("shape", 1)
	if err != nil {
		return nil, err
	}
	if _, ok := tensor.Elements(want, 1); !ok {
		return nil, fmt.Errorf("expand to %v", want)
	}
	shape, err := broadcast(t.Shape, want)
	if err != nil {
		return nil, err
	}
	steps := stretched(t.Shape, len(shape))
	return one(c.take(t, shape, func(at []int) int { return offset(at, steps) }))
}

// tile repeats its input along every axis.
func tile(c *call) ([]*Tensor, error) {
	t := c.in[0]
	times, err := c.needed("repeats", 1)
	if err != nil {
		return nil, err
	}
	if len(times) != len(t.Shape) {
		return nil, fmt.Errorf("tile %v by %v", t, times)
	}
	shape := slices.Clone(t.Shape)
	for i, n := range times {
		n, ok := tensor.Elements([]int{shape[i], n}, 1)
		if !ok {
			return nil, fmt.Errorf("tile %v by %v", t, times)
		}
		shape[i] = n
	}
	steps := strides(t.Shape)
	return one(c.take(t, shape, func(at []int) int {
		n := 0
		for d, p := range at {
			n += p % t.Shape[d] * steps[d]
		}
		return n
	}))
}

// pad adds elements before and after each axis; negative numbers remove some.
func pad(c *call) ([]*Tensor, error) {
	t, mode := c.in[0], c.text("mode", "constant")
	pads, _, err := c.list("pads", 1)
	if err != nil {
		return nil, err
	}
	list, given, err := c.list("axes", 3)
	if err != nil {
		return nil, err
	}
	for i := range t.Shape {
		if !given {
			list = append(list, i)
		}
	}
	if list, err = axes(list, len(t.Shape)); err != nil {
		return nil, err
	}
	if len(pads) != 2*len(list) {
		return nil, fmt.Errorf("%d pads for %d axes", len(pads), len(list))
	}
	value, err := c.filler(t)
	if err != nil {
		return nil, err
	}
	shape, before := slices.Clone(t.Shape), make([]int, len(t.Shape))
	for i, a := range list {
		lo, hi := pads[i], pads[i+len(list)]
		if max(lo, hi) > c.budget || lo < -c.budget || hi < -c.budget {
			return nil, fmt.Errorf("pads %v are over the budget of %d elements", pads, c.budget)
		}
		if mode != "constant" && min(lo, hi) < 0 {
			return nil, fmt.Errorf("pads %v with mode %s", pads, mode)
		}
		before[a], shape[a] = lo, shape[a]+lo+hi
	}
	return one(c.padded(t, mode, shape, before, value))
}

// filler is what Pad's constant mode fills with: one element of t's type.
func (c *call) filler(t *Tensor) (*Tensor, error) {
	if v := c.arg(2); v != nil {
		if v.DType != t.DType || v.Len() != 1 {
			return nil, fmt.Errorf("fill value %v for %v", v, t)
		}
		return v, nil
	}
	v := &Tensor{DType: t.DType, F: []float32{float32(c.real("value", 0))}}
	if !t.Float() {
		v.F, v.I = nil, []int64{0}
	}
	return v, nil
}

// padded makes the result of Pad: position p of it is p - before of t.
func (c *call) padded(t *Tensor, mode string, shape, before []int, value *Tensor) (*Tensor, error) {
	if !slices.Contains([]string{"constant", "edge", "reflect", "wrap"}, mode) {
		return nil, fmt.Errorf("mode %q", mode)
	}
	for d, n := range t.Shape {
		if shape[d] < 0 || mode != "constant" && n == 0 && shape[d] > 0 {
			return nil, fmt.Errorf("pad %v to %v with mode %s", t, shape, mode)
		}
	}
	out, err := c.make(t.DType, shape)
	if err != nil {
		return nil, err
	}
	steps := strides(t.Shape)
	walk(shape, func(i int, at []int) {
		from := 0
		for d, p := range at {
			p = padding(mode, p-before[d], t.Shape[d])
			if p < 0 {
				out.copy(i, value, 0)
				return
			}
			from += p * steps[d]
		}
		out.copy(i, t, from)
	})
	return out, nil
}

// padding is the element that stands at position p of an axis of n elements that
// goes on to both sides; -1 for the fill value.
func padding(mode string, p, n int) int {
	switch {
	case p >= 0 && p < n:
		return p
	case mode == "edge":
		return max(0, min(p, n-1))
	case mode == "wrap":
		return (p%n + n) % n
	case mode == "reflect" && n == 1:
		return 0
	case mode == "reflect":
		period := 2 * (n - 1)
		p = (p%period + period) % period
		return min(p, period-p)
	}
	return -1
}

// trilu keeps the upper or lower triangle of every matrix from diagonal k on.
func trilu(c *call) ([]*Tensor, error) {
	t, k := c.in[0], 0
	if c.arg(1) != nil {
		var err error
		if k, err = c.number(1); err != nil {
			return nil, err
		}
	}
	r := len(t.Shape)
	if r < 2 {
		return nil, fmt.Errorf("%v is no matrix", t)
	}
	k = max(-t.Shape[r-2]-1, min(k, t.Shape[r-1]+1))
	upper, steps := c.integer("upper", 1) != 0, strides(t.Shape)
	return one(c.take(t, t.Shape, func(at []int) int {
		above := at[r-1] - at[r-2] - k
		if upper && above < 0 || !upper && above > 0 {
			return -1
		}
		return offset(at, steps)
	}))
}

// cumSum adds up along an axis, from the end if reverse; exclusive sums leave out
// the element itself.
func cumSum(c *call) ([]*Tensor, error) {
	t := c.in[0]
	a, err := c.number(1)
	if err != nil {
		return nil, err
	}
	a, err = axis(a, len(t.Shape))
	if err != nil {
		return nil, err
	}
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	reverse, exclusive := c.integer("reverse", 0) != 0, c.integer("exclusive", 0) != 0
	lines(t.Shape, a, func(start, step, n int) {
		var sum float64
		var whole int64
		for i := range n {
			if reverse {
				i = n - 1 - i
			}
			j := start + i*step
			if t.Float() {
				before := sum
				sum += float64(t.F[j])
				out.F[j] = round(t.DType, choose(exclusive, before, sum))
			} else {
				before := whole
				whole += t.I[j]
				out.I[j] = wrap(t.DType, choose(exclusive, before, whole))
			}
		}
	})
	return []*Tensor{out}, nil
}

func choose[T int64 | float64](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// lines calls f for every line of elements along axis a of a tensor: n elements,
// the first at start, step apart.
func lines(shape []int, a int, f func(start, step, n int)) {
	steps := strides(shape)
	rest := slices.Clone(shape)
	rest[a] = min(1, rest[a])
	walk(rest, func(_ int, at []int) { f(offset(at, steps), steps[a], shape[a]) })
}
