package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// arithmetic lists the operators that combine numbers element by element.
func arithmetic(name string) operator {
	switch name {
	case "Add":
		return combine(2, 2, func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b })
	case "Sub":
		return combine(2, 2, func(a, b float64) float64 { return a - b }, func(a, b int64) int64 { return a - b })
	case "Mul":
		return combine(2, 2, func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b })
	case "Div":
		return operator{2, 2, divide}
	case "Mod":
		return operator{2, 2, mod}
	case "Pow":
		return operator{2, 2, power}
	case "Max":
		return combine(1, many, math.Max, func(a, b int64) int64 { return max(a, b) })
	case "Min":
		return combine(1, many, math.Min, func(a, b int64) int64 { return min(a, b) })
	case "Sum":
		return combine(1, many, func(a, b float64) float64 { return a + b }, nil)
	case "Mean":
		return operator{1, many, mean}
	case "PRelu":
		return combine(2, 2, func(x, slope float64) float64 {
			if x < 0 {
				return x * slope
			}
			return x
		}, nil)
	}
	return operator{}
}

// combine is an operator that folds its inputs, of one type, from the left. ints
// is nil where there is none for integers.
func combine(least, most int, floats func(a, b float64) float64, ints func(a, b int64) int64) operator {
	return operator{least, most, func(c *call) ([]*Tensor, error) {
		acc := c.in[0]
		for i, t := range c.in[1:] {
			if t == nil {
				return nil, fmt.Errorf("input %d is left out", i+1)
			}
			next, err := c.pair(acc, t, floats, ints)
			if err != nil {
				return nil, err
			}
			acc = next
		}
		return []*Tensor{acc}, nil
	}}
}

// pair combines two tensors of one type.
func (c *call) pair(a, b *Tensor, floats func(a, b float64) float64, ints func(a, b int64) int64) (*Tensor, error) {
	if a.DType != b.DType {
		return nil, fmt.Errorf("element types %v and %v differ", a.DType, b.DType)
	}
	out, err := c.spread(a.DType, a, b)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Float():
		both(out.Shape, a, b, func(i, j, k int) { out.F[i] = round(a.DType, floats(float64(a.F[j]), float64(b.F[k]))) })
	case ints == nil || a.DType == tensor.Bool:
		return nil, fmt.Errorf("element type %v is not computed with", a.DType)
	default:
		both(out.Shape, a, b, func(i, j, k int) { out.I[i] = wrap(a.DType, ints(a.I[j], b.I[k])) })
	}
	return out, nil
}

// spread is a tensor of zeros of the shape that all of in stretch to.
func (c *call) spread(t tensor.DType, in ...*Tensor) (*Tensor, error) {
	var all [][]int
	for _, x := range in {
		all = append(all, x.Shape)
	}
	shape, err := broadcast(all...)
	if err != nil {
		return nil, err
	}
	return c.make(t, shape)
}

// both calls f for every position of shape with its number and with those of the
// elements of a and b that stretch to it.
func both(shape []int, a, b *Tensor, f func(i, j, k int)) {
	if slices.Equal(a.Shape, shape) && slices.Equal(b.Shape, shape) {
		for i := range product(shape) {
			f(i, i, i)
		}
		return
	}
	sa, sb := stretched(a.Shape, len(shape)), stretched(b.Shape, len(shape))
	walk(shape, func(i int, at []int) { f(i, offset(at, sa), offset(at, sb)) })
}

// divide truncates integers toward zero.
func divide(c *call) ([]*Tensor, error) {
	if b := c.in[1]; !b.Float() && slices.Contains(b.I, 0) {
		return nil, fmt.Errorf("integer division by zero")
	}
	return one(c.pair(c.in[0], c.in[1],
		func(a, b float64) float64 { return a / b },
		func(a, b int64) int64 { return a / b }))
}

// mod takes the divisor's sign for integers, and the dividend's with fmod.
func mod(c *call) ([]*Tensor, error) {
	a, b := c.in[0], c.in[1]
	fmod := c.integer("fmod", 0) != 0
	switch {
	case b.Float() && !fmod:
		return nil, fmt.Errorf("floats need fmod")
	case !b.Float() && slices.Contains(b.I, 0):
		return nil, fmt.Errorf("integer division by zero")
	}
	return one(c.pair(a, b, math.Mod, func(a, b int64) int64 {
		r := a % b
		if !fmod && r != 0 && (r < 0) != (b < 0) {
			r += b
		}
		return r
	}))
}

// power keeps the type of its base, whatever that of the exponent.
func power(c *call) ([]*Tensor, error) {
	a, b := c.in[0], c.in[1]
	out, err := c.spread(a.DType, a, b)
	if err != nil {
		return nil, err
	}
	both(out.Shape, a, b, func(i, j, k int) { out.set(i, math.Pow(a.number(j), b.number(k))) })
	return []*Tensor{out}, nil
}

// set rounds or truncates v to the type of t.
func (t *Tensor) set(i int, v float64) {
	if t.Float() {
		t.F[i] = round(t.DType, v)
	} else {
		t.I[i] = wrap(t.DType, truncate(v))
	}
}

// mean averages its inputs.
func mean(c *call) ([]*Tensor, error) {
	add := combine(1, many, func(a, b float64) float64 { return a + b }, nil)
	sum, err := add.run(c)
	if err != nil {
		return nil, err
	}
	return one(c.each(sum[0], func(v float64) float64 { return v / float64(len(c.in)) }))
}

// each applies f to every element of a float tensor.
func (c *call) each(t *Tensor, f func(float64) float64) (*Tensor, error) {
	if !t.Float() {
		return nil, fmt.Errorf("element type %v, want floating point", t.DType)
	}
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	for i, v := range t.F {
		out.F[i] = round(t.DType, f(float64(v)))
	}
	return out, nil
}

// unary lists the operators on every number of one tensor.
func unary(name string) operator {
	if f := activation(name); f != nil {
		return operator{1, 1, func(c *call) ([]*Tensor, error) { return one(c.each(c.in[0], f(c))) }}
	}
	if f := function(name); f != nil {
		return operator{1, 1, func(c *call) ([]*Tensor, error) { return one(c.each(c.in[0], f)) }}
	}
	switch name {
	case "Abs", "Neg", "Sign":
		return operator{1, 1, signs}
	case "Clip":
		return operator{1, 3, clip}
	case "Dropout":
		return operator{1, 3, dropout}
	}
	return operator{}
}

// function is a unary operator without attributes, on floats only.
func function(name string) func(float64) float64 {
	switch name {
	case "Ceil":
		return math.Ceil
	case "Cos":
		return math.Cos
	case "Erf":
		return math.Erf
	case "Exp":
		return math.Exp
	case "Floor":
		return math.Floor
	case "Log":
		return math.Log
	case "Mish":
		return func(v float64) float64 { return v * math.Tanh(math.Log1p(math.Exp(v))) }
	case "Reciprocal":
		return func(v float64) float64 { return 1 / v }
	case "Relu":
		return func(v float64) float64 { return max(v, 0) }
	case "Round":
		return math.RoundToEven
	case "Sigmoid":
		return sigmoid
	case "Silu":
		return func(v float64) float64 { return v * sigmoid(v) }
	case "Sin":
		return math.Sin
	case "Softplus":
		return func(v float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }
	case "Softsign":
		return func(v float64) float64 { return v / (1 + math.Abs(v)) }
	case "Sqrt":
		return math.Sqrt
	case "Tanh":
		return math.Tanh
	}
	return nil
}

// activation is a unary operator on floats that has attributes.
func activation(name string) func(c *call) func(float64) float64 {
	switch name {
	case "Elu":
		return func(c *call) func(float64) float64 {
			alpha := c.real("alpha", 1)
			return func(v float64) float64 { return max(v, 0) + alpha*math.Expm1(min(v, 0)) }
		}
	case "Gelu":
		return func(c *call) func(float64) float64 {
			if c.text("approximate", "none") == "tanh" {
				return geluTanh
			}
			return gelu
		}
	case "HardSigmoid":
		return func(c *call) func(float64) float64 {
			return hardSigmoid(c.real("alpha", float64(float32(0.2))), c.real("beta", 0.5))
		}
	case "HardSwish":
		return func(c *call) func(float64) float64 {
			gate := hardSigmoid(1.0/6, 0.5)
			return func(v float64) float64 { return v * gate(v) }
		}
	case "LeakyRelu":
		return func(c *call) func(float64) float64 {
			alpha := c.real("alpha", float64(float32(0.01)))
			return func(v float64) float64 { return max(v, 0) + alpha*min(v, 0) }
		}
	case "Swish":
		return func(c *call) func(float64) float64 {
			alpha := c.real("alpha", 1)
			return func(v float64) float64 { return v * sigmoid(alpha*v) }
		}
	}
	return nil
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

func gelu(v float64) float64 { return v * 0.5 * (1 + math.Erf(v/math.Sqrt2)) }

func geluTanh(v float64) float64 {
	return 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
}

func hardSigmoid(alpha, beta float64) func(float64) float64 {
	return func(v float64) float64 { return max(0, min(1, alpha*v+beta)) }
}

// signs computes the operators that take integers as well as floats.
func signs(c *call) ([]*Tensor, error) {
	t := c.in[0]
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	if t.DType == tensor.Bool {
		return nil, fmt.Errorf("element type %v is not computed with", t.DType)
	}
	for i := range out.F {
		out.F[i] = signed(c.node.Op, t.F[i])
	}
	for i := range out.I {
		out.I[i] = wrap(t.DType, signed(c.node.Op, t.I[i]))
	}
	return []*Tensor{out}, nil
}

func signed[T int64 | float32](op string, v T) T {
	switch {
	case op == "Neg", op == "Abs" && v < 0:
		return -v
	case op == "Abs":
		return v + 0
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return v // zero or not a number
}

// clip takes its bounds as attributes before version 11 and as scalars since.
func clip(c *call) ([]*Tensor, error) {
	t := c.in[0]
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	copy(out.F, t.F)
	copy(out.I, t.I)
	for i, name := range []string{"", "min", "max"} {
		bound := c.arg(i)
		if a, ok := c.attr(name, onnx.AttrFloat); i > 0 && bound == nil && ok {
			bound = &Tensor{DType: t.DType, F: []float32{a.F}}
		}
		if i == 0 || bound == nil {
			continue
		}
		if bound.Len() != 1 || bound.DType != t.DType {
			return nil, fmt.Errorf("%s is %v, want one %v", name, bound, t.DType)
		}
		for j := range out.F {
			out.F[j] = bounded(i == 1, out.F[j], bound.F[0])
		}
		for j := range out.I {
			out.I[j] = bounded(i == 1, out.I[j], bound.I[0])
		}
	}
	return []*Tensor{out}, nil
}

func bounded[T int64 | float32](below bool, v, bound T) T {
	if below && v < bound || !below && v > bound {
		return bound
	}
	return v
}

// dropout does nothing but in training, which is refused.
func dropout(c *call) ([]*Tensor, error) {
	if t := c.arg(2); t != nil && (t.Float() || t.Len() != 1 || t.I[0] != 0) {
		return nil, fmt.Errorf("training mode")
	}
	mask, err := c.make(tensor.Bool, c.in[0].Shape)
	if err != nil {
		return nil, err
	}
	for i := range mask.I {
		mask.I[i] = 1
	}
	return []*Tensor{c.in[0], mask}, nil
}
