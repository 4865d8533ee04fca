package quantize

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skiff/packager/graph"
)

// weightsOf are the numbers that codes stand for.
func weightsOf(c *graph.Int8, rows, cols int) []float32 {
	out := make([]float32, rows*cols)
	for i := range out {
		row, zero := i/cols, int32(0)
		if c.Zero != nil {
			zero = c.Zero[row%len(c.Zero)]
		}
		out[i] = float32(int32(c.Codes[i])-zero) * c.Scale[row%len(c.Scale)]
	}
	return out
}

func TestKeep(t *testing.T) {
	codes := []int8{-128, 127, 3, 0, -1, 5}
	for _, test := range []struct {
		name  string
		int8  graph.Int8
		scale []float32
		zero  []int32
		exact []float32 // column 1
	}{
		{"symmetric by tensor", graph.Int8{Scale: []float32{0.5}}, []float32{0.5, 0.5}, nil, []float32{63.5, -0.5}},
		{"symmetric by row", graph.Int8{Scale: []float32{0.5, 2}}, []float32{0.5, 2}, nil, []float32{63.5, -2}},
		{"zero points that are none", graph.Int8{Scale: []float32{1}, Zero: []int32{0, 0}}, []float32{1, 1}, nil, []float32{127, -1}},
		{"zero point by tensor", graph.Int8{Scale: []float32{1}, Zero: []int32{-128}}, []float32{1, 1}, []int32{-128, -128}, []float32{255, 127}},
		{"zero points by row", graph.Int8{Scale: []float32{1, 2}, Zero: []int32{0, 127}}, []float32{1, 2}, []int32{0, 127}, []float32{127, -256}},
		{"rows of scale 0", graph.Int8{Scale: []float32{0}, Zero: []int32{5}}, []float32{0, 0}, []int32{5, 5}, []float32{0, 0}},
	} {
		test.int8.Codes = codes
		m, err := Keep(&test.int8, weightsOf(&test.int8, 2, 3), 2, 3, []int32{1})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		want := Matrix{Rows: 2, Cols: 3, Codes: codes, Scale: test.scale, Zero: test.zero, Outliers: []int32{1}, Exact: test.exact}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

func TestKeepRefuses(t *testing.T) {
	for want, change := range map[string]func(c *graph.Int8, w []float32){
		"5 codes and 6 weights for 2 x 3":      func(c *graph.Int8, _ []float32) { c.Codes = c.Codes[:5] },
		"scales: 3 for 2 rows":                 func(c *graph.Int8, _ []float32) { c.Scale = make([]float32, 3) },
		"scales: 0 for 2 rows":                 func(c *graph.Int8, _ []float32) { c.Scale = nil },
		"zero points: 0 for 2 rows":            func(c *graph.Int8, _ []float32) { c.Zero = []int32{} },
		"zero points: 3 for 2 rows":            func(c *graph.Int8, _ []float32) { c.Zero = []int32{0, 0, 0} },
		"zero points: 70000 is past 16 bits":   func(c *graph.Int8, _ []float32) { c.Zero = []int32{70000} },
		"row 1: scale NaN":                     func(c *graph.Int8, _ []float32) { c.Scale = []float32{0.5, float32(math.NaN())} },
		"row 0: scale +Inf":                    func(c *graph.Int8, _ []float32) { c.Scale = []float32{float32(math.Inf(1))} },
		"row 1, column 2: code 6 stands for 3": func(_ *graph.Int8, w []float32) { w[5] = 3.3 },
		"the weight is NaN":                    func(_ *graph.Int8, w []float32) { w[0] = float32(math.NaN()) },
	} {
		c := graph.Int8{Codes: []int8{1, 2, 3, 4, 5, 6}, Scale: []float32{0.5}}
		w := weightsOf(&c, 2, 3)
		change(&c, w)
		if _, err := Keep(&c, w, 2, 3, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// kept is a layer whose codes come from a file.
func kept(name string, c graph.Int8, out, in int) *graph.LinearWeights {
	return &graph.LinearWeights{Name: name, In: in, Out: out, Weight: weightsOf(&c, out, in), Int8: &c}
}

// Query, key and value become one matrix; those that have codes keep them.
func TestQuantiseKeepsWhatIsFused(t *testing.T) {
	m := &graph.Model{Vocab: 2, MaxPositions: 2, MaxTokens: 2}
	word := &graph.Table{Name: "embed.word", Rows: 2, Cols: 2, Data: []float32{-128, 3, 4, 5}}
	word.Int8 = &graph.Int8{Codes: []int8{-128, 3, 4, 5}, Scale: []float32{1}}
	x := m.Embed(graph.Lookup{Table: word, By: graph.ByID})
	query := kept("a.query", graph.Int8{Codes: []int8{-128, 1, 2, 3}, Scale: []float32{0.25}, Zero: []int32{7}}, 2, 2)
	key := &graph.LinearWeights{Name: "a.key", In: 2, Out: 2, Weight: []float32{1, 0.5, 2, 4}, Bias: []float32{6, 7}}
	value := kept("a.value", graph.Int8{Codes: []int8{9, 8, 7, 6}, Scale: []float32{1, 2}}, 2, 2)
	q, k, v := m.Linear(x, query, 0), m.Linear(x, key, 0), m.Linear(x, value, 0)
	m.Answer = m.Attend(graph.Attention{Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v}, Heads: 1, HeadSize: 2, Scale: 1})
	model, err := Quantise(m, Inputs{"a.query": {1}})
	if err != nil {
		t.Fatal(err)
	}
	want := &Linear8{Name: "a.qkv", Bias: []float32{0, 0, 6, 7, 0, 0}, Matrix: Matrix{
		Rows: 6, Cols: 2,
		Codes: []int8{-128, 1, 2, 3, 127, 0, 127, 0, 9, 8, 7, 6},
		Scale: []float32{0.25, 0.25, 1.0 / 127, 2.0 / 127, 1, 2}, Zero: []int32{7, 7, 0, 0, 0, 0},
		Outliers: []int32{1}, Exact: []float32{-1.5, -1, 0.5, 4, 8, 12},
	}}
	for _, one := range model.QKV {
		if diff := cmp.Diff(want, one); diff != "" {
			t.Error(diff)
		}
	}
	if len(model.QKV) != 1 || model.Kept() != 3 {
		t.Errorf("%d fused, %d kept", len(model.QKV), model.Kept())
	}
	if diff := cmp.Diff(word.Int8.Codes, model.Tables[word].Codes); diff != "" {
		t.Errorf("the table: %s", diff)
	}
	value.Int8.Scale = nil
	if _, err := Quantise(m, nil); err == nil || !strings.Contains(err.Error(), "a.value: keep codes") {
		t.Errorf("without scales: %v", err)
	}
}

// Matrices one under another: of each outlier column the rows of all, then the next column.
func TestStack(t *testing.T) {
	a := Matrix{Rows: 2, Cols: 3, Codes: []int8{1, 2, 3, 4, 5, 6}, Scale: []float32{1, 2}, Outliers: []int32{0, 2}, Exact: []float32{1, 2, 3, 4}}
	b := Matrix{Rows: 1, Cols: 3, Codes: []int8{7, 8, 9}, Scale: []float32{3}, Zero: []int32{5}, Outliers: []int32{0, 2}, Exact: []float32{5, 6}}
	want := Matrix{
		Rows: 3, Cols: 3, Codes: []int8{1, 2, 3, 4, 5, 6, 7, 8, 9}, Scale: []float32{1, 2, 3}, Zero: []int32{0, 0, 5},
		Outliers: []int32{0, 2}, Exact: []float32{1, 2, 5, 3, 4, 6},
	}
	if diff := cmp.Diff(want, stack(a, b)); diff != "" {
		t.Error(diff)
	}
}

// A decoder that is a table with codes has these; codes of its own it keeps, beside a table
// that has none.
func TestTiedKeepsCodes(t *testing.T) {
	codes := &graph.Int8{Codes: []int8{-128, -2, 3, 4, 0, 5}, Scale: []float32{1, 0.5, 2}, Zero: []int32{0, 1, -1}}
	for _, tableHas := range []bool{true, false} {
		m := &graph.Model{Vocab: 3, MaxPositions: 2, MaxTokens: 2}
		word := &graph.Table{Name: "embed.word", Rows: 3, Cols: 2, Data: weightsOf(codes, 3, 2)}
		decoder := &graph.LinearWeights{Name: "decoder", In: 2, Out: 3, Weight: word.Data}
		if tableHas {
			word.Int8 = codes
		} else {
			decoder.Int8 = codes
		}
		x := m.Embed(graph.Lookup{Table: word, By: graph.ByID})
		m.Answer = m.Linear(x, decoder, 0)
		q, err := Quantise(m, Inputs{"decoder": {0}})
		if err != nil {
			t.Fatal(err)
		}
		got := q.Linears[decoder]
		if diff := cmp.Diff(codes.Codes, got.Codes); diff != "" || !cmp.Equal(codes.Zero, got.Zero) || q.Kept() != 1 {
			t.Errorf("table has codes: %v: %d kept: %s", tableHas, q.Kept(), diff)
		}
		if tied := got.Tied == word.Name; tied != tableHas || (len(got.Outliers) == 0) != tableHas {
			t.Errorf("table has codes: %v: tied to %q, outliers %v", tableHas, got.Tied, got.Outliers)
		}
		if tableHas {
			if diff := cmp.Diff(q.Tables[word], got.Matrix, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	}
}
