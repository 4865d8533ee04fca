package onnxref

// contributed is the operator of that name in com.microsoft.
func contributed(name string) operator {
	switch name {
	case "Gelu":
		return operator{1, 1, func(c *call) ([]*Tensor, error) { return one(c.each(c.in[0], gelu)) }}
	}
	return operator{}
}
