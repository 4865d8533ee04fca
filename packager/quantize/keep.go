package quantize

import (
	"fmt"
	"math"
	"slices"

	"skiff/packager/graph"
)

// maxZero bounds zero points to what 16 bits hold; those of int8 codes are within ±255.
const maxZero = 1 << 16

// Keep is the matrix [n][k] of codes that the model's file has already: not one of them
// changes, those of outlier columns included, which no one multiplies. The codes are
// shared. weight is what they stand for; no number of it may be further from its code's
// than half a step.
func Keep(codes *graph.Int8, weight []float32, n, k int, outliers []int32) (Matrix, error) {
	if len(weight) != n*k || len(codes.Codes) != n*k {
		return Matrix{}, fmt.Errorf("keep codes: %d codes and %d weights for %d x %d", len(codes.Codes), len(weight), n, k)
	}
	scale, err := perRow(codes.Scale, n)
	if err != nil {
		return Matrix{}, fmt.Errorf("keep codes: scales: %w", err)
	}
	zero, err := zeroPoints(codes.Zero, n)
	if err != nil {
		return Matrix{}, fmt.Errorf("keep codes: zero points: %w", err)
	}
	m := Matrix{Rows: n, Cols: k, Codes: codes.Codes, Scale: scale, Zero: zero, Outliers: outliers}
	if err := m.standsFor(weight); err != nil {
		return Matrix{}, fmt.Errorf("keep codes: %w", err)
	}
	m.Exact = columns(weight, n, k, outliers)
	return m, nil
}

// perRow has a value for each row; one stands for all of them.
func perRow[T any](v []T, rows int) ([]T, error) {
	switch len(v) {
	case rows:
		return v, nil
	case 1:
		return slices.Repeat(v, rows), nil
	}
	return nil, fmt.Errorf("%d for %d rows", len(v), rows)
}

// zeroPoints has one for each row, or none where all are zero.
func zeroPoints(v []int32, rows int) ([]int32, error) {
	none := true
	for _, z := range v {
		if z < -maxZero || z > maxZero {
			return nil, fmt.Errorf("%d is past 16 bits", z)
		}
		none = none && z == 0
	}
	if v == nil {
		return nil, nil
	}
	all, err := perRow(v, rows)
	if none {
		return nil, err
	}
	return all, err
}

// standsFor wants finite scales, and codes that are those of the weights.
func (m Matrix) standsFor(weight []float32) error {
	for row, s := range m.Scale {
		step := float64(s)
		if math.IsNaN(step) || math.IsInf(step, 0) {
			return fmt.Errorf("row %d: scale %g", row, s)
		}
		zero := m.zero(row)
		for col, w := range weight[row*m.Cols:][:m.Cols] {
			code := m.Codes[row*m.Cols+col]
			if is := float64(int32(code)-zero) * step; !(math.Abs(is-float64(w)) <= math.Abs(step)/2) {
				return fmt.Errorf("row %d, column %d: code %d stands for %g, the weight is %g", row, col, code, is, w)
			}
		}
	}
	return nil
}

// zero is a row's zero point.
func (m Matrix) zero(row int) int32 {
	if m.Zero == nil {
		return 0
	}
	return m.Zero[row]
}

// columns are some columns of [n][k], one after another.
func columns(weight []float32, n, k int, cols []int32) []float32 {
	out := make([]float32, 0, len(cols)*n)
	for _, col := range cols {
		for row := range n {
			out = append(out, weight[row*k+int(col)])
		}
	}
	return out
}

// stack puts matrices of the same columns and outliers one under another.
func stack(parts ...Matrix) Matrix {
	all := Matrix{Cols: parts[0].Cols, Outliers: parts[0].Outliers}
	offset := slices.ContainsFunc(parts, func(m Matrix) bool { return m.Zero != nil })
	for _, m := range parts {
		all.Rows += m.Rows
		all.Codes = append(all.Codes, m.Codes...)
		all.Scale = append(all.Scale, m.Scale...)
		for row := range m.Rows {
			if offset {
				all.Zero = append(all.Zero, m.zero(row))
			}
		}
	}
	for i := range all.Outliers {
		for _, m := range parts {
			all.Exact = append(all.Exact, m.Exact[i*m.Rows:][:m.Rows]...)
		}
	}
	return all
}
