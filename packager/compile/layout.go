package compile

import (
	"encoding/binary"
	"math"

	"skiff/formats/tensor"
	"skiff/packager/quantize"
	"skiff/runtime/program"
)

// layout gives weights their offsets in the order in which the steps name them.
type layout struct {
	end     uint32
	weights []program.Weight
	tensors []Tensor
	placed  map[place]arg // a weight that is named again is the same
	carried map[string]bool
}

// place is a tensor in one layout. A tensor may lie in memory in several.
type place struct {
	name string
	kind program.Layout
}

func newLayout() layout {
	return layout{end: program.Base, placed: map[place]arg{}, carried: map[string]bool{}}
}

func (l *layout) add(t Tensor, kind program.Layout, rows, cols int) arg {
	key := place{t.Name, kind}
	if a, ok := l.placed[key]; ok {
		return a
	}
	w := program.Weight{Tensor: t.Name, Layout: kind, Rows: uint32(rows), Cols: uint32(cols), Offset: l.end}
	l.weights = append(l.weights, w)
	if !l.carried[t.Name] {
		l.carried[t.Name] = true
		l.tensors = append(l.tensors, t)
	}
	l.end += (uint32(w.Bytes()) + program.Align - 1) &^ (program.Align - 1)
	l.placed[key] = num(w.Offset)
	return l.placed[key]
}

// vector adds float32 values.
func (l *layout) vector(block, name string, v []float32) arg {
	t := Tensor{Block: block, Name: name, DType: tensor.F32, Shape: []int{len(v)}, Data: floatBytes(v)}
	return l.add(t, program.Vector, 1, len(v))
}

// matrix adds float32 rows.
func (l *layout) matrix(block, name string, v []float32, rows, cols int) arg {
	t := Tensor{Block: block, Name: name, DType: tensor.F32, Shape: []int{rows, cols}, Data: floatBytes(v)}
	return l.add(t, program.RowsF32, rows, cols)
}

// index adds numbers below limit.
func (l *layout) index(block, name string, v []int32, limit int) arg {
	t := Tensor{Block: block, Name: name, DType: tensor.I32, Shape: []int{len(v)}, Data: intBytes(v)}
	return l.add(t, program.Index, len(v), limit)
}

// table adds an int8 matrix by rows and its scales.
func (l *layout) table(block, name string, m quantize.Matrix) (codes, scale arg) {
	codes = l.add(codeTensor(block, name, m), program.Rows8, m.Rows, m.Cols)
	return codes, l.vector(block, name+".scale", m.Scale)
}

// zeros adds the zero points of a matrix by rows, zeros where it has none.
func (l *layout) zeros(block, name string, m quantize.Matrix) arg {
	zero := m.Zero
	if zero == nil {
		zero = make([]int32, m.Rows)
	}
	t := Tensor{Block: block, Name: name + ".zero", DType: tensor.I32, Shape: []int{len(zero)}, Data: intBytes(zero)}
	return l.add(t, program.Ints, 1, len(zero))
}

// linear is where the weights of a linear layer lie.
type linear struct {
	panels, scale, bias, index, exact arg
	zero                              []arg // none, or where the zero points lie
}

// linear adds a layer. One that is tied to a table shares its codes, scales and zero points.
func (l *layout) linear(q *quantize.Linear8) linear {
	name, block := q.Name, blockOf(q.Name)
	codes := name
	if q.Tied != "" {
		codes = q.Tied
	}
	w := linear{panels: l.add(codeTensor(blockOf(codes), codes, q.Matrix), program.Panels, q.Rows, q.Cols)}
	w.scale = l.vector(blockOf(codes), codes+".scale", q.Scale)
	w.bias = l.vector(block, name+".bias", q.Bias)
	if o := len(q.Outliers); o > 0 {
		w.index = l.index(block, name+".outlier.index", q.Outliers, q.Cols)
		w.exact = l.matrix(block, name+".outlier.weight", q.Exact, o, q.Rows)
	}
	if q.Zero != nil {
		w.zero = []arg{l.zeros(blockOf(codes), codes, q.Matrix)}
	}
	return w
}

func codeTensor(block, name string, m quantize.Matrix) Tensor {
	data := make([]byte, len(m.Codes))
	for i, c := range m.Codes {
		data[i] = byte(c)
	}
	return Tensor{Block: block, Name: name, DType: tensor.I8, Shape: []int{m.Rows, m.Cols}, Data: data}
}

func floatBytes(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func intBytes(v []int32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, uint32(x))
	}
	return out
}
