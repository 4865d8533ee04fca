package match

import (
	"fmt"

	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// value is what is known of a tensor of the graph: *known or *tens.
type value interface{ dims() []int }

// inputs is a set of inputs that a known array was computed from.
type inputs uint8

const (
	fromIDs inputs = 1 << iota
	fromTypes
)

// String names the inputs.
func (f inputs) String() string {
	switch f {
	case fromIDs:
		return "token ids"
	case fromTypes:
		return "token types"
	}
	return "token ids and types"
}

// known is a tensor that the values of the model have no part in: a constant, or
// computed of constants, shapes, the mask (all ones) and, where from says so, of token
// ids or types, of which it then is an example.
type known struct {
	name  string // in the graph
	shape []int
	arr   *array  // nil while mat is enough
	mat   *matrix // of two dimensions: where it lies in the file; may be nil
	from  inputs
	rows  *rows   // which rows of a table these are; may be nil
	of    *matrix // codes that these were taken from, not yet scaled; may be nil
}

// rows are rows of a table, one a token, that do not depend on the words.
type rows struct {
	table *matrix
	index []int64
}

func (k *known) dims() []int { return k.shape }

// array is the numbers themselves.
func (k *known) array() (*array, error) {
	if k.arr == nil {
		a, err := k.mat.array()
		if err != nil {
			return nil, err
		}
		k.arr = a
	}
	return k.arr, nil
}

// matrix is a constant of two dimensions, read from the file when the model is filled.
type matrix struct {
	name       string // tells matrices apart
	view       tensor.View
	arr        *array // instead of view: a matrix that was computed
	rows, cols int    // as it is stored
	flip       bool   // seen with its dimensions exchanged
	codes      *codes // nil for floats, and for integers that nothing has scaled yet
	release    func(data []byte)
}

// codes says what the integers of a matrix stand for: (code - zero) * scale.
type codes struct {
	scale, zero []float64 // one, or one for each row or column
	axis        int       // of the stored dimensions, where there are several
}

// dims is the shape as it is seen.
func (m *matrix) dims() []int {
	if m.flip {
		return []int{m.cols, m.rows}
	}
	return []int{m.rows, m.cols}
}

// integer reports whether codes are stored.
func (m *matrix) integer() bool {
	if m.arr != nil {
		return !m.arr.Float()
	}
	switch m.view.DType {
	case tensor.I8, tensor.U8:
		return true
	}
	return false
}

// code is a number of a matrix of codes, as it is stored.
func (m *matrix) code(i int) int64 {
	switch {
	case m.arr != nil:
		return m.arr.I[i]
	case m.view.DType == tensor.I8:
		return int64(int8(m.view.Data[i]))
	}
	return int64(m.view.Data[i])
}

// key tells matrices apart.
func (m *matrix) key() string {
	if m.codes == nil {
		return fmt.Sprintf("%s/%v", m.name, m.flip)
	}
	return fmt.Sprintf("%s/%v/%v/%v/%d", m.name, m.flip, m.codes.scale, m.codes.zero, m.codes.axis)
}

// coded is m, of integers, with what they stand for.
func (m *matrix) coded(c *codes) (*matrix, error) {
	lines := m.rows
	if c.axis == 1 {
		lines = m.cols
	}
	for _, n := range []int{len(c.scale), max(1, len(c.zero))} {
		if n != 1 && n != lines {
			return nil, fmt.Errorf("%d scales and %d zero points for codes of %d by %d", len(c.scale), len(c.zero), m.rows, m.cols)
		}
	}
	k := *m
	k.codes = c
	return &k, nil
}

// flipped is m with its dimensions exchanged.
func (m *matrix) flipped() *matrix {
	f := *m
	f.flip = !m.flip
	return &f
}

// stored is the numbers of the file, codes as they are: [rows][cols].
func (m *matrix) stored() (*array, error) {
	if m.arr != nil {
		return m.arr, nil
	}
	if m.release != nil {
		defer m.release(m.view.Data)
	}
	return onnxref.FromView(m.view)
}

// array is m as it is seen, codes scaled.
func (m *matrix) array() (*array, error) {
	a, err := m.stored()
	if err != nil {
		return nil, err
	}
	if m.codes != nil {
		a = m.codes.apply(a, m.cols)
	}
	if !m.flip {
		return a, nil
	}
	return calc("Transpose", a)
}

// apply turns codes into numbers.
func (c *codes) apply(a *array, cols int) *array {
	out := make([]float32, a.Len())
	for i := range out {
		at := i / cols
		if c.axis == 1 {
			at = i % cols
		}
		out[i] = float32((number(a, i) - c.at(c.zero, at)) * c.at(c.scale, at))
	}
	return onnxref.Floats(a.Shape, out...)
}

// at is entry i of a list that may be one for all, or empty for zeros.
func (c *codes) at(list []float64, i int) float64 {
	switch len(list) {
	case 0:
		return 0
	case 1:
		return list[0]
	}
	return list[i]
}

// constant is the tensor of the file called name.
func (s *source) constant(name string, v tensor.View) (*known, error) {
	k := &known{name: name, shape: v.Shape}
	if len(v.Shape) == 2 && v.Len() > 0 {
		switch v.DType {
		case tensor.F32, tensor.F16, tensor.BF16, tensor.F64, tensor.I8, tensor.U8:
			k.mat = &matrix{name: name, view: v, rows: v.Shape[0], cols: v.Shape[1], release: s.m.Release}
			return k, nil
		}
	}
	a, err := onnxref.FromView(v)
	k.arr = a
	return k, err
}

// asMatrix is k as a matrix, whatever leading dimensions of 1 it has; nil where it is none.
func (k *known) asMatrix() (*matrix, error) {
	shape := k.shape
	for len(shape) > 2 && shape[0] == 1 {
		shape = shape[1:]
	}
	switch {
	case len(shape) != 2 || count(shape) == 0 || k.from != 0:
		return nil, nil
	case k.mat != nil:
		return k.mat, nil
	}
	a, err := k.array()
	if err != nil {
		return nil, err
	}
	flat := &array{DType: a.DType, Shape: shape, F: a.F, I: a.I}
	return &matrix{name: "=" + digest(flat), arr: flat, rows: shape[0], cols: shape[1]}, nil
}
