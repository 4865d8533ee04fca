package importer

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// sentenceCase is one way to pool and prompt, and what sentence-transformers makes of the
// texts with it, by the name of the prompt; "default" is none of the caller's.
type sentenceCase struct {
	Name             string
	Pooling, Prompts json.RawMessage
	Modules          json.RawMessage        // null: those of the base
	Vectors          map[string][][]float32 // nil where the library divides infinity
}

// sentences reads testdata/sentence, which its make.py wrote.
func sentences(t *testing.T) (base fstest.MapFS, texts []string, cases []sentenceCase) {
	t.Helper()
	base = fstest.MapFS{}
	for _, name := range []string{configName, "model.safetensors", tokenizerName, tokenizerConfigName, modulesName, sentencesName, "2_LayerNorm/" + configName, "2_LayerNorm/model.safetensors"} {
		data, err := os.ReadFile(filepath.Join("testdata", "sentence", name))
		if err != nil {
			t.Fatal(err)
		}
		base[name] = &fstest.MapFile{Data: data}
	}
	data, err := os.ReadFile(filepath.Join("testdata", "sentence", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts []string
		Cases []sentenceCase
	}
	if err := json.Unmarshal(data, &golden); err != nil || len(golden.Cases) == 0 {
		t.Fatal("no cases", err)
	}
	return base, golden.Texts, golden.Cases
}

// folder is the base with the case's own files.
func (c sentenceCase) folder(base fstest.MapFS) fs.FS {
	all := fstest.MapFS{"1_Pooling/" + configName: {Data: c.Pooling}}
	for name, f := range base {
		all[name] = f
	}
	if string(c.Prompts) != "null" {
		all[promptsName] = &fstest.MapFile{Data: c.Prompts}
	}
	if string(c.Modules) != "null" {
		all[modulesName] = &fstest.MapFile{Data: c.Modules}
	}
	return all
}

// TestSentences compares poolings and prompts with sentence-transformers 5.7.
func TestSentences(t *testing.T) {
	base, texts, cases := sentences(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m, err := OpenFS(t.Context(), c.folder(base), "sentence")
			if err != nil {
				t.Fatal(err)
			}
			ref := m.Reference()
			for prompt, rows := range c.Vectors {
				with, ok := m.Prompts[prompt]
				if prompt == "default" {
					with, ok = m.Prefix, true
				}
				if !ok || len(rows) != len(texts) {
					t.Fatalf("%d vectors, prompts %v", len(rows), m.Prompts)
				}
				for i, want := range rows {
					got, err := ref.EmbedWith(with, texts[i])
					if err != nil {
						t.Fatal(err)
					}
					if d := distance(got, want); want != nil && d > 1e-4 {
						t.Errorf("prompt %s, text %q: %g away: %v, want %v", prompt, texts[i], d, got, want)
					}
				}
			}
		})
	}
}

// TestLayerNormRefused: a norm of another width, of other weights or of none.
func TestLayerNormRefused(t *testing.T) {
	base, _, cases := sentences(t)
	for _, c := range cases {
		if string(c.Modules) == "null" {
			continue
		}
		files := c.folder(base).(fstest.MapFS)
		for want, change := range map[string]func(f fstest.MapFS){
			"dimension: 6, but the vector has 12 columns": func(f fstest.MapFS) { f["2_LayerNorm/config.json"] = &fstest.MapFile{Data: []byte(`{"dimension": 6}`)} },
			"eps: an unknown key": func(f fstest.MapFS) {
				f["2_LayerNorm/config.json"] = &fstest.MapFile{Data: []byte(`{"dimension": 12, "eps": 1}`)}
			},
			"2_LayerNorm/config.json": func(f fstest.MapFS) { delete(f, "2_LayerNorm/config.json") },
			"no weights":              func(f fstest.MapFS) { delete(f, "2_LayerNorm/model.safetensors") },
			"norm.weight":             func(f fstest.MapFS) { f["2_LayerNorm/model.safetensors"] = f["model.safetensors"] },
		} {
			changed := maps.Clone(files)
			change(changed)
			if _, err := OpenFS(t.Context(), changed, "m"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	}
}

// distance is the largest difference of two vectors' elements.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	most := 0.0
	for i := range a {
		most = max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}
