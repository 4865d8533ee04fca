package match_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/match"
)

// TestScalesThatDoNotFit gives matrices of codes scales and zero points of another number
// of rows or columns than they have.
func TestScalesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		op    string
		input int
		data  tensor.View
	}{
		{"MatMulInteger", 3, tensor.View{DType: tensor.U8, Shape: []int{3}, Data: []byte{1, 2, 3}}},
		{"DequantizeLinear", 1, tensor.View{DType: tensor.F32, Shape: []int{3}, Data: make([]byte, 12)}},
		{"DequantizeLinear", 2, tensor.View{DType: tensor.U8, Shape: []int{3}, Data: []byte{1, 2, 3}}},
	} {
		m := *open(t, "testdata/mpnet-int8.onnx")
		g := *m.Graph
		g.Nodes, g.Consts = slices.Clone(g.Nodes), maps.Clone(g.Consts)
		m.Graph = &g
		c.data.Name = "odd"
		change(c.op, 0, func(g *onnx.Graph, n *onnx.Node) {
			n.Inputs = slices.Clone(n.Inputs)
			n.Inputs[c.input] = "odd"
			g.Consts["odd"] = c.data
		})(&g)
		_, _, err := match.Build(context.Background(), &m, match.Hints{})
		if err == nil {
			t.Errorf("%s with three for input %d: accepted", c.op, c.input)
		}
		t.Log(err)
	}
}
