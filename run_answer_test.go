package main

import "testing"

// TestClassifiedLine: without --json every label that is shown has its own score.
func TestClassifiedLine(t *testing.T) {
	labels, scores := []string{"a", "b", "c"}, []float32{0.25, 0.625, 0.125}
	for _, c := range []struct {
		thresholds []float64
		top        int
		want       string
	}{
		{nil, 0, "b 0.625"},
		{nil, 1, "b 0.625"},
		{nil, 2, "b 0.625 a 0.25"},
		{nil, 9, "b 0.625 a 0.25 c 0.125"},
		{[]float64{0.25}, 0, "a 0.25 b 0.625"},
		{[]float64{0.25}, 1, "b 0.625"},
		{[]float64{0, 1, 0}, 2, "a 0.25"},
		{[]float64{1}, 0, ""},
	} {
		if got := classified(labels, scores, c.thresholds, c.top).line(); got != c.want {
			t.Errorf("thresholds %v, top %d: %q, want %q", c.thresholds, c.top, got, c.want)
		}
	}
}
