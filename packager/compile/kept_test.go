package compile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"skiff/formats/tensor"
	"skiff/packager/compile"
	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// codes are random int8 codes of about this deviation, with a scale for each row or one for
// all and, offset, with zero points.
func (b builder) codes(rows, cols int, sigma float32, byRow, offset bool) (*graph.Int8, []float32) {
	c := &graph.Int8{Codes: make([]int8, rows*cols), Scale: make([]float32, 1)}
	if byRow {
		c.Scale = make([]float32, rows)
	}
	if offset {
		c.Zero = make([]int32, len(c.Scale))
	}
	for i := range c.Scale {
		c.Scale[i] = sigma / 64 * (1 + b.rng.Float32())
		if offset {
			c.Zero[i] = int32(b.rng.IntN(129) - 64)
		}
	}
	data := make([]float32, rows*cols)
	for i := range data {
		row := i / cols % len(c.Scale)
		var zero int32
		if offset {
			zero = c.Zero[row]
		}
		code := max(-128, min(127, b.rng.NormFloat64()*64+float64(zero)))
		c.Codes[i] = int8(code)
		data[i] = float32(int32(c.Codes[i])-zero) * c.Scale[row]
	}
	c.Codes[0] = -128
	var zero int32
	if offset {
		zero = c.Zero[0]
	}
	data[0] = float32(-128-zero) * c.Scale[0]
	return c, data
}

func (b builder) keptTable(name string, rows int, byRow, offset bool) *graph.Table {
	c, data := b.codes(rows, b.Hidden, 1, byRow, offset)
	return &graph.Table{Name: name, Rows: rows, Cols: b.Hidden, Data: data, Int8: c}
}

func (b builder) keptLinear(name string, in, out int, byRow, offset bool) *graph.LinearWeights {
	c, data := b.codes(out, in, 0.3, byRow, offset)
	return &graph.LinearWeights{Name: name, In: in, Out: out, Weight: data, Bias: b.normal(out, 0.1), Int8: c}
}

// keptModel is an encoder whose weights come as int8 of every sort, some with zero points:
// the embedding's tables, query, key and value of one attention, a feed-forward, and a
// decoder that is the word table.
func keptModel(wordOffset bool) builder {
	b := newBuilder()
	b.Task, b.Types = graph.TaskFillMask, 2
	h := b.Hidden
	word := b.keptTable("embed.word", b.Vocab, false, wordOffset)
	x := b.Embed(graph.Lookup{Table: word, By: graph.ByID}, graph.Lookup{Table: b.keptTable("embed.type", 2, true, false), By: graph.ByType},
		graph.Lookup{Table: b.table("embed.position", b.MaxPositions, h), By: graph.ByPosition})
	x = b.Norm(x, 0, b.weights(graph.LayerNorm, "embed.norm", h))
	b.States = append(b.States, x)
	q := b.Linear(x, b.keptLinear("blocks.0.query", h, h, true, true), 0)
	k := b.linear(x, "blocks.0.key", h, 0)
	v := b.Linear(x, b.keptLinear("blocks.0.value", h, h, false, false), 0)
	y := b.Attend(graph.Attention{Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v}, Heads: 2, HeadSize: h / 2, Scale: 0.3})
	y = b.Linear(y, b.keptLinear("blocks.0.out", h, h, false, false), 0)
	x = b.Norm(y, x, b.weights(graph.LayerNorm, "blocks.0.attn_norm", h))
	z := b.Linear(x, b.keptLinear("blocks.0.ffn_in", h, 3*h, false, true), graph.Gelu)
	z = b.Linear(z, b.keptLinear("blocks.0.ffn_out", 3*h, h, true, true), 0)
	b.Last = b.Norm(z, x, b.weights(graph.LayerNorm, "blocks.0.ffn_norm", h))
	b.States = append(b.States, b.Last)
	b.Answer = b.Linear(b.Last, &graph.LinearWeights{
		Name: "head.decoder", In: h, Out: b.Vocab, Weight: word.Data, Bias: b.normal(b.Vocab, 1), Int8: word.Int8,
	}, 0)
	return b
}

// Codes of a file run as they are, on every engine with the same bits, near the float32
// reference on what they stand for.
func TestKeptCodes(t *testing.T) {
	for _, wordOffset := range []bool{true, false} {
		b := keptModel(wordOffset)
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, b.Model, b.samples(5, 24, 2, 7))
		f.compare(t)
		t.Logf("cosine %.5f, at least %.5f", f.all.cosine(), f.least)
		batch := []engine.Input{f.pass(f.samples)}
		interpreted, _ := f.run(t, engine.Interp, batch)
		compiled, _ := f.run(t, engine.Wasm, batch)
		if !bytes.Equal(interpreted[0], compiled[0]) {
			t.Error("the interpreter's bits differ")
		}
		checkKept(t, f.compiled, wordOffset)
	}
}

// checkKept holds the tensors that ship against the codes of the model.
func checkKept(t *testing.T, r *compile.Result, wordOffset bool) {
	t.Helper()
	b := keptModel(wordOffset) // the same numbers again
	tensors := map[string]compile.Tensor{}
	offset := map[string]bool{}
	for _, x := range r.Tensors {
		tensors[x.Name] = x
		if name, ok := strings.CutSuffix(x.Name, ".zero"); ok {
			offset[name] = true
		}
	}
	want := map[string]bool{"blocks.0.qkv": true, "blocks.0.ffn_in": true, "blocks.0.ffn_out": true}
	for _, table := range []string{"embed.word", "embed.type", "embed.position"} {
		if wordOffset {
			want[table] = true // the sum of tables has zero points for all or none
		}
	}
	if fmt.Sprint(offset) != fmt.Sprint(want) {
		t.Errorf("zero points of %v, want %v", offset, want)
	}
	for _, op := range b.Ops {
		var name string
		var codes *graph.Int8
		switch o := op.(type) {
		case *graph.Embed:
			name, codes = o.Lookups[0].Table.Name, o.Lookups[0].Table.Int8
		case *graph.Linear:
			name, codes = o.W.Name, o.W.Int8
		}
		if name == "head.decoder" {
			name = "embed.word"
		}
		if codes == nil {
			continue
		}
		got, from := tensors[name], 0
		if i := strings.Index("query,key,value", strings.TrimPrefix(name, "blocks.0.")); i >= 0 {
			got, from = tensors["blocks.0.qkv"], map[int]int{0: 0, 10: 2}[i]*len(codes.Codes)
		}
		for i, c := range codes.Codes {
			if int8(got.Data[from+i]) != c {
				t.Fatalf("%s: code %d is %d, was %d", name, i, int8(got.Data[from+i]), c)
			}
		}
	}
	for _, w := range r.Program.Weights {
		zeros := strings.HasSuffix(w.Tensor, ".zero")
		if zeros != (w.Layout == program.Ints) || zeros && tensors[w.Tensor].DType != tensor.I32 {
			t.Errorf("%s: layout %d of %v", w.Tensor, w.Layout, tensors[w.Tensor].DType)
		}
	}
}

// Of a table that is cut at both ends, the rows that are left keep their zero points.
func TestKeptCodesOfCutTable(t *testing.T) {
	b := newBuilder()
	places := b.keptTable("embed.position", b.MaxPositions+9, true, true)
	x := b.Embed(graph.Lookup{Table: b.table("embed.word", b.Vocab, b.Hidden), By: graph.ByID}, graph.Lookup{Table: places, By: graph.ByPosition, Offset: 4})
	x = b.Norm(x, 0, b.weights(graph.LayerNorm, "embed.norm", b.Hidden))
	b.States, b.Last = []graph.ID{x}, x
	b.Answer = b.Pool(x, graph.PoolMax)
	f := newFixture(t, b.Model, b.samples(5, 24, 2, 7))
	f.compare(t)
	if f.least < 0.9995 {
		t.Errorf("cosine %.5f at least", f.least)
	}
}

// A zero point so far from its codes that sums would leave int32 is refused.
func TestFarZeroPoints(t *testing.T) {
	for zero, want := range map[int32]string{60000: "unsupported: zero point 60000 of far", 50000: ""} {
		b := newBuilder()
		b.Task = graph.TaskEncode
		x := b.Embed(graph.Lookup{Table: b.table("embed.word", b.Vocab, b.Hidden), By: graph.ByID})
		b.States, b.Last = []graph.ID{x}, x
		w := b.keptLinear("far", 300, 4, false, true)
		for i := range w.Weight {
			w.Weight[i] = 0
		}
		w.Int8.Scale[0], w.Int8.Zero[0] = 0, zero
		b.Answer = b.Linear(b.linear(x, "wide", 300, 0), w, 0)
		q, err := quantize.Quantise(b.Model, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = compile.Compile(q, compile.Config{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("zero point %d: %v", zero, err)
		}
	}
}
