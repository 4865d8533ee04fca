// Package onnx reads ONNX files: the graph of operations, its constants and the
// files beside it that hold large ones. It believes nothing: every count, length,
// shape and name is checked before it is used, so that a Model of this package is
// safe to walk whatever the file holds.
//
//	bytes -> protobuf fields (wire.go) -> Model, Graph, Node, Tensor (proto.go)
//	      -> checks: names, order, operators, sizes (check.go); external data (external.go)
//
// Tensor data stays in the mapped file. The package knows what an operator is
// called and from which version on it exists, but not what it computes: that is
// packager/onnxref. It must not import an architecture or a kernel.
package onnx

import "skiff/formats/tensor"

// Model is one ONNX file. It is read-only, so any number of goroutines may use it
// until Close.
type Model struct {
	File      string // base name
	IRVersion int64
	Producer  string           // name and version of the exporter
	Opsets    map[string]int64 // version by domain; "" is ai.onnx
	Graph     *Graph
	Metadata  map[string]string
}

// Graph is a list of operations in an order in which each reads only what the
// ones before it made, the graph's inputs and its constants.
type Graph struct {
	Name    string
	Nodes   []*Node
	Inputs  []Value // without those that are constants
	Outputs []Value
	Consts  map[string]tensor.View // initializers and Constant nodes, by name
}

// Value is the declared type of an input or output.
type Value struct {
	Name  string
	DType tensor.DType
	Shape []Dim // nil where the file does not say
}

// Dim is one dimension: a number, or a name that stands for any.
type Dim struct {
	Size int // -1 for any
	Name string
}

// Node is one operation.
type Node struct {
	Name, Op, Domain string   // Domain "" is ai.onnx
	Version          int64    // of its domain's operator set
	Inputs, Outputs  []string // "" for one that is left out
	Attrs            map[string]Attr
}

// Attr is an attribute's value; which field holds it depends on the operator.
type Attr struct {
	F      float32
	I      int64
	S      string
	T      *tensor.View
	G      *Graph
	Floats []float32
	Ints   []int64
	Strs   []string
}
