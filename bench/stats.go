package main

import (
	"cmp"
	"math"
	"slices"
)

// quantile of the values that are numbers, by nearest rank; NaN of none.
func quantile(values []float64, q float64) float64 {
	var v []float64
	for _, x := range values {
		if !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[int(math.Round(q*float64(len(v)-1)))]
}

// median averages the two in the middle.
func median(values []float64) float64 {
	var v []float64
	for _, x := range values {
		if !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// ratios divides round by round.
func ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if r := a[i] / b[i]; !math.IsNaN(r) && !math.IsInf(r, 0) {
			out = append(out, r)
		}
	}
	return out
}

// sortLabels sorts by height, the highest first.
func sortLabels(l []label) {
	slices.SortStableFunc(l, func(a, b label) int { return cmp.Compare(a.y, b.y) })
}
