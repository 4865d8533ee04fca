package agent

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"skiff/agent/core"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/wire"
	"skiff/runtime/infer"
)

func TestClassify(t *testing.T) {
	for _, v := range table() {
		if got := classify(fmt.Errorf("fetch chunk 17: %w", v.err)); got.Class != v.class {
			t.Errorf("%v: %v, want %v", v.err, got.Class, v.class)
		}
	}
	tests := []struct {
		err  error
		want wire.Class
	}{
		{nil, wire.ClassNone},
		{errors.New("something new"), wire.ClassRetry},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, wire.ClassRetry},
		{&bundle.Error{Section: "chunk 3", Err: bundle.ErrCorrupt}, wire.ClassReject},
		{fmt.Errorf("%w: %w", store.ErrFull, bundle.ErrCorrupt), wire.ClassRetry},
		{fmt.Errorf("prove: %w: golden 0", infer.ErrMismatch), wire.ClassRollback},
	}
	for _, test := range tests {
		if got := classify(test.err); got.Class != test.want {
			t.Errorf("%v: %v, want %v", test.err, got.Class, test.want)
		}
	}
	if got := classify(nil); got != (core.Failure{}) {
		t.Errorf("no error: %+v", got)
	}
}

// TestTableIsWhole: every exported sentinel of the packages that a device runs has its line.
func TestTableIsWhole(t *testing.T) {
	listed := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), "classify.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				listed[x.Name+"."+s.Sel.Name] = true
			}
		}
		return true
	})
	for _, dir := range []string{"store", "link", "../formats/bundle", "../formats/sign", "../formats/wire", "../formats/tokenizer",
		"../runtime/infer", "../runtime/engine", "../runtime/program", "../runtime/kernel"} {
		for _, name := range sentinels(t, dir) {
			if !listed[filepath.Base(dir)+"."+name] {
				t.Errorf("%s.%s has no class", filepath.Base(dir), name)
			}
		}
	}
}

// sentinels lists the package variables Err... of a folder.
func sentinels(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	var names []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}
