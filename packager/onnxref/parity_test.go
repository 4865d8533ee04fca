package onnxref

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Bounds of the differences from onnxruntime without its optimisations, relative
// where a value is larger than 1. onnxruntime adds up in float32 in an order of its
// own. In quantised files nearly every code is the same, so that the integer
// products are the same and the rest agrees to the last bits; where float noise
// carries one activation over the middle between two codes, a whole row moves.
const (
	floatBound = 2e-5
	exactBound = 2e-6
	flipBound  = 3e-2
)

// TestParity runs every ONNX file of the fixtures on every case of its folder and
// compares with onnxruntime.
func TestParity(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "golden_onnx.json"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, dir := range dirs {
		dir = filepath.Dir(dir)
		g := readGolden(t, dir)
		for file := range g.Files {
			t.Run(filepath.Base(dir)+"/"+file, func(t *testing.T) { parity(t, g, filepath.Join(dir, file)) })
		}
	}
}

func parity(t *testing.T, g golden, path string) {
	m := openModel(t, path)
	s := newSessionOf(t, m, Config{})
	file := filepath.Base(path)
	var tops []float64
	for i, c := range g.cases {
		got, err := s.Run(context.Background(), c.feeds(m), g.Outputs...)
		if err != nil {
			t.Fatal(err)
		}
		top := 0.0
		for _, name := range g.Outputs {
			top = max(top, worst(t, got[name], g.want(t, file, strconv.Itoa(i), name)))
		}
		tops = append(tops, top)
	}
	slices.Sort(tops)
	last := len(tops) - 1
	t.Logf("%d cases: differences up to %.1e, %.1e without the worst", len(tops), tops[last], tops[last-1])
	switch quantised := strings.Count(file, ".") > 1; {
	case !quantised && !(tops[last] <= floatBound):
		t.Errorf("outputs differ by %.1e, want at most %.0e", tops[last], floatBound)
	case quantised && !(tops[last-1] <= exactBound && tops[last] <= flipBound):
		t.Errorf("outputs differ by %.1e and %.1e, want at most %.0e and for one case %.0e", tops[last-1], tops[last], exactBound, flipBound)
	}
}
