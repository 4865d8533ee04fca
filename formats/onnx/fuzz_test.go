package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// seeds are small valid files that use most of the format.
func seeds() [][]byte {
	inner := msg(6, node("in", "Add", "x", "r", str(1, "k")), node("", "Constant", "", "k", attr("value_float", AttrFloat, f32(2, 1))), output("r"))
	fn := functionOf("F", []string{"a"}, []string{"z"}, msg(11, str(1, "axis"), num(20, 2), num(3, 1)),
		nodeOf(7, "m", "Softmax", "a", "z", msg(5, str(1, "axis"), num(20, 2), str(21, "axis"))))
	return [][]byte{
		tiny(),
		model(node("if", "If", "x", "y", attr("then_branch", AttrGraph, inner)), input("x"), output("y")),
		modelOf(17, cat(importF(), fn), node("A", "F", "x", "y", str(7, "f")), input("x"), output("y")),
		model(constOf("a", 3, []int64{2}, packed(5, -1, 1)), constOf("b", 7, nil, num(7, 5)), constOf("c", 1, []int64{2}, f32(4, 1), f32(4, 2)), output("a")),
		model(beside("w", "w.bin", entryOf("offset", "4"), entryOf("length", "8")), output("w")),
		model(node("c", "Neg", "2", "3"), node("b", "Neg", "1", "2"), node("a", "Neg", "x", "1"), input("x"), output("3")),
	}
}

// FuzzParse: no panic; what is accepted can be walked, and its tensors have the size
// of their shapes. The seeds in testdata are valid and broken files.
func FuzzParse(f *testing.F) {
	for _, data := range seeds() {
		f.Add(data)
	}
	for _, c := range refusals() {
		f.Add(c.data)
	}
	open := func(location string) ([]byte, func() error, error) {
		if location != "w.bin" {
			return nil, nil, fs.ErrNotExist
		}
		return floats(1, 2, 3, 4), func() error { return nil }, nil
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, open)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("an error that is no ErrFormat: %v", err)
			}
			return
		}
		walk(t, m.Graph, map[string]bool{})
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// walk checks what a Graph promises; around is what the graphs around it have made.
func walk(t *testing.T, g *Graph, around map[string]bool) {
	have := make(map[string]bool)
	for name := range around {
		have[name] = true
	}
	add := func(name string) {
		if have[name] {
			t.Errorf("%q is made twice", name)
		}
		have[name] = true
	}
	for _, v := range g.Inputs {
		add(v.Name)
	}
	for name, v := range g.Consts {
		if add(name); v.Name != name || len(v.Data) != v.Len()*v.DType.Size() {
			t.Errorf("constant %q is %q with %d bytes for %v of %v", name, v.Name, len(v.Data), v.Shape, v.DType)
		}
	}
	for _, n := range g.Nodes {
		for _, list := range [][]string{n.Inputs, n.Captures} {
			for _, name := range list {
				if name != "" && !have[name] {
					t.Errorf("%v reads %q before it is made", n, name)
				}
			}
		}
		for _, a := range n.Attrs {
			if a.Kind < AttrFloat || a.Kind > AttrStrings || a.Kind == AttrTensor && a.T == nil || (a.Kind == AttrGraph) != (a.G != nil) {
				t.Errorf("%v has an attribute %+v", n, a)
			}
			if a.G != nil {
				walk(t, a.G, have)
			}
		}
		for _, name := range n.Outputs {
			if name != "" {
				add(name)
			}
		}
	}
	for _, v := range g.Outputs {
		if !have[v.Name] {
			t.Errorf("the output %q is not made", v.Name)
		}
	}
}

// TestSeeds: the committed seeds are those of this file; SKIFF_WRITE_SEEDS=1 writes
// them.
func TestSeeds(t *testing.T) {
	all := seeds()
	for _, c := range refusals()[:20] {
		all = append(all, c.data)
	}
	dir := filepath.Join("testdata", "fuzz", "FuzzParse")
	for i, data := range all {
		path, text := filepath.Join(dir, fmt.Sprintf("seed-%02d", i)), fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", data)
		if os.Getenv("SKIFF_WRITE_SEEDS") != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s differs: %v", path, err)
		}
	}
}
