package graph

import (
	"fmt"
	"math"
)

// Activation is a function applied to every number; the zero value is the identity.
type Activation uint8

// The activations.
const (
	Gelu     Activation = iota + 1 // x * Phi(x), by erf
	GeluTanh                       // the tanh approximation of Gelu, under each of its names
	Relu
	Silu
	Tanh
	Sigmoid
)

// String is the activation's name.
func (a Activation) String() string {
	switch a {
	case 0:
		return "none"
	case Gelu:
		return "gelu"
	case GeluTanh:
		return "gelu_tanh"
	case Relu:
		return "relu"
	case Silu:
		return "silu"
	case Tanh:
		return "tanh"
	case Sigmoid:
		return "sigmoid"
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

// Func is the activation as a function of one number; the identity for a value
// that is no activation.
func (a Activation) Func() func(x float64) float64 {
	switch a {
	case Gelu:
		return func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }
	case GeluTanh:
		return func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}
	case Relu:
		return func(x float64) float64 { return max(x, 0) }
	case Silu:
		return func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	case Tanh:
		return math.Tanh
	case Sigmoid:
		return func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	}
	return func(x float64) float64 { return x }
}

// activate applies a to every value of x in place.
func activate(a Activation, x []float32) {
	if a == 0 {
		return
	}
	f := a.Func()
	parallel(len(x), func(lo, hi int) {
		for i, v := range x[lo:hi] {
			x[lo+i] = float32(f(float64(v)))
		}
	})
}
