package match

import (
	"runtime"
	"testing"

	"skiff/formats/tensor"
)

// TestMemoryOfCodes: a matrix of codes is filled within what the model has of it, a byte
// and a float32 a code, however it lies.
func TestMemoryOfCodes(t *testing.T) {
	const rows, cols = 1 << 10, 1 << 9
	for _, c := range []struct {
		name string
		flip bool
		view tensor.View
	}{
		{"as it is", false, tensor.View{DType: tensor.I8}},
		{"turned over", true, tensor.View{DType: tensor.U8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.view.Shape, c.view.Data = []int{rows, cols}, make([]byte, rows*cols)
			for i := range c.view.Data {
				c.view.Data[i] = byte(i * 7)
			}
			m := &matrix{view: c.view, rows: rows, cols: cols, flip: c.flip, codes: &codes{scale: []float64{0.5}, zero: []float64{3}}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			floats, kept, err := fillRows(m)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(5*rows*cols+1<<16); got > most {
				t.Errorf("%d bytes allocated, want at most %d", got, most)
			}
			if len(floats) != rows*cols || len(kept.codes) != rows*cols {
				t.Errorf("%d numbers of %d codes", len(floats), len(kept.codes))
			}
		})
	}
}
