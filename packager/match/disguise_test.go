package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// TestDisguise renames every node and tensor, shuffles the order of the nodes, and
// expects the very same model, bit by bit. No file but the graph is read.
func TestDisguise(t *testing.T) {
	for _, path := range fixtures(t) {
		if static(path) {
			continue
		}
		t.Run(shortName(path), func(t *testing.T) {
			m := open(t, path)
			plain, _ := build(t, m)
			for seed := range uint64(2) {
				other, _ := build(t, disguised(m, seed))
				if diff := cmp.Diff(fingerprint(plain), fingerprint(other)); diff != "" {
					t.Fatalf("another model with other names (seed %d):\n%s", seed, diff)
				}
			}
		})
	}
}

// disguised is m with other names, its nodes in another order that is possible.
func disguised(m *onnx.Model, seed uint64) *onnx.Model {
	rng := rand.New(rand.NewPCG(seed, 7))
	names := map[string]string{"": ""}
	rename := func(old string) string {
		if _, ok := names[old]; !ok {
			names[old] = fmt.Sprintf("%c%x", 'a'+rng.IntN(26), rng.Uint64())
		}
		return names[old]
	}
	d := *m
	d.Graph = disguisedGraph(m.Graph, rng, rename)
	return &d
}

func disguisedGraph(g *onnx.Graph, rng *rand.Rand, rename func(string) string) *onnx.Graph {
	out := &onnx.Graph{Name: "g", Consts: map[string]tensor.View{}}
	for _, v := range g.Inputs {
		v.Name = rename(v.Name)
		out.Inputs = append(out.Inputs, v)
	}
	for _, v := range g.Outputs {
		v.Name = rename(v.Name)
		out.Outputs = append(out.Outputs, v)
	}
	for _, name := range sortedKeys(g.Consts) {
		v := g.Consts[name]
		v.Name = rename(name)
		out.Consts[v.Name] = v
	}
	for _, n := range shuffled(g.Nodes, rng) {
		c := *n
		c.Name = fmt.Sprintf("n%x", rng.Uint64())
		c.Inputs, c.Outputs, c.Captures = all(n.Inputs, rename), all(n.Outputs, rename), all(n.Captures, rename)
		c.Attrs = map[string]onnx.Attr{}
		for key, a := range n.Attrs {
			if a.G != nil {
				a.G = disguisedGraph(a.G, rng, rename)
			}
			c.Attrs[key] = a
		}
		out.Nodes = append(out.Nodes, &c)
	}
	return out
}

func all(names []string, rename func(string) string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = rename(n)
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// shuffled is nodes in a random order in which each still reads what was made before.
func shuffled(nodes []*onnx.Node, rng *rand.Rand) []*onnx.Node {
	maker := map[string]int{}
	for i, n := range nodes {
		for _, o := range n.Outputs {
			maker[o] = i
		}
	}
	done := make([]bool, len(nodes))
	var out []*onnx.Node
	var visit func(i int)
	visit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		reads := slices.Concat(nodes[i].Inputs, nodes[i].Captures)
		for _, j := range rng.Perm(len(reads)) {
			if p, ok := maker[reads[j]]; ok && reads[j] != "" {
				visit(p)
			}
		}
		out = append(out, nodes[i])
	}
	for _, i := range rng.Perm(len(nodes)) {
		visit(i)
	}
	return out
}
