package onnxref

import (
	"context"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

func TestFirst(t *testing.T) {
	m := &onnx.Model{Graph: &onnx.Graph{
		Inputs: []onnx.Value{{Name: "x"}},
		Consts: map[string]tensor.View{},
		Nodes: []*onnx.Node{
			{Op: "MatMul", Inputs: []string{"x", "x"}, Outputs: []string{"y"}},
			{Op: "Add", Inputs: []string{"y", "x"}, Outputs: []string{"z"}},
		}}}
	s, err := New(m, Config{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), map[string]*Tensor{"x": Floats([]int{2, 2}, 1, 2, 3, 4)}, "z", "y")
	t.Log(out["z"].F, out["y"].F, err)
}
