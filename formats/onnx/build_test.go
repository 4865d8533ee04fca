package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The writer of these tests: messages are their fields, one after the other.

func num(field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(v))
}

func str(field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), s)
}

func msg(field protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), cat(parts...))
}

func f32(field protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, field, protowire.Fixed32Type), math.Float32bits(v))
}

func cat(parts ...[]byte) []byte {
	out := []byte{}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// packed is a list of numbers of variable length in one field.
func packed(field protowire.Number, values ...int64) []byte {
	var body []byte
	for _, v := range values {
		body = protowire.AppendVarint(body, uint64(v))
	}
	return msg(field, body)
}

// floats are the bytes of float32 values.
func floats(values ...float32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// model is a whole file with opset 17 around the parts of a graph.
func model(graph ...[]byte) []byte { return modelOf(17, nil, graph...) }

// modelOf is model with an opset and further fields.
func modelOf(opset int64, more []byte, graph ...[]byte) []byte {
	return cat(num(1, 8), str(2, "test"), str(3, "1.0"), msg(7, graph...), msg(8, num(2, opset)), more)
}

// node is a node called name with an operator; in and out are its first inputs and
// outputs, "" for none.
func node(name, op, in, out string, more ...[]byte) []byte {
	return nodeOf(1, name, op, in, out, more...)
}

// nodeOf is node in the given field: 1 of a graph, 7 of a function.
func nodeOf(field protowire.Number, name, op, in, out string, more ...[]byte) []byte {
	parts := [][]byte{str(3, name), str(4, op)}
	if in != "" {
		parts = append(parts, str(1, in))
	}
	if out != "" {
		parts = append(parts, str(2, out))
	}
	return msg(field, append(parts, more...)...)
}

// attr is an attribute in the field where a node has it.
func attr(name string, kind AttrKind, value ...[]byte) []byte {
	return msg(5, str(1, name), num(20, int64(kind)), cat(value...))
}

// tensorOf is the body of a TensorProto.
func tensorOf(name string, dtype int64, dims []int64, data ...[]byte) []byte {
	return cat(packed(1, dims...), num(2, dtype), str(8, name), cat(data...))
}

// constOf is an initializer.
func constOf(name string, dtype int64, dims []int64, data ...[]byte) []byte {
	return msg(5, tensorOf(name, dtype, dims, data...))
}

// input and output are float32 tensors of one dimension called n.
func input(name string) []byte  { return msg(11, valueOf(name)) }
func output(name string) []byte { return msg(12, valueOf(name)) }

func valueOf(name string) []byte {
	return cat(str(1, name), msg(2, msg(1, num(1, 1), msg(2, msg(1, str(2, "n"))))))
}

// functionOf is a function of the domain "f", in the field where a model has it, and the
// import of its domain.
func functionOf(name string, in, out []string, more ...[]byte) []byte {
	parts := [][]byte{str(1, name), str(10, "f"), msg(9, num(2, 17)), msg(9, str(1, "f"), num(2, 1))}
	for _, s := range in {
		parts = append(parts, str(4, s))
	}
	for _, s := range out {
		parts = append(parts, str(5, s))
	}
	return msg(25, append(parts, more...)...)
}

// importF imports the domain of functionOf.
func importF() []byte { return msg(8, str(1, "f"), num(2, 1)) }
