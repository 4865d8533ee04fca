package native

import (
	"unsafe"

	"skiff/runtime/kernel"
)

// int8Ops are a set's primitives for linears.
type int8Ops struct {
	codeBytes int // bytes of an activation's code: 1, or 2 where products are of 16 bits
	rows      int // rows of a tile
	cols      int // columns of a tile, a multiple of 16
	// quantize writes the k8 codes of a row, as kernel.NewLinear defines them, and returns
	// the row's scale and the sum of its codes. Outlier columns are zero in x already.
	quantize func(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)
	// multiply is tile's.
	multiply func(t *tile)
	// pack lays rows of weights into the set's panels: see PackWeights.
	pack func(dst, codes []byte, first, k int)
}

// tile is up to int8Ops.rows rows by cols columns of a linear's output, epilogue included
// but for the activation:
//
//	acc = sum over k of code[r][k]·w[n][k]                    exact int32
//	acc = acc - zero[n]·sums[r]                               if zero is not nil, mod 2^32
//	v   = float32(acc)·(scales[r]·wscale[n])
//	v   = v + outX[o][r]·outW[o][n]                           for each outlier o, in order
//	out[r][n] = v + bias[n]
//
// Assembly reads it by field offset: generated and hand-written code must agree with it.
type tile struct {
	codes       unsafe.Pointer // [rows][k8] codes
	codeStride  uintptr        // bytes from row to row
	weights     unsafe.Pointer // the tile's first panel
	panelStride uintptr        // bytes from panel to panel
	k8          uintptr
	rows, cols  uintptr  // cols is a multiple of 16
	scales      *float32 // [rows]
	sums        *int32   // [rows]
	wscale      *float32 // [cols]
	bias        *float32 // [cols]
	zero        *int32   // [cols], or nil
	outX        *float32 // [outliers][rows of a tile]
	outW        *float32 // [outliers][cols]
	outWStride  uintptr  // bytes from outlier to outlier
	outliers    uintptr
	out         *float32 // [rows][cols]
	outStride   uintptr  // bytes from row to row
}

// PackWeights is kernel.PackWeights for the set's own panels, which take as many bytes:
// rows of an int8 matrix [N][k], starting at row first, scattered into dst of
// kernel.PanelBytes(N, k). Rows may come in any order, each once.
func (s *Set) PackWeights(dst, codes []byte, first, k int) error {
	return kernel.PackWeights(dst, codes, first, k)
}

func (s *Set) bindLinear(*kernel.Kernel) (Kernel, bool) { return Kernel{}, false }
