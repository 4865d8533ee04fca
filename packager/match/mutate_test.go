package match_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/graph"
	"skiff/packager/match"
	"skiff/packager/onnxref"
)

// TestMutations changes a node at a time in what it computes. Every change must be
// refused, by name, or be read as what it is: a model that computes something else
// than its graph is the one thing that must not happen.
func TestMutations(t *testing.T) {
	names := []string{"bert-embed/model", "bert-sequence-classification/model.uint8", "distilroberta-embed/model", "mobilebert-sequence-classification/model", "mpnet-embed/model"}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			m := open(t, fixture(t, name))
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			refused, unequal, read := 0, 0, 0
			for range many(t, 12, 150) {
				other, what := mutated(m, rng)
				if other == nil {
					continue
				}
				g, _, err := match.Build(context.Background(), other, match.Hints{})
				bad, differs := (*match.Error)(nil), (*match.Unequal)(nil)
				switch {
				case errors.As(err, &differs):
					unequal++
				case errors.As(err, &bad):
					refused++
				case err != nil:
					refused++ // the interpreter refuses it too
				default:
					read++
					if d := apart(t, g, other, 33, rng); !(d <= 1e-4) {
						t.Errorf("%s: accepted, and %.2g from the graph", what, d)
					}
				}
			}
			t.Logf("%d refused where they are, %d by comparison, %d read as what they are", refused, unequal, read)
		})
	}
}

// many is how often something is tried: less in -short.
func many(t *testing.T, short, long int) int {
	t.Helper()
	if testing.Short() {
		return short
	}
	return long
}

// apart is how far the first output that is the answer or the hidden states is from
// the graph's, on a random text.
func apart(t *testing.T, g *graph.Model, m *onnx.Model, tokens int, rng *rand.Rand) float64 {
	t.Helper()
	session, err := onnxref.New(m, onnxref.Config{FloatActivations: true})
	if err != nil {
		t.Fatal(err)
	}
	_, report, err := match.Build(context.Background(), m, match.Hints{})
	if err != nil {
		t.Fatal(err)
	}
	ids, types := make([]int64, tokens), make([]int64, tokens)
	for i := range ids {
		ids[i] = rng.Int64N(int64(g.Vocab))
		types[i] = rng.Int64N(int64(max(1, g.Types)))
	}
	feeds := map[string]*onnxref.Tensor{}
	for _, in := range report.Inputs {
		v := ids
		switch in.Role {
		case "mask":
			v = slices.Repeat([]int64{1}, tokens)
		case "types":
			v = types
		}
		feeds[in.Name] = onnxref.Ints(tensor.I64, []int{1, tokens}, v...)
	}
	for _, out := range report.Outputs {
		id := map[string]graph.ID{"answer": g.Answer, "hidden": g.Last}[out.Role]
		if id == 0 {
			continue
		}
		theirs, err := session.Run(context.Background(), feeds, out.Name)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := g.Reference().Run(narrow(ids), narrow(types), nil, id)
		if err != nil {
			t.Fatal(err)
		}
		return worst(t, ours[0], theirs[out.Name].F)
	}
	t.Fatal("no output to compare")
	return 0
}

func narrow(v []int64) []int32 {
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

// mutated is m with one node changed, and what was changed; nil where the node drawn
// has nothing to change.
func mutated(m *onnx.Model, rng *rand.Rand) (*onnx.Model, string) {
	at := rng.IntN(len(m.Graph.Nodes))
	n := *m.Graph.Nodes[at]
	n.Attrs = maps.Clone(n.Attrs)
	g := *m.Graph
	g.Nodes = slices.Clone(g.Nodes)
	g.Nodes[at] = &n
	other := *m
	other.Graph = &g
	before := fmt.Sprint(n.Op, n.Inputs)
	switch rng.IntN(6) {
	case 0:
		if !changeOp(&n, rng) {
			return nil, ""
		}
	case 1:
		if len(n.Inputs) != 2 || n.Op == "Gather" || n.Op == "Reshape" {
			return nil, ""
		}
		n.Inputs = []string{n.Inputs[1], n.Inputs[0]}
	case 2:
		if !changeAttr(&n, rng) {
			return nil, ""
		}
	case 3:
		rewire(&g, &n, at, rng)
	case 4:
		names := sortedKeys(n.Attrs)
		if len(names) == 0 {
			return nil, ""
		}
		delete(n.Attrs, names[rng.IntN(len(names))])
	case 5:
		if !changeConstant(&g, &n, rng) {
			return nil, ""
		}
	}
	return &other, fmt.Sprintf("node %q: %s becomes %s %v", n.Name, before, n.Op, n.Inputs)
}

// rewire has a node read something else than it did: another constant or what another
// node made before.
func rewire(g *onnx.Graph, n *onnx.Node, at int, rng *rand.Rand) {
	if len(n.Inputs) == 0 {
		return
	}
	names := sortedKeys(g.Consts)
	for _, before := range g.Nodes[max(0, at-12):at] {
		names = append(names, before.Outputs...)
	}
	n.Inputs = slices.Clone(n.Inputs)
	n.Inputs[rng.IntN(len(n.Inputs))] = names[len(names)-1-rng.IntN(min(30, len(names)))]
}

// changeOp gives a node another operator with as many inputs.
func changeOp(n *onnx.Node, rng *rand.Rand) bool {
	for _, kin := range [][]string{{"Add", "Sub", "Mul", "Div"}, {"Erf", "Tanh", "Sigmoid", "Relu", "Sqrt", "Exp"}, {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"}} {
		if slices.Contains(kin, n.Op) {
			old := n.Op
			n.Op = kin[rng.IntN(len(kin))]
			return n.Op != old
		}
	}
	return false
}

// changeAttr changes a number of a list or an axis.
func changeAttr(n *onnx.Node, rng *rand.Rand) bool {
	for _, name := range sortedKeys(n.Attrs) {
		a := n.Attrs[name]
		switch {
		case name == "perm" && len(a.Ints) > 1:
			a.Ints = slices.Clone(a.Ints)
			i := rng.IntN(len(a.Ints) - 1)
			a.Ints[i], a.Ints[i+1] = a.Ints[i+1], a.Ints[i]
		case name == "axis" || name == "keepdims" || name == "transB":
			a.I = int64(rng.IntN(3)) - 1
		case name == "axes" && len(a.Ints) > 0:
			a.Ints = []int64{int64(rng.IntN(3)) - 1}
		case name == "epsilon" || name == "alpha":
			a.F *= 3
		default:
			continue
		}
		n.Attrs[name] = a
		return true
	}
	return false
}

// changeConstant gives a node another constant: one number of it is changed.
func changeConstant(g *onnx.Graph, n *onnx.Node, rng *rand.Rand) bool {
	for _, i := range rng.Perm(len(n.Inputs)) {
		c, ok := g.Consts[n.Inputs[i]]
		if !ok || c.Len() == 0 || len(c.Data) == 0 {
			continue
		}
		c.Data = slices.Clone(c.Data)
		size := c.DType.Size()
		at := rng.IntN(c.Len()) * size
		switch c.DType {
		case tensor.F32:
			c.Data[at+2] ^= 0x40 // about a quarter or a half more
		case tensor.I64, tensor.I32, tensor.I8, tensor.U8:
			c.Data[at] ^= 1
		default:
			return false
		}
		c.Name = "changed"
		g.Consts = maps.Clone(g.Consts)
		g.Consts["changed"] = c
		n.Inputs = slices.Clone(n.Inputs)
		n.Inputs[i] = "changed"
		return true
	}
	return false
}
