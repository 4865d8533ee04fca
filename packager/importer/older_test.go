package importer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// A folder without tokenizer.json imports through its older files, with the same tokens;
// they are among the files that its source digest is of.
func TestOlderTokenizerFiles(t *testing.T) {
	tried := 0
	for _, name := range []string{"bert-embed", "distilbert-embed", "distilroberta-embed", "albert-sequence-classification", "xlm-roberta-embed"} {
		dir := shared(t, "fixtures", name)
		whole := openModel(t, dir)
		part := fstest.MapFS{}
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, path)
			if err != nil || d.IsDir() || rel == tokenizerName || filepath.Ext(rel) == ".onnx" || filepath.Ext(rel) == ".tflite" {
				return err
			}
			data, err := os.ReadFile(path)
			part[filepath.ToSlash(rel)] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := OpenFS(t.Context(), part, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tried++
		for _, text := range []string{"", "A function returns the list of names.", "naïve café 北京 🙂 x²", "  two  spaces "} {
			if diff := cmp.Diff(whole.Tokenizer.AppendIDs(nil, text, 0), m.Tokenizer.AppendIDs(nil, text, 0)); diff != "" {
				t.Errorf("%s %q (-tokenizer.json +older files)\n%s", name, text, diff)
			}
		}
		described, err := InspectFS(t.Context(), part, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		used := slices.ContainsFunc(described.Files, func(f FileInfo) bool {
			return slices.Contains([]string{"vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"}, f.Name)
		})
		if !used {
			t.Errorf("%s: the vocabulary is not among the files used: %v", name, described.Files)
		}
	}
	if tried == 0 {
		t.Error("nothing was imported")
	}
}
