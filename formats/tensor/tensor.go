// Package tensor is the one vocabulary for stored arrays: an element type, a
// shape, and borrowed little-endian bytes. Readers of model files produce
// Views, the importer turns them into float32 slices. It does no mathematics
// and knows no file format.
//
//	bytes of a file -> View{Name, DType, Shape, Data} -> []float32
package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// DType is the element type of a stored tensor. The zero value is no type.
type DType uint8

// The element types, numbered for good: bundles store these numbers.
const (
	F32 DType = iota + 1
	F16
	BF16
	F64
	I8
	U8
	I16
	I32
	I64
	Bool
	U16
	U32
	U64
	F8E4M3
	F8E5M2
)

// spec holds the name in safetensors files and the size in bytes.
type spec struct {
	name string
	size int
}

// specOf describes t; its zero value means that t is no element type.
func specOf(t DType) spec {
	switch t {
	case F32:
		return spec{"F32", 4}
	case F16:
		return spec{"F16", 2}
	case BF16:
		return spec{"BF16", 2}
	case F64:
		return spec{"F64", 8}
	case I8:
		return spec{"I8", 1}
	case U8:
		return spec{"U8", 1}
	case I16:
		return spec{"I16", 2}
	case I32:
		return spec{"I32", 4}
	case I64:
		return spec{"I64", 8}
	case Bool:
		return spec{"BOOL", 1}
	case U16:
		return spec{"U16", 2}
	case U32:
		return spec{"U32", 4}
	case U64:
		return spec{"U64", 8}
	case F8E4M3:
		return spec{"F8_E4M3", 1}
	case F8E5M2:
		return spec{"F8_E5M2", 1}
	}
	return spec{}
}

// Parse returns the element type that safetensors files call name.
func Parse(name string) (DType, bool) {
	for t := F32; t <= F8E5M2; t++ {
		if specOf(t).name == name {
			return t, true
		}
	}
	return 0, false
}

// Size is the number of bytes of one element; 0 for an invalid type.
func (t DType) Size() int { return specOf(t).size }

// String is the type's name in safetensors files.
func (t DType) String() string {
	if s := specOf(t); s.size != 0 {
		return s.name
	}
	return fmt.Sprintf("DType(%d)", uint8(t))
}

// View is a tensor over borrowed bytes: Data holds Len elements in
// little-endian order, rows of the last dimension contiguous. Data belongs to
// the reader that made the View and is valid as long as that reader is open.
// A View may be read by several goroutines.
type View struct {
	Name  string
	DType DType
	Shape []int // no dimension is negative; empty for a scalar
	Data  []byte
}

// Len is the number of elements: the product of Shape.
func (v View) Len() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// Elements multiplies the dimensions of shape. It reports false when one is
// negative or when the product of the dimensions and size does not fit an int.
func Elements(shape []int, size int) (int, bool) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
	}
	if slices.Contains(shape, 0) {
		return 0, true
	}
	for _, d := range shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	if hi, lo := bits.Mul64(n, uint64(size)); hi != 0 || lo > math.MaxInt {
		return 0, false
	}
	return int(n), true
}

// Float32s converts the elements of an F32, F16, BF16 or F64 tensor into a new
// slice owned by the caller; F64 is rounded to nearest. The error of any other
// type, or of a Data that is not Len elements long, names the tensor.
func (v View) Float32s() ([]float32, error) {
	if err := v.checkFloats(); err != nil {
		return nil, err
	}
	out := make([]float32, v.Len())
	fill(out, v.DType, v.Data)
	return out, nil
}

// checkFloats reports what Float32s refuses.
func (v View) checkFloats() error {
	n, ok := Elements(v.Shape, v.DType.Size())
	if !ok || len(v.Data) != n*v.DType.Size() {
		return fmt.Errorf("tensor %q: %d bytes for shape %v of %v", v.Name, len(v.Data), v.Shape, v.DType)
	}
	switch v.DType {
	case F32, F16, BF16, F64:
		return nil
	}
	return fmt.Errorf("tensor %q: %v values are not floating point (F32, F16, BF16 or F64 can be read)", v.Name, v.DType)
}

// Fill is Float32s into dst, which has Len elements.
func (v View) Fill(dst []float32) error {
	if err := v.checkFloats(); err != nil {
		return err
	}
	fill(dst[:v.Len()], v.DType, v.Data)
	return nil
}

// Part is the elements from lo to below hi, in the order of Data, as a vector.
func (v View) Part(lo, hi int) View {
	size := v.DType.Size()
	v.Shape, v.Data = []int{hi - lo}, v.Data[lo*size:hi*size]
	return v
}

// Pieces makes n elements in order, as many at a time as x holds, which is at least one:
// fill sets x to those from at on, and visit looks at them before x is used again. It ends
// at the first error.
func Pieces(n int, x []float32, fill, visit func(at int, x []float32) error) error {
	for at := 0; at < n; at += len(x) {
		x = x[:min(len(x), n-at)]
		if err := fill(at, x); err != nil {
			return err
		}
		if err := visit(at, x); err != nil {
			return err
		}
	}
	return nil
}

// fill widens len(dst) elements of data into dst.
func fill(dst []float32, t DType, data []byte) {
	le := binary.LittleEndian
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(data[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = FromF16(le.Uint16(data[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = FromBF16(le.Uint16(data[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(data[8*i:])))
		}
	}
}

// FromF16 widens an IEEE half-precision number exactly. A NaN keeps its sign
// and the high bits of its payload.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h) & 0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	case frac == 0:
		return math.Float32frombits(sign)
	}
	// A denormal half is a normal float32: shift its top bit into place.
	shift := uint32(bits.LeadingZeros32(frac)) - 21
	frac = frac << shift & 0x3ff
	return math.Float32frombits(sign | (113-shift)<<23 | frac<<13)
}

// FromBF16 widens a bfloat16 number exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
