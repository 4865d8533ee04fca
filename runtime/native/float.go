package native

import (
	"unsafe"

	"skiff/runtime/kernel"
)

// floatOps are a set's primitives for all but linears. Each does exactly the operations
// that are written at it, in the order of package kernel and none fused. n counts floats
// and is a multiple of 16 unless told otherwise; memory need not be aligned. Sources and
// destination are one or apart. NaN comes out as some NaN.
type floatOps struct {
	// act sets dst to the activation of src. Those of no use are nil.
	act [kernel.ActSigmoid + 1]func(dst, src *float32, n int)
	// add, mul: dst = x+y, dst = x·y.
	add, mul func(dst, x, y *float32, n int)
	// divide: dst = x/by.
	divide func(dst, x *float32, by float32, n int)
	// affine: dst = x·gain + bias.
	affine func(dst, x, gain, bias *float32, n int)
	// setCodes: dst = float32(codes-zero)·scale, the difference mod 2^32;
	// addCodes: dst = dst + float32(codes-zero)·scale.
	setCodes, addCodes func(dst *float32, codes *int8, zero int32, scale float32, n int)
	// norm does LayerNorm over dense rows of h columns (any h) in pad16(h) floats:
	//
	//	x = x + residual, if that is not nil
	//	mean = sum(x)/float32(h); d = x-mean, +0 in the pads
	//	r = 1/sqrt(sum(d·d)/float32(h) + eps); out = (d·r)·gamma + beta, +0 in the pads
	//
	// out may be x or residual.
	norm func(out, x, residual, gamma, beta *float32, rows, h int, eps float32)

	// panel is how many columns stand side by side in the right factor of a product: two
	// registers. tiles are how many rows product does at once, descending, the last 1.
	panel int
	tiles []int
	// packKeys lays n rows of d floats (any n, d >= 1), stride bytes apart, as the columns
	// of a right factor: dst[j/panel][c][j%panel] = src[j][c]. Columns past n in the last
	// panel may be left as they are.
	packKeys func(dst, src *float32, stride uintptr, n, d int)
	// packValues lays them as its rows: dst[c/panel][j][c%panel] = src[j][c], +0 in the
	// columns past d.
	packValues func(dst, src *float32, stride uintptr, n, d int)
	// product multiplies a few rows (one of tiles) of depth k (any k >= 1) by panels:
	//
	//	acc = +0; acc = acc + a[i][l]·b[c/panel][l][c%panel] for l = 0, 1, ..., k-1
	//	out[i][c] = acc·scale[i]    for all panels·panel columns c
	//
	// Strides are in bytes from row to row. out and the factors are apart.
	product func(out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32)
	// softmax does rows of n scores (any n >= 1, any rows), stride bytes apart:
	//
	//	m = max over j < n of s[j]; s[j] = exp(s[j]-m); s[j] = +0 for n <= j < pad16(n)
	//	z = sum(s[:pad16(n)]); inverse[i] = 1/z, or 0 if z is 0
	softmax func(s *float32, stride uintptr, rows, n int, inverse *float32)
}

// runFunc is a Kernel's Run.
type runFunc = func(mem, scratch []byte, lo, hi int, args []uint32)

// bindFloat binds all but linears.
func (s *Set) bindFloat(k *kernel.Kernel) (Kernel, bool) {
	f := k.Form()
	if f.Op == "attention" {
		return s.float.bindAttention(f)
	}
	run := s.float.bindRows(f)
	if run == nil {
		run = bindReference(k, f)
	}
	none := func([]uint32, int, int) int { return 0 }
	return Kernel{Run: run, Scratch: none, Grain: max(k.Grain(), 1)}, run != nil
}

// bindRows binds what needs no scratch, nil for others.
func (o *floatOps) bindRows(f kernel.Form) runFunc {
	switch f.Op {
	case "embed":
		return o.bindEmbed(f)
	case "lookup":
		return o.bindLookup(f)
	case "addnorm", "norm":
		return o.bindNorm(f)
	case "nonorm":
		return o.bindNoNorm(f)
	case "add":
		return o.bindAdd(f)
	case "activation":
		return o.bindActivation(f)
	case "glu":
		return o.bindGLU(f)
	case "meanpool":
		return o.bindMeanPool(f)
	}
	return nil
}

// bindReference binds the Go reference itself of what is too little work for more.
func bindReference(k *kernel.Kernel, f kernel.Form) runFunc {
	switch f.Op {
	case "pool", "poolafter", "l2norm", "concat", "trigram":
		return func(mem, _ []byte, lo, hi int, args []uint32) {
			k.Run(mem, uint32(lo), uint32(hi), 0, args)
		}
	}
	return nil
}

// pad16 rounds a column count up to the padded width of a row.
func pad16(n int) int { return (n + 15) &^ 15 }

// floatAt is where a float lies. The offset must be within mem.
func floatAt(mem []byte, off int) *float32 { return (*float32)(unsafe.Pointer(&mem[off])) }

// floats is n floats of memory.
func floats(mem []byte, off, n int) []float32 {
	b := mem[off : off+4*n]
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// ints is n integers of memory.
func ints(mem []byte, off uint32, n int) []int32 {
	b := mem[off : int(off)+4*n]
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
