package builtin_test

import (
	"io/fs"
	"testing"

	"skiff/packager/builtin"
)

// TestModelIsComplete holds the folder to what a licence asks of a copy (the card
// and the licence travel with the weights) and to what the importer reads.
func TestModelIsComplete(t *testing.T) {
	dir, err := builtin.Model()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{
		"LICENSE":                   11358,
		"README.md":                 1 << 10,
		"config.json":               1 << 8,
		"modules.json":              1 << 8,
		"1_Pooling/config.json":     1 << 7,
		"sentence_bert_config.json": 1 << 6,
		"tokenizer.json":            100 << 10,
		"model.safetensors":         7_000_000,
	}
	for name, least := range sizes {
		info, err := fs.Stat(dir, name)
		if err != nil {
			t.Errorf("stat: %v", err)
			continue
		}
		if info.Size() < least {
			t.Errorf("%s holds %d bytes, want at least %d", name, info.Size(), least)
		}
	}
}
