package onnxref

import (
	"math"

	"skiff/formats/tensor"
)

// round is v as a tensor of type t holds it, as float32.
func round(t tensor.DType, v float64) float32 {
	switch t {
	case tensor.F16:
		return float32(narrow(float64(float32(v)), 11, -14, 65504))
	case tensor.BF16:
		return float32(narrow(float64(float32(v)), 8, -126, 0x1.fep127))
	}
	return float32(v)
}

// narrow rounds v, half to even, to a binary float of so many bits of precision,
// whose smallest normal number is 2^low and whose largest number is top.
func narrow(v float64, bits, low int, top float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	_, exp := math.Frexp(v) // |v| is in [2^(exp-1), 2^exp)
	step := math.Ldexp(1, max(exp-1, low)-bits+1)
	r := math.RoundToEven(v/step) * step
	if math.Abs(r) > top {
		return math.Inf(int(math.Copysign(1, v)))
	}
	return r
}
