package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the import path of the repository's root, as in go.mod.
const module = "skiff"

// file is one Go file of the module, for any platform and any build tag.
type file struct {
	Path    string // slash-separated, relative to the repository's root
	Package string // import path of its folder
	Test    bool
	Gen     bool // written by a generator
	Lines   int
	AST     *ast.File
}

// Imports returns the paths the file imports.
func (f file) Imports() []string {
	var paths []string
	for _, spec := range f.AST.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// house is everything the rules look at.
type house struct {
	Root  string
	Fset  *token.FileSet
	Files []file
}

var readOnce = sync.OnceValues(read)

// open returns the module's files; they are parsed once per test binary.
func open(t *testing.T) house {
	t.Helper()
	h, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func read() (house, error) {
	root, err := findRoot()
	if err != nil {
		return house{}, err
	}
	h := house{Root: root, Fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(root, p, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		return h.add(p)
	})
	return h, err
}

// skipFolder leaves out what the go command leaves out too: among others, modules within
// this one, which have dependencies of their own and are linked into nothing.
func skipFolder(root, p, name string) error {
	if p == root {
		return nil
	}
	hidden := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
	if hidden || name == "testdata" || name == "vendor" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func (h *house) add(p string) error {
	text, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	tree, err := parser.ParseFile(h.Fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(h.Root, p)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	h.Files = append(h.Files, file{
		Path:    rel,
		Package: path.Join(module, path.Dir(rel)),
		Test:    strings.HasSuffix(rel, "_test.go"),
		Gen:     ast.IsGenerated(tree),
		Lines:   strings.Count(string(text), "\n"),
		AST:     tree,
	})
	return nil
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", os.ErrNotExist
		}
		dir = up
	}
}

// ours reports whether an import path is in this module.
func ours(p string) bool {
	return p == module || strings.HasPrefix(p, module+"/")
}

// std reports whether an import path is in the standard library: its first
// element has no dot, and it is not ours.
func std(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !ours(p) && !strings.Contains(first, ".")
}

// tree returns the top-level folder of one of our import paths, "" for the root.
func tree(p string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(p, module), "/"), "/")
	return first
}
