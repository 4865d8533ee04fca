package main

import (
	"testing"

	"skiff/runtime/infer"
)

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

// TestFilledLine: without --json the words of each mask stand with their scores, masks apart.
func TestFilledLine(t *testing.T) {
	masks := [][]infer.Candidate{{{ID: 3, Token: "dog", Score: 0.5}, {ID: 4, Token: "cat", Score: 0.25}}, {{ID: 5, Token: "sat", Score: 1}}}
	for n, want := range []string{"", "dog 0.5 cat 0.25", "dog 0.5 cat 0.25 | sat 1"} {
		if got := filled(masks[:n]).line(); got != want {
			t.Errorf("%d masks: %q, want %q", n, got, want)
		}
	}
}
