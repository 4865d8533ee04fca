// Package match turns an ONNX graph into a graph.Model by what its operations
// compute, never by what anything is called.
//
//	onnx.Model -> roles of the inputs (inputs.go) -> the graph walked at two lengths
//	of text (walk.go): every tensor is either an array that does not depend on the
//	words (known.go) or sums of parts of the model's values (tens.go)
//	-> values (atom.go, settle.go) -> roles of the outputs (outputs.go)
//	-> graph.Model (emit.go), accepted when it computes what the graph does (accept.go)
//
// Exporters spell one thing in many ways, so nothing is compared with a pattern of
// nodes. What only moves numbers (reshapes, transpositions, slices, concatenations)
// is run on the numbers' places instead, by packager/onnxref; shapes, masks, position
// numbers and angles are run as they are. What is left is arithmetic on values of the
// model: functions of one number, norms, products. What cannot be read as an
// operation of packager/graph is refused with the node, what it does, and what is
// around it.
//
//	view.go, arith.go, gather.go, linear.go, reduce.go, norm.go, contrib.go   operators
//	point.go, norm.go, settle.go                functions, norms and sums, named
//	heads.go, score.go, bias.go, distances.go, projection.go   attention
//	weights.go, lookup.go, fill.go, widen.go    constants, read when the model is filled
//	layers.go, names.go                         where the layers lie, and what they are called
//
// It must not import a kernel, a bundle or anything of the network.
//
// Shapes: T tokens of the text that the graph is walked with, one text at a time; H
// hidden, A heads, D head size, V vocabulary.
package match

import (
	"context"

	"skiff/formats/onnx"
	"skiff/packager/graph"
)

// Hints are what is known from files beside the graph. They decide between readings
// that the graph leaves open, and nothing else. The zero value knows nothing.
type Hints struct {
	Name string // a short name for the model
	// Task is one of graph's tasks; "" where nothing says. It decides only what the
	// outputs alone do not: whether a layer over the first token makes logits or a
	// vector, and whether logits a token are labels.
	Task string
}

// Report tells how a graph was read.
type Report struct {
	Producer string
	Opset    int64
	Inputs   []Role // in the order of the graph
	Outputs  []Role
	// Int8 is how many linear layers and tables keep the codes of the file.
	Int8 int
	// Lengths of the texts that the model and the graph were compared on, and the
	// largest difference, relative to max(1, largest value).
	Lengths []int
	Diff    float64
	Notes   []string // what a person should know: what was replaced, ignored or chosen
}

// Role is what an input or output of the graph is for.
type Role struct {
	Name string // in the file
	Role string // "ids", "mask", "types", "positions"; "hidden", "answer", ...; "" for an output that is not used
}

// Build reads m as a model. Its arrays are its own: m may be closed afterwards. It has
// no tokenizer and no labels. MaxTokens is MaxPositions, and 512 where positions have no
// end.
//
// The error of a graph that is not understood is an *Error, that of one that was
// understood and computes something else an *Unequal.
func Build(ctx context.Context, m *onnx.Model, h Hints) (*graph.Model, Report, error) {
	return build(ctx, m, h)
}
