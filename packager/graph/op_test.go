package graph

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is a model whose one value is a table of three tokens' rows.
func small(rows ...float32) (*Model, ID) {
	m := &Model{Vocab: len(rows) / 2, MaxPositions: 8}
	x := m.Embed(Lookup{Table: &Table{Name: "t", Rows: len(rows) / 2, Cols: 2, Data: rows}, By: ByID})
	m.States, m.Last, m.Answer = []ID{x}, x, x
	return m, x
}

// TestOps follows the small operations by hand, over the tokens 0, 1, 2.
func TestOps(t *testing.T) {
	table := []float32{1, -2, 3, 4, -5, 6}
	for name, c := range map[string]struct {
		op   func(m *Model, x ID) ID
		want []float32
	}{
		"mean":      {func(m *Model, x ID) ID { return m.Pool(x, PoolMean) }, []float32{-1.0 / 3, 8.0 / 3}},
		"cls":       {func(m *Model, x ID) ID { return m.Pool(x, PoolCLS) }, []float32{1, -2}},
		"max":       {func(m *Model, x ID) ID { return m.Pool(x, PoolMax) }, []float32{3, 6}},
		"last":      {func(m *Model, x ID) ID { return m.Pool(x, PoolLast) }, []float32{-5, 6}},
		"weighted":  {func(m *Model, x ID) ID { return m.Pool(x, PoolWeighted) }, []float32{-8.0 / 6, 24.0 / 6}},
		"root":      {func(m *Model, x ID) ID { return m.Pool(x, PoolMeanSqrt) }, []float32{float32(-1 / math.Sqrt(3)), float32(8 / math.Sqrt(3))}},
		"two pools": {func(m *Model, x ID) ID { return m.Pool(x, PoolMax, PoolCLS) }, []float32{3, 6, 1, -2}},
		"normalise": {func(m *Model, x ID) ID { return m.Normalize(m.Pool(x, PoolLast)) }, []float32{float32(-5 / math.Sqrt(61)), float32(6 / math.Sqrt(61))}},
		"add":       {func(m *Model, x ID) ID { return m.Add(x, x) }, []float32{2, -4, 6, 8, -10, 12}},
		"trigram":   {func(m *Model, x ID) ID { return m.Trigram(x) }, []float32{3, 4, 1, -2, 0, 0, -5, 6, 3, 4, 1, -2, 0, 0, -5, 6, 3, 4}},
		"glu":       {func(m *Model, x ID) ID { return m.Glu(x, Relu) }, []float32{-2, 12, 0}},
		"no norm": {func(m *Model, x ID) ID {
			return m.Norm(x, x, &NormWeights{Name: "n", Kind: NoNorm, Gain: []float32{1, 2}, Bias: []float32{0, 1}})
		}, []float32{2, -7, 6, 17, -10, 25}},
		"window": {func(m *Model, x ID) ID { // keys are zeros: a mean over the neighbours
			zero := m.Linear(x, &LinearWeights{Name: "zero", In: 2, Out: 2, Weight: make([]float32, 4)}, 0)
			return m.Attend(Attention{Q: Slice{X: zero}, K: Slice{X: zero}, V: Slice{X: x}, Heads: 1, HeadSize: 2, Scale: 1, Window: 1})
		}, []float32{2, 1, -1.0 / 3, 8.0 / 3, -1, 5}},
		"columns": {func(m *Model, x ID) ID {
			zero := m.Linear(x, &LinearWeights{Name: "zero", In: 2, Out: 1, Weight: make([]float32, 2)}, 0)
			return m.Attend(Attention{Q: Slice{X: zero}, K: Slice{X: zero}, V: Slice{X: x, First: 1}, Heads: 1, HeadSize: 1, Scale: 1})
		}, []float32{8.0 / 3, 8.0 / 3, 8.0 / 3}},
	} {
		m, x := small(table...)
		m.Answer = c.op(m, x)
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := m.Reference().Run([]int32{0, 1, 2}, nil, nil, m.Answer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestPaddedPlaces: padding takes the place before the first, and is not counted.
func TestPaddedPlaces(t *testing.T) {
	m := &Model{Vocab: 4, MaxPositions: 3}
	places := &Table{Name: "p", Rows: 5, Cols: 1, Data: []float32{0, 10, 20, 30, 40}}
	x := m.Embed(Lookup{Table: places, By: ByPosition, Offset: 2, Pad: true, PadID: 1})
	got, err := m.Reference().Run([]int32{0, 1, 3}, nil, nil, x)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{20, 10, 30}, got[0]); diff != "" {
		t.Error(diff)
	}
}

// TestDistances: the buckets of relative positions are those of the originals.
func TestDistances(t *testing.T) {
	bias := &Bias{Buckets: 32, MaxDistance: 128}
	for delta, want := range map[int]int{0: 0, 1: 17, -1: 1, 7: 23, -7: 7, -8: 8, -15: 9, -16: 10, 16: 26, -32: 12, -64: 14, -127: 15, -1000: 15, 1000: 31} {
		if got := bias.Bucket(delta); got != want {
			t.Errorf("bucket of %d is %d, want %d", delta, got, want)
		}
	}
	far := &Disentangled{Span: 256, Buckets: 256, MaxPosition: 512}
	for delta, want := range map[int]int{0: 256, 1: 257, 128: 384, 129: 385, 511: 511, 5000: 511, -1: 255, -128: 128, -511: 1, -5000: 0} {
		if got := far.Row(delta); got != want {
			t.Errorf("row of %d is %d, want %d", delta, got, want)
		}
	}
	near := &Disentangled{Span: 4}
	for delta, want := range map[int]int{0: 4, 3: 7, 4: 7, 90: 7, -4: 0, -5: 0} {
		if got := near.Row(delta); got != want {
			t.Errorf("without buckets, row of %d is %d, want %d", delta, got, want)
		}
	}
}

// TestNeeded: what the answer does not depend on is not run.
func TestNeeded(t *testing.T) {
	m := random(4, 2, 6, 1)
	all := len(m.Needed(m.Answer))
	m.Pooler = m.Linear(m.Pool(m.Last, PoolCLS), (&weights{}).square("pooler", 4), Tanh)
	if got := len(m.Needed(m.Answer)); got != all {
		t.Errorf("%d operations, want %d", got, all)
	}
	if got := len(m.Needed(m.Answer, m.Pooler)); got != all+2 {
		t.Errorf("%d operations with the pooler, want %d", got, all+2)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// square is a layer of zeros.
func (*weights) square(name string, n int) *LinearWeights {
	return &LinearWeights{Name: name, In: n, Out: n, Weight: make([]float32, n*n)}
}

// TestAfterPrompt: what a prompt leaves of three tokens, the others in their places.
func TestAfterPrompt(t *testing.T) {
	table := []float32{1, -2, 3, 4, -5, 6}
	for prompt, want := range [][]float32{
		{1, -2, 3, 6, -1.0 / 3, 8.0 / 3, float32(-1 / math.Sqrt(3)), float32(8 / math.Sqrt(3)), -8.0 / 6, 24.0 / 6, -5, 6},
		{3, 4, 3, 6, -1, 5, float32(-2 / math.Sqrt2), float32(10 / math.Sqrt2), -9.0 / 5, 26.0 / 5, -5, 6},
		{-5, 6, -5, 6, -5, 6, -5, 6, -5, 6, -5, 6},
		{1, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{1, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		m, x := small(table...)
		m.Answer = m.Pool(x, PoolCLS, PoolMax, PoolMean, PoolMeanSqrt, PoolWeighted, PoolLast)
		m.Ops[1].(*Pool).AfterPrompt = true
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		got, err := m.Reference().RunPrompted([]int32{0, 1, 2}, prompt, nil, m.Answer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("a prompt of %d tokens: %s", prompt, diff)
		}
	}
}

// TestCheck refuses models that would not run.
func TestCheck(t *testing.T) {
	for want, break_ := range map[string]func(m *Model){
		"takes 5 columns and gets 4":                    func(m *Model) { m.Ops[2].(*Linear).W.In = 5 },
		"weights and 4 biases":                          func(m *Model) { w := m.Ops[2].(*Linear).W; w.Weight = w.Weight[1:] },
		"before it is made":                             func(m *Model) { m.Ops[2].(*Linear).X = m.Last },
		"two weights are called":                        func(m *Model) { m.Ops[3].(*Linear).W.Name = "blocks.0.query" },
		"2 heads of 3":                                  func(m *Model) { a := m.Ops[5].(*Attention); a.HeadSize, a.Scale = 3, 0 },
		"columns 0 to 6 of 4":                           func(m *Model) { m.Ops[5].(*Attention).HeadSize = 3 },
		"rotary with theta 0 and 2 steps over heads of": func(m *Model) { m.Ops[5].(*Attention).Relative = &Rotary{Steps: []float64{1, 2}} },
		"rotary with theta 1":                           func(m *Model) { m.Ops[5].(*Attention).Relative = &Rotary{Theta: 1} },
		"gains and 4 biases":                            func(m *Model) { n := m.Ops[1].(*Norm).W; n.Gain = n.Gain[1:] },
		"which nothing makes":                           func(m *Model) { m.Answer = 0 },
		"table embed.type":                              func(m *Model) { m.Ops[0].(*Embed).Lookups[1].Offset = 2 },
		"of no token rows":                              func(m *Model) { m.Ops[11].(*Pool).How = nil },
		"makes value 1 twice or of":                     func(m *Model) { m.Values[1].Cols = 5 },
		"operation 12 (normalisation)":                  func(m *Model) { m.Ops[12].(*Normalize).X = 99 },
	} {
		m := random(4, 2, 6, 1)
		break_(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestAngle: each pair turns by its own step, or by the one that Theta gives it.
func TestAngle(t *testing.T) {
	const d = 6
	byTheta := &Rotary{Theta: 1000}
	bySteps := &Rotary{Steps: []float64{1, 0.1, 0.01}}
	for c, step := range bySteps.Steps {
		for _, token := range []int{0, 1, 7} {
			want := float64(token) * step
			for _, r := range []*Rotary{byTheta, bySteps} {
				if got := r.Angle(token, c, d); math.Abs(got-want) > 1e-12 {
					t.Errorf("token %d, pair %d: %g, want %g", token, c, got, want)
				}
			}
		}
	}
}
