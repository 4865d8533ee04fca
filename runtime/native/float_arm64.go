package native

import (
	"unsafe"

	"skiff/runtime/kernel"
)

// geluNEON is floatOps.act[kernel.ActGELU].
//
//go:noescape
func geluNEON(dst, src *float32, n int)

// reluNEON is floatOps.act[kernel.ActReLU].
//
//go:noescape
func reluNEON(dst, src *float32, n int)

// geluTanhNEON is floatOps.act[kernel.ActGELUTanh].
//
//go:noescape
func geluTanhNEON(dst, src *float32, n int)

// siluNEON is floatOps.act[kernel.ActSiLU].
//
//go:noescape
func siluNEON(dst, src *float32, n int)

// tanhNEON is floatOps.act[kernel.ActTanh].
//
//go:noescape
func tanhNEON(dst, src *float32, n int)

// sigmoidNEON is floatOps.act[kernel.ActSigmoid].
//
//go:noescape
func sigmoidNEON(dst, src *float32, n int)

// addNEON is floatOps.add.
//
//go:noescape
func addNEON(dst, x, y *float32, n int)

// mulNEON is floatOps.mul.
//
//go:noescape
func mulNEON(dst, x, y *float32, n int)

// divideNEON is floatOps.divide.
//
//go:noescape
func divideNEON(dst, x *float32, by float32, n int)

// affineNEON is floatOps.affine.
//
//go:noescape
func affineNEON(dst, x, gain, bias *float32, n int)

// setCodesNEON is floatOps.setCodes.
//
//go:noescape
func setCodesNEON(dst *float32, codes *int8, zero int32, scale float32, n int)

// addCodesNEON is floatOps.addCodes.
//
//go:noescape
func addCodesNEON(dst *float32, codes *int8, zero int32, scale float32, n int)

// normNEON is floatOps.norm.
//
//go:noescape
func normNEON(out, x, residual, gamma, beta *float32, rows, h int, eps float32)

// productNEON is floatOps.product.
//
//go:noescape
func productNEON(out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32)

// softmaxNEON is floatOps.softmax.
//
//go:noescape
func softmaxNEON(s *float32, stride uintptr, rows, n int, inverse *float32)

// floatNEON are the primitives for registers of 4 floats.
func floatNEON() floatOps {
	return floatOps{
		act: [kernel.ActSigmoid + 1]func(dst, src *float32, n int){
			kernel.ActGELU: geluNEON, kernel.ActReLU: reluNEON, kernel.ActGELUTanh: geluTanhNEON,
			kernel.ActSiLU: siluNEON, kernel.ActTanh: tanhNEON, kernel.ActSigmoid: sigmoidNEON,
		},
		add: addNEON, mul: mulNEON, divide: divideNEON, affine: affineNEON,
		setCodes: setCodesNEON, addCodes: addCodesNEON, norm: normNEON,
		panel: 8, tiles: []int{8, 4, 1},
		packKeys: packKeys8, packValues: packValues8, product: productNEON, softmax: softmaxNEON,
	}
}

// packKeys8 is floatOps.packKeys for panels of 8: it copies, and works out nothing.
func packKeys8(dst, src *float32, stride uintptr, n, d int) {
	panels := unsafe.Slice(dst, (n+7)/8*8*d)
	for j := range n {
		row := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(src), uintptr(j)*stride)), d)
		panel := panels[j/8*8*d:][:8*d]
		for c, at := 0, j%8; c < len(row) && at < len(panel); c, at = c+1, at+8 {
			panel[at] = row[c]
		}
	}
}

// packValues8 is floatOps.packValues for panels of 8.
func packValues8(dst, src *float32, stride uintptr, n, d int) {
	panels := unsafe.Slice(dst, (d+7)/8*8*n)
	for j := range n {
		row := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(src), uintptr(j)*stride)), d)
		for at := 8 * j; len(row) > 0; at += 8 * n {
			part := panels[at : at+8]
			moved := copy(part, row)
			clear(part[moved:])
			row = row[moved:]
		}
	}
}
