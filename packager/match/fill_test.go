package match

import (
	"testing"

	"skiff/formats/tensor"
)

// TestPickedCodes: some columns of a matrix of codes, whose sums are scaled, have codes
// that stand for their weights.
func TestPickedCodes(t *testing.T) {
	zeros := []float64{1, 0, -2, 5}
	stored := []byte{1, 2, 3, 4, 0xff, 6, 7, 8, 9, 10, 0x80, 12} // [3][4]
	view := tensor.View{DType: tensor.I8, Shape: []int{3, 4}, Data: stored}
	m := &matrix{view: view, rows: 3, cols: 4, codes: &codes{scale: []float64{1}, zero: zeros, axis: 1}}
	for _, w := range []*weights{
		{m: m, integer: true, cols: []int{2, 0}, scale: []float32{0.5, 0.25}},
		{m: m, integer: true, scale: []float32{0.5, 0.25, 2, 4}},
		{m: m, integer: true, cols: []int{3, 1, 2}, scale: []float32{0.5, 0.5, 0.5}},
	} {
		l, err := fillLayer(w)
		if err != nil {
			t.Fatal(err)
		}
		for o, col := range w.columns() {
			for i := range 3 {
				code := int8(stored[i*4+col])
				want := (float32(code) - float32(zeros[col])) * w.scale[o]
				q := l.Int8
				got := float32(int32(q.Codes[o*3+i])-q.Zero[o]) * q.Scale[min(o, len(q.Scale)-1)]
				if l.Weight[o*3+i] != want || got != want || q.Codes[o*3+i] != code {
					t.Errorf("columns %v: output %d of input %d is %g, its code %d says %g, want %g", w.cols, o, i, l.Weight[o*3+i], q.Codes[o*3+i], got, want)
				}
			}
		}
	}
}
