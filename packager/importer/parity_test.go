package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
	"skiff/packager/graph"
)

// readGolden reads a .json and the .safetensors beside it.
func readGolden(t *testing.T, base string, text any) *safetensors.File {
	t.Helper()
	data, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, text); err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Open(base + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// floats is a tensor of the golden file, nil where it does not exist.
func floats(t *testing.T, file *safetensors.File, name string) []float32 {
	t.Helper()
	v, ok := file.Tensor(name)
	if !ok {
		return nil
	}
	data, err := v.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// worst is the largest difference, relative where |want| > 1.
func worst(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	top := 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i])-float64(w)) / max(1, math.Abs(float64(w)))
		if !(d <= top) {
			top = d
		}
	}
	return top
}

func openModel(t *testing.T, dir string) *graph.Model {
	t.Helper()
	m, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFixtures compares every BERT fixture with its golden file: token ids,
// token types, all hidden states and, where it embeds, the embedding.
func TestFixtures(t *testing.T) {
	for _, name := range []string{
		"bert-embed", "bert-dtype-f32", "bert-dtype-f16", "bert-dtype-bf16", "bert-act-gelu-new", "bert-act-relu", "bert-act-silu",
		"bert-cross-encoder", "bert-masked-lm", "bert-names-no-prefix", "bert-names-pretraining", "bert-names-wrapped",
		"bert-question-answering", "bert-sequence-classification", "bert-teacher-sharded", "bert-token-classification",
	} {
		t.Run(name, func(t *testing.T) {
			dir := shared(t, "fixtures", name)
			var g struct {
				MaxLength int `json:"max_length"`
				Cases     []struct {
					Text  any     `json:"text"`
					IDs   []int32 `json:"input_ids"`
					Types []int32 `json:"token_type_ids"`
				} `json:"cases"`
			}
			file := readGolden(t, filepath.Join(dir, "golden"), &g)
			m := openModel(t, dir)
			hidden, embedding := 0.0, 0.0
			for i, c := range g.Cases {
				if text, ok := c.Text.(string); ok {
					if diff := cmp.Diff(c.IDs, m.Tokenizer.AppendIDs(nil, text, g.MaxLength)); diff != "" {
						t.Errorf("ids of %q: %s", text, diff)
					}
				}
				states, err := m.Reference().Hidden(c.IDs, c.Types, nil)
				if err != nil {
					t.Fatal(err)
				}
				hidden = max(hidden, worst(t, states[len(states)-1], floats(t, file, fmt.Sprintf("%d.last_hidden_state", i))))
				for l, s := range states {
					if want := floats(t, file, fmt.Sprintf("%d.hidden.%d", i, l)); want != nil {
						hidden = max(hidden, worst(t, s, want))
					}
				}
				if want := floats(t, file, fmt.Sprintf("%d.embedding", i)); want != nil {
					got, err := m.Reference().Embed(c.Text.(string))
					if err != nil {
						t.Fatal(err)
					}
					embedding = max(embedding, worst(t, got, want))
				} else if m.Task == graph.TaskEmbed {
					t.Errorf("case %d has no embedding", i)
				}
			}
			t.Logf("%d cases: hidden states %.1e, embeddings %.1e", len(g.Cases), hidden, embedding)
			if !(hidden <= 2e-5) || !(embedding <= 1e-5) {
				t.Errorf("hidden states differ by %.1e, embeddings by %.1e", hidden, embedding)
			}
		})
	}
}

// TestRefusedFixtures: what is not implemented yet is refused by name.
func TestRefusedFixtures(t *testing.T) {
	for name, want := range map[string]string{
		"bert-embed-cls-dense": "Dense", "bert-embed-cls-dense-classic": "Dense", "bert-embed-max-pool": `mode "max"`,
		"distilbert-embed": "distilbert",
	} {
		_, err := Open(context.Background(), shared(t, "fixtures", name))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// TestMiniEmbed compares the built-in model with its golden file.
func TestMiniEmbed(t *testing.T) {
	var g struct {
		Sentences []struct {
			Text string  `json:"text"`
			IDs  []int32 `json:"input_ids"`
		} `json:"sentences"`
	}
	file := readGolden(t, shared(t, "models", "skiff-mini-embed-golden")+"/golden", &g)
	m := openModel(t, shared(t, "models", "skiff-mini-embed"))
	want, top := floats(t, file, "embedding"), 0.0
	for i, s := range g.Sentences {
		if diff := cmp.Diff(s.IDs, m.Tokenizer.AppendIDs(nil, s.Text, m.MaxTokens)); diff != "" {
			t.Errorf("ids of %q: %s", s.Text, diff)
		}
		got, err := m.Reference().Embed(s.Text)
		if err != nil {
			t.Fatal(err)
		}
		top = max(top, worst(t, got, want[i*m.Dim():][:m.Dim()]))
	}
	t.Logf("%d sentences: embeddings %.1e, %d tokens at most", len(g.Sentences), top, m.MaxTokens)
	if !(top <= 1e-5) || len(g.Sentences) == 0 {
		t.Errorf("embeddings differ by %.1e", top)
	}
}

// TestMiniLM compares all-MiniLM-L6-v2 with torch: ids of every text; in -short
// the embeddings of one text in sixteen and of all that have hidden states.
func TestMiniLM(t *testing.T) {
	var g struct {
		Texts []struct {
			Index  int    `json:"index"`
			Text   string `json:"text"`
			Hidden bool   `json:"hidden_states"`
		} `json:"texts"`
	}
	file := readGolden(t, shared(t, "minilm")+"/reference", &g)
	m := openModel(t, shared(t, "models", "all-MiniLM-L6-v2"))
	if m.MaxTokens != 256 {
		t.Errorf("at most %d tokens, want 256", m.MaxTokens)
	}
	all := floats(t, file, "embeddings")
	hidden, embedding, count := 0.0, 0.0, 0
	for _, s := range g.Texts {
		ids := m.Tokenizer.AppendIDs(nil, s.Text, m.MaxTokens)
		if diff := cmp.Diff(ints(t, file, fmt.Sprintf("input_ids.%d", s.Index)), ids); diff != "" {
			t.Errorf("ids of text %d: %s", s.Index, diff)
		}
		if testing.Short() && s.Index%16 != 0 && !s.Hidden {
			continue
		}
		count++
		got, err := m.Reference().EmbedIDs(ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		embedding = max(embedding, worst(t, got, all[s.Index*m.Dim():][:m.Dim()]))
		if s.Hidden {
			states, err := m.Reference().Hidden(ids, make([]int32, len(ids)), nil)
			if err != nil {
				t.Fatal(err)
			}
			hidden = max(hidden, worst(t, slices.Concat(states...), floats(t, file, fmt.Sprintf("hidden_states.%d", s.Index))))
		}
	}
	t.Logf("%d texts: embeddings %.1e, hidden states %.1e", count, embedding, hidden)
	if !(embedding <= 1e-4) || !(hidden <= 1e-4) {
		t.Errorf("embeddings differ by %.1e, hidden states by %.1e", embedding, hidden)
	}
}

// ints is an I32 tensor of the golden file.
func ints(t *testing.T, file *safetensors.File, name string) []int32 {
	t.Helper()
	v, ok := file.Tensor(name)
	if !ok || v.DType.String() != "I32" {
		t.Fatalf("no I32 tensor %s", name)
	}
	out := make([]int32, v.Len())
	for i := range out {
		out[i] = int32(uint32(v.Data[4*i]) | uint32(v.Data[4*i+1])<<8 | uint32(v.Data[4*i+2])<<16 | uint32(v.Data[4*i+3])<<24)
	}
	return out
}
