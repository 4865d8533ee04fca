package match

import (
	"fmt"
	"math"

	"skiff/formats/tensor"
	"skiff/packager/graph"
)

// fillRows reads a matrix as it is seen, row by row. int8s is nil unless the file has codes.
func fillRows(m *matrix) ([]float32, *rowCodes, error) {
	if !m.integer() {
		out, err := fillFloats(m)
		if err != nil {
			return nil, nil, err
		}
		return out, nil, finite(m.name, out)
	}
	c := m.codes
	if c == nil {
		c = &codes{scale: []float64{1}}
	}
	shift := int64(0)
	if unsigned(m) {
		shift = 128
	}
	kept, scaled := fillCodes(m, c, shift)
	r := &rowCodes{codes: kept}
	byRow := c.axis == 0 && !m.flip || c.axis == 1 && m.flip
	if (len(c.scale) > 1 || len(c.zero) > 1) && !byRow {
		return scaled, nil, finite(m.name, scaled) // by column: no codes that the quantiser could keep
	}
	n := max(len(c.scale), len(c.zero))
	for i := range n {
		r.scale = append(r.scale, float32(c.at(c.scale, i)))
		r.zero = append(r.zero, int32(int64(c.at(c.zero, i))-shift))
	}
	return scaled, r, finite(m.name, scaled)
}

// fillCodes reads the codes of a matrix as it is seen, less shift, and what they stand
// for. It never has them in a wider type, and releases what it read of the file.
func fillCodes(m *matrix, c *codes, shift int64) ([]int8, []float32) {
	kept, scaled := make([]int8, m.rows*m.cols), make([]float32, m.rows*m.cols)
	for row := range m.rows {
		for col := range m.cols {
			at, line := row*m.cols+col, row
			v := m.code(at)
			if c.axis == 1 {
				line = col
			}
			if m.flip {
				at = col*m.rows + row
			}
			kept[at] = int8(v - shift)
			scaled[at] = float32((float64(v) - c.at(c.zero, line)) * c.at(c.scale, line))
		}
	}
	if m.release != nil {
		m.release(m.view.Data)
	}
	return kept, scaled
}

// stripe is how many rows are read at a time.
const stripe = 64

// fillFloats reads a matrix of floats as it is seen, without a second copy of it, and
// releases what it read of the file.
func fillFloats(m *matrix) ([]float32, error) {
	if m.arr != nil {
		if m.flip {
			return turned(m.arr.F, m.rows, m.cols), nil
		}
		return m.arr.F, nil
	}
	out := make([]float32, m.rows*m.cols)
	turned := make([]float32, stripe*m.cols)
	width := m.cols * m.view.DType.Size()
	for first := 0; first < m.rows; first += stripe {
		n := min(stripe, m.rows-first)
		part := tensor.View{Name: m.view.Name, DType: m.view.DType, Shape: []int{n, m.cols}, Data: m.view.Data[first*width:][:n*width]}
		rows := out[first*m.cols:][:n*m.cols]
		if m.flip {
			rows = turned[:n*m.cols]
		}
		if err := part.Fill(rows); err != nil {
			return nil, err
		}
		if m.release != nil {
			m.release(part.Data)
		}
		if !m.flip {
			continue
		}
		for c := range m.cols {
			for r := range n {
				out[c*m.rows+first+r] = rows[r*m.cols+c]
			}
		}
	}
	return out, nil
}

// unsigned reports whether the codes of m are.
func unsigned(m *matrix) bool {
	if m.arr != nil {
		return m.arr.DType == tensor.U8
	}
	return m.view.DType == tensor.U8
}

// rowCodes are the codes of a matrix by row.
type rowCodes struct {
	codes []int8
	scale []float32 // one, or one a row
	zero  []int32
}

// slice is the codes of some rows of cols numbers.
func (r *rowCodes) slice(first, rows, cols int) *graph.Int8 {
	if r == nil {
		return nil
	}
	q := &graph.Int8{Codes: r.codes[first*cols:][:rows*cols], Scale: r.scale, Zero: r.zero}
	if len(r.scale) > 1 {
		q.Scale, q.Zero = r.scale[first:][:rows], r.zero[first:][:rows]
	}
	q.Zero = orNil(q.Zero)
	return q
}

// orNil is zero, or nil where it is nothing but zeros.
func orNil(zero []int32) []int32 {
	for _, z := range zero {
		if z != 0 {
			return zero
		}
	}
	return nil
}

// turned is v, [rows][cols], with its dimensions exchanged.
func turned[T any](v []T, rows, cols int) []T {
	out := make([]T, len(v))
	for r := range rows {
		for c, x := range v[r*cols:][:cols] {
			out[c*rows+r] = x
		}
	}
	return out
}

// finite refuses weights that are no numbers.
func finite(name string, v []float32) error {
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return &Error{Msg: fmt.Sprintf("tensor %q: number %d is %v", name, i, x)}
		}
	}
	return nil
}

// fillLayer reads the weights of a layer, which the model has as [out][in].
func fillLayer(w *weights) (*graph.LinearWeights, error) {
	if w.join != nil {
		return fillJoined(w)
	}
	data, int8s, err := fillRows(w.m.flipped())
	if err != nil {
		return nil, err
	}
	l := &graph.LinearWeights{In: w.in(), Out: w.out(), Weight: data, Bias: w.bias}
	rows := w.m.dims()[1]
	int8s = int8s.scaledBy(w, rows, l)
	if w.cols != nil {
		l.Weight = rowsAt(data, w.cols, l.In)
		int8s = int8s.at(w.cols, l.In)
	}
	if w.scale != nil {
		for o := range l.Out {
			s := w.scale[o]
			for i := range l.In {
				l.Weight[o*l.In+i] *= s
			}
		}
	}
	l.Int8 = int8s.slice(0, l.Out, l.In)
	return l, finite(w.m.name, l.Bias)
}

// scaledBy is r with the scale of a layer's outputs: of integers that were multiplied
// as they are.
func (r *rowCodes) scaledBy(w *weights, rows int, l *graph.LinearWeights) *rowCodes {
	if r == nil || w.scale == nil {
		return r
	}
	s := &rowCodes{codes: r.codes}
	one := true
	for _, v := range w.scale {
		one = one && v == w.scale[0]
	}
	if one && len(r.zero) == 1 {
		s.scale, s.zero = []float32{w.scale[0]}, r.zero
		return s
	}
	s.scale, s.zero = make([]float32, rows), make([]int32, rows)
	for o, col := range w.columns() {
		s.scale[col] = w.scale[o]
	}
	for i := range s.zero {
		s.zero[i] = r.zero[min(i, len(r.zero)-1)]
	}
	return s
}

// at is some of the rows.
func (r *rowCodes) at(rows []int, cols int) *rowCodes {
	if r == nil {
		return nil
	}
	s := &rowCodes{codes: rowsAt(r.codes, rows, cols), scale: r.scale, zero: r.zero}
	if len(r.scale) > 1 {
		s.scale, s.zero = rowsAt(r.scale, rows, 1), rowsAt(r.zero, rows, 1)
	}
	return s
}

// rowsAt is some rows of v, [..][cols].
func rowsAt[T any](v []T, rows []int, cols int) []T {
	out := make([]T, 0, len(rows)*cols)
	for _, r := range rows {
		out = append(out, v[r*cols:][:cols]...)
	}
	return out
}

// fillJoined is fillLayer for layers side by side.
func fillJoined(w *weights) (*graph.LinearWeights, error) {
	l := &graph.LinearWeights{In: w.in(), Out: w.out()}
	q, biased := &graph.Int8{}, false
	for _, p := range w.join {
		f, err := fillLayer(p)
		if err != nil {
			return nil, err
		}
		l.Weight = append(l.Weight, f.Weight...)
		biased = biased || f.Bias != nil
		if f.Bias == nil {
			f.Bias = make([]float32, f.Out)
		}
		l.Bias = append(l.Bias, f.Bias...)
		q = appendCodes(q, f)
	}
	l.Int8 = q
	if !biased {
		l.Bias = nil
	}
	return l, nil
}

// appendCodes adds the codes of l to q, row by row; nil where either has none.
func appendCodes(q *graph.Int8, l *graph.LinearWeights) *graph.Int8 {
	if q == nil || l.Int8 == nil {
		return nil
	}
	q.Codes = append(q.Codes, l.Int8.Codes...)
	for o := range l.Out {
		q.Scale = append(q.Scale, l.Int8.Scale[min(o, len(l.Int8.Scale)-1)])
		zero := int32(0)
		if l.Int8.Zero != nil {
			zero = l.Int8.Zero[min(o, len(l.Int8.Zero)-1)]
		}
		q.Zero = append(q.Zero, zero)
	}
	return q
}
