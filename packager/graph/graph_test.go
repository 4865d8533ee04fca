package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// random is a small model with weights from a fixed seed.
func random(h, heads, inner, layers int) *Model {
	w := &weights{rand.New(rand.NewPCG(1, 2))}
	m := &Model{Name: "random", Arch: "bert", Task: TaskEmbed, Hidden: h, Layers: layers, Heads: heads, Inner: inner, Vocab: 20, MaxPositions: 16, Types: 2}
	x := m.Embed(Lookup{Table: w.table("embed.word", 20, h), By: ByID}, Lookup{Table: w.table("embed.type", 2, h), By: ByType},
		Lookup{Table: w.table("embed.position", 16, h), By: ByPosition})
	x = m.Norm(x, 0, w.norm("embed.norm", h))
	m.States = append(m.States, x)
	for i := range layers {
		at := fmt.Sprintf("blocks.%d.", i)
		q, k, v := m.Linear(x, w.linear(at+"query", h, h), 0), m.Linear(x, w.linear(at+"key", h, h), 0), m.Linear(x, w.linear(at+"value", h, h), 0)
		y := m.Attend(Attention{Q: Slice{X: q}, K: Slice{X: k}, V: Slice{X: v}, Heads: heads, HeadSize: h / heads, Scale: 1 / math.Sqrt(float64(h/heads))})
		y = m.Norm(m.Linear(y, w.linear(at+"out", h, h), 0), x, w.norm(at+"attn_norm", h))
		x = m.Linear(m.Linear(y, w.linear(at+"ffn_in", inner, h), Gelu), w.linear(at+"ffn_out", h, inner), 0)
		x = m.Norm(x, y, w.norm(at+"ffn_norm", h))
		m.States = append(m.States, x)
	}
	m.Last = x
	m.Pooled = m.Pool(x, PoolMean)
	m.Answer = m.Normalize(m.Pooled)
	return m
}

// weights makes random ones.
type weights struct{ r *rand.Rand }

func (w *weights) vec(n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(w.r.NormFloat64() * scale)
	}
	return v
}

func (w *weights) table(name string, rows, cols int) *Table {
	return &Table{Name: name, Rows: rows, Cols: cols, Data: w.vec(rows*cols, 1)}
}

func (w *weights) norm(name string, h int) *NormWeights {
	return &NormWeights{name, LayerNorm, w.vec(h, 1), w.vec(h, 0.1), 1e-6}
}

func (w *weights) linear(name string, out, in int) *LinearWeights {
	return &LinearWeights{Name: name, In: in, Out: out, Weight: w.vec(in*out, 1/math.Sqrt(float64(in))), Bias: w.vec(out, 0.1)}
}

// naive is a linear layer as its comment says it, one dot product after the other.
func naive(l *LinearWeights, x []float32, rows int) []float32 {
	y := make([]float32, rows*l.Out)
	for r := range rows {
		for o := range l.Out {
			sum := 0.0
			for i := range l.In {
				sum += float64(x[r*l.In+i]) * float64(l.Weight[o*l.In+i])
			}
			if l.Bias != nil {
				sum += float64(l.Bias[o])
			}
			y[r*l.Out+o] = float32(sum)
		}
	}
	return y
}

// TestLinear: tiles, tails and splits change nothing.
func TestLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][3]int{{1, 1, 1}, {2, 4, 8}, {3, 5, 7}, {5, 3, 1}, {1, 9, 4}, {7, 17, 33}} {
		rows, n, k := size[0], size[1], size[2]
		l := &LinearWeights{In: k, Out: n, Weight: make([]float32, n*k), Bias: make([]float32, n)}
		x := make([]float32, rows*k)
		for _, v := range [][]float32{l.Weight, l.Bias, x} {
			for i := range v {
				v[i] = float32(r.NormFloat64())
			}
		}
		if diff := cmp.Diff(naive(l, x, rows), l.apply(x, rows)); diff != "" {
			t.Errorf("%v: %s", size, diff)
		}
		l.Bias = nil
		if diff := cmp.Diff(naive(l, x, rows), l.apply(x, rows)); diff != "" {
			t.Errorf("%v without bias: %s", size, diff)
		}
	}
}

// TestWorkers: the bits do not depend on the number of CPUs.
func TestWorkers(t *testing.T) {
	m := random(12, 3, 20, 2)
	ids := []int32{2, 5, 7, 19, 0, 3, 3}
	one := runtime.GOMAXPROCS(1)
	want, err := m.Reference().EmbedIDs(ids, nil)
	runtime.GOMAXPROCS(4)
	got, again := m.Reference().EmbedIDs(ids, nil)
	runtime.GOMAXPROCS(one)
	if err != nil || again != nil {
		t.Fatal(err, again)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	length := 0.0
	for _, v := range want {
		length += float64(v) * float64(v)
	}
	if math.Abs(length-1) > 1e-6 {
		t.Errorf("the vector's length is %v", math.Sqrt(length))
	}
}

// TestTap: every Linear is seen once, in order, with the shape of its input,
// and what it saw times the Linear is what the next one is made from.
func TestTap(t *testing.T) {
	m := random(8, 2, 12, 2)
	var seen []string
	states, err := m.Reference().Hidden([]int32{1, 2, 3}, []int32{0, 1, 1}, func(name string, x []float32, rows, cols int) {
		seen = append(seen, fmt.Sprintf("%s %dx%d %d", name, rows, cols, len(x)))
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range Linears(m.Ops) {
		want = append(want, fmt.Sprintf("%s 3x%d %d", l.Name, l.In, 3*l.In))
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if len(states) != 3 || len(states[2]) != 24 {
		t.Errorf("%d states, the last of %d values", len(states), len(states[len(states)-1]))
	}
}

// TestBlock follows one block by hand where attention is trivial: a text of one
// token attends to itself alone.
func TestBlock(t *testing.T) {
	m := random(4, 2, 6, 1)
	states, err := m.Reference().Hidden([]int32{9}, []int32{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, x := Linears(m.Ops), states[0]
	y := naive(l[3], naive(l[2], x, 1), 1)
	add(y, x)
	m.Ops[7].(*Norm).W.apply(y)
	inner := naive(l[4], y, 1)
	for i, v := range inner {
		inner[i] = float32(Gelu.Func()(float64(v)))
	}
	z := naive(l[5], inner, 1)
	add(z, y)
	m.Ops[10].(*Norm).W.apply(z)
	if diff := cmp.Diff(z, states[1]); diff != "" {
		t.Error(diff)
	}
}

func TestInputRefused(t *testing.T) {
	m := random(4, 2, 6, 1)
	for want, in := range map[string][2][]int32{
		"0 tokens":       {nil, nil},
		"17 tokens":      {make([]int32, 17), make([]int32, 17)},
		"has id 20":      {{20}, {0}},
		"has id -1":      {{-1}, {0}},
		"has type 2":     {{1}, {2}},
		"1 ids but 2 ty": {{1}, {0, 0}},
	} {
		if _, err := m.Reference().Hidden(in[0], in[1], nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	m.Task = TaskEncode
	if _, err := m.Reference().EmbedIDs([]int32{1}, nil); err == nil || !strings.Contains(err.Error(), "no pooling") {
		t.Errorf("got %v", err)
	}
}

// TestActivations checks a few values known in closed form or from tables.
func TestActivations(t *testing.T) {
	for _, c := range []struct {
		a       Activation
		x, want float64
	}{
		{Gelu, 1, 0.8413447460685429}, {Gelu, -40, 0}, {GeluTanh, 1, 0.8411919906082768}, {Relu, -2, 0}, {Relu, 2, 2},
		{Silu, 1, 0.7310585786300049}, {Tanh, 0.5, 0.46211715726000973}, {Sigmoid, 0, 0.5}, {0, 3, 3},
	} {
		if got := c.a.Func()(c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v(%v) = %v, want %v", c.a, c.x, got, c.want)
		}
	}
}

// BenchmarkLinear is the largest Linear of a MiniLM at 128 tokens.
func BenchmarkLinear(b *testing.B) {
	l := &LinearWeights{In: 384, Out: 1536, Weight: make([]float32, 384*1536), Bias: make([]float32, 1536)}
	x := make([]float32, 128*384)
	for b.Loop() {
		l.apply(x, 128)
	}
	b.ReportMetric(float64(b.N)*128*384*1536/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
