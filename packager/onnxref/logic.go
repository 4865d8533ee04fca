package onnxref

import (
	"fmt"
	"math"

	"skiff/formats/tensor"
)

// logical lists the operators that compare, choose and convert.
func logical(name string) operator {
	switch name {
	case "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual":
		return operator{2, 2, compare}
	case "And", "Or", "Xor":
		return operator{2, 2, connect}
	case "Not":
		return operator{1, 1, not}
	case "IsNaN", "IsInf":
		return operator{1, 1, odd}
	case "Where":
		return operator{3, 3, where}
	case "Cast":
		return operator{1, 1, cast}
	case "CastLike":
		return operator{2, 2, castLike}
	}
	return operator{}
}

// compare gives Bool.
func compare(c *call) ([]*Tensor, error) {
	a, b := c.in[0], c.in[1]
	if a.DType != b.DType {
		return nil, fmt.Errorf("element types %v and %v differ", a.DType, b.DType)
	}
	out, err := c.spread(tensor.Bool, a, b)
	if err != nil {
		return nil, err
	}
	both(out.Shape, a, b, func(i, j, k int) {
		if a.Float() {
			out.I[i] = truth(holds(c.node.Op, a.F[j], b.F[k]))
		} else {
			out.I[i] = truth(holds(c.node.Op, a.I[j], b.I[k]))
		}
	})
	return []*Tensor{out}, nil
}

func holds[T int64 | float32](op string, a, b T) bool {
	switch op {
	case "Greater":
		return a > b
	case "GreaterOrEqual":
		return a >= b
	case "Less":
		return a < b
	case "LessOrEqual":
		return a <= b
	}
	return a == b
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func connect(c *call) ([]*Tensor, error) {
	a, b := c.in[0], c.in[1]
	if a.DType != tensor.Bool || b.DType != tensor.Bool {
		return nil, fmt.Errorf("element types %v and %v, want BOOL", a.DType, b.DType)
	}
	out, err := c.spread(tensor.Bool, a, b)
	if err != nil {
		return nil, err
	}
	both(out.Shape, a, b, func(i, j, k int) {
		switch c.node.Op {
		case "And":
			out.I[i] = a.I[j] & b.I[k]
		case "Or":
			out.I[i] = a.I[j] | b.I[k]
		default:
			out.I[i] = a.I[j] ^ b.I[k]
		}
	})
	return []*Tensor{out}, nil
}

func not(c *call) ([]*Tensor, error) {
	t := c.in[0]
	if t.DType != tensor.Bool {
		return nil, fmt.Errorf("element type %v, want BOOL", t.DType)
	}
	out, err := c.make(tensor.Bool, t.Shape)
	if err != nil {
		return nil, err
	}
	for i, v := range t.I {
		out.I[i] = 1 - v
	}
	return []*Tensor{out}, nil
}

// odd finds what is no number, or is infinite.
func odd(c *call) ([]*Tensor, error) {
	t := c.in[0]
	if !t.Float() {
		return nil, fmt.Errorf("element type %v, want floating point", t.DType)
	}
	out, err := c.make(tensor.Bool, t.Shape)
	if err != nil {
		return nil, err
	}
	up, down := c.integer("detect_positive", 1) != 0, c.integer("detect_negative", 1) != 0
	for i, v := range t.F {
		if c.node.Op == "IsNaN" {
			out.I[i] = truth(v != v)
		} else {
			out.I[i] = truth(up && math.IsInf(float64(v), 1) || down && math.IsInf(float64(v), -1))
		}
	}
	return []*Tensor{out}, nil
}

// where takes from its second input where the first is true, else from its third.
func where(c *call) ([]*Tensor, error) {
	cond, a, b := c.in[0], c.in[1], c.in[2]
	if cond.DType != tensor.Bool || a.DType != b.DType {
		return nil, fmt.Errorf("element types %v, %v and %v, want BOOL and two of one type", cond.DType, a.DType, b.DType)
	}
	out, err := c.spread(a.DType, cond, a, b)
	if err != nil {
		return nil, err
	}
	rank := len(out.Shape)
	sc, sa, sb := stretched(cond.Shape, rank), stretched(a.Shape, rank), stretched(b.Shape, rank)
	walk(out.Shape, func(i int, at []int) {
		from, j := b, offset(at, sb)
		if cond.I[offset(at, sc)] != 0 {
			from, j = a, offset(at, sa)
		}
		out.copy(i, from, j)
	})
	return []*Tensor{out}, nil
}

// copy sets element i to element j of from, which has the same type.
func (t *Tensor) copy(i int, from *Tensor, j int) {
	if t.F != nil {
		t.F[i] = from.F[j]
	} else {
		t.I[i] = from.I[j]
	}
}

// cast converts to the type that its attribute names.
func cast(c *call) ([]*Tensor, error) {
	to, ok := elementType(c.integer("to", 0))
	if !ok {
		return nil, fmt.Errorf("element type number %d is not computed with", c.integer("to", 0))
	}
	return one(c.convert(c.in[0], to))
}

func castLike(c *call) ([]*Tensor, error) { return one(c.convert(c.in[0], c.in[1].DType)) }

// convert is t with elements of another type. Floats are truncated toward zero
// to integers, which then wrap; anything but zero is true.
func (c *call) convert(t *Tensor, to tensor.DType) (*Tensor, error) {
	if t.DType == to {
		return t, nil
	}
	out, err := c.make(to, t.Shape)
	if err != nil {
		return nil, err
	}
	switch {
	case out.Float():
		for i := range out.F {
			out.F[i] = round(to, t.number(i))
		}
	case to == tensor.Bool:
		for i := range out.I {
			out.I[i] = truth(t.number(i) != 0)
		}
	case t.Float():
		for i := range out.I {
			out.I[i] = wrap(to, truncate(float64(t.F[i])))
		}
	default:
		for i := range out.I {
			out.I[i] = wrap(to, t.I[i])
		}
	}
	return out, nil
}

// truncate is v without its fraction, held to the range of int64; what is no
// number becomes 0.
func truncate(v float64) int64 {
	switch {
	case v != v:
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// elementType is the type that ONNX numbers so.
func elementType(number int) (tensor.DType, bool) {
	switch number {
	case 1:
		return tensor.F32, true
	case 2:
		return tensor.U8, true
	case 3:
		return tensor.I8, true
	case 4:
		return tensor.U16, true
	case 5:
		return tensor.I16, true
	case 6:
		return tensor.I32, true
	case 7:
		return tensor.I64, true
	case 9:
		return tensor.Bool, true
	case 10:
		return tensor.F16, true
	case 11:
		return tensor.F64, true
	case 12:
		return tensor.U32, true
	case 16:
		return tensor.BF16, true
	}
	return 0, false
}
