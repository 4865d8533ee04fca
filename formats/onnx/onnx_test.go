package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/tensor"
)

// parse is Parse without files beside it.
func parse(t *testing.T, data []byte) *Model {
	t.Helper()
	m, err := Parse(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tiny is y = x + w.
func tiny() []byte {
	return model(str(2, "g"), node("add", "Add", "x", "y", str(1, "w")), input("x"), output("y"), constOf("w", 1, []int64{2}, msg(9, floats(1, 2))))
}

func TestParse(t *testing.T) {
	data := tiny()
	m := parse(t, cat(data, msg(14, str(1, "author"), str(2, "somebody")), str(6, "documentation")))
	defer m.Close()
	if m.IRVersion != 8 || m.Producer != "test 1.0" || m.Metadata["author"] != "somebody" || m.Opsets[""] != 17 || m.Graph.Name != "g" {
		t.Errorf("got %+v", m)
	}
	w := m.Graph.Consts["w"]
	if diff := cmp.Diff(tensor.View{Name: "w", DType: tensor.F32, Shape: []int{2}, Data: floats(1, 2)}, w); diff != "" || cap(w.Data) != len(w.Data) {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Value{{Name: "x", DType: tensor.F32, Shape: []Dim{{Size: -1, Name: "n"}}}}, m.Graph.Inputs); diff != "" {
		t.Error(diff)
	}
	n := m.Graph.Nodes[0]
	if n.String() != `node "add" (Add)` || n.Version != 17 || strings.Join(n.Inputs, " ") != "x w" || strings.Join(n.Outputs, " ") != "y" {
		t.Errorf("got %+v", n)
	}
}

// TestElements: the same values from every field that may hold them.
func TestElements(t *testing.T) {
	u64 := func(field protowire.Number, v ...uint64) []byte {
		var body []byte
		for _, x := range v {
			body = protowire.AppendFixed64(body, x)
		}
		return msg(field, body)
	}
	for _, c := range []struct {
		name  string
		dtype int64
		dims  []int64
		data  []byte
		want  string // hexadecimal
	}{
		{"raw float", 1, []int64{1}, msg(9, floats(1)), "0000803f"},
		{"packed floats", 1, []int64{2}, msg(4, floats(1, 2)), "0000803f00000040"},
		{"floats one by one", 1, []int64{2}, cat(f32(4, 1), f32(4, 2)), "0000803f00000040"},
		{"scalar", 1, nil, f32(4, 1), "0000803f"},
		{"nothing", 1, []int64{0, 7}, nil, ""},
		{"empty raw", 1, []int64{0}, msg(9), ""},
		{"half", 10, []int64{1}, packed(5, 0x3c00), "003c"},
		{"bfloat16", 16, []int64{1}, packed(5, 0x3f80), "803f"},
		{"int8", 3, []int64{3}, packed(5, -128, -1, 127), "80ff7f"},
		{"uint8", 2, []int64{2}, cat(num(5, 255), packed(5, 0)), "ff00"},
		{"int16", 5, []int64{1}, packed(5, -2), "feff"},
		{"uint16", 4, []int64{1}, packed(5, 65535), "ffff"},
		{"int32", 6, []int64{2}, packed(5, -1, 1), "ffffffff01000000"},
		{"bool", 9, []int64{2}, packed(5, 1, 0), "0100"},
		{"int64", 7, []int64{2}, packed(7, -1, 1), "ffffffffffffffff0100000000000000"},
		{"double", 11, []int64{1}, u64(10, 0x3ff0000000000000), "000000000000f03f"},
		{"uint32", 12, []int64{1}, packed(11, 0xffffffff), "ffffffff"},
		{"uint64", 13, []int64{1}, packed(11, -1), "ffffffffffffffff"},
		{"dims one by one", 2, []int64{1}, cat(num(1, 2), msg(9, []byte{1, 2})), "0102"},
	} {
		m, err := Parse(model(constOf("w", c.dtype, c.dims, c.data), output("w")), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := fmt.Sprintf("%x", m.Graph.Consts["w"].Data); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestConstants: every form of a Constant node.
func TestConstants(t *testing.T) {
	m := parse(t, model(
		node("", "Constant", "", "tensor", attr("value", AttrTensor, msg(5, tensorOf("other", 1, []int64{2}, msg(9, floats(1, 2)))))),
		node("", "Constant", "", "float", attr("value_float", AttrFloat, f32(2, 3))),
		node("", "Constant", "", "floats", attr("value_floats", AttrFloats, f32(7, 4), msg(7, floats(5)))),
		node("", "Constant", "", "int", attr("value_int", AttrInt, num(3, -6))),
		node("", "Constant", "", "ints", msg(5, str(1, "value_ints"), packed(8, 7), num(8, 8))),
		output("tensor"),
	))
	if len(m.Graph.Nodes) != 0 {
		t.Errorf("%d nodes are left", len(m.Graph.Nodes))
	}
	var got []string
	for _, name := range []string{"tensor", "float", "floats", "int", "ints"} {
		v := m.Graph.Consts[name]
		got = append(got, fmt.Sprintf("%s %v %v %x", v.Name, v.DType, v.Shape, v.Data))
	}
	want := []string{"tensor F32 [2] 0000803f00000040", "float F32 [] 00004040", "floats F32 [2] 000080400000a040",
		"int I64 [] faffffffffffffff", "ints I64 [2] 07000000000000000800000000000000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAttributes: every kind, with and without its declaration.
func TestAttributes(t *testing.T) {
	m := parse(t, model(node("n", "Add", "x", "y",
		attr("f", AttrFloat, f32(2, 1)), attr("i", AttrInt, num(3, -1)), attr("s", AttrString, str(4, "text")),
		attr("t", AttrTensor, msg(5, tensorOf("", 7, nil, num(7, 5)))), attr("fs", AttrFloats, msg(7, floats(1, 2))),
		attr("is", AttrInts, packed(8, 1, -2)), attr("ss", AttrStrings, str(9, "a"), str(9, "b")), attr("none", AttrInts),
		msg(5, str(1, "undeclared"), num(3, 7)),
	), input("x"), output("y")))
	a := m.Graph.Nodes[0].Attrs
	if a["f"].F != 1 || a["i"].I != -1 || a["s"].S != "text" || a["t"].T.Len() != 1 || a["undeclared"].I != 7 || a["undeclared"].Kind != AttrInt {
		t.Errorf("got %+v", a)
	}
	if diff := cmp.Diff([]any{[]float32{1, 2}, []int64{1, -2}, []string{"a", "b"}, AttrInts, []int64(nil)},
		[]any{a["fs"].Floats, a["is"].Ints, a["ss"].Strs, a["none"].Kind, a["none"].Ints}); diff != "" {
		t.Error(diff)
	}
}

// names lists the nodes of g.
func names(g *Graph) string {
	var all []string
	for _, n := range g.Nodes {
		all = append(all, fmt.Sprintf("%s:%s(%s)=%s", n.Name, n.Op, strings.Join(n.Inputs, ","), strings.Join(n.Outputs, ",")))
	}
	return strings.Join(all, " ")
}

// TestOrder: a file in order stays as it is; another is sorted, what could stay in
// its place stays.
func TestOrder(t *testing.T) {
	a, b := node("a", "Neg", "x", "1"), node("b", "Neg", "1", "2")
	c, d := node("c", "Neg", "2", "3"), node("d", "Neg", "x", "4")
	for _, order := range []struct {
		nodes []byte
		want  string
	}{
		{cat(a, b, c, d), "a:Neg(x)=1 b:Neg(1)=2 c:Neg(2)=3 d:Neg(x)=4"},
		{cat(d, a, b, c), "d:Neg(x)=4 a:Neg(x)=1 b:Neg(1)=2 c:Neg(2)=3"},
		{cat(c, b, d, a), "d:Neg(x)=4 a:Neg(x)=1 b:Neg(1)=2 c:Neg(2)=3"},
	} {
		if got := names(parse(t, model(order.nodes, input("x"), output("3"))).Graph); got != order.want {
			t.Errorf("got %s, want %s", got, order.want)
		}
	}
}

// TestInitializersAreNoInputs: old files list them among the inputs.
func TestInitializersAreNoInputs(t *testing.T) {
	data := cat(num(1, 3), msg(7, node("", "Add", "x", "y", str(1, "w")), input("w"), input("x"), output("y"), constOf("w", 1, nil, f32(4, 1))), msg(8, num(2, 7)))
	if m := parse(t, data); len(m.Graph.Inputs) != 1 || m.Graph.Inputs[0].Name != "x" {
		t.Errorf("got %+v", m.Graph.Inputs)
	}
}

// TestSubgraphs: a graph in an attribute reads those around it, and its node waits
// for what it reads.
func TestSubgraphs(t *testing.T) {
	inner := msg(6, node("in", "Add", "late", "r", str(1, "k")), node("", "Constant", "", "k", attr("value_float", AttrFloat, f32(2, 1))), output("r"))
	m := parse(t, model(
		node("if", "If", "c", "y", attr("then_branch", AttrGraph, inner), attr("else_branch", AttrGraph, inner)),
		node("late", "Neg", "c", "late"), input("c"), output("y")))
	if got := names(m.Graph); got != "late:Neg(c)=late if:If(c)=y" {
		t.Errorf("got %s", got)
	}
	n := m.Graph.Nodes[1]
	if diff := cmp.Diff([]string{"late"}, n.Captures); diff != "" {
		t.Error(diff)
	}
	g := n.Attrs["then_branch"].G
	if names(g) != "in:Add(late,k)=r" || g.Consts["k"].DType != tensor.F32 {
		t.Errorf("got %s, %v", names(g), g.Consts)
	}
}

// TestNestedCaptures: what a graph two levels down reads, the outer node waits for too.
func TestNestedCaptures(t *testing.T) {
	deep := msg(6, node("deep", "Neg", "late", "d"), output("d"))
	inner := msg(6, node("inner", "If", "c", "i", attr("then_branch", AttrGraph, deep)), output("i"))
	m := parse(t, model(node("if", "If", "c", "y", attr("then_branch", AttrGraph, inner)), node("late", "Neg", "c", "late"), input("c"), output("y")))
	if got := names(m.Graph); got != "late:Neg(c)=late if:If(c)=y" {
		t.Errorf("got %s", got)
	}
	outer := m.Graph.Nodes[1]
	if diff := cmp.Diff([]string{"c", "late"}, outer.Captures); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"late"}, outer.Attrs["then_branch"].G.Nodes[0].Captures); diff != "" {
		t.Error(diff)
	}
}

// TestRepeatedConstants: a graph within may have a constant again that is around it,
// if it is the same.
func TestRepeatedConstants(t *testing.T) {
	w := func(v float32) []byte { return constOf("w", 1, nil, f32(4, v)) }
	inner := msg(6, node("in", "Neg", "w", "r"), w(1), output("r"))
	outer := func(v float32) []byte {
		return model(node("if", "If", "c", "y", attr("then_branch", AttrGraph, inner)), w(v), input("c"), output("y"))
	}
	n := parse(t, outer(1)).Graph.Nodes[0]
	if diff := cmp.Diff([]string{"w"}, n.Captures); diff != "" || len(n.Attrs["then_branch"].G.Consts) != 0 {
		t.Error(diff)
	}
	other := model(node("if", "If", "c", "y", attr("then_branch", AttrGraph, inner)), constOf("w", 1, []int64{1}, f32(4, 1)), input("c"), output("y"))
	for what, data := range map[string][]byte{"another value": outer(2), "another shape": other} {
		if _, err := Parse(data, nil); err == nil || !strings.Contains(err.Error(), `the constant "w" is there already`) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFunctions: calls are written out, in functions too; names stay apart,
// attributes find their values.
func TestFunctions(t *testing.T) {
	ref := func(name, of string, kind AttrKind) []byte {
		return msg(5, str(1, name), num(20, int64(kind)), str(21, of))
	}
	twice := functionOf("Twice", []string{"a", "b"}, []string{"z"},
		nodeOf(7, "one", "Scale", "a", "m", str(7, "f"), attr("by", AttrFloat, f32(2, 2))),
		nodeOf(7, "two", "Scale", "m", "z", str(7, "f"), str(1, "b")))
	scale := functionOf("Scale", []string{"a", "b"}, []string{"z"}, msg(11, str(1, "by"), num(20, 1), f32(2, 5)), str(6, "axis"),
		nodeOf(7, "k", "Constant", "", "k", ref("value_float", "by", AttrFloat)),
		nodeOf(7, "mul", "Mul", "a", "z", str(1, "k"), str(1, "b"), ref("axis", "axis", AttrInt)))
	m := parse(t, modelOf(17, cat(importF(), twice, scale),
		node("A", "Twice", "x", "y", str(7, "f")), node("B", "Scale", "y", "z", str(7, "f"), attr("axis", AttrInt, num(3, 1))), input("x"), output("z")))
	want := "A/one/mul:Mul(x,k.2,)=m.1 A/two/mul:Mul(m.1,k.3,)=y B/mul:Mul(y,k.4,)=z"
	if got := names(m.Graph); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, value := range map[string][]byte{"k.2": floats(2), "k.3": floats(5), "k.4": floats(5)} {
		if diff := cmp.Diff(value, m.Graph.Consts[name].Data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if a := m.Graph.Nodes[2].Attrs; a["axis"].I != 1 || len(m.Graph.Nodes[0].Attrs) != 0 {
		t.Errorf("attributes are %v and %v", a, m.Graph.Nodes[0].Attrs)
	}
}

// TestFunctionEdges: an output that is an input, a name that is taken, a graph within
// a function.
func TestFunctionEdges(t *testing.T) {
	inner := msg(6, node("n", "Add", "a", "r", str(1, "k")), constOf("k", 1, nil, f32(4, 1)), output("r"))
	fn := functionOf("F", []string{"a"}, []string{"a", "z"}, nodeOf(7, "if", "If", "a", "z", attr("then_branch", AttrGraph, inner)))
	m := parse(t, modelOf(17, cat(importF(), fn), node("A", "F", "x", "same", str(7, "f"), str(2, "y")), node("", "Neg", "y", "r.1"), input("x"), output("r.1")))
	if got, want := names(m.Graph), ":Identity(x)=same A/if:If(x)=y :Neg(y)=r.1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	g := m.Graph.Nodes[1].Attrs["then_branch"].G
	if got, want := names(g), "A/n:Add(x,k.1)=r.1'"; got != want || g.Outputs[0].Name != "r.1'" || len(g.Consts) != 1 {
		t.Errorf("got %s, want %s; %v, %v", got, want, g.Outputs, g.Consts)
	}
}

// beside is a tensor of two float32 values in another file.
func beside(name, location string, more ...[]byte) []byte {
	return constOf(name, 1, []int64{2}, num(14, 1), msg(13, str(1, "location"), str(2, location)), cat(more...))
}

func entryOf(key, value string) []byte { return msg(13, str(1, key), str(2, value)) }

// TestExternal: where the data of a tensor may lie.
func TestExternal(t *testing.T) {
	values := floats(1, 2, 3, 4)
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name  string
		graph []byte
		want  string // of the error; "" for none
	}{
		{"whole file", beside("w", "two.bin"), ""},
		{"part", beside("w", "w.bin", entryOf("offset", "4"), entryOf("length", "8"), entryOf("checksum", "00")), ""},
		{"below", beside("w", "sub/./two.bin"), ""},
		{"rest is longer", beside("w", "w.bin"), "16 bytes of data do not hold shape [2]"},
		{"offset beyond", beside("w", "w.bin", entryOf("offset", "17")), "at offset 17 of w.bin, which has 16 bytes"},
		{"length beyond", beside("w", "w.bin", entryOf("offset", "12"), entryOf("length", "8")), "8 bytes of external data at offset 12"},
		{"lengths that wrap", beside("w", "w.bin", entryOf("offset", "9"), entryOf("length", "9223372036854775807")), "9223372036854775807 bytes"},
		{"negative offset", beside("w", "w.bin", entryOf("offset", "-8")), `the offset "-8"`},
		{"negative length", beside("w", "w.bin", entryOf("length", "-1")), `the length "-1"`},
		{"no number", beside("w", "w.bin", entryOf("length", "0x8")), `the length "0x8"`},
		{"unknown key", beside("w", "w.bin", entryOf("codec", "zip")), `unknown key "codec"`},
		{"missing", beside("w", "no.bin"), `"no.bin", which is not in the model's folder; download it and put it there, or for a model of a hub download all its files and give their folder`},
		{"a folder", beside("w", "sub"), "not a regular file"},
		{"the folder", beside("w", "."), "outside of the model's folder"},
		{"up", beside("w", "../w.bin"), "outside of the model's folder"},
		{"down and up", beside("w", "sub/../../w.bin"), "outside of the model's folder"},
		{"absolute", beside("w", "/w.bin"), "no path within"},
		{"backslash", beside("w", `..\w.bin`), "no path within"},
		{"drive", beside("w", "c:w.bin"), "no path within"},
		{"empty", beside("w", ""), "without a location"},
		{"long", beside("w", long), "not in the model's folder"},
		{"both", beside("w", "two.bin", msg(9, floats(1, 2))), "external data, and data in the file"},
		{"not declared", constOf("w", 1, []int64{2}, entryOf("location", "two.bin")), "the data is not external"},
		{"elsewhere", constOf("w", 1, []int64{2}, num(14, 7)), "unknown place 7"},
	} {
		files := fstest.MapFS{"m.onnx": {Data: model(c.graph, output("w"))}, "two.bin": {Data: values[:8]}, "w.bin": {Data: values}, "sub/two.bin": {Data: values[:8]}}
		dir := t.TempDir()
		if err := os.CopyFS(dir, files); err != nil {
			t.Fatal(err)
		}
		for kind, open := range map[string]func() (*Model, error){
			"folder": func() (*Model, error) { return Open(filepath.Join(dir, "m.onnx")) },
			"fs":     func() (*Model, error) { return OpenFS(files, "m.onnx") },
		} {
			m, err := open()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s, %s: %v", c.name, kind, err)
			case c.want == "":
				if m.Graph.Consts["w"].Len() != 2 {
					t.Errorf("%s, %s: %v", c.name, kind, m.Graph.Consts)
				}
				m.Close()
			case c.name == "long" && err != nil: // what the system says of such a name
			case !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "m.onnx: byte") || !strings.Contains(err.Error(), `tensor "w"`):
				t.Errorf("%s, %s: got %v, want %q", c.name, kind, err, c.want)
			}
		}
	}
}

// TestEach: the digest of a model covers its external data, each file once.
func TestEach(t *testing.T) {
	files := fstest.MapFS{"sub/m.onnx": {Data: model(beside("v", "b.bin"), beside("w", "a.bin"), beside("u", "./b.bin"), output("w"))},
		"sub/a.bin": {Data: floats(1, 2)}, "sub/b.bin": {Data: floats(3, 4)}}
	m, err := OpenFS(files, "sub/m.onnx")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := m.Each(func(name string, data []byte) error {
		got = append(got, fmt.Sprint(name, " ", len(data)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprint("m.onnx ", len(files["sub/m.onnx"].Data)), "b.bin 8", "a.bin 8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestLinks: a link may not lead out of the folder, but where the model itself is a
// link, its data may lie where that leads.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, fstest.MapFS{"blobs/aa": {Data: model(beside("w", "w.bin"), output("w"))}, "blobs/bb": {Data: floats(1, 2)},
		"other/cc": {Data: floats(1, 2)}, "snap/real.bin": {Data: floats(1, 2)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ model, data, want string }{
		{"../blobs/aa", "../blobs/bb", ""},
		{"../blobs/aa", "real.bin", ""},
		{"../blobs/aa", "../other/cc", "a symbolic link leads out of the model's folder"},
		{"", "real.bin", ""},
		{"", "../blobs/bb", "a symbolic link leads out of the model's folder"},
	} {
		dir := filepath.Join(root, "snap")
		path, data := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "w.bin")
		os.Remove(path)
		os.Remove(data)
		if err := os.Symlink(c.data, data); err != nil {
			t.Skipf("SKIPPED LOUDLY: no symbolic links: %v", err)
		}
		var err error
		if c.model != "" {
			err = os.Symlink(c.model, path)
		} else {
			err = os.WriteFile(path, model(beside("w", "w.bin"), output("w")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
		if err == nil {
			m.Close()
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"good.onnx": tiny(), "empty.onnx": nil, "page.onnx": []byte("<!DOCTYPE html>"), "lfs.onnx": []byte("version https://git-lfs.github.com/spec/v1\n"),
		"zip.onnx": []byte("PK\x03\x04 and so on")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"good.onnx": "", "empty.onnx": "the file is empty", "page.onnx": "a web page", "lfs.onnx": "git lfs pull", "zip.onnx": "a zip archive", ".": "not a regular file"} {
		m, err := Open(filepath.Join(dir, name))
		if want != "" {
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.File != name {
			t.Errorf("the file is called %q", m.File)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent.onnx")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestMemory: refusing a hostile file costs a small multiple of its size, beside
// what the table of operators takes.
func TestMemory(t *testing.T) {
	var calls []byte
	for i := range 40 { // each calls the next one twice
		next := fmt.Sprint("F", i+1)
		calls = append(calls, functionOf(fmt.Sprint("F", i), nil, nil, nodeOf(7, "", next, "", "", str(7, "f")), nodeOf(7, "", next, "", "", str(7, "f")))...)
	}
	calls = append(calls, functionOf("F40", nil, nil)...)
	deep := output("x")
	for range 100 {
		deep = node("", "If", "", "", attr("g", AttrGraph, msg(6, deep)))
	}
	for name, c := range map[string]struct {
		data []byte
		max  uint64
	}{
		"calls":   {modelOf(17, cat(importF(), calls), node("", "F0", "", "", str(7, "f"))), 100 << 20},
		"graphs":  {model(deep), 1 << 20},
		"nodes":   {model([]byte(strings.Repeat(string(msg(1)), 200_000))), 100 << 20},
		"inputs":  {model(node("n", "Add", "", "", []byte(strings.Repeat(string(str(1, "")), 1<<21)))), 200 << 20},
		"dims":    {model(constOf("w", 1, nil, []byte(strings.Repeat(string(num(1, 1)), 1<<20)))), 20 << 20},
		"numbers": {model(constOf("w", 7, []int64{3}, msg(7, make([]byte, 1<<20)))), 20 << 20},
		"huge":    {model(constOf("w", 1, []int64{1 << 40}, msg(9, make([]byte, 16)))), 1 << 20},
		"fill":    {model(node("", "ConstantOfShape", "s", "y"), constOf("s", 7, []int64{1}, num(7, 1<<62)), output("y")), 1 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(c.data, nil)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > c.max {
			t.Errorf("%s: %d bytes allocated for %d of input", name, got, len(c.data))
		}
	}
}
