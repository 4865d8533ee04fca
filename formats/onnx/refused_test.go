package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// refusal is a file and a part of the message that it gives.
type refusal struct {
	name string
	data []byte
	want string
}

// refusedFiles are wrong as files or as models.
func refusedFiles() []refusal {
	group := protowire.AppendTag(nil, 9, protowire.StartGroupType)
	return []refusal{
		{"no version", msg(7, output("x")), "this is no ONNX file"},
		{"text", []byte("this is a text,\nnot a model"), "a text, not an ONNX file"},
		{"old", cat(num(1, 2), msg(7)), "version 2 of the format"},
		{"new", cat(num(1, 15), msg(7)), "version 15 of the format"},
		{"no graph", cat(num(1, 8), msg(8, num(2, 17))), "no graph"},
		{"two graphs", cat(tiny(), msg(7)), "field 7 comes twice"},
		{"a number as graph", cat(num(1, 8), num(7, 1)), "field 7 is of the wire type 0 instead of 2"},
		{"opset 6", modelOf(6, nil, output("x")), "opset 6, known are 7 to 28"},
		{"opset 29", modelOf(29, nil, output("x")), "opset 29"},
		{"two opsets", modelOf(17, msg(8, str(1, "ai.onnx"), num(2, 18)), output("x")), "opset 17 and opset 18"},
		{"group", cat(tiny(), group), "field 9 is a group"},
		{"unknown field", cat(tiny(), num(99, 1)), "ModelProto: unknown field 99"},
		{"wire type 6", cat(tiny(), []byte{0x4e}), "unknown wire type 6"},
		{"field 0", cat(tiny(), []byte{0x00}), "field number 0"},
		{"long number", cat(tiny(), []byte{0x08}, []byte(strings.Repeat("\xff", 10)), []byte{1}), "more than ten bytes"},
		{"cut number", cat(tiny(), []byte{0x28, 0xff}), "cut off"},
		{"cut float", model(node("n", "Add", "", "", msg(5, str(1, "f"), []byte{0x15, 0}))), "ends inside a number"},
		{"no UTF-8", model(node("\xff", "Add", "", "")), "no UTF-8"},
		{"long name", model(node(strings.Repeat("x", maxName+1), "Add", "", "")), "a name of 8193 bytes"},
		{"twice an initializer", model(constOf("w", 1, nil, f32(4, 1)), constOf("w", 1, nil, f32(4, 1))), "two initializers"},
		{"initializer without name", model(constOf("", 1, nil, f32(4, 1))), "without a name"},
		{"sparse", model(msg(15, msg(1, tensorOf("w", 1, nil)))), `tensor "w": a sparse tensor`},
		{"two inputs", model(input("x"), input("x")), `two inputs called "x"`},
		{"a sequence", model(msg(11, str(1, "x"), msg(2, msg(4)))), `value "x": a sequence`},
		{"a map", model(msg(12, str(1, "x"), msg(2, msg(5)))), `value "x": a map`},
		{"input of strings", model(msg(11, str(1, "x"), msg(2, msg(1, num(1, 8))))), "STRING"},
		{"rank", model(msg(11, str(1, "x"), msg(2, msg(1, msg(2, []byte(strings.Repeat("\x0a\x00", 17))))))), "more than 16 dimensions"},
	}
}

// refusedTensors are wrong tensors.
func refusedTensors() []refusal {
	var list []refusal
	for _, c := range []struct {
		name  string
		dtype int64
		dims  []int64
		data  []byte
		want  string
	}{
		{"no data", 1, []int64{1}, nil, "0 bytes of data do not hold shape [1] of F32"},
		{"too few", 1, []int64{2}, msg(9, floats(1)), "4 bytes of data do not hold shape [2] of F32"},
		{"too many", 1, nil, msg(9, floats(1, 2)), "8 bytes of data do not hold shape []"},
		{"both", 1, []int64{1}, cat(msg(9, floats(1)), msg(4, floats(1))), "both raw_data and float_data"},
		{"twice", 1, []int64{1}, cat(msg(9, floats(1)), msg(9, floats(1))), "field 9 comes twice"},
		{"wrong field", 3, []int64{1}, msg(4, floats(1)), "the elements are I8; they belong in int32_data"},
		{"int8 of 128", 3, []int64{1}, packed(5, 128), "the element 128 is no I8"},
		{"uint8 of -1", 2, []int64{1}, packed(5, -1), "the element -1 is no U8"},
		{"bool of 2", 9, []int64{1}, packed(5, 2), "the element 2 is no BOOL"},
		{"raw bool of 2", 9, []int64{2}, msg(9, []byte{1, 2}), "element 1 is 2, which is no BOOL"},
		{"int32 of 2^31", 6, []int64{1}, packed(5, 1<<31), "the element 2147483648 is no I32"},
		{"half of 2^16", 10, []int64{1}, packed(5, 1<<16), "the element 65536 is no F16"},
		{"cut number", 7, []int64{1}, msg(7, []byte{0xff}), "cut off"},
		{"strings", 8, []int64{1}, str(6, "a"), "strings, which are not read"},
		{"complex", 14, nil, nil, "COMPLEX64"},
		{"4 bits", 22, []int64{2}, msg(9, []byte{1}), "INT4"},
		{"undefined", 0, nil, nil, "unknown type 0"},
		{"unknown", 99, nil, nil, "unknown type 99"},
		{"negative", 1, []int64{-1}, nil, "a dimension of -1"},
		{"overflow", 1, []int64{1 << 32, 1 << 32}, nil, "that no memory holds"},
		{"bytes overflow", 11, []int64{1 << 61}, nil, "that no memory holds"},
		{"rank", 1, make([]int64, 17), nil, "more than 16 dimensions"},
		{"segment", 1, []int64{1}, msg(3, num(1, 0)), "a segment"},
		{"no folder", 1, []int64{1}, cat(num(14, 1), entryOf("location", "w.bin")), "there is only the one file"},
		{"unknown field", 1, []int64{1}, num(17, 1), "TensorProto: unknown field 17"},
	} {
		list = append(list, refusal{"tensor: " + c.name, model(constOf("w", c.dtype, c.dims, c.data)), `tensor "w": `}, refusal{"tensor: " + c.name, model(constOf("w", c.dtype, c.dims, c.data)), c.want})
	}
	return list
}

// refusedGraphs are wrong as graphs.
func refusedGraphs() []refusal {
	in, out, add := input("x"), output("y"), str(1, "z")
	return []refusal{
		{"nobody makes", model(node("n", "Add", "x", "y", add), in, out), `node "n" (Add): reads "z", which nothing makes`},
		{"output", model(node("n", "Neg", "x", "z"), in, out), `the graph's output "y" is made by nothing`},
		{"two nodes", model(node("a", "Neg", "x", "y"), node("b", "Neg", "x", "y"), in, out), `node "b" (Neg): makes "y", which is there already`},
		{"an input", model(node("a", "Neg", "x", "x"), in, output("x")), `makes "x", which is there already`},
		{"a constant", model(node("a", "Neg", "x", "w"), in, output("w"), constOf("w", 1, nil, f32(4, 1))), `makes "w", which is there already`},
		{"two constants", model(node("a", "Constant", "", "w", attr("value_int", AttrInt, num(3, 1))), output("w"), constOf("w", 1, nil, f32(4, 1))), `makes "w", which is there already`},
		{"itself", model(node("a", "Add", "x", "y", str(1, "y")), in, out), "a cycle: y -> y"},
		{"cycle", model(node("a", "Add", "x", "p", str(1, "y")), node("b", "Neg", "p", "q"), node("c", "Neg", "q", "y"), in, out), "a cycle: p -> q -> y -> p"},
		{"operator", model(node("n", "Frobnicate", "x", "y"), in, out), "unknown operator Frobnicate"},
		{"no operator", model(node("n", "", "x", "y"), in, out), "names no operator"},
		{"too new", modelOf(10, nil, node("n", "CumSum", "x", "y"), in, out), "it exists from opset 11 on, but the model imports 10"},
		{"domain", model(node("n", "Add", "x", "y", str(7, "d")), in, out), `unknown domain "d", which the model does not import`},
		{"imported domain", modelOf(17, msg(8, str(1, "d"), num(2, 1)), node("n", "Add", "x", "y", str(7, "d")), in, out), `unknown domain "d"`},
		{"not imported", model(node("n", "FastGelu", "x", "y", str(7, "com.microsoft")), in, out), `does not import the domain "com.microsoft"`},
		{"no opset", cat(num(1, 8), msg(7, node("n", "Neg", "x", "y"), in, out)), "does not import the domain ai.onnx"},
		{"version of a domain", modelOf(17, msg(8, str(1, "ai.onnx.ml"), num(2, 99)), node("n", "Scaler", "x", "y", str(7, "ai.onnx.ml")), in, out), "version 99 of the domain"},
		{"big fill", model(node("n", "Expand", "x", "y", str(1, "s")), constOf("s", 7, []int64{2}, packed(7, 1<<20, 1<<20)), in, out), "makes a tensor of the shape [1048576 1048576]"},
		{"shadow", model(node("n", "If", "x", "y", attr("g", AttrGraph, msg(6, node("m", "Neg", "x", "y"), output("y")))), in, out), `node "m" (Neg): makes "y", which is there already`},
		{"inner name", model(node("n", "If", "x", "y", attr("g", AttrGraph, msg(6, node("m", "Neg", "nowhere", "r"), output("r")))), in, out), `node "m" (Neg): reads "nowhere"`},
		{"cycle through a graph", model(node("n", "If", "x", "y", attr("g", AttrGraph, msg(6, node("m", "Neg", "y", "r"), output("r")))), in, out), "a cycle: y -> y"},
	}
}

// refusedAttributes are wrong attributes, constants and functions.
func refusedAttributes() []refusal {
	with := func(parts ...[]byte) []byte {
		return model(node("n", "Add", "x", "y", parts...), input("x"), output("y"))
	}
	constant := func(parts ...[]byte) []byte { return model(node("n", "Constant", "", "y", parts...), output("y")) }
	call := func(more []byte, parts ...[]byte) []byte {
		return modelOf(17, cat(importF(), more), node("n", "F", "x", "y", append(parts, str(7, "f"))...), input("x"), output("y"))
	}
	ref := msg(5, str(1, "axis"), num(20, 2), str(21, "axis"))
	fn := func(parts ...[]byte) []byte { return functionOf("F", []string{"a"}, []string{"z"}, parts...) }
	return []refusal{
		{"twice", with(attr("a", AttrInt, num(3, 1)), attr("a", AttrInt, num(3, 1))), `the attribute "a" twice`},
		{"no name", with(attr("", AttrInt, num(3, 1))), "without a name"},
		{"two values", with(attr("a", AttrInt, num(3, 1), f32(2, 1))), "values of two types"},
		{"other type", with(attr("a", AttrInt, f32(2, 1))), "declared of the type 2, but the value is of the type 1"},
		{"another type", with(attr("a", AttrFloat, num(3, 1))), "declared of the type 1, but the value is of the type 2"},
		{"no type", with(attr("a", 0)), "neither a type nor a value"},
		{"unknown type", with(attr("a", 77)), "unknown type 77"},
		{"no tensor", with(attr("a", AttrTensor)), "no value"},
		{"sparse", with(attr("a", 11, msg(22))), `attribute "a": holds a sparse tensor`},
		{"graphs", with(attr("a", 10, msg(11))), "holds graphs"},
		{"reference outside", with(ref), "but is in none"},
		{"sparse constant", constant(attr("sparse_value", 11)), "a sparse tensor"},
		{"string constant", constant(attr("value_string", AttrString, str(4, "a"))), `a constant with "value_string"`},
		{"empty constant", constant(), "one output and one attribute"},
		{"constant of another type", constant(attr("value_float", AttrInt, num(3, 1))), "of the type 2 instead of 1"},
		{"itself", call(fn(nodeOf(7, "m", "F", "a", "z", str(7, "f")))), "calls itself"},
		{"two functions", call(cat(fn(), fn())), "two functions of that name"},
		{"twice an input", call(functionOf("F", []string{"a", "a"}, nil)), "two of one name"},
		{"inputs", call(fn(), str(1, "x")), "2 inputs and 1 outputs, but the function"},
		{"no such attribute", call(fn(), attr("k", AttrInt, num(3, 1))), `has no attribute "k"`},
		{"not declared", call(fn(nodeOf(7, "m", "Neg", "a", "z", ref))), `has no attribute "axis"`},
		{"of another type", call(fn(str(6, "axis"), nodeOf(7, "m", "Neg", "a", "z", ref)), attr("axis", AttrFloat, f32(2, 1))), `"axis" of the type 1`},
		{"of a later type", call(fn(str(6, "axis"), nodeOf(7, "m", "Neg", "a", "z", ref)), attr("axis", AttrString, str(4, "s"))), `"axis" of the type 3`},
		{"makes no output", call(fn()), `the graph's output "y" is made by nothing`},
		{"unknown operator", call(fn(nodeOf(7, "m", "Frobnicate", "a", "z"))), `node "n/m" (Frobnicate): unknown operator`},
		{"opset of a function", call(fn(msg(9, str(1, "ai.onnx"), num(2, 5)))), "opset 17 and opset 5"},
	}
}

// refusedSizes are more than any model has, by one; what is one less is read.
func refusedSizes() []refusal {
	nested := func(levels int) []byte {
		g := cat(node("in", "Neg", "x", "r0"), output("r0"))
		for i := range levels {
			out := fmt.Sprintf("r%d", i+1)
			g = cat(node("if", "If", "x", out, attr("g", AttrGraph, msg(6, g))), output(out))
		}
		return model(g, input("x"))
	}
	chain := func(calls int) []byte {
		fns := importF()
		for i := range calls {
			inner := nodeOf(7, "", fmt.Sprintf("F%d", i+1), "a", "z", str(7, "f"))
			if i == calls-1 {
				inner = nodeOf(7, "", "Neg", "a", "z")
			}
			fns = cat(fns, functionOf(fmt.Sprintf("F%d", i), []string{"a"}, []string{"z"}, inner))
		}
		return modelOf(17, fns, node("n", "F0", "x", "y", str(7, "f")), input("x"), output("y"))
	}
	nodes := func(n int) []byte { return model(bytes.Repeat(node("", "Neg", "x", ""), n), input("x"), output("x")) }
	pairs := func(n int) []byte { // two tensors a node
		one := msg(5, num(2, 1), f32(4, 1))
		return model(bytes.Repeat(node("", "Neg", "x", "", attr("s", AttrTensor, one), attr("t", AttrTensor, one)), n), input("x"), output("x"))
	}
	outputs := func(n int) []byte { return model(input("x"), bytes.Repeat(output("x"), n)) }
	edges := func(n int) []byte {
		return model(node("", "Sum", "", "", bytes.Repeat(str(1, "x"), n)), input("x"), output("x"))
	}
	return []refusal{
		{"", nested(maxDepth), ""}, {"depth", nested(maxDepth + 1), "graphs nest deeper than 16"},
		{"", chain(maxCalls), ""}, {"calls", chain(maxCalls + 1), "functions call functions deeper than 64"},
		{"", nodes(maxNodes), ""}, {"nodes", nodes(maxNodes + 1), "more than 100000 nodes"},
		{"", pairs(maxTensors / 2), ""}, {"tensors", pairs(maxTensors/2 + 1), "more than 100000 tensors"},
		{"", outputs(maxValues - 1), ""}, {"values", outputs(maxValues), "more than 100000 inputs and outputs"},
		{"edges", edges(maxEdges + 1), "more than 2000000 inputs, outputs and attributes of nodes"},
	}
}

func refusals() []refusal {
	all := append(refusedFiles(), refusedTensors()...)
	return append(append(all, refusedGraphs()...), refusedAttributes()...)
}

// TestLimits: the bounds on what a file may say are where limits.go has them.
func TestLimits(t *testing.T) {
	for i, c := range refusedSizes() {
		if c.want == "" && testing.Short() {
			continue
		}
		_, err := Parse(c.data, nil)
		if c.want == "" && err != nil {
			t.Errorf("case %d: %v", i, err)
		} else if c.want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range refusals() {
		_, err := Parse(c.data, nil)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// TestEveryPrefix: a file cut anywhere is refused.
func TestEveryPrefix(t *testing.T) {
	whole := tiny()
	for n := range whole {
		if _, err := Parse(whole[:n], nil); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}
