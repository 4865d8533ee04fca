package native

import (
	"math"
	"unsafe"
)

// The loops that the assembly of linears stands for.

// goInt8 are the primitives in Go: panels are those of packFours, codes bytes.
func goInt8(rows, cols int) int8Ops {
	return int8Ops{codeBytes: 1, rows: rows, cols: cols, quantize: goQuantize8, multiply: goMultiply(rows), pack: packFours}
}

// at is element i of an array that starts at p.
func at[T any](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), i*int(unsafe.Sizeof(*p))))
}

// goQuantize8 is quantize for codes of a byte.
func goQuantize8(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32) {
	return goQuantize((*int8)(codes), x, k8)
}

func goQuantize[T int8 | int16](codes *T, x *float32, k8 int) (scale float32, sum int32) {
	const magic, bits = 12582912.0, 0x4B400000
	var most int32
	for k := range k8 {
		most = max(most, int32(math.Float32bits(*at(x, k))&math.MaxInt32))
	}
	clear(unsafe.Slice(codes, k8))
	if most < 27<<23 { // 2^-100
		return 0, 0
	}
	amax := math.Float32frombits(uint32(most))
	inv := 127 / amax
	for k := range k8 {
		code := int32(math.Float32bits(float32(*at(x, k)*inv)+magic)) - bits
		code = max(-127, min(127, code))
		*at(codes, k) = T(code)
		sum += code
	}
	return amax / 127, sum
}

// goMultiply is multiply over panels of fours, of a set whose tiles have so many rows.
func goMultiply(rows int) func(t *tile) {
	return func(t *tile) {
		for r := range int(t.rows) {
			codes := (*int8)(unsafe.Add(t.codes, r*int(t.codeStride)))
			for n := range int(t.cols) {
				weights := (*byte)(unsafe.Add(t.weights, n/16*int(t.panelStride)+n%16*4))
				acc := -128 * *at(t.sums, r)
				for k := range int(t.k8) {
					acc += int32(*at(codes, k)) * int32(*at(weights, k/4*64+k%4))
				}
				goFinish(t, r, n, rows, acc)
			}
		}
	}
}

// goFinish is the end of multiply.
func goFinish(t *tile, r, n, rows int, acc int32) {
	if t.zero != nil {
		acc -= *at(t.zero, n) * *at(t.sums, r)
	}
	v := float32(float32(acc) * float32(*at(t.scales, r)**at(t.wscale, n)))
	for o := range int(t.outliers) {
		w := (*float32)(unsafe.Add(unsafe.Pointer(t.outW), o*int(t.outWStride)))
		v += float32(*at(t.outX, o*rows+r) * *at(w, n))
	}
	out := (*float32)(unsafe.Add(unsafe.Pointer(t.out), r*int(t.outStride)))
	*at(out, n) = v + *at(t.bias, n)
}
