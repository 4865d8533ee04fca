package compile_test

import (
	"strings"
	"testing"

	"skiff/packager/compile"
	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// padded is the mean of words and places, normed; padding has a place of its own, or pad is
// false and it is numbered as all tokens are.
func padded(pad bool) builder {
	b := newBuilder()
	l := graph.Lookup{Table: b.table("embed.position", b.MaxPositions+4, b.Hidden), By: graph.ByPosition, Offset: 4}
	word := b.table("embed.word", b.Vocab, b.Hidden)
	if pad {
		l.Pad, l.PadID = true, 3
	}
	x := b.Norm(b.Embed(graph.Lookup{Table: word, By: graph.ByID}, l), 0, b.weights(graph.LayerNorm, "embed.norm", b.Hidden))
	b.States, b.Last = []graph.ID{x}, x
	b.Answer = b.Pool(x, graph.PoolMax)
	return b
}

// Padding that a text spells out is numbered as the reference does.
func TestLiteralPadding(t *testing.T) {
	samples := []sample{
		{IDs: []int32{1, 3, 5, 6}}, {IDs: []int32{3, 3, 7, 3, 8, 9, 3}}, {IDs: []int32{3}}, {IDs: []int32{0, 1, 2}},
		{IDs: []int32{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1}},
		{IDs: []int32{0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}},
	}
	f := newFixture(t, padded(true).Model, samples)
	f.compare(t)
	if f.least < 0.9995 || f.compiled.Program.Pads != 4 {
		t.Errorf("cosine %.5f at least, pads %d", f.least, f.compiled.Program.Pads)
	}
	again, err := program.Decode(f.compiled.Program.Encode())
	if err != nil || again.Pads != 4 {
		t.Errorf("decoded: %v", err)
	}
	// The same numbers without padding's own place are another model: the test would see it.
	other := newFixture(t, padded(false).Model, samples)
	other.model = padded(true).Model
	out, _ := other.run(t, engine.Go, []engine.Input{other.pass(samples[:1])})
	want, err := other.model.Reference().Run(samples[0].IDs, nil, nil, other.model.Answer)
	if err != nil {
		t.Fatal(err)
	}
	other.measure(other.values(out[0]), want[0])
	if other.least > 0.99 || other.compiled.Program.Pads != 0 {
		t.Errorf("cosine %.5f without", other.least)
	}
}

func TestPaddingRefused(t *testing.T) {
	for want, change := range map[string]func(b builder, o *graph.Embed){
		"padding of id 30 in a vocabulary of 30": func(b builder, o *graph.Embed) { o.Lookups[1].PadID = int32(b.Vocab) },
		"two ways to number tokens, the other by more": func(b builder, o *graph.Embed) {
			o.Lookups = append(o.Lookups, graph.Lookup{Table: b.table("more", 40, b.Hidden), By: graph.ByPosition})
		},
		"two ways to number tokens, the other by other": func(b builder, o *graph.Embed) {
			o.Lookups = append(o.Lookups, graph.Lookup{Table: b.table("other", 40, b.Hidden), By: graph.ByPosition, Offset: 1, Pad: true, PadID: 4})
		},
	} {
		b := padded(true)
		change(b, b.Ops[0].(*graph.Embed))
		q, err := quantize.Quantise(b.Model, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compile.Compile(q, compile.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
