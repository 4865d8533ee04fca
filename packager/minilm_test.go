package packager_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/packager"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// shared is the folder of real models and golden outputs beside the repository; tests that
// want it skip loudly without it.
func shared(t *testing.T, path string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	full := filepath.Join(root, path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is not here (set SKIFF_SHARED)", full)
	}
	return full
}

// all-MiniLM-L6-v2 in int8 stays close to what the original library computed in float32.
func TestMiniLM(t *testing.T) {
	if testing.Short() {
		t.Skip("short: packs a model of 90 MB")
	}
	ctx := context.Background()
	m, err := importer.Open(ctx, shared(t, "models/all-MiniLM-L6-v2"))
	if err != nil {
		t.Fatal(err)
	}
	b, report, err := packager.Pack(ctx, m, packager.Config{Key: fixedKey(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %+v", b.Size(), report.Quality)
	texts, want := references(t)
	model, err := infer.Load(ctx, b, infer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close(ctx)
	got, err := model.Embed(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	lowest, sum := 1.0, 0.0
	for i := range got {
		c := packager.Cosine(got[i], want[i])
		lowest, sum = math.Min(lowest, c), sum+c
	}
	t.Logf("cosine to the original library over %d texts: mean %.5f, minimum %.5f", len(got), sum/float64(len(got)), lowest)
	if mean := sum / float64(len(got)); mean < 0.998 || lowest < 0.99 {
		t.Errorf("cosine mean %.5f, minimum %.5f: want 0.998 and 0.99", mean, lowest)
	}
}

// references are the texts of ../shared/minilm and their embeddings.
func references(t *testing.T) ([]string, [][]float32) {
	t.Helper()
	data, err := os.ReadFile(shared(t, "minilm/reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Texts []struct{ Text string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range file.Texts {
		texts = append(texts, e.Text)
	}
	f, err := safetensors.Open(shared(t, "minilm/reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		if v, _ := f.Tensor(name); len(v.Shape) == 2 && v.Shape[0] == len(texts) && v.DType == tensor.F32 {
			flat, err := v.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			rows := make([][]float32, len(texts))
			for i := range rows {
				rows[i] = flat[i*v.Shape[1] : (i+1)*v.Shape[1]]
			}
			return texts, rows
		}
	}
	t.Fatalf("no tensor of %d rows among %v", len(texts), f.Names())
	return nil, nil
}
