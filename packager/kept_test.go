package packager_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/packager"
	"skiff/packager/corpus"
	"skiff/packager/graph"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// asFile makes codes of weights as files have them and puts what they stand for in the
// weights' place: by row and symmetric, or one scale and zero point for all.
func asFile(data []float32, rows, cols int, byRow bool) *graph.Int8 {
	c := &graph.Int8{Codes: make([]int8, len(data))}
	group := len(data)
	if byRow {
		group = cols
	}
	for from := 0; from < len(data); from += group {
		part := data[from : from+group]
		scale, zero := max(slices.Max(part), -slices.Min(part))/128, 0.0
		if !byRow {
			scale = (slices.Max(part) - slices.Min(part)) / 255
			zero = math.Round(-128 - float64(slices.Min(part)/scale))
			c.Zero = append(c.Zero, int32(zero))
		}
		c.Scale = append(c.Scale, scale)
		for i, w := range part {
			code := max(-128, min(127, math.Round(float64(w/scale))+zero))
			c.Codes[from+i] = int8(code)
			part[i] = float32(code-zero) * scale
		}
	}
	return c
}

// keptTiny is the tiny model as a file of int8 codes would give it: tables and every other
// layer with a zero point, the others by row; the feed-forwards' outputs in float32.
func keptTiny(t testing.TB) (*graph.Model, map[string]*graph.Int8) {
	m := tiny(t)
	codes := map[string]*graph.Int8{}
	for _, l := range m.Ops[0].(*graph.Embed).Lookups {
		l.Table.Int8 = asFile(l.Table.Data, l.Table.Rows, l.Table.Cols, false)
		codes[l.Table.Name] = l.Table.Int8
	}
	for i, w := range graph.Linears(m.Ops) {
		if strings.HasSuffix(w.Name, "ffn_out") {
			continue
		}
		w.Int8 = asFile(w.Weight, w.Out, w.In, i%2 == 0)
		codes[w.Name] = w.Int8
	}
	return m, codes
}

// A model of int8 codes ships these codes, bit for bit, and answers with them on every
// engine as the float32 reference does with what they stand for.
func TestKeptCodes(t *testing.T) {
	m, codes := keptTiny(t)
	ctx := context.Background()
	b, report, err := packager.Pack(ctx, m, packager.Config{Key: fixedKey(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kept; %s; cosine %.5f", report.Kept, b.Manifest.Lineage.Recipe, report.Quality.CosineMean)
	if report.Kept != len(codes) || !strings.Contains(b.Manifest.Lineage.Recipe, "13 tensors with the int8 codes of their file") {
		t.Errorf("%d kept of %d, recipe %q", report.Kept, len(codes), b.Manifest.Lineage.Recipe)
	}
	if report.Quality.CosineMean < 0.995 {
		t.Errorf("cosine %.5f", report.Quality.CosineMean)
	}
	checkShipped(t, b, codes)
	texts := corpus.Texts()[:20]
	var first [][]float32
	for _, kernels := range []string{"go", "wasm", "interp"} {
		model, err := infer.Load(ctx, b, infer.Config{Kernels: kernels})
		if err != nil {
			t.Fatal(err)
		}
		got, err := model.Embed(ctx, texts)
		if err != nil {
			t.Fatal(err)
		}
		if err := model.Close(ctx); err != nil {
			t.Error(err)
		}
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s has other bits than go:\n%s", kernels, diff)
		}
	}
}

// checkShipped looks every code of the model up in the bundle's tensors.
func checkShipped(t *testing.T, b *bundle.Bundle, codes map[string]*graph.Int8) {
	t.Helper()
	parts := map[string]int{"query": 0, "key": 1, "value": 2}
	for name, c := range codes {
		object, from := name, 0
		i := strings.LastIndex(name, ".") + 1
		if part, ok := parts[name[i:]]; ok {
			object, from = name[:i]+"qkv", part*len(c.Codes)
		}
		o, ok := b.Object(bundle.KindTensor, object)
		if !ok {
			t.Errorf("no tensor %s", object)
			continue
		}
		data, err := b.Read(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		// A table of positions ends with the longest text.
		for i, x := range data[from:min(from+len(c.Codes), len(data))] {
			if int8(x) != c.Codes[i] {
				t.Errorf("%s: code %d is %d, was %d", name, i, int8(x), c.Codes[i])
				break
			}
		}
		_, zeros := b.Object(bundle.KindTensor, object+".zero")
		if fused := object != name; !fused && zeros != (c.Zero != nil) {
			t.Errorf("%s: zero points in the bundle: %v", name, zeros)
		}
	}
}

// The int8 layers of PyTorch's dynamic quantisation ship the codes of their file.
func TestKeptTorch(t *testing.T) {
	from := filepath.Join(shared(t, "fixtures"), "bert-sequence-classification")
	for _, file := range []string{"pytorch_model_qint8.bin", "pytorch_model_qint8_per_channel.bin"} {
		dir := t.TempDir()
		for name, target := range map[string]string{
			"config.json": "config.json", "tokenizer.json": "tokenizer.json", "tokenizer_config.json": "tokenizer_config.json", "pytorch_model.bin": file,
		} {
			if err := os.Symlink(filepath.Join(from, target), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		m, err := importer.Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		codes := map[string]*graph.Int8{}
		for _, w := range graph.Linears(m.Needed(m.Answer)) {
			if w.Int8 != nil {
				codes[w.Name] = w.Int8
			}
		}
		b, report, err := packager.Pack(context.Background(), m, packager.Config{Key: fixedKey(), Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d kept, cosine %.5f", file, report.Kept, report.Quality.CosineMean)
		if report.Kept != len(codes) || report.Kept < 12 || report.Quality.CosineMean < 0.98 {
			t.Errorf("%s: %d kept of %d, cosine %.5f", file, report.Kept, len(codes), report.Quality.CosineMean)
		}
		checkShipped(t, b, codes)
	}
}
