package quantize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A code times its scale is never further from the weight than half a step, and the
// largest magnitude of a channel takes the largest code.
func TestLinearRoundsToNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, k = 7, 33
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(rng.NormFloat64() * math.Pow(10, float64(i%5)-2))
	}
	m, err := Linear(w, n, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for row := range n {
		var top int8
		for col := range k {
			c := m.Codes[row*k+col]
			if diff := math.Abs(float64(c)*float64(m.Scale[row]) - float64(w[row*k+col])); diff > 0.5001*float64(m.Scale[row]) {
				t.Fatalf("row %d col %d: off by %g with a step of %g", row, col, diff, m.Scale[row])
			}
			top = max(top, c, -c)
		}
		if top != Limit {
			t.Errorf("row %d: largest code %d, want %d", row, top, Limit)
		}
	}
}

func TestLinearKeepsOutliersApart(t *testing.T) {
	w := []float32{
		1, 100, -2, 3,
		0, -50, 0, 0,
	}
	m, err := Linear(w, 2, 4, []int32{1})
	if err != nil {
		t.Fatal(err)
	}
	want := Matrix{
		Rows: 2, Cols: 4,
		Codes:    []int8{42, 0, -85, 127, 0, 0, 0, 0},
		Scale:    []float32{3.0 / 127, 0},
		Outliers: []int32{1},
		Exact:    []float32{100, -50},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

func TestLinearRefusesWrongSize(t *testing.T) {
	if _, err := Linear(make([]float32, 5), 2, 3, nil); err == nil {
		t.Error("five weights passed for 2 x 3")
	}
}

func TestOutliersNameTheColumnsThatSetTheScale(t *testing.T) {
	o := NewOutliers(4)
	o.Watch([]float32{
		1, -9, 1, 1,
		1, 8, 2, 1,
		1, 1, 3, -1,
		0, 0, 0, 0,
	})
	if diff := cmp.Diff([]int32{1, 2}, o.Top(4)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{1}, o.Top(1)); diff != "" {
		t.Error(diff)
	}
	if got := NewOutliers(3).Top(2); len(got) != 0 {
		t.Errorf("no input named %v", got)
	}
}
