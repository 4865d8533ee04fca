package onnxref

import (
	"context"
	"fmt"
	"math"
	"strings"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// workPerElement times the budget is how many multiplications and additions one
// node may make.
const workPerElement = 1 << 10

// Eval computes one node of its inputs in; an input that is left out is nil. No
// tensor with more than budget elements is made on the way, and no more than
// 1,024 times as many multiplications. The results may share memory with in.
//
// The error names the node, its operator and the shapes of in.
func Eval(n *onnx.Node, in []*Tensor, budget int) ([]*Tensor, error) {
	budget = capped(budget)
	c := &call{ctx: context.Background(), node: n, in: in, budget: budget, work: workOf(budget)}
	for i, t := range in {
		if t == nil {
			continue
		}
		if err := t.check(); err != nil {
			return nil, at(n, fmt.Errorf("read input %d: %w", i, err))
		}
	}
	outs, err := c.eval()
	if err != nil {
		return nil, at(n, fmt.Errorf("%w (inputs %s)", err, c.shapes()))
	}
	return outs, nil
}

// capped is a budget of which small multiples do not overflow on 64-bit machines.
func capped(budget int) int { return int(min(int64(budget), 1<<40)) }

// workOf is the multiplications that go with a budget.
func workOf(budget int) int { return workPerElement * min(budget, math.MaxInt/workPerElement) }

// at says at which node err arose.
func at(n *onnx.Node, err error) error {
	return fmt.Errorf("%v: %w", n, err)
}

// shapes lists the types and shapes of the inputs.
func (c *call) shapes() string {
	var s []string
	for i, t := range c.in {
		if v, ok := c.views[i]; ok {
			t = &Tensor{DType: v.DType, Shape: v.Shape}
		}
		s = append(s, t.String())
	}
	return strings.Join(s, ", ")
}

// call is the evaluation of one node.
type call struct {
	ctx     context.Context
	node    *onnx.Node
	in      []*Tensor
	views   map[int]tensor.View // constants that are no tensors yet, where in is nil
	budget  int                 // elements
	work    int                 // multiplications
	float   bool                // Config.FloatActivations
	eps     float64             // default epsilon of a normalisation, where it is not the usual one
	scratch *[]float32          // of one such constant; nil for none
	wrong   error               // an attribute of the wrong type
	outer   func(names []string) (map[string]*Tensor, error)
}

// operator is how one kind of node is computed.
type operator struct {
	least, most int // inputs; those from least on may be left out
	run         func(c *call) ([]*Tensor, error)
}

// many is the most of an operator that takes any number of inputs.
const many = 1 << 20

// find is the operator of n.
func find(n *onnx.Node) (operator, error) {
	var op operator
	switch n.Domain {
	case "", "ai.onnx":
		op = standard(n.Op)
	case "com.microsoft":
		op = contributed(n.Op)
	}
	if op.run == nil {
		return op, fmt.Errorf("operator %s of domain %q (version %d) is not known", n.Op, n.Domain, n.Version)
	}
	return op, nil
}

// takes checks a number of inputs.
func (o operator) takes(n int) error {
	switch {
	case n < o.least:
		return fmt.Errorf("%d inputs, want at least %d", n, o.least)
	case n > o.most:
		return fmt.Errorf("%d inputs, want at most %d", n, o.most)
	}
	return nil
}

// standard is the operator of that name in ai.onnx, wherever it lives.
func standard(name string) operator {
	for _, kind := range []func(string) operator{arithmetic, unary, logical, creating, moving, gathering, multiplying, reducing, normalising, quantising} {
		if op := kind(name); op.run != nil {
			return op
		}
	}
	return operator{}
}

func (c *call) eval() ([]*Tensor, error) {
	op, err := find(c.node)
	if err != nil {
		return nil, err
	}
	if err := op.takes(len(c.in)); err != nil {
		return nil, err
	}
	for i := range op.least {
		if _, ok := c.views[i]; c.in[i] == nil && !ok {
			return nil, fmt.Errorf("input %d is left out", i)
		}
	}
	outs, err := op.run(c)
	if err == nil {
		err = c.wrong
	}
	return outs, err
}

// arg is input i, or nil where it is left out.
func (c *call) arg(i int) *Tensor {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// attr is an attribute, if it is there. One of the wrong kind makes eval fail.
func (c *call) attr(name string, kind onnx.AttrKind) (onnx.Attr, bool) {
	a, ok := c.node.Attrs[name]
	if ok && a.Kind != kind && a.Kind != 0 && c.wrong == nil {
		c.wrong = fmt.Errorf("attribute %q is of the wrong type", name)
	}
	return a, ok
}

// has says whether an attribute is there.
func (c *call) has(name string) bool {
	_, ok := c.node.Attrs[name]
	return ok
}

// integer is an integer attribute.
func (c *call) integer(name string, otherwise int) int {
	if a, ok := c.attr(name, onnx.AttrInt); ok {
		return int(a.I)
	}
	return otherwise
}

// real is a float attribute.
func (c *call) real(name string, otherwise float64) float64 {
	if a, ok := c.attr(name, onnx.AttrFloat); ok {
		return float64(a.F)
	}
	return otherwise
}

// text is a string attribute.
func (c *call) text(name, otherwise string) string {
	if a, ok := c.attr(name, onnx.AttrString); ok {
		return a.S
	}
	return otherwise
}

// list is a list of integers that is an attribute in older operator sets and
// input i in newer ones; false where it is neither.
func (c *call) list(name string, i int) ([]int, bool, error) {
	t := c.arg(i)
	if t == nil {
		a, ok := c.attr(name, onnx.AttrInts)
		return toInts(a.Ints), ok, nil
	}
	if t.Float() || len(t.Shape) > 1 {
		return nil, false, fmt.Errorf("%s is %v, want a list of integers", name, t)
	}
	return toInts(t.I), true, nil
}

// needed is a list that must be there.
func (c *call) needed(name string, i int) ([]int, error) {
	v, ok, err := c.list(name, i)
	if err == nil && !ok {
		err = fmt.Errorf("no %s", name)
	}
	return v, err
}

// number is input i, one integer.
func (c *call) number(i int) (int, error) {
	t := c.arg(i)
	if t == nil || t.Float() || t.Len() != 1 {
		return 0, fmt.Errorf("input %d is %v, want one integer", i, t)
	}
	return int(t.I[0]), nil
}

func toInts(v []int64) []int {
	out := make([]int, len(v))
	for i := range v {
		out[i] = int(v[i])
	}
	return out
}

// one makes the result of an operator with one output.
func one(t *Tensor, err error) ([]*Tensor, error) {
	if err != nil {
		return nil, err
	}
	return []*Tensor{t}, nil
}

// size is the number of elements of shape, if the budget allows them.
func (c *call) size(shape []int) (int, error) {
	n, ok := tensor.Elements(shape, 1)
	if !ok || n > c.budget {
		return 0, fmt.Errorf("result of shape %v is over the budget of %d elements", shape, c.budget)
	}
	return n, nil
}

// make is a tensor of zeros, if the budget allows it.
func (c *call) make(t tensor.DType, shape []int) (*Tensor, error) {
	n, err := c.size(shape)
	if err != nil {
		return nil, err
	}
	out := &Tensor{DType: t, Shape: shape}
	if isFloat(t) {
		out.F = make([]float32, n)
	} else {
		out.I = make([]int64, n)
	}
	return out, nil
}

// labour checks that an amount of multiplications is within bounds.
func (c *call) labour(sizes ...int) error {
	if n, ok := tensor.Elements(sizes, 1); !ok || n > c.work {
		return fmt.Errorf("%v multiplications are over the bound of %d", sizes, c.work)
	}
	return nil
}
