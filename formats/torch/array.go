package torch

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"skiff/formats/tensor"
)

// Limits on tensors: dimensions, and the bytes of all tensors of a file, which
// may be views of the same few, as a multiple of the file's length.
const (
	maxRank   = 16
	maxShare  = 32
	shareBase = 1 << 20
)

// array is a view of a storage, checked to lie in it.
type array struct {
	*storage
	dtype  tensor.DType // the storage's, unless that is untyped
	offset int          // in elements
	shape  []int
	stride []int  // in elements
	quant  *quant // nil for plain numbers
}

// quant says what codes mean.
type quant struct {
	scale         float64
	zero          int64
	axis          int    // -1: scale and zero; otherwise scales and zeros hold one value for each index
	scales, zeros *array // vectors
}

// check compares the view with the number of elements of its storage; it
// returns what is wrong, or nothing.
func (a *array) check(count int) string {
	if len(a.shape) != len(a.stride) {
		return fmt.Sprintf("%d sizes and %d strides", len(a.shape), len(a.stride))
	}
	n, ok := tensor.Elements(a.shape, 4*a.dtype.Size()) // fits when dequantised, too
	if !ok {
		return fmt.Sprintf("shape %v has too many elements", a.shape)
	}
	if a.offset > count {
		return fmt.Sprintf("offset %d of %d elements", a.offset, count)
	}
	if n == 0 {
		return ""
	}
	last := uint64(a.offset)
	for i, d := range a.shape {
		hi, lo := bits.Mul64(uint64(d-1), uint64(a.stride[i]))
		sum, carry := bits.Add64(last, lo, 0)
		if hi != 0 || carry != 0 {
			return fmt.Sprintf("shape %v with strides %v overflows", a.shape, a.stride)
		}
		last = sum
	}
	if last >= uint64(count) {
		return fmt.Sprintf("shape %v with strides %v at %d reaches element %d of %d", a.shape, a.stride, a.offset, last, count)
	}
	return ""
}

// contiguous reports whether the elements lie in the order of a View.
func (a *array) contiguous() bool {
	if slices.Contains(a.shape, 0) {
		return true
	}
	want := 1
	for i := len(a.shape) - 1; i >= 0; i-- {
		if a.shape[i] != 1 && a.stride[i] != want {
			return false
		}
		want *= a.shape[i]
	}
	return true
}

// view is the array as it is stored, codes where it is quantised.
func (a *array) view(name string) tensor.View {
	v := tensor.View{Name: name, DType: a.dtype, Shape: a.shape}
	size := a.dtype.Size()
	n := v.Len() * size
	if a.contiguous() {
		at := a.offset * size
		v.Data = a.data[at : at+n : at+n]
		return v
	}
	v.Data = make([]byte, n)
	a.gather(v.Data, 0)
	return v
}

// gather fills dst with the elements from the one called first on, in the order of a
// View. There is at least one, and at least one dimension.
func (a *array) gather(dst []byte, first int) {
	size, rank := a.dtype.Size(), len(a.shape)
	inner, step := a.shape[rank-1], a.stride[rank-1]*size
	index := make([]int, rank)
	for i := rank - 1; i >= 0; i-- {
		index[i], first = first%a.shape[i], first/a.shape[i]
	}
	for len(dst) > 0 {
		at := a.offset
		for i, k := range index {
			at += k * a.stride[i]
		}
		at *= size
		for range min(inner-index[rank-1], len(dst)/size) {
			copy(dst[:size], a.data[at:])
			dst, at = dst[size:], at+step
		}
		index[rank-1] = 0
		for i := rank - 2; i >= 0; i-- {
			if index[i]++; index[i] < a.shape[i] {
				break
			}
			index[i] = 0
		}
	}
}

// goodScale reports whether a scale is a positive number that float32 holds.
func goodScale(s float64) bool { return float32(s) > 0 && s <= math.MaxFloat32 }

// goodZero reports whether a zero point is one of the codes.
func goodZero(t tensor.DType, zero int64) bool {
	switch t {
	case tensor.I8:
		return zero >= math.MinInt8 && zero <= math.MaxInt8
	case tensor.U8:
		return zero >= 0 && zero <= math.MaxUint8
	}
	return zero >= math.MinInt32 && zero <= math.MaxInt32
}

// QTensor is a quantised tensor: an element is (code - zero point) * scale.
type QTensor struct {
	Name       string
	Codes      tensor.View // I8, U8 or I32; borrowed like other Views
	Axis       int         // -1: one scale for all; otherwise one for each index of this dimension
	Scales     []float64   // as stored; positive, and float32 holds them
	ZeroPoints []int64     // as many; each in the range of the codes
}

// Quantised returns the quantised tensor called name, and false for any other.
func (f *File) Quantised(name string) (QTensor, bool) {
	a, ok := f.tensors[name]
	if !ok || a.quant == nil {
		return QTensor{}, false
	}
	return a.qtensor(name), true
}

// qtensor is the array with its scales.
func (a *array) qtensor(name string) QTensor {
	q := QTensor{Name: name, Codes: a.view(name), Axis: a.quant.axis}
	if q.Axis < 0 {
		q.Scales, q.ZeroPoints = []float64{a.quant.scale}, []int64{a.quant.zero}
		return q
	}
	q.Scales, q.ZeroPoints = a.quant.scales.floats(), a.quant.zeros.integers()
	return q
}

// floats are the elements of an array of F64 or F32.
func (a *array) floats() []float64 {
	data := a.view("").Data
	out := make([]float64, len(data)/a.dtype.Size())
	for i := range out {
		if a.dtype == tensor.F64 {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		} else {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
	}
	return out
}

// integers are the elements of an array of I64 or I32.
func (a *array) integers() []int64 {
	data := a.view("").Data
	out := make([]int64, len(data)/a.dtype.Size())
	for i := range out {
		if a.dtype == tensor.I64 {
			out[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
		} else {
			out[i] = int64(int32(binary.LittleEndian.Uint32(data[4*i:])))
		}
	}
	return out
}

// Dequantised is the tensor in float32, computed as PyTorch does it: scale and
// difference are rounded to float32 and multiplied.
func (q QTensor) Dequantised() tensor.View {
	x := make([]float32, q.Codes.Len())
	q.fill(x, 0)
	v := tensor.View{Name: q.Name, DType: tensor.F32, Shape: q.Codes.Shape, Data: make([]byte, 4*len(x))}
	for i, f := range x {
		binary.LittleEndian.PutUint32(v.Data[4*i:], math.Float32bits(f))
	}
	return v
}

// fill sets dst to the numbers of the elements from the one called first on.
func (q QTensor) fill(dst []float32, first int) {
	inner, channels := max(q.Codes.Len(), 1), 1
	if q.Axis >= 0 {
		inner, channels = 1, q.Codes.Shape[q.Axis]
		for _, d := range q.Codes.Shape[q.Axis+1:] {
			inner *= d
		}
	}
	for i := 0; i < len(dst); {
		at := first + i
		c, end := at/inner%channels, min(len(dst), i+inner-at%inner)
		scale, zero := float32(q.Scales[c]), q.ZeroPoints[c]
		for ; i < end; i++ {
			dst[i] = scale * float32(q.code(first+i)-zero)
		}
	}
}

// code is one stored code.
func (q QTensor) code(i int) int64 {
	switch q.Codes.DType {
	case tensor.I8:
		return int64(int8(q.Codes.Data[i]))
	case tensor.U8:
		return int64(q.Codes.Data[i])
	}
	return int64(int32(binary.LittleEndian.Uint32(q.Codes.Data[4*i:])))
}
