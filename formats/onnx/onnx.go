// Package onnx reads ONNX files: the graph of operations, its constants and the
// files beside it that hold large ones. It believes nothing: every count, length,
// shape and name is checked before it is used, so that a Model of this package is
// safe to walk whatever the file holds.
//
//	bytes -> protobuf fields (wire.go) -> messages (model.go, graph.go, attr.go)
//	      -> tensors (tensor.go), in the file or in files beside it (external.go)
//	      -> functions written out, Constant nodes to constants (inline.go)
//	      -> checks: operators (operators.go), names, order (check.go, order.go)
//
// Read are versions 7 to 28 of the operator set ai.onnx, which is what ONNX 1.23
// has. From 22 on, the operators that encoders use gained element types and
// attributes, and changed nothing of what they computed before.
//
// Refused by name: sparse tensors, strings as tensors, element types of fewer than
// eight bits, inputs and outputs that are no tensors, operators and domains that
// are not known, fields that ONNX 1.23 does not have.
//
// Tensor data stays in the mapped file. The package knows what an operator is
// called and from which version on it exists, but not what it computes: that is
// packager/onnxref. It must not import an architecture or a kernel.
package onnx

import (
	"fmt"

	"skiff/formats/internal/parts"
	"skiff/formats/tensor"
)

// Model is one ONNX file. It is read-only, so any number of goroutines may use it
// until Close.
type Model struct {
	File      string // base name
	IRVersion int64
	Producer  string           // name and version of the exporter
	Opsets    map[string]int64 // version by domain; "" is ai.onnx
	Graph     *Graph
	Metadata  map[string]string

	parts parts.Set
}

// Graph is a list of operations in an order in which each reads only what the
// ones before it made, the graph's inputs and its constants; and, in a graph that is
// an attribute, what the graphs around it have made before its node. That is the
// order of the file where it can be. Every name is made once, in a graph and all
// those within it.
type Graph struct {
	Name    string
	Nodes   []*Node
	Inputs  []Value // without those that are constants: a default value counts as the value
	Outputs []Value
	Consts  map[string]tensor.View // initializers and Constant nodes, by name
}

// Value is the declared type of an input or output.
type Value struct {
	Name  string
	DType tensor.DType // 0 where the file does not say
	Shape []Dim        // nil where the file does not say
}

// Dim is one dimension: a number, or a name that stands for any.
type Dim struct {
	Size int // -1 for any
	Name string
}

// Node is one operation. The operator is one that its domain has in that version;
// how many inputs, outputs and which attributes it may have is not checked.
type Node struct {
	Name, Op, Domain string   // Domain "" is ai.onnx
	Version          int64    // of its domain's operator set
	Inputs, Outputs  []string // "" for one that is left out
	Attrs            map[string]Attr
	Captures         []string // what graphs in Attrs read of the graphs around them, each name once
	Off              int      // where in the file it starts, for messages

	overload string // of a function
}

// String names the node in messages.
func (n *Node) String() string {
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	switch {
	case n.Name != "":
		return fmt.Sprintf("node %q (%s)", n.Name, op)
	case len(n.Outputs) > 0 && n.Outputs[0] != "":
		return fmt.Sprintf("the node that makes %q (%s)", n.Outputs[0], op)
	}
	return fmt.Sprintf("a node without a name (%s)", op)
}

// AttrKind says which field of an Attr holds the value. The numbers are ONNX's.
type AttrKind uint8

// The kinds of attributes. Those of sparse tensors, types, and lists of tensors
// and graphs are refused.
const (
	AttrFloat AttrKind = iota + 1
	AttrInt
	AttrString
	AttrTensor
	AttrGraph
	AttrFloats
	AttrInts
	AttrStrings
)

// Attr is an attribute's value.
type Attr struct {
	Kind AttrKind

	F      float32
	I      int64
	S      string
	T      *tensor.View
	G      *Graph
	Floats []float32
	Ints   []int64
	Strs   []string

	ref string // the attribute of the function around the node that this one stands for
}
