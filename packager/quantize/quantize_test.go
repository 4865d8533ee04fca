package quantize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skiff/packager/graph"
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

// A decoder that is the word table has the table's codes, whatever its outliers; one that
// only equals it has its own.
func TestTied(t *testing.T) {
	m := &graph.Model{Vocab: 3, MaxPositions: 2, MaxTokens: 2}
	word := &graph.Table{Name: "embed.word", Rows: 3, Cols: 2, Data: []float32{1, -2, 3, 4, 0, 5}}
	tied := &graph.LinearWeights{Name: "tied", In: 2, Out: 3, Weight: word.Data}
	equal := &graph.LinearWeights{Name: "equal", In: 2, Out: 3, Weight: append([]float32(nil), word.Data...)}
	x := m.Embed(graph.Lookup{Table: word, By: graph.ByID})
	m.Answer = m.Add(m.Linear(x, tied, 0), m.Linear(x, equal, 0))
	outliers, err := Calibrate(t.Context(), m, []string{""}, 1, func(string) []int32 { return []int32{0, 1} }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := outliers["tied"]; ok || len(outliers["equal"]) != 1 {
		t.Errorf("outliers %v", outliers)
	}
	q, err := Quantise(m, Inputs{"tied": {0}, "equal": {0}})
	if err != nil {
		t.Fatal(err)
	}
	one, other := q.Linears[tied], q.Linears[equal]
	if diff := cmp.Diff(q.Tables[word], one.Matrix, cmpopts.EquateEmpty()); diff != "" || one.Tied != word.Name {
		t.Errorf("tied to %q: %s", one.Tied, diff)
	}
	if other.Tied != "" || len(other.Outliers) != 1 {
		t.Errorf("tied to %q, outliers %v", other.Tied, other.Outliers)
	}
}
