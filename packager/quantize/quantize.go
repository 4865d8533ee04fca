// Package quantize turns float32 weights into symmetric int8 codes, keeps the codes of
// files that have such already, and finds the input columns that are better kept in
// float32.
//
// Data flow: calibration texts run through the float32 reference; an Outliers
// counter per linear layer watches its inputs and names the columns whose largest
// values set the scale of whole rows; Linear then quantises each output channel
// without those columns and returns them apart. Tables (word, position, type
// embeddings) are quantised row by row. Keep takes codes with their scales and zero
// points in place of either.
//
// The package knows nothing of files, bundles or kernels and must not import them.
//
// Shapes: M rows, N output channels, K inputs, V table rows, H hidden.
package quantize

import (
	"fmt"
	"math"
	"sort"
)

// Limit is the largest magnitude of a code; -128 is kept but never made, so that a code
// can be negated.
const Limit = 127

// Matrix is a quantised weight matrix.
type Matrix struct {
	Rows, Cols int
	Codes      []int8    // [Rows][Cols]; outlier columns are zero, or what they were where codes were kept
	Scale      []float32 // [Rows], value of one step; 0 for a row of zeros
	Zero       []int32   // [Rows], the code that stands for zero; nil where it is always 0
	Outliers   []int32   // input columns kept apart, ascending
	Exact      []float32 // [len(Outliers)][Rows], the float32 weights of those columns
}

// Linear quantises a weight matrix [n][k], one scale per output channel, with the
// named input columns kept in float32. It owns nothing of weight afterwards.
func Linear(weight []float32, n, k int, outliers []int32) (Matrix, error) {
	if len(weight) != n*k {
		return Matrix{}, fmt.Errorf("quantise: %d weights for %d x %d", len(weight), n, k)
	}
	m := Matrix{Rows: n, Cols: k, Codes: make([]int8, n*k), Scale: make([]float32, n), Outliers: outliers}
	m.Exact = columns(weight, n, k, outliers)
	apart := make([]bool, k)
	for _, col := range outliers {
		apart[col] = true
	}
	for row := range n {
		m.Scale[row] = quantizeRow(m.Codes[row*k:(row+1)*k], weight[row*k:(row+1)*k], apart)
	}
	return m, nil
}

// quantizeRow fills codes and returns the row's scale. Rounding is to nearest, ties
// to even; columns apart are left zero and do not count.
func quantizeRow(codes []int8, row []float32, apart []bool) float32 {
	var top float32
	for i, w := range row {
		if !apart[i] {
			top = max(top, float32(math.Abs(float64(w))))
		}
	}
	scale := top / Limit
	// Below this the reciprocal overflows; such a row is zero to any model.
	if scale < 0x1p-120 {
		return 0
	}
	for i, w := range row {
		if !apart[i] {
			q := math.RoundToEven(float64(w) / float64(scale))
			codes[i] = int8(max(-Limit, min(Limit, q)))
		}
	}
	return scale
}

// Outliers watches the inputs of one linear layer. The zero value is not usable;
// call NewOutliers. It is not safe for concurrent use.
type Outliers struct {
	gain []float64 // per column: how much of the rows' quantisation noise leaving it out would save
	cols int
}

// NewOutliers returns a counter for inputs of k columns.
func NewOutliers(k int) *Outliers { return &Outliers{gain: make([]float64, k), cols: k} }

// Watch adds rows of inputs, x of shape [rows][k]. A row's noise energy grows with the
// square of its largest magnitude; the column that holds it is credited with what the
// row would gain if the second largest set the scale instead.
func (o *Outliers) Watch(x []float32) {
	for len(x) >= o.cols {
		o.watchRow(x[:o.cols])
		x = x[o.cols:]
	}
}

func (o *Outliers) watchRow(row []float32) {
	var first, second float32
	at := 0
	for i, v := range row {
		v = float32(math.Abs(float64(v)))
		switch {
		case v > first:
			first, second, at = v, first, i
		case v > second:
			second = v
		}
	}
	o.gain[at] += float64(first)*float64(first) - float64(second)*float64(second)
}

// Top names up to n columns with the largest gain, ascending by number. Columns with
// no gain are never named.
func (o *Outliers) Top(n int) []int32 {
	order := make([]int32, 0, o.cols)
	for i, g := range o.gain {
		if g > 0 {
			order = append(order, int32(i))
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return o.gain[order[a]] > o.gain[order[b]] })
	order = order[:min(n, len(order))]
	sort.Slice(order, func(a, b int) bool { return order[a] < order[b] })
	return order
}
