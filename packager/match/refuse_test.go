package match_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/packager/match"
)

// TestRefusals changes a graph into ones that are not read, and expects errors that
// name the place and say what is wrong.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(g *onnx.Graph)
		op     string   // of the node that is named; "" for none
		words  []string // in the error
	}{
		{"another function", retype("Erf", "Sqrt", 0), "MatMul", []string{"what is multiplied is not understood", "the function", "intermediate_act_fn"}},
		{"a variance that is none", retype("ReduceMean", "ReduceMax", 1), "MatMul", []string{"what is multiplied is not understood", "embeddings/LayerNorm"}},
		{"a sum over the tokens", retype("ReduceSum", "ReduceMax", 1), "Div", []string{"depends on the length"}},
		{"heads in another order", perm("Transpose", 0, 0, 1, 2, 3), "MatMul", []string{"[1 11 4 9]", "no heads", "Transpose"}},
		{"scores that no mask explains", tilted(0, 1, 0, 1), "Softmax", []string{"is added to scores", "buckets"}},
		{"heads with masks of their own", tilted(0, 0, -1e4, 0), "Softmax", []string{"heads with different masks"}},
		{"a weight that is no number", input("MatMul", 0, 1, []int{36, 36}, append(ramp(36*36-1, -1, 1e-3), float32(math.NaN()))...), "", []string{"number 1295 is NaN"}},
		{"a fixed length", func(g *onnx.Graph) { g.Inputs[1].Shape = []onnx.Dim{{Size: -1}, {Size: 128}} }, "", []string{"128 tokens and no other length"}},
		{"a fixed batch", func(g *onnx.Graph) { g.Inputs[0].Shape = []onnx.Dim{{Size: 4}, {Size: -1}} }, "", []string{"takes 4 texts"}},
		{"no words", func(g *onnx.Graph) { g.Inputs[0].Name, g.Inputs[2].Name = "a", "b" }, "", nil},
		{"an input of four dimensions", func(g *onnx.Graph) { g.Inputs[1].Shape = make([]onnx.Dim, 4) }, "", []string{"4 dimensions"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := *open(t, fixture(t, "bert-embed/model"))
			g := *m.Graph
			g.Nodes, g.Inputs = slices.Clone(g.Nodes), slices.Clone(g.Inputs)
			m.Graph = &g
			c.change(&g)
			_, _, err := match.Build(context.Background(), &m, match.Hints{})
			if err == nil {
				t.Fatal("accepted")
			}
			t.Log(err)
			bad := (*match.Error)(nil)
			if c.op != "" && (!errors.As(err, &bad) || bad.Op != c.op || bad.Node == "" || len(bad.Near) < 2) {
				t.Errorf("want a %s named, with what is around it", c.op)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not said", w)
				}
			}
		})
	}
}

// change replaces the nth node of an operator.
func change(op string, nth int, how func(g *onnx.Graph, n *onnx.Node)) func(g *onnx.Graph) {
	return func(g *onnx.Graph) {
		for i, n := range g.Nodes {
			if n.Op != op {
				continue
			}
			if nth--; nth < 0 {
				c := *n
				how(g, &c)
				g.Nodes[i] = &c
				return
			}
		}
	}
}

func retype(op, to string, nth int) func(g *onnx.Graph) {
	return change(op, nth, func(_ *onnx.Graph, n *onnx.Node) { n.Op = to })
}

func perm(op string, nth int, to ...int64) func(g *onnx.Graph) {
	return change(op, nth, func(_ *onnx.Graph, n *onnx.Node) {
		n.Attrs = map[string]onnx.Attr{"perm": {Kind: onnx.AttrInts, Ints: to}}
	})
}

// tilted adds a number of each head to its scores.
func tilted(numbers ...float32) func(g *onnx.Graph) {
	return func(g *onnx.Graph) {
		i := slices.IndexFunc(g.Nodes, func(n *onnx.Node) bool { return n.Op == "Softmax" })
		n := g.Nodes[i]
		c := *n
		c.Inputs = []string{"odd"}
		add := &onnx.Node{Name: "odd", Op: "Add", Version: n.Version, Inputs: []string{n.Inputs[0], floatConst(g, "ramp", []int{4, 1, 1}, numbers...)}, Outputs: []string{"odd"}}
		g.Nodes = slices.Concat(g.Nodes[:i], []*onnx.Node{add, &c}, g.Nodes[i+1:])
	}
}
