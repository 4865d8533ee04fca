package onnxref

import (
	"fmt"
	"slices"
)

// strides says how far apart in memory the elements along each dimension are.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// product is the number of elements of a shape that exists.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// axis turns a dimension counted from the end into one counted from the start.
func axis(i, rank int) (int, error) {
	if i < -rank || i >= rank {
		return 0, fmt.Errorf("axis %d of rank %d", i, rank)
	}
	if i < 0 {
		i += rank
	}
	return i, nil
}

// axes is axis for a list, in which none may stand twice.
func axes(list []int, rank int) ([]int, error) {
	out := make([]int, len(list))
	for i, a := range list {
		var err error
		if out[i], err = axis(a, rank); err != nil {
			return nil, err
		}
		if slices.Contains(out[:i], out[i]) {
			return nil, fmt.Errorf("axis %d stands twice", a)
		}
	}
	return out, nil
}

// broadcast is the shape that all given shapes stretch to: dimensions are
// aligned at the end, and 1 stretches to anything.
func broadcast(shapes ...[]int) ([]int, error) {
	var out []int
	for _, s := range shapes {
		for len(out) < len(s) {
			out = slices.Insert(out, 0, 1)
		}
		for i, d := range s {
			o := &out[len(out)-len(s)+i]
			if *o != d && *o != 1 && d != 1 {
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
			if *o == 1 {
				*o = d
			}
		}
	}
	if out == nil {
		out = []int{}
	}
	return out, nil
}

// stretched is strides of shape as it is read under a broadcast shape of that
// rank: 0 along every dimension that is stretched.
func stretched(shape []int, rank int) []int {
	s := make([]int, rank)
	for i, step := range strides(shape) {
		if shape[i] != 1 {
			s[rank-len(shape)+i] = step
		}
	}
	return s
}

// walk calls f for every position of shape in order: i counts them, at is the
// position, which f may not keep.
func walk(shape []int, f func(i int, at []int)) {
	at := make([]int, len(shape))
	for i := range product(shape) {
		f(i, at)
		for d := len(shape) - 1; d >= 0; d-- {
			if at[d]++; at[d] < shape[d] {
				break
			}
			at[d] = 0
		}
	}
}

// offset is where a position is in memory.
func offset(at, strides []int) int {
	n := 0
	for d, p := range at {
		n += p * strides[d]
	}
	return n
}

// take makes a tensor of the given shape out of elements of t: from tells which
// element stands at a position, or -1 for zero.
func (c *call) take(t *Tensor, shape []int, from func(at []int) int) (*Tensor, error) {
	out, err := c.make(t.DType, shape)
	if err != nil {
		return nil, err
	}
	walk(shape, func(i int, at []int) {
		j := from(at)
		if j < 0 {
			return
		}
		if t.F != nil {
			out.F[i] = t.F[j]
		} else {
			out.I[i] = t.I[j]
		}
	})
	return out, nil
}
