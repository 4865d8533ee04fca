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
	r := rand.New(rand.NewPCG(1, 2))
	vec := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64() * scale)
		}
		return v
	}
	norm := func() Norm { return Norm{vec(h, 1), vec(h, 0.1), 1e-6} }
	linear := func(out, in int) Linear {
		return Linear{in, out, vec(in*out, 1/math.Sqrt(float64(in))), vec(out, 0.1)}
	}
	m := &Model{Name: "random", Arch: "bert", Task: TaskEmbed, Hidden: h, Layers: layers, Heads: heads, Inner: inner, Vocab: 20, MaxPositions: 16, Types: 2,
		Pool: PoolMean, Normalize: true}
	m.Embed = Embedding{vec(20*h, 1), vec(16*h, 1), vec(2*h, 1), norm()}
	for range layers {
		m.Blocks = append(m.Blocks, Block{linear(h, h), linear(h, h), linear(h, h), linear(h, h), norm(), linear(inner, h), Gelu, linear(h, inner), norm()})
	}
	return m
}

// naive is a Linear as its comment says it, one dot product after the other.
func naive(l *Linear, x []float32, rows int) []float32 {
	y := make([]float32, rows*l.Out)
	for r := range rows {
		for o := range l.Out {
			sum := 0.0
			for i := range l.In {
				sum += float64(x[r*l.In+i]) * float64(l.Weight[o*l.In+i])
			}
			y[r*l.Out+o] = float32(sum + float64(l.Bias[o]))
		}
	}
	return y
}

// TestLinear: tiles, tails and splits change nothing.
func TestLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][3]int{{1, 1, 1}, {2, 4, 8}, {3, 5, 7}, {5, 3, 1}, {1, 9, 4}, {7, 17, 33}} {
		rows, n, k := size[0], size[1], size[2]
		l := &Linear{In: k, Out: n, Weight: make([]float32, n*k), Bias: make([]float32, n)}
		x := make([]float32, rows*k)
		for _, v := range [][]float32{l.Weight, l.Bias, x} {
			for i := range v {
				v[i] = float32(r.NormFloat64())
			}
		}
		if diff := cmp.Diff(naive(l, x, rows), l.apply(x, rows)); diff != "" {
			t.Errorf("%v: %s", size, diff)
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
	for i := range m.Blocks {
		for _, l := range m.Blocks[i].Linears(i) {
			want = append(want, fmt.Sprintf("%s 3x%d %d", l.Name, l.In, 3*l.In))
		}
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
	b, x := &m.Blocks[0], states[0]
	y := naive(&b.Out, naive(&b.Value, x, 1), 1)
	add(y, x)
	b.AttnNorm.apply(y, 4)
	inner := naive(&b.FFNIn, y, 1)
	for i, v := range inner {
		inner[i] = float32(Gelu.Func()(float64(v)))
	}
	z := naive(&b.FFNOut, inner, 1)
	add(z, y)
	b.FFNNorm.apply(z, 4)
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
	m.Pool = PoolNone
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
		{Silu, 1, 0.7310585786300049}, {Tanh, 0.5, 0.46211715726000973}, {0, 3, 3},
	} {
		if got := c.a.Func()(c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v(%v) = %v, want %v", c.a, c.x, got, c.want)
		}
	}
}

// BenchmarkLinear is the largest Linear of a MiniLM at 128 tokens.
func BenchmarkLinear(b *testing.B) {
	l := &Linear{In: 384, Out: 1536, Weight: make([]float32, 384*1536), Bias: make([]float32, 1536)}
	x := make([]float32, 128*384)
	for b.Loop() {
		l.apply(x, 128)
	}
	b.ReportMetric(float64(b.N)*128*384*1536/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
