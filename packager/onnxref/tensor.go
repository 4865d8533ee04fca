package onnxref

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"skiff/formats/tensor"
)

// Tensor is an array of one element type; exactly one of the slices is in use.
// Tensors are never written after they were made, so they may share slices.
type Tensor struct {
	DType tensor.DType
	Shape []int
	F     []float32 // F32, and F16, BF16 and F64 rounded to float32 (F16 results are rounded to half precision again)
	I     []int64   // I8, U8, I16, U16, I32, U32, I64 and Bool (0 or 1)
}

// Floats is an F32 tensor over values, which it keeps.
func Floats(shape []int, values ...float32) *Tensor {
	return &Tensor{DType: tensor.F32, Shape: shape, F: values}
}

// Ints is a tensor of an integer type or Bool over values, which it keeps.
func Ints(t tensor.DType, shape []int, values ...int64) *Tensor {
	return &Tensor{DType: t, Shape: shape, I: values}
}

// Scalar is an F32 tensor without dimensions.
func Scalar(v float32) *Tensor { return Floats([]int{}, v) }

// Len is the number of elements: the product of Shape.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Clone is a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{DType: t.DType, Shape: slices.Clone(t.Shape), F: slices.Clone(t.F), I: slices.Clone(t.I)}
}

// String is the type and shape: "F32[2 3]".
func (t *Tensor) String() string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%v%v", t.DType, t.Shape)
}

// Float says whether the elements are in F.
func (t *Tensor) Float() bool { return isFloat(t.DType) }

// as is t under another shape of the same length.
func (t *Tensor) as(shape []int) *Tensor {
	return &Tensor{DType: t.DType, Shape: shape, F: t.F, I: t.I}
}

// number is element i, whatever the type.
func (t *Tensor) number(i int) float64 {
	if t.Float() {
		return float64(t.F[i])
	}
	return float64(t.I[i])
}

// check says whether t is what its fields claim.
func (t *Tensor) check() error {
	if t == nil {
		return errors.New("no tensor")
	}
	if !isFloat(t.DType) && !isInt(t.DType) {
		return fmt.Errorf("element type %v is not computed with", t.DType)
	}
	n, ok := tensor.Elements(t.Shape, 8)
	if !ok || t.Float() && (len(t.F) != n || t.I != nil) || !t.Float() && (len(t.I) != n || t.F != nil) {
		return fmt.Errorf("%v holds %d floats and %d integers", t, len(t.F), len(t.I))
	}
	return nil
}

func isFloat(t tensor.DType) bool {
	return t == tensor.F32 || t == tensor.F16 || t == tensor.BF16 || t == tensor.F64
}

func isInt(t tensor.DType) bool {
	switch t {
	case tensor.I8, tensor.U8, tensor.I16, tensor.U16, tensor.I32, tensor.U32, tensor.I64, tensor.Bool:
		return true
	}
	return false
}

// wrap is v as an integer of type t holds it.
func wrap(t tensor.DType, v int64) int64 {
	switch t {
	case tensor.I8:
		return int64(int8(v))
	case tensor.U8:
		return int64(uint8(v))
	case tensor.I16:
		return int64(int16(v))
	case tensor.U16:
		return int64(uint16(v))
	case tensor.I32:
		return int64(int32(v))
	case tensor.U32:
		return int64(uint32(v))
	case tensor.Bool:
		return min(1, v&math.MaxInt64|int64(uint64(v)>>63))
	}
	return v
}

// FromView copies a stored tensor. Types that are not computed with (U64, the
// 8-bit floats) are refused, as is a view whose bytes do not fit its shape.
func FromView(v tensor.View) (*Tensor, error) {
	t := &Tensor{DType: v.DType, Shape: slices.Clone(v.Shape)}
	if isFloat(v.DType) {
		f, err := v.Float32s()
		t.F = f
		return t, err
	}
	size := v.DType.Size()
	n, ok := tensor.Elements(v.Shape, size)
	switch {
	case !isInt(v.DType):
		return nil, fmt.Errorf("tensor %q: element type %v is not computed with", v.Name, v.DType)
	case !ok || len(v.Data) != n*size:
		return nil, fmt.Errorf("tensor %q: %d bytes for shape %v of %v", v.Name, len(v.Data), v.Shape, v.DType)
	}
	t.I = make([]int64, n)
	for i := range t.I {
		t.I[i] = wrap(v.DType, little(v.Data[i*size:], size))
	}
	return t, nil
}

// little is the integer in the first size bytes of b; its high bits are 0.
func little(b []byte, size int) int64 {
	switch size {
	case 1:
		return int64(b[0])
	case 2:
		return int64(binary.LittleEndian.Uint16(b))
	case 4:
		return int64(binary.LittleEndian.Uint32(b))
	}
	return int64(binary.LittleEndian.Uint64(b))
}
