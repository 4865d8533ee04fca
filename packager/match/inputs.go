package match

import (
	"fmt"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// What an input of the graph is for.
const (
	roleIDs       = "ids"
	roleMask      = "mask"
	roleTypes     = "types"
	rolePositions = "positions"
)

// maxTypes is how many rows a table of token types has at most; an input that looks up
// a larger one beside the words has positions.
const maxTypes = 16

// input is one of the graph's.
type input struct {
	name, role string
	dtype      tensor.DType
	rank       int
	rows       int // of the largest table that it looks up
}

// text is what a graph is fed.
type text struct{ ids, types []int64 }

// fill is what the input is fed of a text.
func (in input) fill(t text) *array {
	n := len(t.ids)
	shape := []int{1, n}
	if in.rank == 1 {
		shape = shape[1:]
	}
	v := slices.Clone(t.ids)
	for i := range v {
		switch in.role {
		case roleMask:
			v[i] = 1
		case roleTypes:
			v[i] = t.types[i]
		case rolePositions:
			v[i] = int64(i)
		}
	}
	if in.dtype == tensor.F32 || in.dtype == tensor.F16 || in.dtype == tensor.F64 {
		a := floats(onnxref.Ints(tensor.I64, shape, v...))
		return &array{DType: in.dtype, Shape: shape, F: a.F}
	}
	return onnxref.Ints(in.dtype, shape, v...)
}

// findInputs tells the inputs apart: by which tables they look up, not by their names.
// The words' is the one with the largest table. One that looks up none is a mask.
func (s *source) findInputs() error {
	ids := -1
	for _, v := range s.m.Graph.Inputs {
		in := input{name: v.Name, role: roleMask, dtype: v.DType, rank: 2, rows: s.reaches(v.Name)}
		if v.Shape != nil {
			in.rank = len(v.Shape)
		}
		if in.rank != 1 && in.rank != 2 {
			return s.refuseInput(v, fmt.Sprintf("input %q has %d dimensions, want a text's tokens: [batch, sequence]", v.Name, in.rank))
		}
		if in.rank == 2 && v.Shape != nil && v.Shape[0].Size > 1 {
			return s.refuseInput(v, fmt.Sprintf("input %q takes %d texts and no other number", v.Name, v.Shape[0].Size))
		}
		if v.Shape != nil && v.Shape[in.rank-1].Size > 0 {
			return s.refuseInput(v, fmt.Sprintf("input %q takes texts of %d tokens and no other length; export with a free length", v.Name, v.Shape[in.rank-1].Size))
		}
		if in.rows > 0 && (ids < 0 || in.rows > s.inputs[ids].rows) {
			ids = len(s.inputs)
		}
		s.inputs = append(s.inputs, in)
	}
	if ids < 0 {
		return &Error{Msg: "no input looks up a table of words"}
	}
	taken := map[string]string{}
	for i := range s.inputs {
		in := &s.inputs[i]
		switch {
		case i == ids:
			in.role = roleIDs
		case in.rows > maxTypes:
			in.role = rolePositions
		case in.rows > 0:
			in.role = roleTypes
		}
		if other, ok := taken[in.role]; ok && in.role != roleMask {
			return &Error{Msg: fmt.Sprintf("inputs %q and %q both have token %s", other, in.name, in.role)}
		}
		taken[in.role] = in.name
	}
	return nil
}

func (s *source) refuseInput(v onnx.Value, msg string) error {
	e := &Error{Msg: msg}
	for _, n := range s.read[v.Name] {
		e.Near = append(e.Near, n.Op+" "+labelOf(n))
	}
	return e
}

// reaches is the number of rows of the largest table that a tensor looks up as it is.
func (s *source) reaches(name string) int {
	rows := 0
	for _, n := range s.read[name] {
		switch n.Op {
		case "Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten", "Expand", "Slice", "Transpose":
			if n.Inputs[0] == name {
				rows = max(rows, s.reaches(n.Outputs[0]))
			}
		case "Gather":
			if len(n.Inputs) > 1 && n.Inputs[1] == name {
				rows = max(rows, s.tableRows(n.Inputs[0]))
			}
		case "EmbedLayerNormalization", "QEmbedLayerNormalization":
			for i, table := range []int{2, 4} {
				if len(n.Inputs) > table && n.Inputs[i] == name {
					rows = max(rows, s.tableRows(n.Inputs[table]))
				}
			}
		}
	}
	return rows
}

// tableRows is the number of rows of a constant of two dimensions, 0 for anything else.
func (s *source) tableRows(name string) int {
	if v, ok := s.consts[name]; ok {
		if len(v.Shape) == 2 && v.DType != tensor.I64 && v.DType != tensor.I32 {
			return v.Shape[0]
		}
		return 0
	}
	if n := s.made[name]; n != nil && (n.Op == "DequantizeLinear" || n.Op == "Cast" || n.Op == "Identity") {
		return s.tableRows(n.Inputs[0])
	}
	return 0
}

// sample is a text of n tokens whose ids are neither padding nor all alike.
func (s *source) sample(n, from int) text {
	t := text{ids: make([]int64, n), types: make([]int64, n)}
	words, kinds := 2, 0
	for _, in := range s.inputs {
		switch in.role {
		case roleIDs:
			words = in.rows
		case roleTypes:
			kinds = in.rows
		}
	}
	low := min(from, words/2)
	for i := range n {
		t.ids[i] = int64(low + (i*7+i*i)%max(1, min(words-low, 4096)))
		if kinds > 1 {
			t.types[i] = int64(i / 2 % kinds)
		}
	}
	return t
}
