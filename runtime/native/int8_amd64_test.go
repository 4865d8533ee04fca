package native

import (
	"bytes"
	"math"
	"testing"
	"unsafe"

	"skiff/runtime/trial"
)

// goQuantize16 is quantize for codes of two bytes.
func goQuantize16(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32) {
	return goQuantize((*int16)(codes), x, k8)
}

// TestQuantize: codes, scale and sum are those of the loop, for every length up to a few
// vectors, wherever the row begins, and nothing behind the codes is touched.
func TestQuantize(t *testing.T) {
	r := trial.Random{State: 9}
	for _, s := range Sets() {
		loop := goQuantize8
		if s.int8.codeBytes == 2 {
			loop = goQuantize16
		}
		for k8 := 8; k8 <= 136; k8 += 8 {
			for _, scale := range []float32{1, 1e-20, 1e20, 0x1p-101, 0} {
				x := make([]float32, k8+3)
				for i := range x {
					x[i] = scale * float32(r.Intn(2001)-1000) / 700
				}
				x = x[r.Intn(4):][:k8]
				got, want := make([]byte, s.int8.codeBytes*k8+64), make([]byte, s.int8.codeBytes*k8+64)
				gotScale, gotSum := s.int8.quantize(unsafe.Pointer(&got[0]), &x[0], k8)
				wantScale, wantSum := loop(unsafe.Pointer(&want[0]), &x[0], k8)
				if !bytes.Equal(got, want) || math.Float32bits(gotScale) != math.Float32bits(wantScale) || gotSum != wantSum {
					t.Fatalf("%s: %d of about %g: scale %g, sum %d, codes %v; want %g, %d, %v", s.name, k8, scale, gotScale, gotSum, got, wantScale, wantSum, want)
				}
			}
		}
	}
}
