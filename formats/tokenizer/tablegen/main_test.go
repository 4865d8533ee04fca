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
	want, err := generate(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "tables_gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("tables_gen.go is stale: run go generate ./formats/tokenizer")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, bad := range []string{``, `{`, `{"ranges":{}}`} {
		if _, err := generate([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
