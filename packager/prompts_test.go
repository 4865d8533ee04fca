package packager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/formats/sign"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// TestPrompts packs the sentence models that the importer's tests hold to
// sentence-transformers, and asks each with every prompt: near what that library embeds.
func TestPrompts(t *testing.T) {
	dir := filepath.Join("importer", "testdata", "sentence")
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts []string
		Cases []struct {
			Name             string
			Pooling, Prompts json.RawMessage
			Modules          json.RawMessage
			Vectors          map[string][][]float32
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		if testing.Short() && !strings.Contains(c.Name, "flags") && c.Name != "mean after the prompt" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			files := fstest.MapFS{"1_Pooling/config.json": {Data: c.Pooling}}
			for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json", "2_LayerNorm/config.json", "2_LayerNorm/model.safetensors"} {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				files[name] = &fstest.MapFile{Data: data}
			}
			if !bytes.Equal(c.Prompts, []byte("null")) {
				files["config_sentence_transformers.json"] = &fstest.MapFile{Data: c.Prompts}
			}
			if !bytes.Equal(c.Modules, []byte("null")) {
				files["modules.json"] = &fstest.MapFile{Data: c.Modules}
			}
			m := packed(t, files)
			if names := m.Prompts(); len(names)+1 != len(c.Vectors) || !slices.IsSorted(names) {
				t.Errorf("prompts %v of %d", names, len(c.Vectors))
			}
			if _, err := m.Prompted("Query"); !errors.Is(err, infer.ErrPrompt) || !strings.Contains(err.Error(), strings.Join(m.Prompts(), ", ")) {
				t.Errorf("an unknown prompt: %v", err)
			}
			for name, want := range c.Vectors {
				sameDirection(t, m, name, golden.Texts, want)
			}
		})
	}
}

// packed is a model after its bundle was packed and loaded.
func packed(t *testing.T, files fstest.MapFS) *infer.Model {
	t.Helper()
	g, err := importer.OpenFS(t.Context(), files, "sentence")
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := Pack(t.Context(), g, Config{Key: sign.FromSeed([32]byte{1}), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	if q := b.Manifest.Quality; q.CosineMean < 0.995 { // the reference leaves out what the kernels do
		t.Errorf("measured cosine %.4f", q.CosineMean)
	}
	m, err := infer.Load(t.Context(), b, infer.Config{Kernels: "go"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

// sameDirection compares what m embeds after a prompt, in one call, by the cosine.
func sameDirection(t *testing.T, m *infer.Model, name string, texts []string, want [][]float32) {
	t.Helper()
	if name == "default" {
		name = ""
	}
	p, err := m.Prompted(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if ids, rows, err := p.Hidden(t.Context(), texts[i]); err != nil || len(ids) != p.Tokens(texts[i]) || len(rows) != len(ids) {
			t.Errorf("prompt %q, text %q: %d tokens, %d rows of hidden states, want %d: %v", name, texts[i], len(ids), len(rows), p.Tokens(texts[i]), err)
		}
		if want[i] == nil || slices.Max(want[i]) == slices.Min(want[i]) {
			continue // the library divides infinity, or nothing is left of the text
		}
		if c := Cosine(got[i], want[i]); c < 0.995 {
			t.Errorf("prompt %q, text %q: cosine %.4f: %v, want %v", name, texts[i], c, got[i], want[i])
		}
	}
}
