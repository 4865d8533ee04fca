package compile_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"skiff/packager/compile"
	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/engine"
)

// builder makes models of parts that no fixture puts together.
type builder struct {
	*graph.Model
	rng *rand.Rand
}

func newBuilder() builder {
	return builder{&graph.Model{
		Name: "odd", Task: graph.TaskEmbed, Hidden: 20, Heads: 2, Vocab: 30, MaxPositions: 24, MaxTokens: 24,
	}, rand.New(rand.NewPCG(3, 5))}
}

func (b builder) normal(n int, sigma float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(b.rng.NormFloat64() * sigma)
	}
	return out
}

func (b builder) table(name string, rows, cols int) *graph.Table {
	return &graph.Table{Name: name, Rows: rows, Cols: cols, Data: b.normal(rows*cols, 1)}
}

func (b builder) linear(x graph.ID, name string, out int, act graph.Activation) graph.ID {
	in := b.Values[x].Cols
	return b.Linear(x, &graph.LinearWeights{Name: name, In: in, Out: out, Weight: b.normal(in*out, 1/math.Sqrt(float64(in)))}, act)
}

func (b builder) weights(kind graph.NormKind, name string, cols int) *graph.NormWeights {
	return &graph.NormWeights{Name: name, Kind: kind, Gain: b.normal(cols, 1), Eps: 1e-6}
}

// odd runs every activation, norm and pool over the rows of tokens and of texts, and
// attention whose query, key and value lie apart, with a bias within a window.
func odd() builder {
	b := newBuilder()
	h, heads := b.Hidden, b.Heads
	word, place := b.table("embed.word", b.Vocab, h), b.table("embed.position", b.MaxPositions+2, h)
	x := b.Embed(graph.Lookup{Table: place, By: graph.ByPosition, Offset: 2}, graph.Lookup{Table: word, By: graph.ByID})
	b.States = append(b.States, x)
	y := x
	for i, act := range []graph.Activation{graph.Gelu, graph.GeluTanh, graph.Relu, graph.Silu, graph.Tanh, graph.Sigmoid} {
		y = b.linear(y, "act."+string(rune('a'+i)), h+1+i, act)
	}
	x = b.Add(x, b.linear(y, "act.back", h, 0))
	wide := b.linear(b.Norm(x, 0, b.weights(graph.LayerNorm, "a.norm", h)), "a.keys", 2*h, 0)
	query := b.linear(x, "a.query", h, 0)
	z := b.Attend(graph.Attention{
		Q: graph.Slice{X: query}, K: graph.Slice{X: wide, First: h}, V: graph.Slice{X: wide},
		Heads: heads, HeadSize: h / heads, Scale: 0.5, Window: 3,
		Relative: &graph.Bias{Table: b.table("a.bias", 8, heads), Buckets: 8, MaxDistance: 12},
	})
	b.Last = b.Norm(z, x, b.weights(graph.NoNorm, "a.out", h))
	b.States = append(b.States, b.Last)
	var sum graph.ID
	for _, how := range []graph.Pooling{graph.PoolMean, graph.PoolCLS, graph.PoolMax, graph.PoolLast, graph.PoolWeighted, graph.PoolMeanSqrt} {
		p := b.Norm(b.Pool(b.Last, how), 0, b.weights(graph.LayerNorm, how.String(), h))
		if sum != 0 {
			p = b.Add(sum, p)
		}
		sum = p
	}
	p := b.Glu(b.linear(sum, "head.gate", 2*h, 0), graph.Sigmoid)
	p = b.Norm(p, sum, b.weights(graph.LayerNorm, "head.norm", h))
	p = b.Norm(p, 0, b.weights(graph.NoNorm, "head.nonorm", h))
	b.Pooled = b.linear(p, "head.dense", h+3, graph.Sigmoid)
	b.Answer = b.Normalize(b.Pooled)
	return b
}

func (b builder) samples(lengths ...int) []sample {
	var out []sample
	for _, n := range lengths {
		var s sample
		for range n {
			s.IDs = append(s.IDs, int32(b.rng.IntN(b.Vocab)))
		}
		out = append(out, s)
	}
	return out
}

func TestOdd(t *testing.T) {
	b := odd()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, b.Model, b.samples(1, 24, 2, 7, 13, 24))
	f.compare(t)
	t.Logf("cosine %.5f, at least %.5f", f.all.cosine(), f.least)
}

// A decoder that is the word table again shares its bytes; nothing picked runs no head.
func TestTied(t *testing.T) {
	b := newBuilder()
	b.Task = graph.TaskFillMask
	word := b.table("embed.word", b.Vocab, b.Hidden)
	x := b.Norm(b.Embed(graph.Lookup{Table: word, By: graph.ByID}), 0, b.weights(graph.LayerNorm, "embed.norm", b.Hidden))
	b.States, b.Last = []graph.ID{x}, x
	y := b.Norm(b.linear(x, "head.transform", b.Hidden, graph.Gelu), x, b.weights(graph.LayerNorm, "head.norm", b.Hidden))
	b.Answer = b.Linear(y, &graph.LinearWeights{
		Name: "head.decoder", In: b.Hidden, Out: b.Vocab, Weight: word.Data, Bias: b.normal(b.Vocab, 1),
	}, 0)
	f := newFixture(t, b.Model, b.samples(5, 24, 1))
	f.samples = f.samples[:2] // of one token, both picks are the same
	f.compare(t)
	for _, x := range f.compiled.Tensors {
		if strings.HasPrefix(x.Name, "head.decoder") && x.Name != "head.decoder.bias" {
			t.Errorf("tensor %s beside the table", x.Name)
		}
	}
	none := f.pass(f.samples)
	none.Picks = nil
	if outs, _ := f.run(t, engine.Wasm, []engine.Input{none}); len(outs[0]) != 0 {
		t.Errorf("%d bytes for no picks", len(outs[0]))
	}
}

func TestRefuses(t *testing.T) {
	for want, change := range map[string]func(b builder){
		"an embedding of 4 tables": func(b builder) {
			o := b.Ops[0].(*graph.Embed)
			o.Lookups = append(o.Lookups, o.Lookups[0], o.Lookups[0])
		},
		"the activation Activation(99)": func(b builder) { b.Ops[1].(*graph.Linear).Act = 99 },
		"the normalisation of token rows": func(b builder) {
			b.Answer = b.Normalize(b.Last)
		},
		"different rows of the table embed.position": func(b builder) {
			o := b.Ops[0].(*graph.Embed)
			again := o.Lookups[0]
			again.Offset = 1
			o.Lookups = append(o.Lookups, again)
		},
		"normalisation in a head that runs over picked rows": func(b builder) {
			b.Task = graph.TaskFillMask
			b.Answer = b.Normalize(b.linear(b.Last, "head.logits", 4, 0))
		},
		"none pooling": func(b builder) {
			for _, op := range b.Ops {
				if p, ok := op.(*graph.Pool); ok {
					p.How = graph.Poolings{graph.PoolNone}
				}
			}
		},
	} {
		b := odd()
		change(b)
		q, err := quantize.Quantise(b.Model, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compile.Compile(q, compile.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
