package match

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

const boolType = tensor.Bool

// data is the outputs of a node that reads values of the model.
func (w *walk) data(n *onnx.Node, in []value) ([]value, error) {
	for i, v := range in {
		if k, ok := v.(*known); ok && k.from != 0 {
			return nil, w.refuse(n, "its input %d depends on the %s, and is no row of a table", i, k.from)
		}
	}
	switch n.Op {
	case "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Split", "Expand", "Tile", "Pad", "GatherElements", "GatherND":
		return w.moved(n, in)
	case "Concat":
		return one(w.concat(n, in))
	case "Dropout":
		return w.dropout(n, in)
	case "Identity", "Cast", "CastLike":
		if n.Op == "Cast" && !floatCode(n.Attrs["to"].I) {
			return nil, w.refuse(n, "values of the model become integers")
		}
		if k, ok := in[0].(*known); ok { // like a value of the model: a float
			a, err := k.array()
			if err != nil {
				return nil, err
			}
			return []value{&known{shape: k.shape, arr: floats(a), from: k.from}}, nil
		}
		return []value{in[0]}, nil
	case "Add", "Sub", "Sum":
		return one(w.addition(n, in))
	case "Mul":
		return one(w.product(in[0], in[1]))
	case "Div":
		return one(w.quotient(in[0], in[1]))
	case "Neg":
		return one(in[0].(*tens).times(onnxref.Scalar(-1)))
	case "Pow":
		return one(w.power(n, in))
	case "Sqrt", "Reciprocal", "Erf", "Tanh", "Sigmoid", "Relu", "Exp", "Abs", "Softplus", "HardSwish", "Log":
		t := in[0].(*tens)
		return one(w.function(n.Op, t.shape, t), nil)
	case "Gelu":
		t := in[0].(*tens)
		return one(w.function("Gelu:"+n.Attrs["approximate"].S, t.shape, t), nil)
	case "Clip", "Max", "Min":
		return one(w.bounded(n, in))
	case "IsNaN", "IsInf":
		a, err := expand(onnxref.Ints(boolType, []int{}, 0), in[0].dims())
		return one(&known{shape: in[0].dims(), arr: a}, err)
	case "Where":
		return one(w.where(n, in))
	case "ScatterND":
		return one(w.scattered(n, in))
	case "Silu", "Swish":
		t := in[0].(*tens)
		if a, ok := n.Attrs["alpha"]; ok && a.F != 1 {
			return nil, w.refuse(n, "alpha %g", a.F)
		}
		sigmoid := w.function("Sigmoid", t.shape, t)
		return one(w.function("Mul", t.shape, t, sigmoid), nil)
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare":
		return one(w.reduce(n, in))
	case "LayerNormalization":
		return w.layerNorm(n, in)
	case "LpNormalization":
		return one(w.lpNorm(n, in))
	case "Softmax":
		return one(w.softmax(n, in[0].(*tens)))
	case "MatMul":
		return one(w.matMul(n, in[0], in[1]))
	case "Gemm":
		return one(w.gemm(n, in))
	}
	return nil, w.refuse(n, "this operator on values of the model is not read")
}

// dropout is nothing, unless the graph is one for training.
func (w *walk) dropout(n *onnx.Node, in []value) ([]value, error) {
	if len(in) > 2 && in[2] != nil {
		k, ok := in[2].(*known)
		if !ok {
			return nil, w.refuse(n, "a training mode that depends on the words")
		}
		a, err := k.array()
		if err != nil {
			return nil, err
		}
		if v, ok := uniform(a); !ok || v != 0 {
			return nil, w.refuse(n, "the graph drops numbers at random: it was exported for training; export in evaluation mode")
		}
	}
	return []value{in[0]}, nil
}

// floatCode reports whether an element type of ONNX is a float.
func floatCode(code int64) bool { return slices.Contains([]int64{1, 10, 11, 16}, code) }

// addition is Add, Sub or Sum.
func (w *walk) addition(n *onnx.Node, in []value) (value, error) {
	sum := in[0]
	for i, v := range in[1:] {
		if n.Op == "Sub" && i == 0 {
			minus, err := w.product(v, &known{shape: []int{}, arr: onnxref.Scalar(-1)})
			if err != nil {
				return nil, err
			}
			v = minus
		}
		var err error
		if sum, err = w.plus(sum, v); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// plus is a + b.
func (w *walk) plus(a, b value) (value, error) {
	x, ok := a.(*tens)
	if !ok {
		if x, ok = b.(*tens); !ok {
			return nil, errors.New("no value of the model")
		}
		b = a
	} else if y, ok := b.(*tens); ok {
		x, err := w.settled(x)
		if err != nil {
			return nil, err
		}
		if y, err = w.settled(y); err != nil {
			return nil, err
		}
		return x.plus(y)
	}
	k := b.(*known)
	if k.rows != nil && k.from == 0 {
		if y, err := w.rowsAsTens(k); err != nil || y != nil {
			if err != nil {
				return nil, err
			}
			if x, err = w.settled(x); err != nil {
				return nil, err
			}
			return x.plus(y)
		}
	}
	arr, err := k.array()
	if err != nil {
		return nil, err
	}
	if t := w.withBias(x, arr); t != nil {
		return t, nil
	}
	return x.plusKnown(floats(arr))
}

// withBias is x, all of a layer without bias and activation, with one; nil where that
// is not what is added.
func (w *walk) withBias(x *tens, k *array) *tens {
	a := x.plain()
	if a == nil || a.kind != linearKind || a.act != 0 || a.w.bias != nil || a.w.join != nil {
		return nil
	}
	shape, err := join(x.shape, k.Shape)
	if err != nil || !slices.Equal(shape, x.shape) {
		return nil
	}
	bias, ok := columnsOf(k, x.shape, a.cols)
	if !ok {
		return nil
	}
	return whole(w.linear(a.x[0], a.w.biased(bias), 0), x.shape)
}

// columnsOf is columns where rows are of c numbers, over however many dimensions.
func columnsOf(k *array, shape []int, c int) ([]float32, bool) {
	if last(shape) == c {
		return columns(k, shape, 0)
	}
	full, err := expand(k, shape)
	if err != nil || full.Len()%c != 0 {
		return nil, false
	}
	full = &array{DType: full.DType, Shape: []int{full.Len() / c, c}, F: full.F, I: full.I}
	return columns(full, full.Shape, 0)
}

// product is a * b.
func (w *walk) product(a, b value) (value, error) {
	x, ok := a.(*tens)
	if !ok {
		a, b = b, a
		if x, ok = a.(*tens); !ok {
			return knownProduct(a.(*known), b.(*known))
		}
	}
	switch y := b.(type) {
	case *known:
		arr, err := y.array()
		if err != nil {
			return nil, err
		}
		if t := w.withScale(x, arr); t != nil {
			return t, nil
		}
		if _, ok := columns(arr, x.shape, 0); !ok { // by row: none of a norm's
			if x, err = w.settled(x); err != nil {
				return nil, err
			}
		}
		return x.times(floats(arr))
	case *tens:
		shape, err := join(x.shape, y.shape)
		if err != nil {
			return nil, err
		}
		return w.function("Mul", shape, x, y), nil
	}
	return nil, errors.New("an input is left out")
}

// knownProduct is a * b.
func knownProduct(a, b *known) (value, error) {
	x, err := a.array()
	if err != nil {
		return nil, err
	}
	y, err := b.array()
	if err != nil {
		return nil, err
	}
	z, err := calc("Mul", floats(x), floats(y))
	if err != nil {
		return nil, err
	}
	return &known{shape: z.Shape, arr: z, from: a.from | b.from}, nil
}

// withScale is x, all of a layer of integers that nothing has scaled, with its scale;
// nil where it is none.
func (w *walk) withScale(x *tens, k *array) *tens {
	a := x.plain()
	if a == nil || a.kind != linearKind || !a.w.integer || a.w.scale != nil || a.w.bias != nil {
		return nil
	}
	if v, ok := uniform(k); ok && v == 1 {
		return nil
	}
	scale, ok := columnsOf(k, x.shape, a.cols)
	if !ok {
		return nil
	}
	return whole(w.linear(a.x[0], a.w.scaled(scale), 0), x.shape)
}

// quotient is a / b.
func (w *walk) quotient(a, b value) (value, error) {
	if k, ok := b.(*known); ok {
		arr, err := k.array()
		if err != nil {
			return nil, err
		}
		inv := make([]float32, arr.Len())
		for i := range inv {
			inv[i] = float32(1 / number(arr, i))
		}
		return w.product(a, &known{shape: k.shape, arr: onnxref.Floats(k.shape, inv...), from: k.from})
	}
	x, err := asTens(a)
	if err != nil {
		return nil, err
	}
	if x, err = w.settled(x); err != nil {
		return nil, err
	}
	y := b.(*tens)
	shape, err := join(x.shape, y.shape)
	if err != nil {
		return nil, err
	}
	return w.function("Div", shape, x, y), nil
}

// power is x to a known number.
func (w *walk) power(n *onnx.Node, in []value) (value, error) {
	k, ok := in[1].(*known)
	x, isTens := in[0].(*tens)
	if !ok || !isTens {
		return nil, w.refuse(n, "the exponent is a value of the model")
	}
	arr, err := k.array()
	if err != nil {
		return nil, err
	}
	e, ok := uniform(arr)
	switch {
	case !ok:
		return nil, w.refuse(n, "several exponents")
	case e == 1:
		return x, nil
	case e == 2:
		return w.product(x, x)
	case e == 0.5:
		return w.function("Sqrt", x.shape, x), nil
	}
	return w.function(fmt.Sprintf("Pow:%v", e), x.shape, x), nil
}

// bounded is Clip, or Max or Min with a known number.
func (w *walk) bounded(n *onnx.Node, in []value) (value, error) {
	low, high := math.Inf(-1), math.Inf(1)
	bound := func(v value, to *float64) error {
		k, ok := v.(*known)
		if !ok {
			return errors.New("a bound is a value of the model")
		}
		arr, err := k.array()
		if err != nil {
			return err
		}
		b, ok := uniform(arr)
		if !ok {
			return errors.New("several bounds")
		}
		*to = b
		return nil
	}
	x, ok := in[0].(*tens)
	var err error
	switch {
	case n.Op == "Clip":
		if a, ok := n.Attrs["min"]; ok {
			low = float64(a.F)
		}
		if a, ok := n.Attrs["max"]; ok {
			high = float64(a.F)
		}
		if len(in) > 1 && in[1] != nil {
			err = bound(in[1], &low)
		}
		if len(in) > 2 && in[2] != nil && err == nil {
			err = bound(in[2], &high)
		}
	case len(in) != 2:
		err = errors.New("of other than two inputs")
	default:
		other := in[1]
		if !ok {
			x, ok = in[1].(*tens)
			other = in[0]
		}
		to := &low
		if n.Op == "Min" {
			to = &high
		}
		err = bound(other, to)
	}
	if err != nil || !ok {
		return nil, w.refuse(n, "bounds: %v", err)
	}
	return w.function(fmt.Sprintf("Clip:%v:%v", low, high), x.shape, x), nil
}

// where is a choice that does not depend on the values of the model.
func (w *walk) where(n *onnx.Node, in []value) (value, error) {
	k, ok := in[0].(*known)
	if !ok {
		return nil, w.refuse(n, "a choice by values of the model")
	}
	shape := k.shape
	for _, v := range in[1:] {
		var err error
		if shape, err = join(shape, v.dims()); err != nil {
			return nil, err
		}
	}
	cond, err := k.array()
	if err != nil {
		return nil, err
	}
	if v, ok := uniform(cond); ok {
		chosen := in[2]
		if v != 0 {
			chosen = in[1]
		}
		t, err := asTens(chosen)
		if err != nil {
			return nil, err
		}
		return t.broadcast(shape)
	}
	x, err := asTens(in[1])
	if err != nil {
		return nil, err
	}
	y, err := asTens(in[2])
	if err != nil {
		return nil, err
	}
	return choose(floats(cond), x, y, shape)
}

// scattered is values with known numbers put at known places, as masks are spelled: in
// a text without padding there are none.
func (w *walk) scattered(n *onnx.Node, in []value) (value, error) {
	t, ok := in[0].(*tens)
	places, known := in[1].(*known)
	if !ok || !known || places.from != 0 {
		return nil, w.refuse(n, "values of the model are put somewhere")
	}
	if count(places.shape) != 0 {
		return nil, w.refuse(n, "numbers are put in the place of %d values of the model", count(places.shape)/max(1, last(places.shape)))
	}
	return t, nil
}

// choose is x where cond is 1 and y where it is 0.
func choose(cond *array, x, y *tens, shape []int) (value, error) {
	out := &tens{shape: shape}
	not := onnxref.Floats(cond.Shape, slices.Clone(cond.F)...)
	for i := range not.F {
		not.F[i] = 1 - cond.F[i]
	}
	for _, part := range []struct {
		t    *tens
		mask *array
	}{{x, cond}, {y, not}} {
		bare := &tens{shape: part.t.shape, terms: part.t.terms}
		masked, err := bare.times(part.mask)
		if err != nil {
			return nil, err
		}
		if out, err = out.plus(masked); err != nil {
			return nil, err
		}
	}
	zero := onnxref.Scalar(0)
	a, b := zero, zero
	if x.add != nil {
		a = x.add
	}
	if y.add != nil {
		b = y.add
	}
	which := onnxref.Ints(boolType, cond.Shape, make([]int64, len(cond.F))...)
	for i, v := range cond.F {
		which.I[i] = int64(v)
	}
	add, err := calc("Where", which, a, b)
	if err != nil {
		return nil, err
	}
	out.add = summand(add)
	return out, nil
}
