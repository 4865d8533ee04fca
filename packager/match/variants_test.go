package match_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/graph"
	"skiff/packager/match"
)

// changed is the graph in a file after changes.
func changed(t *testing.T, path string, changes ...func(g *onnx.Graph)) *onnx.Model {
	t.Helper()
	m := *open(t, path)
	g := *m.Graph
	g.Nodes, g.Consts, g.Outputs = slices.Clone(g.Nodes), maps.Clone(g.Consts), slices.Clone(g.Outputs)
	m.Graph = &g
	for _, c := range changes {
		c(&g)
	}
	return &m
}

// floatConst is a constant of floats.
func floatConst(g *onnx.Graph, name string, shape []int, values ...float32) string {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, values)
	g.Consts[name] = tensor.View{Name: name, DType: tensor.F32, Shape: shape, Data: b.Bytes()}
	return name
}

// ramp is n numbers from first by step.
func ramp(n int, first, step float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = first + float32(i)*step
	}
	return v
}

// input is a change of input i of the nth node of an operator to a constant of floats.
func input(op string, nth, i int, shape []int, values ...float32) func(g *onnx.Graph) {
	return change(op, nth, func(g *onnx.Graph, n *onnx.Node) {
		n.Inputs = slices.Clone(n.Inputs)
		n.Inputs[i] = floatConst(g, "other", shape, values...)
	})
}

// ending appends nodes that read output_0; the last makes the graph's only output.
func ending(nodes ...onnx.Node) func(g *onnx.Graph) {
	return func(g *onnx.Graph) {
		for _, n := range nodes {
			n.Name, n.Version = n.Outputs[0], 14
			g.Nodes = append(g.Nodes, &n)
			g.Outputs = []onnx.Value{{Name: n.Outputs[0], DType: tensor.F32}}
		}
	}
}

func node(op, out, in string, attrs map[string]onnx.Attr) onnx.Node {
	return onnx.Node{Op: op, Inputs: strings.Fields(in), Outputs: []string{out}, Attrs: attrs}
}

// TestEndings reads what lies behind hidden states as what it is.
func TestEndings(t *testing.T) {
	over := func(axis int64) map[string]onnx.Attr {
		return map[string]onnx.Attr{"axes": {Kind: onnx.AttrInts, Ints: []int64{axis}}, "keepdims": {Kind: onnx.AttrInt}}
	}
	kept := map[string]onnx.Attr{"axes": {Kind: onnx.AttrInts, Ints: []int64{1}}}
	mean := node("ReduceMean", "mean", "output_0", over(1))
	for _, c := range []struct {
		name, task, pool string // no task: refused at its node
		add              []onnx.Node
	}{
		{"mean", graph.TaskEmbed, "mean", []onnx.Node{mean}},
		{"largest", graph.TaskEmbed, "max", []onnx.Node{node("ReduceMax", "max", "output_0", over(1))}},
		{"a scaled layer", graph.TaskClassify, "none", []onnx.Node{mean, node("Gemm", "y", "mean matrix vector", map[string]onnx.Attr{
			"alpha": {Kind: onnx.AttrFloat, F: 0.5}, "beta": {Kind: onnx.AttrFloat, F: 3}, "transB": {Kind: onnx.AttrInt, I: 1}})}},
		{"length", graph.TaskEmbed, "mean", []onnx.Node{mean, node("ReduceL2", "l", "mean", kept), node("Clip", "c", "l tiny", nil), node("Div", "y", "mean c", nil)}},
		{"length of at least one", "", "", []onnx.Node{mean, node("ReduceL2", "l", "mean", kept), node("Clip", "c", "l one", nil), node("Div", "y", "mean c", nil)}},
		{"length and more", "", "", []onnx.Node{mean, node("ReduceL2", "l", "mean", kept), node("Add", "c", "l one", nil), node("Div", "y", "mean c", nil)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := changed(t, "testdata/mpnet-hidden.onnx", ending(c.add...), func(g *onnx.Graph) {
				floatConst(g, "matrix", []int{12, 12}, ramp(144, -0.5, 0.007)...)
				floatConst(g, "vector", []int{12}, ramp(12, -1, 0.3)...)
				floatConst(g, "tiny", []int{}, 1e-12)
				floatConst(g, "one", []int{}, 1)
			})
			g, _, err := match.Build(context.Background(), m, match.Hints{})
			if bad := (*match.Error)(nil); c.task == "" {
				if !errors.As(err, &bad) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || g.Task != c.task || g.Pooling().String() != c.pool {
				t.Fatal(g, err)
			}
		})
	}
}

// TestVariants changes numbers of graphs, which must show in their models.
func TestVariants(t *testing.T) {
	epsilon := func(g *onnx.Graph) {
		change("SkipLayerNormalization", 0, func(_ *onnx.Graph, n *onnx.Node) { n.Attrs = nil })(g)
	}
	scale := func(g *onnx.Graph) {
		change("Attention", 0, func(_ *onnx.Graph, n *onnx.Node) {
			n.Attrs = maps.Clone(n.Attrs)
			n.Attrs["scale"] = onnx.Attr{Kind: onnx.AttrFloat, F: 0.5}
		})(g)
	}
	g, _ := build(t, changed(t, "testdata/bert-fused.onnx", epsilon, scale))
	var eps []float32
	var scales []float64
	for _, op := range g.Ops {
		switch o := op.(type) {
		case *graph.Norm:
			eps = append(eps, o.W.Eps)
		case *graph.Attention:
			scales = append(scales, o.Scale)
		}
	}
	if len(scales) != 2 || scales[0] != 0.5 || scales[1] == 0.5 {
		t.Errorf("scales %v, want 0.5 for the first", scales)
	}
	if len(eps) < 2 || eps[1] != 1e-12 {
		t.Errorf("epsilons %v, want the second to be 1e-12, which is used where none is said", eps)
	}
	spans := changed(t, "testdata/roberta-answer.onnx", func(g *onnx.Graph) { slices.Reverse(g.Outputs) })
	if _, report := build(t, spans); report.Outputs[0].Role != "end" || report.Outputs[1].Role != "start" {
		t.Errorf("outputs in the other order: %v", report.Outputs)
	}
}

// TestCodesByColumn gives codes a scale for each column: of a layer they are kept, with
// the scales of what is taken of it; of a table they are not.
func TestCodesByColumn(t *testing.T) {
	layers, _ := build(t, changed(t, "testdata/bert-fused-int8.onnx", input("QAttention", 0, 4, []int{36}, ramp(36, 0.01, 0.001)...)))
	checkMeaning(t, layers)
	if l := graph.Linears(layers.Ops)[0]; l.Int8 == nil || len(l.Int8.Scale) != l.Out {
		t.Errorf("the first layer has codes %v", l.Int8)
	}
	table, _ := build(t, changed(t, "testdata/mpnet-int8.onnx", input("DequantizeLinear", 0, 1, []int{12}, ramp(12, 0.01, 0.001)...),
		change("DequantizeLinear", 0, func(g *onnx.Graph, n *onnx.Node) {
			n.Attrs = map[string]onnx.Attr{"axis": {Kind: onnx.AttrInt, I: 2}}
			g.Consts["zeros"] = tensor.View{Name: "zeros", DType: tensor.U8, Shape: []int{12}, Data: bytes.Repeat([]byte{128}, 12)}
			n.Inputs[2] = "zeros"
		})))
	checkMeaning(t, table)
	if l := table.Ops[0].(*graph.Embed).Lookups[0]; l.By != graph.ByID || l.Table.Int8 != nil {
		t.Errorf("the first table, by %v, keeps codes that have a scale a column", l.By)
	}
}

// TestNearlyTheSame changes an activation by less than activations are told apart by: a
// model that is only nearly what its graph computes is not accepted.
func TestNearlyTheSame(t *testing.T) {
	const off = 1.0006 // of the root of 2
	m := changed(t, fixture(t, "bert-embed/model"), func(g *onnx.Graph) {
		for i, n := range g.Nodes {
			if n.Op != "Erf" {
				continue
			}
			c := *n
			c.Inputs = []string{n.Outputs[0] + "_wide"}
			wide := node("Div", c.Inputs[0], n.Inputs[0]+" "+floatConst(g, "off", []int{}, off), nil)
			wide.Name, wide.Version = c.Inputs[0], n.Version
			g.Nodes = slices.Concat(g.Nodes[:i], []*onnx.Node{&wide, &c}, g.Nodes[i+1:])
			return
		}
	})
	_, _, err := match.Build(context.Background(), m, match.Hints{})
	if differs := (*match.Unequal)(nil); !errors.As(err, &differs) || differs.Diff > 1e-2 {
		t.Errorf("%v, want a difference between 1e-4 and 1e-2", err)
	}
}
