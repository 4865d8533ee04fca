package probe

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/agent/serve"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/importer"
)

// TestServePrompts: a device puts the prompt before a text that the request names, leaves it
// out of pooling where the model says so, counts its tokens, and refuses one that there is not.
func TestServePrompts(t *testing.T) {
	dir := filepath.Join("..", "..", "packager", "importer", "testdata", "sentence")
	files := fstest.MapFS{
		"1_Pooling/config.json":             {Data: []byte(`{"embedding_dimension": 6, "pooling_mode": ["max", "mean"], "include_prompt": false}`)},
		"config_sentence_transformers.json": {Data: []byte(`{"prompts": {"query": "query: ", "passage": "passage: the "}, "default_prompt_name": "query"}`)},
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	g, err := importer.OpenFS(t.Context(), files, "prompts")
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := packager.Pack(t.Context(), g, packager.Config{Key: sign.FromSeed([32]byte{1}), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), b, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	reference := g.Reference()
	for more, prompt := range map[string]string{"": "query: ", "passage": "passage: the "} {
		var answer struct {
			Data  []struct{ Embedding []float32 }
			Usage struct {
				Tokens int `json:"prompt_tokens"`
			}
		}
		request := map[string]any{"input": []string{"the quiet sea", "light"}}
		if more != "" {
			request["input_type"] = "document"
		}
		ask(t, m, "/v1/embeddings", request, &answer)
		tokens := 0
		for i, text := range []string{"the quiet sea", "light"} {
			want, err := reference.EmbedWith(prompt, text)
			if err != nil {
				t.Fatal(err)
			}
			tokens += len(m.Tokenizer().AppendIDs(nil, prompt+text, 0))
			if got := answer.Data[i].Embedding; packager.Cosine(got, want) < 0.995 {
				t.Errorf("prompt %q, %q: %v, want %v", prompt, text, got, want)
			}
		}
		if answer.Usage.Tokens != tokens {
			t.Errorf("prompt %q: %d tokens, want %d", prompt, answer.Usage.Tokens, tokens)
		}
	}
	s, err := serve.Listen(serve.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Swap(m)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/embeddings", bytes.NewReader([]byte(`{"input":"a","prompt_name":"Query"}`))))
	want := `"prompt_name: unknown prompt \"Query\": the model has passage, query"`
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	if names := m.Info().Prompts; !slices.Equal(names, []string{"passage", "query"}) {
		t.Errorf("prompts %v", names)
	}
}
