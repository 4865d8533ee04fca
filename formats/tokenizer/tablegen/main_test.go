package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestCommittedTablesAreCurrent generates the tables again.
func TestCommittedTablesAreCurrent(t *testing.T) {
	shared := os.Getenv("SKIFF_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	data, err := os.ReadFile(filepath.Join(shared, "tokenizers", "unicode_tables.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED LOUDLY: no unicode_tables.json in " + shared)
	}
	if err != nil {
		t.Fatal(err)
	}
	first, second, err := generate(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"tables_gen.go": first, "tables_more_gen.go": second} {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./formats/tokenizer", name)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, bad := range []string{``, `{`, `{"ranges":{}}`} {
		if _, _, err := generate([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
