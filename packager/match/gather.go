package match

import (
	"fmt"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/graph"
	"skiff/packager/onnxref"
)

// gather is Gather: rows of a table by words, types or places, or a view.
func (w *walk) gather(n *onnx.Node, in []value) (value, error) {
	idx, ok := in[1].(*known)
	if !ok {
		return nil, w.refuse(n, "places that depend on the values of the model")
	}
	data, ok := in[0].(*known)
	if !ok {
		v, err := w.moved(n, in)
		if err != nil {
			return nil, err
		}
		return v[0], nil
	}
	if m := data.mat; m != nil && n.Attrs["axis"].I == 0 && count(idx.shape) == w.tokens && last(idx.shape) == w.tokens {
		return w.tableRowsOf(n, data, idx)
	}
	if data.mat != nil && idx.from != 0 {
		return nil, w.refuse(n, "rows of a table by something else than one number a token")
	}
	v, err := w.fold(n, []*known{data, idx})
	if err != nil {
		return nil, err
	}
	if m := data.mat; m != nil && m.integer() && m.codes == nil {
		v[0].(*known).of = m
	}
	return v[0], nil
}

// tableRowsOf is one row of a table for each token.
func (w *walk) tableRowsOf(n *onnx.Node, data, idx *known) (value, error) {
	m := data.mat
	shape := append(slices.Clone(idx.shape), m.dims()[1])
	arr, err := idx.array()
	if err != nil {
		return nil, err
	}
	if idx.from == 0 {
		k := &known{shape: shape, rows: &rows{table: m, index: arr.I}}
		k.arr, err = w.rowsOf(m, arr.I, shape)
		return k, err
	}
	l, err := w.indexed(n, idx, m)
	if err != nil {
		return nil, err
	}
	return whole(w.lookup(l), shape), nil
}

// rowsOf is rows of m, under shape.
func (w *walk) rowsOf(m *matrix, index []int64, shape []int) (*array, error) {
	all, err := m.array()
	if err != nil {
		return nil, err
	}
	c := m.dims()[1]
	out := &array{DType: all.DType, Shape: shape}
	for _, r := range index {
		if r < 0 {
			r += int64(m.dims()[0])
		}
		if r < 0 || r >= int64(m.dims()[0]) {
			return nil, fmt.Errorf("row %d of a table of %d", r, m.dims()[0])
		}
		if all.Float() {
			out.F = append(out.F, all.F[int(r)*c:][:c]...)
		} else {
			out.I = append(out.I, all.I[int(r)*c:][:c]...)
		}
	}
	return out, nil
}

// indexed finds out what a row is looked up by: by trying other texts.
func (w *walk) indexed(n *onnx.Node, idx *known, m *matrix) (*lookup, error) {
	arr, err := idx.array()
	if err != nil {
		return nil, err
	}
	l := &lookup{table: m}
	switch {
	case idx.from == fromIDs && slices.Equal(arr.I, w.text.ids):
		l.by = graph.ByID
	case idx.from == fromTypes && slices.Equal(arr.I, w.text.types):
		l.by = graph.ByType
	case idx.from == fromIDs:
		l.by, l.first = graph.ByPosition, int(arr.I[0])
	default:
		return nil, w.refuse(n, "rows of a table by a number that mixes token ids and types")
	}
	other := w.sample(w.tokens, 23)
	slices.Reverse(other.ids)
	slices.Reverse(other.types)
	got, err := w.run(w.ctx, other, n.Inputs[1])
	if err != nil {
		return nil, err
	}
	if !slices.Equal(got.I, l.indices(other)) {
		return nil, w.refuse(n, "rows of a table by a number that was not recognised: token ids %v give %v", w.text.ids[:3], arr.I[:3])
	}
	if l.by == graph.ByPosition {
		return w.padded(n, l)
	}
	return l, nil
}

// indices are the rows that l looks up for a text.
func (l *lookup) indices(t text) []int64 {
	out := make([]int64, len(t.ids))
	counted := int64(0)
	for i := range out {
		switch {
		case l.one:
		case l.by == graph.ByID:
			out[i] = t.ids[i]
		case l.by == graph.ByType:
			out[i] = t.types[i]
		case l.pad && t.ids[i] == int64(l.padID):
			out[i] = -1
		default:
			out[i] = counted
			counted++
		}
		out[i] += int64(l.first)
	}
	return out
}

// padded finds the id of the padding that positions depend on: one of the small
// constants that the positions are computed with.
func (w *walk) padded(n *onnx.Node, l *lookup) (*lookup, error) {
	var tries []int64
	for _, name := range w.ancestors(n.Inputs[1]) {
		c := w.consts[name]
		if c.Len() == 1 && (c.DType == tensor.I64 || c.DType == tensor.I32 || c.DType == tensor.F32) {
			if a, err := onnxref.FromView(c); err == nil {
				tries = append(tries, int64(number(a, 0)))
			}
		}
	}
	slices.Sort(tries)
	for _, p := range slices.Compact(append(tries, int64(l.first-1))) {
		if p < 0 || l.first < 1 || p > 1<<30 {
			continue
		}
		t := w.sample(w.tokens, 23)
		for i := range t.ids {
			if i%3 == 1 {
				t.ids[i] = p
			}
		}
		got, err := w.run(w.ctx, t, n.Inputs[1])
		if err != nil {
			return nil, err
		}
		padded := *l
		padded.pad, padded.padID = true, int32(p)
		if slices.Equal(got.I, padded.indices(t)) {
			return &padded, nil
		}
	}
	return nil, w.refuse(n, "positions that depend on token ids in a way that was not recognised")
}

// sumOfRows is two rows of tables that do not depend on the words: still lookups.
func (w *walk) sumOfRows(a, b *known) (value, error) {
	x, err := w.rowsAsTens(a)
	if err != nil {
		return nil, err
	}
	y, err := w.rowsAsTens(b)
	if err != nil {
		return nil, err
	}
	if x == nil || y == nil {
		sum, err := calc("Add", a.arr, b.arr)
		if err != nil {
			return nil, err
		}
		return &known{shape: sum.Shape, arr: sum}, nil
	}
	return x.plus(y)
}

// rowsAsTens is k as a lookup; nil where its rows are in no order.
func (w *walk) rowsAsTens(k *known) (*tens, error) {
	l := k.rows.lookup()
	if l == nil || l.table.integer() && l.table.codes == nil {
		return nil, nil
	}
	return whole(w.lookup(l), k.shape), nil
}

// dequantised is DequantizeLinear: codes with a scale, of a matrix or of rows of one.
func (w *walk) dequantised(n *onnx.Node, in []value) (value, error) {
	scale, ok := in[1].(*known)
	var zero *known
	if len(in) > 2 && in[2] != nil {
		zero, _ = in[2].(*known)
	}
	if !ok || len(in) > 2 && in[2] != nil && zero == nil {
		return nil, w.refuse(n, "a scale that is not constant")
	}
	c, err := codesOf(n, scale, zero, in[0].dims())
	if err != nil {
		return nil, err
	}
	switch x := in[0].(type) {
	case *tens:
		a := x.codeRows()
		if a == nil || len(c.scale) > 1 && c.axis != 1 {
			return nil, w.refuse(n, "activations with fixed scales (static quantisation) are not read; quantise dynamically, or give the float file")
		}
		return w.decoded(x, c)
	case *known:
		if x.mat != nil && x.arr == nil && !x.mat.flip {
			m, err := x.mat.coded(c)
			return &known{shape: x.shape, mat: m}, err
		}
		return w.dequantisedRows(n, x, c, scale, zero)
	}
	return nil, w.refuse(n, "no input")
}

// codeRows is the lookup that t is, where it gives codes that nothing has scaled yet;
// nil where it does not.
func (t *tens) codeRows() *atom {
	a := t.plain()
	if a == nil || a.kind != lookupKind || !a.table.table.integer() || a.table.table.codes != nil {
		return nil
	}
	return a
}

// decoded is t, which gives rows of codes, with what they stand for.
func (w *walk) decoded(t *tens, c *codes) (value, error) {
	l, err := t.codeRows().table.scaled(c)
	if err != nil {
		return nil, err
	}
	return whole(w.lookup(l), t.shape), nil
}

// dequantisedRows is dequantised for what was computed already.
func (w *walk) dequantisedRows(n *onnx.Node, x *known, c *codes, scale, zero *known) (value, error) {
	v, err := w.fold(n, append([]*known{x, scale}, present(zero)...))
	if err != nil {
		return nil, err
	}
	k := v[0].(*known)
	if x.of != nil && len(c.scale) == 1 {
		m, err := x.of.coded(c)
		if err != nil {
			return nil, err
		}
		w.coded = append(w.coded, m)
	}
	if x.rows != nil && len(c.scale) == 1 {
		m, err := x.rows.table.coded(c)
		if err != nil {
			return nil, err
		}
		k.rows = &rows{table: m, index: x.rows.index}
	}
	return k, nil
}

func present(k *known) []*known {
	if k == nil {
		return nil
	}
	return []*known{k}
}

// codesOf is what scale and zero point make of codes of this shape.
func codesOf(n *onnx.Node, scale, zero *known, shape []int) (*codes, error) {
	s, err := scale.array()
	if err != nil {
		return nil, err
	}
	axis := int64(1)
	if a, ok := n.Attrs["axis"]; ok {
		axis = a.I
	}
	if axis < 0 {
		axis += int64(len(shape))
	}
	if n.Attrs["block_size"].I != 0 {
		return nil, fmt.Errorf("blocks of %d", n.Attrs["block_size"].I)
	}
	c := &codes{axis: int(axis)}
	if len(shape) > 2 && int(axis) == len(shape)-1 {
		c.axis = 1
	}
	for i := range s.Len() {
		c.scale = append(c.scale, number(s, i))
	}
	if zero != nil {
		z, err := zero.array()
		if err != nil {
			return nil, err
		}
		for i := range z.Len() {
			c.zero = append(c.zero, number(z, i))
		}
	}
	return c, nil
}

// unquantised is DynamicQuantizeLinear without quantising: the number, scale 1, zero 0.
func (w *walk) unquantised(x value) ([]value, error) {
	one := &known{shape: []int{}, arr: onnxref.Scalar(1)}
	zero := &known{shape: []int{}, arr: onnxref.Ints(tensor.U8, []int{}, 0)}
	return []value{x, one, zero}, nil
}
