package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// creating lists the operators whose result is no element of an input.
func creating(name string) operator {
	switch name {
	case "Constant":
		return operator{0, 0, constant}
	case "ConstantOfShape":
		return operator{1, 1, constantOfShape}
	case "Range":
		return operator{3, 3, ranging}
	case "Shape":
		return operator{1, 1, shapeOf}
	case "Size":
		return operator{1, 1, func(c *call) ([]*Tensor, error) {
			return []*Tensor{Ints(tensor.I64, []int{}, int64(c.in[0].Len()))}, nil
		}}
	case "EyeLike":
		return operator{1, 1, eyeLike}
	case "NonZero":
		return operator{1, 1, nonZero}
	case "If":
		return operator{1, 1, branch}
	}
	return operator{}
}

// constant takes whichever attribute is there.
func constant(c *call) ([]*Tensor, error) {
	a := c.node.Attrs
	switch {
	case a["value"].T != nil:
		return one(c.view(*a["value"].T))
	case a["value_float"].Kind == onnx.AttrFloat:
		return []*Tensor{Scalar(a["value_float"].F)}, nil
	case a["value_int"].Kind == onnx.AttrInt:
		return []*Tensor{Ints(tensor.I64, []int{}, a["value_int"].I)}, nil
	case a["value_floats"].Kind == onnx.AttrFloats:
		v := slices.Clone(a["value_floats"].Floats)
		return []*Tensor{Floats([]int{len(v)}, v...)}, nil
	case a["value_ints"].Kind == onnx.AttrInts:
		v := slices.Clone(a["value_ints"].Ints)
		return []*Tensor{Ints(tensor.I64, []int{len(v)}, v...)}, nil
	}
	return nil, fmt.Errorf("no value that can be computed with")
}

// view is FromView within the budget.
func (c *call) view(v tensor.View) (*Tensor, error) {
	if _, err := c.size(v.Shape); err != nil {
		return nil, err
	}
	return FromView(v)
}

// constantOfShape fills with its one-element attribute, or with float zeros.
func constantOfShape(c *call) ([]*Tensor, error) {
	shape, err := c.needed("shape", 0)
	if err != nil {
		return nil, err
	}
	value := Floats([]int{1}, 0)
	if v := c.node.Attrs["value"].T; v != nil {
		if v.Len() != 1 {
			return nil, fmt.Errorf("value of shape %v, want one element", v.Shape)
		}
		if value, err = c.view(*v); err != nil {
			return nil, err
		}
	}
	return one(c.take(value, shape, func([]int) int { return 0 }))
}

// ranging counts from start by delta, up to limit and without it.
func ranging(c *call) ([]*Tensor, error) {
	start, limit, delta := c.in[0], c.in[1], c.in[2]
	for _, t := range c.in {
		if t.Len() != 1 || t.DType != start.DType || t.DType == tensor.Bool {
			return nil, fmt.Errorf("want three numbers of one type")
		}
	}
	count := math.Ceil((limit.number(0) - start.number(0)) / delta.number(0))
	if !(count <= float64(c.budget)) { // or no number
		return nil, fmt.Errorf("%v elements are over the budget of %d", count, c.budget)
	}
	out, err := c.make(start.DType, []int{max(0, int(count))})
	if err != nil {
		return nil, err
	}
	for i := range out.F {
		out.F[i] = round(out.DType, start.number(0)+float64(i)*delta.number(0))
	}
	for i := range out.I {
		out.I[i] = wrap(out.DType, start.I[0]+int64(i)*delta.I[0])
	}
	return []*Tensor{out}, nil
}

// shapeOf may start and end anywhere; both are held to the rank.
func shapeOf(c *call) ([]*Tensor, error) {
	shape := c.in[0].Shape
	from, to, err := span(len(shape), c.integer("start", 0), c.integer("end", math.MaxInt), 1)
	if err != nil {
		return nil, err
	}
	out := Ints(tensor.I64, []int{to})
	for _, d := range shape[from : from+to] {
		out.I = append(out.I, int64(d))
	}
	return []*Tensor{out}, nil
}

// nonZero lists the places of what is not zero: one column for each.
func nonZero(c *call) ([]*Tensor, error) {
	t := c.in[0]
	var found []int
	for i := range t.Len() {
		if t.number(i) != 0 {
			found = append(found, i)
		}
	}
	out, err := c.make(tensor.I64, []int{len(t.Shape), len(found)})
	if err != nil {
		return nil, err
	}
	for j, at := range found {
		for d := len(t.Shape) - 1; d >= 0; d-- {
			out.I[d*len(found)+j] = int64(at % t.Shape[d])
			at /= t.Shape[d]
		}
	}
	return []*Tensor{out}, nil
}

// eyeLike has ones on diagonal k.
func eyeLike(c *call) ([]*Tensor, error) {
	t := c.in[0]
	to, k := t.DType, c.integer("k", 0)
	if n := c.integer("dtype", 0); n != 0 {
		var ok bool
		if to, ok = elementType(n); !ok {
			return nil, fmt.Errorf("element type number %d is not computed with", n)
		}
	}
	if len(t.Shape) != 2 {
		return nil, fmt.Errorf("%v is no matrix", t)
	}
	out, err := c.make(to, t.Shape)
	if err != nil {
		return nil, err
	}
	walk(out.Shape, func(i int, at []int) {
		if at[1]-at[0] == k {
			out.set(i, 1)
		}
	})
	return []*Tensor{out}, nil
}

// branch runs one of its two graphs, which see every tensor that the node's own
// graph sees.
func branch(c *call) ([]*Tensor, error) {
	cond := c.in[0]
	if cond.DType != tensor.Bool || cond.Len() != 1 {
		return nil, fmt.Errorf("condition is %v, want one BOOL", cond)
	}
	name := "else_branch"
	if cond.I[0] != 0 {
		name = "then_branch"
	}
	g := c.node.Attrs[name].G
	if g == nil {
		return nil, fmt.Errorf("no %s", name)
	}
	return c.graph(g)
}

// graph runs a subgraph.
func (c *call) graph(g *onnx.Graph) ([]*Tensor, error) {
	names := c.node.Captures
	if len(names) > 0 && c.outer == nil {
		return nil, fmt.Errorf("graph needs %q from around it", names)
	}
	feeds := map[string]*Tensor{}
	if len(names) > 0 {
		var err error
		if feeds, err = c.outer(names); err != nil {
			return nil, err
		}
	}
	known := map[string]bool{}
	for name := range feeds {
		known[name] = true
	}
	s, err := newSession(g, Config{FloatActivations: c.float, Budget: c.budget}, known)
	if err != nil {
		return nil, err
	}
	var want []string
	for _, o := range g.Outputs {
		want = append(want, o.Name)
	}
	got, err := s.Run(c.ctx, feeds, want...)
	if err != nil {
		return nil, err
	}
	var outs []*Tensor
	for _, name := range want {
		outs = append(outs, got[name])
	}
	return outs, nil
}
