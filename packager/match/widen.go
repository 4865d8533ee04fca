package match

import (
	"encoding/binary"
	"maps"
	"math"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// widened is m with every half-precision number as float32: its constants, which
// float32 holds exactly, and what its Casts are to. The model that is made is one of
// float32, so that is what it is compared with; the rounding of half precision after
// every step is no part of what the graph means.
func widened(m *onnx.Model) (*onnx.Model, error) {
	half := false
	for _, c := range m.Graph.Consts {
		half = half || isHalf(c.DType)
	}
	if !half {
		return m, nil
	}
	wide, g := *m, *m.Graph
	wide.Graph = &g
	g.Consts = make(map[string]tensor.View, len(m.Graph.Consts))
	for name, c := range m.Graph.Consts {
		w, err := widenedView(c)
		if err != nil {
			return nil, err
		}
		m.Release(c.Data)
		g.Consts[name] = w
	}
	g.Inputs = append([]onnx.Value(nil), g.Inputs...)
	for i := range g.Inputs {
		if isHalf(g.Inputs[i].DType) {
			g.Inputs[i].DType = tensor.F32
		}
	}
	g.Nodes = append([]*onnx.Node(nil), g.Nodes...)
	for i, n := range g.Nodes {
		g.Nodes[i] = widenedNode(n)
	}
	return &wide, nil
}

func isHalf(t tensor.DType) bool { return t == tensor.F16 || t == tensor.BF16 }

// widenedView is a constant as float32.
func widenedView(c tensor.View) (tensor.View, error) {
	if !isHalf(c.DType) {
		return c, nil
	}
	v, err := c.Float32s()
	if err != nil {
		return c, err
	}
	if len(v) == 1 {
		v[0] = meant(v[0], c.DType)
	}
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return tensor.View{Name: c.Name, DType: tensor.F32, Shape: c.Shape, Data: data}, nil
}

// meant is the number that v is the rounding of to half precision, where it is one of
// those that activations are written with: over many layers their rounding adds up to
// more than what models are compared by.
func meant(v float32, t tensor.DType) float32 {
	bits := 11.0 // of a mantissa
	if t == tensor.BF16 {
		bits = 8
	}
	for _, exact := range []float64{math.Sqrt2, math.Sqrt2 / 2, math.Sqrt(2 / math.Pi), 0.044715} {
		_, exp := math.Frexp(exact)
		unit := math.Ldexp(1, exp-int(bits))
		if float64(v) == math.RoundToEven(exact/unit)*unit {
			return float32(exact)
		}
	}
	return v
}

// widenedNode is a node that makes no half-precision numbers.
func widenedNode(n *onnx.Node) *onnx.Node {
	to, isTo := n.Attrs["to"]
	value, isValue := n.Attrs["value"]
	isTo = isTo && (to.I == 10 || to.I == 16)
	isValue = isValue && value.T != nil && isHalf(value.T.DType)
	if !isTo && !isValue {
		return n
	}
	w := *n
	w.Attrs = maps.Clone(n.Attrs)
	if isTo {
		to.I = 1
		w.Attrs["to"] = to
	}
	if isValue {
		if v, err := widenedView(*value.T); err == nil {
			value.T = &v
			w.Attrs["value"] = value
		}
	}
	return &w
}
