package packager_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/corpus"
	"skiff/packager/graph"
)

var update = flag.Bool("update", false, "write golden files anew")

// tinyFile is the bundle that runtime/infer's tests run: a random model of awkward sizes
// (hidden 36 is no multiple of 16, heads of 12 none of 8), packed by TestTinyBundle.
const tinyFile = "../runtime/infer/testdata/tiny.skiff"

// tiny is a random model with the letters and the corpus' commonest words as its
// vocabulary. The same seed gives the same model.
func tiny(t testing.TB) *graph.Model {
	t.Helper()
	m, _ := tinyEncoder(t, tinyVocab(), 4)
	m.Task = graph.TaskEmbed
	m.Pooled = m.Pool(m.Last, graph.PoolMean)
	m.Answer = m.Normalize(m.Pooled)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

// tinyEncoder is the model without an answer, and the source of its numbers. The first
// words of the vocabulary are special.
func tinyEncoder(t testing.TB, vocab []string, specials int) (*graph.Model, *rand.Rand) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 11))
	m := &graph.Model{
		Name: "tiny", Arch: "bert",
		Hidden: 36, Layers: 2, Heads: 3, Inner: 52, Vocab: len(vocab), MaxPositions: 64, Types: 2, Eps: 1e-12,
		MaxTokens: 48, TokenizerJSON: tinyTokenizer(t, vocab, specials),
	}
	h := m.Hidden
	table := func(name string, rows int, sigma float64) *graph.Table {
		return &graph.Table{Name: name, Rows: rows, Cols: h, Data: normal(rng, rows*h, sigma)}
	}
	word, position, kind := table("embed.word", m.Vocab, 0.5), table("embed.position", m.MaxPositions, 0.2), table("embed.type", m.Types, 0.1)
	x := m.Embed(graph.Lookup{Table: word, By: graph.ByID}, graph.Lookup{Table: kind, By: graph.ByType}, graph.Lookup{Table: position, By: graph.ByPosition})
	x = m.Norm(x, 0, tinyNorm(rng, "embed.norm", h))
	m.States = append(m.States, x)
	for i := range m.Layers {
		x = tinyBlock(m, rng, fmt.Sprintf("blocks.%d.", i), x)
		m.States = append(m.States, x)
	}
	m.Last = x
	return m, rng
}

// tinyBlock is one layer of BERT.
func tinyBlock(m *graph.Model, rng *rand.Rand, as string, x graph.ID) graph.ID {
	linear := func(name string, in, out int) *graph.LinearWeights {
		return &graph.LinearWeights{Name: as + name, In: in, Out: out, Weight: normal(rng, in*out, 1.5/math.Sqrt(float64(in))), Bias: normal(rng, out, 0.1)}
	}
	h, d := m.Hidden, m.Hidden/m.Heads
	query, key, value, out := linear("query", h, h), linear("key", h, h), linear("value", h, h), linear("out", h, h)
	attnNorm := tinyNorm(rng, as+"attn_norm", h)
	in, back := linear("ffn_in", h, m.Inner), linear("ffn_out", m.Inner, h)
	q, k, v := m.Linear(x, query, 0), m.Linear(x, key, 0), m.Linear(x, value, 0)
	y := m.Attend(graph.Attention{Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v}, Heads: m.Heads, HeadSize: d, Scale: 1 / math.Sqrt(float64(d))})
	y = m.Norm(m.Linear(y, out, 0), x, attnNorm)
	z := m.Linear(m.Linear(y, in, graph.Gelu), back, 0)
	return m.Norm(z, y, tinyNorm(rng, as+"ffn_norm", h))
}

func normal(rng *rand.Rand, n int, sigma float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64() * sigma)
	}
	return out
}

func tinyNorm(rng *rand.Rand, name string, h int) *graph.NormWeights {
	n := &graph.NormWeights{Name: name, Kind: graph.LayerNorm, Gain: normal(rng, h, 0.2), Bias: normal(rng, h, 0.1), Eps: 1e-12}
	for i := range n.Gain {
		n.Gain[i]++
	}
	return n
}

func tinyVocab() []string {
	vocab := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", "?", "the", "of", "and", "is", "man", "water"}
	for c := 'a'; c <= 'z'; c++ {
		vocab = append(vocab, string(c), "##"+string(c))
	}
	return vocab
}

func tinyTokenizer(t testing.TB, vocab []string, specials int) []byte {
	t.Helper()
	ids := map[string]int{}
	for i, w := range vocab {
		ids[w] = i
	}
	var added []map[string]any
	for i, w := range vocab[:specials] {
		added = append(added, map[string]any{"id": i, "content": w, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	special := func(w string) map[string]any {
		return map[string]any{"id": w, "ids": []int{ids[w]}, "tokens": []string{w}}
	}
	item := func(kind, id string, typ int) map[string]any {
		return map[string]any{kind: map[string]any{"id": id, "type_id": typ}}
	}
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer":    map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{
			"type":           "TemplateProcessing",
			"single":         []any{item("SpecialToken", "[CLS]", 0), item("Sequence", "A", 0), item("SpecialToken", "[SEP]", 0)},
			"pair":           []any{item("SpecialToken", "[CLS]", 0), item("Sequence", "A", 0), item("SpecialToken", "[SEP]", 0), item("Sequence", "B", 1), item("SpecialToken", "[SEP]", 1)},
			"special_tokens": map[string]any{"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")},
		},
		"decoder": map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":   map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fixedKey signs what is committed; its secret is no secret.
func fixedKey() sign.Private { return sign.FromSeed([32]byte{0: 1, 31: 2}) }

func packTiny(t testing.TB, cfg packager.Config) *bundle.Bundle {
	t.Helper()
	cfg.Key = fixedKey()
	b, _, err := packager.Pack(context.Background(), tiny(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fileBytes(t testing.TB, b *bundle.Bundle) []byte {
	t.Helper()
	var file strings.Builder
	if _, err := b.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	return []byte(file.String())
}

// Packing is reproducible: twice in this process, and as on the day the file was written.
// After a change of kernels or format, run with -update.
func TestTinyBundle(t *testing.T) {
	got := fileBytes(t, packTiny(t, packager.Config{}))
	if again := fileBytes(t, packTiny(t, packager.Config{})); string(got) != string(again) {
		t.Error("packed twice, two results")
	}
	if *update {
		if err := os.WriteFile(tinyFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(tinyFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%d bytes, %s has %d: the packager makes other bytes than it did", len(got), tinyFile, len(want))
	}
}

func TestPackRefuses(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(m *graph.Model, c *packager.Config){
		"a task with no answer yet": func(m *graph.Model, _ *packager.Config) { m.Task = graph.TaskClassify },
		"too many outliers":         func(_ *graph.Model, c *packager.Config) { c.Outliers = 5 },
		"a broken tokenizer":        func(m *graph.Model, _ *packager.Config) { m.TokenizerJSON = []byte("{") },
		"an embedding without a kernel": func(m *graph.Model, _ *packager.Config) {
			o := m.Ops[0].(*graph.Embed)
			o.Lookups = append(o.Lookups, o.Lookups[2])
		},
	} {
		m, cfg := tiny(t), packager.Config{Key: fixedKey()}
		change(m, &cfg)
		if _, _, err := packager.Pack(ctx, m, cfg); err == nil {
			t.Errorf("%s: packed", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := packager.Pack(stopped, tiny(t), packager.Config{Key: fixedKey()}); err == nil {
		t.Error("packed after it was cancelled")
	}
}

// Int8 loses little even on a random model, whose weights are the hardest case.
func TestTinyQuality(t *testing.T) {
	for outliers, floor := range map[int]float64{-1: 0.99, 1: 0.99, 4: 0.99} {
		b := packTiny(t, packager.Config{Outliers: outliers})
		q := b.Manifest.Quality
		t.Logf("%d outlier columns: cosine %.5f, min %.5f over %d texts", outliers, q.CosineMean, q.CosineMin, q.Count)
		if q.CosineMean < floor || q.Count != len(corpus.Texts()) {
			t.Errorf("%d outlier columns: cosine %.5f over %d texts", outliers, q.CosineMean, q.Count)
		}
	}
}
