package compile_test

import (
	"testing"

	"skiff/packager/graph"
)

// Two attentions whose pairs turn by steps of their own, each unlike the other's.
func TestRotarySteps(t *testing.T) {
	b := newBuilder()
	h := b.Hidden
	x := b.Embed(graph.Lookup{Table: b.table("embed.word", b.Vocab, h), By: graph.ByID})
	for _, block := range []struct {
		name  string
		steps []float64
	}{{"blocks.0", []float64{1, 0.7, 0.5, 0.3, 0.1}}, {"blocks.1", []float64{0.2, 0.4, 0.6, 0.8, 1.1}}} {
		q, k, v := b.linear(x, block.name+".query", h, 0), b.linear(x, block.name+".key", h, 0), b.linear(x, block.name+".value", h, 0)
		y := b.Attend(graph.Attention{
			Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v}, Heads: 2, HeadSize: h / 2, Scale: 1,
			Relative: &graph.Rotary{Steps: block.steps},
		})
		x = b.Norm(y, 0, b.weights(graph.LayerNorm, block.name+".norm", h))
	}
	b.States, b.Last = []graph.ID{x}, x
	b.Answer = b.Pool(x, graph.PoolMean)
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, b.Model, b.samples(5, 24, 2, 7))
	f.compare(t)
	t.Logf("cosine %.5f at least", f.least)
	if f.least < 0.995 {
		t.Errorf("cosine %.5f at least", f.least)
	}
}
