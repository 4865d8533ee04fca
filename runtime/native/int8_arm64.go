package native

import "unsafe"

// quantizeNEON is int8Ops.quantize.
//
//go:noescape
func quantizeNEON(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)

// multiplyNEON is tile's for panels of packNEON.
//
//go:noescape
func multiplyNEON(t *tile)

// multiplySDOT is tile's for panels of packSDOT.
//
//go:noescape
func multiplySDOT(t *tile)

// multiplyI8MM is tile's for panels of packI8MM.
//
//go:noescape
func multiplyI8MM(t *tile)

// int8NEON are the primitives for products of 16 by SMULL and SMLAL2.
func int8NEON() int8Ops {
	return int8Ops{codeBytes: 1, rows: 4, cols: 16, quantize: quantizeNEON, multiply: multiplyNEON, pack: packNEON}
}

// int8SDOT are the primitives for products of 4 by SDOT.
func int8SDOT() int8Ops {
	return int8Ops{codeBytes: 1, rows: 6, cols: 32, quantize: quantizeNEON, multiply: multiplySDOT, pack: packSDOT}
}

// int8I8MM are the primitives for products of 8 by SMMLA.
func int8I8MM() int8Ops {
	return int8Ops{codeBytes: 1, rows: 6, cols: 32, quantize: quantizeNEON, multiply: multiplyI8MM, pack: packI8MM}
}

// packSDOT lays panels [N16/16][K8/4][16 columns][4 depths] of codes.
func packSDOT(dst, codes []byte, first, k int) { packDepths(dst, codes, first, k, 4) }

// packI8MM lays panels [N16/16][K8/8][16 columns][8 depths] of codes.
func packI8MM(dst, codes []byte, first, k int) { packDepths(dst, codes, first, k, 8) }

// packDepths lays panels of 16 columns with so many depths of each together.
func packDepths(dst, codes []byte, first, k, depths int) {
	k8 := (k + 7) &^ 7
	for n := first; len(codes) > 0; n++ {
		panel := dst[n/16*16*k8:][:16*k8]
		row, at := codes[:k], n%16*depths
		codes = codes[k:]
		for len(row) > 0 {
			row, at = row[copy(panel[at:at+depths], row):], at+16*depths
		}
	}
}

// packNEON lays panels [N16/4][K8/16][4 columns][16 depths] of codes; the last 8 depths of
// an odd K8/8 stand as [4 columns][8 depths].
func packNEON(dst, codes []byte, first, k int) {
	k8 := (k + 7) &^ 7
	for n := first; len(codes) > 0; n++ {
		panel, row := dst[n/4*4*k8:][:4*k8], codes[:k]
		codes = codes[k:]
		for len(row) > 0 {
			depths := min(16, len(panel)/4)
			row, panel = row[copy(panel[n%4*depths:][:depths], row):], panel[4*depths:]
		}
	}
}
