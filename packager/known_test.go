package packager

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/formats/sign"
	"skiff/packager/corpus"
	"skiff/packager/importer"
)

// wordLevel is a sentence model whose tokenizer knows the words of the first text of the
// corpus and has no token for others.
func wordLevel(t *testing.T) fstest.MapFS {
	t.Helper()
	dir, files := filepath.Join("importer", "testdata", "sentence"), fstest.MapFS{}
	for _, name := range []string{"config.json", "model.safetensors", "modules.json", "sentence_bert_config.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	words := strings.Fields(corpus.Texts()[0])
	slices.Sort(words)
	var vocab []string
	for i, w := range slices.Compact(words) {
		vocab = append(vocab, fmt.Sprintf("%q:%d", w, i))
	}
	files["tokenizer.json"] = &fstest.MapFile{Data: []byte(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"post_processor":null,"decoder":null,
		"pre_tokenizer":{"type":"WhitespaceSplit"},"model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{` + strings.Join(vocab, ",") + `}}}`)}
	files["1_Pooling/config.json"] = &fstest.MapFile{Data: []byte(`{"embedding_dimension":6,"pooling_mode":"mean"}`)}
	return files
}

// TestNoUnknown: a text with a word that a tokenizer has no token for is refused, never cut
// down to what it knows; a tokenizer that refuses nearly everything cannot be packed.
func TestNoUnknown(t *testing.T) {
	g, err := importer.OpenFS(t.Context(), wordLevel(t), "words")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Reference().Embed("zzz"); err == nil {
		t.Error("the reference embeds a word that is not known")
	}
	for prefix, want := range map[string]string{"": "refuses all but 1 texts", "zzz ": "refuses all but 0 texts"} {
		g.Prefix = prefix
		if _, _, err := Pack(t.Context(), g, Config{Key: sign.FromSeed([32]byte{1}), Fast: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pack with the prompt %q: %v", prefix, err)
		}
	}
}
