package kernel

import (
	"fmt"
	"strconv"
)

// Act is an activation: what a linear ends with, or a kernel of its own.
type Act uint8

const (
	// ActNone leaves the value as it is.
	ActNone Act = iota + 1
	// ActGELU is the exact GELU, by erf.
	ActGELU
	// ActReLU is x, but 0 for x < 0.
	ActReLU
	// ActGELUTanh is GELU's approximation by tanh, which models call gelu_new,
	// gelu_pytorch_tanh or, with its factors in another order, gelu_fast.
	ActGELUTanh
	// ActSiLU is x·sigmoid(x).
	ActSiLU
	// ActTanh is the hyperbolic tangent.
	ActTanh
	// ActSigmoid is 1/(1+exp(-x)). It is no activation of a linear.
	ActSigmoid
)

// String is the activation's name within a kernel's name.
func (a Act) String() string {
	switch a {
	case ActNone:
		return "none"
	case ActGELU:
		return "gelu"
	case ActReLU:
		return "relu"
	case ActGELUTanh:
		return "gelu_tanh"
	case ActSiLU:
		return "silu"
	case ActTanh:
		return "tanh"
	case ActSigmoid:
		return "sigmoid"
	}
	return "Act(" + strconv.Itoa(int(a)) + ")"
}

func parseAct(name string) Act {
	for a := ActNone; a <= ActSigmoid; a++ {
		if name == a.String() {
			return a
		}
	}
	return 0
}

// check wants an activation that has a digest.
func (a Act) check(digests func(Act) string) error {
	if digests(a) == "" {
		return fmt.Errorf("parameter act: %s", a)
	}
	return nil
}

// apply is the reference of the activation.
func (a Act) apply(v float32) float32 {
	switch a {
	case ActGELU:
		return gelu(v)
	case ActReLU:
		return relu(v)
	case ActGELUTanh:
		return geluTanh(v)
	case ActSiLU:
		return silu(v)
	case ActTanh:
		return tanh(v)
	case ActSigmoid:
		return sigmoid(v)
	}
	return v
}
