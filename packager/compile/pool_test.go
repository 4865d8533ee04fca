package compile_test

import (
	"bytes"
	"fmt"
	"testing"

	"skiff/packager/graph"
	"skiff/runtime/engine"
)

// poolings are all there are, one of them twice.
var poolings = graph.Poolings{
	graph.PoolCLS, graph.PoolMax, graph.PoolMean, graph.PoolMeanSqrt, graph.PoolWeighted, graph.PoolLast, graph.PoolMean,
}

// pooled is a word table, pooled in every way, and a layer over all of it.
func pooled(h int, how graph.Poolings, after bool) builder {
	b := newBuilder()
	b.Hidden = h
	b.Last = b.Embed(graph.Lookup{Table: b.table("embed.word", b.Vocab, h), By: graph.ByID})
	b.Last = b.Norm(b.Last, 0, b.weights(graph.LayerNorm, "embed.norm", h))
	b.States = []graph.ID{b.Last}
	b.Pooled = b.Pool(b.Last, how...)
	for _, op := range b.Ops {
		if p, ok := op.(*graph.Pool); ok {
			p.AfterPrompt = after
		}
	}
	b.Answer = b.Normalize(b.Pooled)
	return b
}

// TestSideBySide runs poolings side by side, with prompts of several lengths left out, on
// both engines, alone and in a batch: the same bits, near the reference.
func TestSideBySide(t *testing.T) {
	for _, h := range []int{20, 32, 3} {
		for n := 1; n <= len(poolings); n += 3 {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d of %d, after %t", n, h, after), func(t *testing.T) {
					b := pooled(h, poolings[:n], after)
					if err := b.Check(); err != nil {
						t.Fatal(err)
					}
					f := newFixture(t, b.Model, b.samples(5, 24, 1, 9))
					for _, prompt := range []int{0, 1, 7} {
						if after || prompt == 0 {
							sideBySide(t, f, prompt)
						}
					}
				})
			}
		}
	}
}

func sideBySide(t *testing.T, f *fixture, prompt int) {
	t.Helper()
	batch, reference := f.pass(f.samples), f.model.Reference()
	batch.Skip = prompt
	whole, _ := f.run(t, engine.Go, []engine.Input{batch})
	wasm, _ := f.run(t, engine.Wasm, []engine.Input{batch})
	var alone []engine.Input
	for _, s := range f.samples {
		in := f.pass([]sample{s})
		in.Skip = prompt
		alone = append(alone, in)
	}
	single, _ := f.run(t, engine.Go, alone)
	if !bytes.Equal(whole[0], wasm[0]) || !bytes.Equal(bytes.Join(single, nil), whole[0]) {
		t.Errorf("a prompt of %d: the bits differ", prompt)
	}
	for i, s := range f.samples {
		want, err := reference.RunPrompted(s.IDs, prompt, nil, f.model.Answer)
		if err != nil {
			t.Fatal(err)
		}
		got := f.values(single[i])
		for j := range want[0] {
			if d := got[j] - want[0][j]; d > 0.02 || d < -0.02 || len(got) != len(want[0]) {
				t.Fatalf("a prompt of %d, text %d: column %d of %d is %g, want %g", prompt, i, j, len(got), got[j], want[0][j])
			}
		}
	}
}
