package native

import "skiff/runtime/kernel"

// floatOps are a set's primitives for all but linears. n counts floats and is a multiple of
// 16; rows are 64-byte aligned; pads are +0 and stay so.
type floatOps struct {
	// act sets dst to the activation of src; the two may be one. Those of no use are nil.
	act [kernel.ActSigmoid + 1]func(dst, src *float32, n int)
}

func (s *Set) bindFloat(*kernel.Kernel) (Kernel, bool) { return Kernel{}, false }
