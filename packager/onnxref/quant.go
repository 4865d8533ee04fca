package onnxref

import (
	"fmt"
	"math"

	"skiff/formats/tensor"
)

// quantising lists the operators between floats and codes.
func quantising(name string) operator {
	switch name {
	case "QuantizeLinear":
		return operator{2, 3, quantizeLinear}
	case "DequantizeLinear":
		return operator{2, 3, dequantizeLinear}
	case "DynamicQuantizeLinear":
		return operator{1, 1, dynamicQuantizeLinear}
	}
	return operator{}
}

// limits of the integer types that codes may have.
func limits(t tensor.DType) (low, high float64, err error) {
	switch t {
	case tensor.U8:
		return 0, 255, nil
	case tensor.I8:
		return -128, 127, nil
	case tensor.U16:
		return 0, 65535, nil
	case tensor.I16:
		return -32768, 32767, nil
	}
	return 0, 0, fmt.Errorf("codes of type %v", t)
}

// quantizeLinear rounds half to even.
func quantizeLinear(c *call) ([]*Tensor, error) {
	t := c.in[0]
	to := tensor.U8
	if n := c.integer("output_dtype", 0); n != 0 {
		to, _ = elementType(n)
	}
	if zero := c.arg(2); zero != nil {
		to = zero.DType
	}
	low, high, err := limits(to)
	if err != nil {
		return nil, err
	}
	q, err := c.quantiser(t)
	if err != nil {
		return nil, err
	}
	if c.float {
		out, err := c.make(tensor.F32, t.Shape)
		if err != nil {
			return nil, err
		}
		q.each(t.Shape, func(i int, scale, zero float64) { out.F[i] = float32(t.number(i)/scale + zero) })
		return []*Tensor{out}, nil
	}
	out, err := c.make(to, t.Shape)
	if err != nil {
		return nil, err
	}
	q.each(t.Shape, func(i int, scale, zero float64) {
		out.I[i] = code(float64(float32(t.number(i)/scale)), zero, low, high)
	})
	return []*Tensor{out}, nil
}

// code rounds v to a code.
func code(v, zero, low, high float64) int64 {
	return truncate(max(low, min(high, math.RoundToEven(v)+zero)))
}

// dequantizeLinear gives what QuantizeLinear was given, nearly.
func dequantizeLinear(c *call) ([]*Tensor, error) {
	t := c.in[0]
	if t.Float() && !c.float || t.DType == tensor.Bool {
		return nil, fmt.Errorf("codes of type %v", t.DType)
	}
	if zero := c.arg(2); zero != nil && zero.DType != t.DType && !t.Float() {
		return nil, fmt.Errorf("zero point of type %v for codes of type %v", zero.DType, t.DType)
	}
	q, err := c.quantiser(t)
	if err != nil {
		return nil, err
	}
	out, err := c.make(c.in[1].DType, t.Shape)
	if err != nil {
		return nil, err
	}
	q.each(t.Shape, func(i int, scale, zero float64) { out.F[i] = round(out.DType, (t.number(i)-zero)*scale) })
	return []*Tensor{out}, nil
}

// quantiser has the scales and zero points of inputs 1 and 2: one for all, or one
// for every position on an axis.
type quantiser struct {
	scale, zero *Tensor
	steps       []int // from a position to its scale
}

func (c *call) quantiser(t *Tensor) (quantiser, error) {
	q := quantiser{scale: c.in[1], zero: c.arg(2), steps: make([]int, len(t.Shape))}
	switch {
	case !q.scale.Float(), q.zero != nil && (q.zero.Float() || q.zero.Len() != q.scale.Len()):
		return q, fmt.Errorf("scale %v and zero point %v", q.scale, q.zero)
	case c.integer("block_size", 0) != 0:
		return q, fmt.Errorf("block_size %d", c.integer("block_size", 0))
	case q.scale.Len() == 1:
		return q, nil
	}
	a, err := axis(c.integer("axis", 1), len(t.Shape))
	if err != nil {
		return q, err
	}
	if len(q.scale.Shape) != 1 || q.scale.Len() != t.Shape[a] {
		return q, fmt.Errorf("scale %v for axis %d of %v", q.scale, a, t)
	}
	q.steps[a] = 1
	return q, nil
}

// each calls f for every element with its scale and zero point.
func (q quantiser) each(shape []int, f func(i int, scale, zero float64)) {
	walk(shape, func(i int, at []int) {
		j, zero := offset(at, q.steps), 0.0
		if q.zero != nil {
			zero = q.zero.number(j)
		}
		f(i, float64(q.scale.F[j]), zero)
	})
}

// dynamicQuantizeLinear spreads the codes 0 to 255 over the range of the input,
// widened to hold 0. With Config.FloatActivations the codes are the input itself.
func dynamicQuantizeLinear(c *call) ([]*Tensor, error) {
	t := c.in[0]
	if t.DType != tensor.F32 {
		return nil, fmt.Errorf("element type %v, want F32", t.DType)
	}
	if c.float {
		return []*Tensor{t, Scalar(1), Ints(tensor.U8, []int{}, 0)}, nil
	}
	out, err := c.make(tensor.U8, t.Shape)
	if err != nil {
		return nil, err
	}
	scale, zero := dynamicRange(t.F)
	for i, v := range t.F {
		out.I[i] = code(float64(v/scale), zero, 0, 255)
	}
	return []*Tensor{out, Scalar(scale), Ints(tensor.U8, []int{}, int64(zero))}, nil
}

// dynamicRange is computed in float32, step by step, as onnxruntime does: one
// bit more in the scale is another code now and then.
func dynamicRange(values []float32) (scale float32, zero float64) {
	var low, high float32
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	scale = (high - low) / 255
	if high == low {
		scale = 1
	}
	return scale, math.RoundToEven(max(0, min(255, float64(-low/scale))))
}
