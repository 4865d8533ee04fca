package onnxref

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// node is "Op: in in -> out" with attributes as spellNode has them.
func node(t testing.TB, text, attrs string) *onnx.Node {
	t.Helper()
	op, rest, _ := strings.Cut(text, ":")
	in, out, _ := strings.Cut(rest, "->")
	n := spellNode(t, op, attrs, 17)
	n.Inputs, n.Outputs = strings.Fields(in), strings.Fields(out)
	n.Name = op + " of " + strings.Join(n.Inputs, " ")
	return n
}

func graphOf(inputs string, consts map[string]*Tensor, nodes ...*onnx.Node) *onnx.Graph {
	g := &onnx.Graph{Nodes: nodes, Consts: map[string]tensor.View{}}
	for _, name := range strings.Fields(inputs) {
		g.Inputs = append(g.Inputs, onnx.Value{Name: name})
	}
	for name, c := range consts {
		g.Consts[name] = viewOf(name, c)
	}
	return g
}

// viewOf is FromView backwards.
func viewOf(name string, t *Tensor) tensor.View {
	v := tensor.View{Name: name, DType: t.DType, Shape: t.Shape}
	for _, f := range t.F {
		v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(f))
	}
	for _, i := range t.I {
		v.Data = append(v.Data, binary.LittleEndian.AppendUint64(nil, uint64(i))[:t.DType.Size()]...)
	}
	return v
}

func session(t testing.TB, cfg Config, g *onnx.Graph) *Session {
	t.Helper()
	s, err := New(&onnx.Model{Graph: g, File: "test.onnx"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRunPart: only what is wanted is run, and a feed may stand for any tensor.
func TestRunPart(t *testing.T) {
	g := graphOf("x y", map[string]*Tensor{"two": spellOne(t, ": 2")},
		node(t, "Mul: x two -> a", ""),
		node(t, "Add: a y -> b", ""),
		node(t, "Add: b b -> c", ""),
		node(t, "Div: y nothing -> d", ""),
	)
	g.Inputs = append(g.Inputs, onnx.Value{Name: "nothing"})
	s := session(t, Config{}, g)
	for _, c := range []struct {
		feeds map[string]string
		want  string
		out   string
	}{
		{map[string]string{"x": "1: 3"}, "a", "1: 6"},
		{map[string]string{"x": "1: 3", "y": "1: 1"}, "c", "1: 14"},
		{map[string]string{"b": "1: 3"}, "c", "1: 6"},
		{map[string]string{"a": "1: 3", "y": "1: 1", "two": "1: 5"}, "b", "1: 4"},
		{map[string]string{"x": "1: 3", "two": "1: 5"}, "a", "1: 15"},
		{map[string]string{"x": "1: 3"}, "x", "1: 3"},
		{map[string]string{}, "two", ": 2"},
		{map[string]string{"x": "1: 3"}, "b", `error: node "Add of a y" (Add): tensor "y" is neither fed nor made`},
		{map[string]string{"x": "1: 3"}, "z", `error: tensor "z" is neither fed nor made`},
		{map[string]string{"x": "2: 3 4", "y": "3: 1 2 3"}, "b", `error: node "Add of a y" (Add): shapes [[2] [3]] do not broadcast (inputs F32[2], F32[3])`},
	} {
		feeds := map[string]*Tensor{}
		for name, text := range c.feeds {
			feeds[name] = spellOne(t, text)
		}
		got, err := s.Run(t.Context(), feeds, c.want)
		if text, ok := strings.CutPrefix(c.out, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%v: got %v, want %s", c.feeds, err, text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.feeds, err)
		} else if err := same(got[c.want], spellOne(t, c.out)); err != nil || len(got) != 1 {
			t.Errorf("%v: %d tensors, %v", c.feeds, len(got), err)
		}
	}
}

// TestRunMany: two tensors at once, one of them an ancestor of the other, and twice.
func TestRunMany(t *testing.T) {
	s := session(t, Config{}, graphOf("x", nil, node(t, "Add: x x -> a", ""), node(t, "Split: a -> b c", "num_outputs=2"), node(t, "Neg: c -> d", "")))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			got, err := s.Run(t.Context(), map[string]*Tensor{"x": spellOne(t, "2: 1 2")}, "a", "d", "c", "a")
			if err != nil {
				t.Error(err)
				return
			}
			for name, want := range map[string]string{"a": "2: 2 4", "c": "1: 4", "d": "1: -4"} {
				if err := same(got[name], spellOne(t, want)); err != nil {
					t.Error(name, err)
				}
			}
		})
	}
	group.Wait()
}

func TestNewRefuses(t *testing.T) {
	for text, nodes := range map[string][]*onnx.Node{
		`node "Frob of x" (Frob): operator Frob of domain ""`:                                   {node(t, "Frob: x -> y", "")},
		`(com.example.Add): operator Add of domain "com.example"`:                               {node(t, "com.example.Add: x x -> y", "")},
		`node "Add of x y" (Add): input "y" is made by no node before it`:                       {node(t, "Add: x y -> z", ""), node(t, "Neg: x -> y", "")},
		`node "Add of z x" (Add): input "z" is made by no node before it`:                       {node(t, "Add: z x -> z", "")},
		`output "y" is made twice`:                                                              {node(t, "Neg: x -> y", ""), node(t, "Abs: x -> y", "")},
		`node "MatMul of x" (MatMul): 1 inputs, want at least 2`:                                {node(t, "MatMul: x -> y", "")},
		`node "If of x" (If): node "Frob of x" (Frob): operator Frob of domain "" (version 17)`: {branching(t, node(t, "If: x -> y", ""), node(t, "Frob: x -> z", ""))},
	} {
		_, err := New(&onnx.Model{File: "m.onnx", Graph: graphOf("x", nil, nodes...)}, Config{})
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "m.onnx") {
			t.Errorf("got %v, want %s", err, text)
		}
	}
}

// branching gives n a then_branch of one node and an else_branch that negates.
func branching(t *testing.T, n, then *onnx.Node) *onnx.Node {
	t.Helper()
	g := graphOf("", nil, then)
	g.Outputs = []onnx.Value{{Name: then.Outputs[0]}}
	other := graphOf("", nil, node(t, "Neg: "+then.Inputs[0]+" -> other", ""))
	other.Outputs = []onnx.Value{{Name: "other"}}
	n.Attrs["then_branch"] = onnx.Attr{Kind: onnx.AttrGraph, G: g}
	n.Attrs["else_branch"] = onnx.Attr{Kind: onnx.AttrGraph, G: other}
	n.Captures = then.Inputs
	return n
}

// TestIf: a branch reads what is around it, which is kept as long.
func TestIf(t *testing.T) {
	s := session(t, Config{}, graphOf("x yes", nil,
		node(t, "Add: x x -> a", ""),
		node(t, "Add: a a -> unused", ""),
		branching(t, node(t, "If: yes -> y", ""), node(t, "Add: a x -> z", "")),
		node(t, "Neg: y -> end", ""),
	))
	for yes, want := range map[string]string{"bool: 1": "1: -9", "bool: 0": "1: 6"} {
		got, err := s.Run(t.Context(), map[string]*Tensor{"x": spellOne(t, "1: 3"), "yes": spellOne(t, yes)}, "end")
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got["end"], spellOne(t, want)); err != nil {
			t.Error(yes, err)
		}
	}
	if _, err := Eval(s.graph.Nodes[2], spell(t, "bool: 1"), 1<<10); err == nil || !strings.Contains(err.Error(), "from around it") {
		t.Error("a branch without what is around it:", err)
	}
}

// TestBudget: tensors count as long as they are alive, and constants do not.
func TestBudget(t *testing.T) {
	big := Floats([]int{600}, make([]float32, 600)...)
	nodes := []*onnx.Node{node(t, "Neg: x -> a", ""), node(t, "Neg: a -> b", ""), node(t, "Neg: b -> c", ""), node(t, "Add: c big -> d", "")}
	s := session(t, Config{Budget: 1500}, graphOf("x", map[string]*Tensor{"big": big}, nodes...))
	if _, err := s.Run(t.Context(), map[string]*Tensor{"x": big}, "d"); err != nil {
		t.Error("two tensors at once:", err)
	}
	if _, err := s.Run(t.Context(), map[string]*Tensor{"x": big}, "a", "b", "c"); err == nil || !strings.Contains(err.Error(), "over the budget of 300") {
		t.Error("three tensors at once:", err)
	}
	s = session(t, Config{}, graphOf("huge", nil, node(t, "ConstantOfShape: huge -> a", ""), node(t, "ReduceSum: a -> b", "")))
	_, err := s.Run(t.Context(), map[string]*Tensor{"huge": spellOne(t, "i64 1: 4611686018427387904")}, "b")
	if err == nil || !strings.Contains(err.Error(), `(ConstantOfShape): result of shape [4611686018427387904] is over the budget of 67108864`) {
		t.Error(err)
	}
}

// TestWork: a product may be small and its making long.
func TestWork(t *testing.T) {
	a, b := Floats([]int{1, 1 << 20}, make([]float32, 1<<20)...), Floats([]int{1 << 20, 4}, make([]float32, 1<<22)...)
	_, err := Eval(&onnx.Node{Op: "MatMul"}, []*Tensor{a, b}, 1<<10)
	if err == nil || !strings.Contains(err.Error(), "multiplications are over the bound of 1048576") {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := session(t, Config{}, graphOf("x", nil, node(t, "Neg: x -> a", "")))
	if _, err := s.Run(ctx, map[string]*Tensor{"x": Scalar(1)}, "a"); err != context.Canceled {
		t.Error(err)
	}
}

// TestVocabulary: rows of a constant table are the same as of a fed one.
func TestVocabulary(t *testing.T) {
	table := spellOne(t, "i8 3x2: 1 2 -3 4 5 6")
	s := session(t, Config{}, graphOf("ids", map[string]*Tensor{"table": table}, node(t, "Gather: table ids -> rows", "")))
	for _, fed := range []bool{false, true} {
		feeds := map[string]*Tensor{"ids": spellOne(t, "i64 1x2: 1 -1")}
		if fed {
			feeds["table"] = table
		}
		got, err := s.Run(t.Context(), feeds, "rows")
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got["rows"], spellOne(t, "i8 1x2x2: -3 4 5 6")); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Run(t.Context(), map[string]*Tensor{"ids": spellOne(t, "i64 1: 3")}, "rows"); err == nil || !strings.Contains(err.Error(), "index 3 into 3") {
		t.Error(err)
	}
}

// TestBadFeeds: a tensor that is not what it says.
func TestBadFeeds(t *testing.T) {
	s := session(t, Config{}, graphOf("x", nil, node(t, "Neg: x -> a", "")))
	for _, bad := range []*Tensor{{DType: tensor.F32, Shape: []int{2}, F: []float32{1}}, {DType: tensor.I64, Shape: []int{1}, F: []float32{1}},
		{DType: tensor.F32, Shape: []int{-1}}, {DType: tensor.U64, Shape: []int{1}, I: []int64{1}}, {}, nil} {
		if _, err := s.Run(t.Context(), map[string]*Tensor{"x": bad}, "a"); err == nil || !strings.Contains(err.Error(), `feed "x"`) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestViews: every element type, and back.
func TestViews(t *testing.T) {
	for _, text := range []string{"2: 1.5 -2", "i8 2: -128 127", "u8 2: 0 255", "i16 2: -32768 5", "u16 1: 65535", "i32 1: -2147483648", "u32 1: 4294967295",
		"i64 1: -9223372036854775808", "bool 2: 1 0", "0x5:"} {
		want := spellOne(t, text)
		got, err := FromView(viewOf("v", want))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if err := same(got, want); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, v := range []tensor.View{{Name: "w", DType: tensor.U64, Shape: []int{1}, Data: make([]byte, 8)}, {Name: "w", DType: tensor.I32, Shape: []int{2}, Data: make([]byte, 4)},
		{Name: "w", DType: tensor.F8E4M3, Shape: []int{1}, Data: []byte{0}}, {Name: "w", DType: tensor.F32, Shape: []int{1}}} {
		if _, err := FromView(v); err == nil || !strings.Contains(err.Error(), `"w"`) {
			t.Errorf("%v: %v", v, err)
		}
	}
}
