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
	placed  map[string]arg // by name: a weight that is named again is the same
}

func (l *layout) add(t Tensor, kind program.Layout, rows, cols int) arg {
	if a, ok := l.placed[t.Name]; ok {
		return a
	}
	w := program.Weight{Tensor: t.Name, Layout: kind, Rows: uint32(rows), Cols: uint32(cols), Offset: l.end}
	l.weights = append(l.weights, w)
	l.tensors = append(l.tensors, t)
	l.end += (uint32(w.Bytes()) + program.Align - 1) &^ (program.Align - 1)
	l.placed[t.Name] = num(w.Offset)
	return l.placed[t.Name]
}

// vector adds float32 values.
func (l *layout) vector(block, name string, v []float32) arg {
	t := Tensor{Block: block, Name: name, DType: tensor.F32, Shape: []int{len(v)}, Data: floatBytes(v)}
	return l.add(t, program.Vector, 1, len(v))
}

// table adds an int8 matrix by rows and its scales.
func (l *layout) table(block, name string, m quantize.Matrix) (codes, scale arg) {
	codes = l.add(codeTensor(block, name, m), program.Rows8, m.Rows, m.Cols)
	return codes, l.vector(block, name+".scale", m.Scale)
}

// linear is where the weights of a linear layer lie.
type linear struct {
	panels, scale, bias, index, exact arg
}

func (l *layout) linear(block, name string, q quantize.Linear8) linear {
	w := linear{panels: l.add(codeTensor(block, name, q.Matrix), program.Panels, q.Rows, q.Cols)}
	w.scale = l.vector(block, name+".scale", q.Scale)
	w.bias = l.vector(block, name+".bias", q.Bias)
	if o := len(q.Outliers); o > 0 {
		t := Tensor{Block: block, Name: name + ".outlier.index", DType: tensor.I32, Shape: []int{o}, Data: intBytes(q.Outliers)}
		w.index = l.add(t, program.Index, o, q.Cols)
		t = Tensor{Block: block, Name: name + ".outlier.weight", DType: tensor.F32, Shape: []int{o, q.Rows}, Data: floatBytes(q.Exact)}
		w.exact = l.add(t, program.RowsF32, o, q.Rows)
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
