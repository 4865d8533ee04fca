package match

import (
	"fmt"
	"strings"

	"skiff/formats/onnx"
)

// Error is a place of a graph that is not understood.
type Error struct {
	Node string // the node's name, or that of its first output where it has none
	Op   string
	Near []string // the operations around it, from before to behind: "MatMul /a/MatMul"
	Msg  string   // what is wrong with it
}

// Error names the node, its operator, what is wrong and what is around it.
func (e *Error) Error() string {
	text := e.Msg
	if e.Node != "" {
		text = fmt.Sprintf("node %q (%s): %s", e.Node, e.Op, e.Msg)
	}
	if len(e.Near) > 0 {
		text += "; around it: " + strings.Join(e.Near, ", ")
	}
	return text
}

// Unequal is a model that does not compute what its graph does.
type Unequal struct {
	Output string   // of the graph
	Near   []string // the operations that make it
	Tokens int      // of the text
	Diff   float64  // relative to max(1, largest value)
	Bound  float64
}

// Error tells where and how far they differ.
func (e *Unequal) Error() string {
	text := fmt.Sprintf("output %q: what was read differs from the graph by %.2g on a text of %d tokens, want at most %.2g", e.Output, e.Diff, e.Tokens, e.Bound)
	if len(e.Near) > 0 {
		text += "; it is made by: " + strings.Join(e.Near, ", ")
	}
	return text
}

// labelOf is a node's name for people.
func labelOf(n *onnx.Node) string {
	if n.Name != "" {
		return n.Name
	}
	for _, o := range n.Outputs {
		if o != "" {
			return o
		}
	}
	return "?"
}
