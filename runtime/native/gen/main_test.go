package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestGenerated: the committed files are what this generator writes.
func TestGenerated(t *testing.T) {
	for _, s := range sources() {
		files, err := s.files()
		if err != nil {
			t.Fatal(err)
		}
		for end, text := range files {
			committed, err := os.ReadFile(filepath.Join("..", s.name+end))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(committed, text) {
				t.Errorf("%s%s is not what is generated: make generate", s.name, end)
			}
		}
	}
}

// TestTile: assembly reads the fields of a tile where Go has them, each of 8 bytes.
func TestTile(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "linear.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "tile" {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			for _, id := range f.Names {
				names = append(names, id.Name)
			}
		}
		return false
	})
	if !slices.Equal(names, tileFields()) {
		t.Errorf("tile has the fields %v, assembly reads %v", names, tileFields())
	}
}
