package house

import (
	"bytes"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFuncLines = 80
	maxFileLines = 600
	maxTextBytes = 1 << 20 // larger files are weights, not text
)

// TestPackageComments: exactly one comment per package, in one of its files.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, f := range open(t).Files {
		if f.Test {
			continue
		}
		if _, seen := comments[f.Package]; !seen {
			comments[f.Package] = nil
		}
		if f.AST.Doc == nil {
			continue
		}
		comments[f.Package] = append(comments[f.Package], f.Path)
		want := "Package " + f.AST.Name.Name + " "
		if f.AST.Name.Name == "main" {
			want = "Command " + path.Base(f.Package) + " "
		}
		if !strings.HasPrefix(f.AST.Doc.Text(), want) {
			t.Errorf("%s: the package comment starts otherwise than %q", f.Path, want)
		}
	}
	for p, in := range comments {
		if len(in) != 1 {
			t.Errorf("%s has %d package comments, want 1: %v", p, len(in), in)
		}
	}
}

// TestFunctionLength counts from the line of func to the closing brace.
func TestFunctionLength(t *testing.T) {
	h := open(t)
	for _, f := range h.Files {
		if f.Gen {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := h.lines(fn); n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, want at most %d", f.Path, fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}

// lines counts the lines a declaration spans.
func (h house) lines(n ast.Node) int {
	return h.Fset.Position(n.End()).Line - h.Fset.Position(n.Pos()).Line + 1
}

func TestFileLength(t *testing.T) {
	for _, f := range open(t).Files {
		if !f.Gen && f.Lines > maxFileLines {
			t.Errorf("%s has %d lines, want at most %d", f.Path, f.Lines, maxFileLines)
		}
	}
}

// TestGeneratedNames: what a generator wrote says so in its name, so that nobody
// escapes the limits above by a comment.
func TestGeneratedNames(t *testing.T) {
	for _, f := range open(t).Files {
		named := strings.HasSuffix(f.Path, "_gen.go") || strings.HasSuffix(f.Path, "_gen_test.go")
		if named != f.Gen {
			t.Errorf("%s: name ends in _gen.go: %v, says \"Code generated\": %v", f.Path, named, f.Gen)
		}
	}
}

// TestPackageNames: one noun of the domain, and the same as the folder's.
func TestPackageNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "types", "models", "manager", "shared", "lib"}
	for _, f := range open(t).Files {
		name, folder := strings.TrimSuffix(f.AST.Name.Name, "_test"), path.Base(f.Package)
		if slices.Contains(vague, name) || slices.Contains(vague, folder) {
			t.Errorf("%s: package %s says nothing", f.Path, name)
		}
		if name != "main" && name != folder {
			t.Errorf("%s: package %s in folder %s", f.Path, name, folder)
		}
	}
}

// TestNoInit: nothing happens because a package was linked.
func TestNoInit(t *testing.T) {
	for _, f := range open(t).Files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: has an init function", f.Path)
			}
		}
	}
}

// TestErrorTexts: an error is wrapped with what was done, in bare words; that it
// went wrong is what being an error says.
func TestErrorTexts(t *testing.T) {
	banned := regexp.MustCompile("^[\"`](?i:failed|unable|cannot|can't|could not|couldn't|error) ")
	h := open(t)
	for _, f := range h.Files {
		if f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !makesError(call.Fun) {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING && banned.MatchString(lit.Value) {
				t.Errorf("%s: %s", h.Fset.Position(lit.Pos()), lit.Value)
			}
			return true
		})
	}
}

// makesError reports whether a called function is fmt.Errorf or errors.New.
func makesError(fun ast.Expr) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && (x.Name == "fmt" && sel.Sel.Name == "Errorf" || x.Name == "errors" && sel.Sel.Name == "New")
}

// TestNoMachinePaths: nothing committed names a folder of one person's machine.
// The patterns are written so that this file does not match itself.
func TestNoMachinePaths(t *testing.T) {
	places := regexp.MustCompile(`/(work|root|home/[a-z]+|Users/[A-Za-z]+|tmp/plan)/[A-Za-z.]`)
	root := open(t).Root
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipHidden(root, p, d, err)
		}
		if info, err := d.Info(); err != nil || info.Size() > maxTextBytes || !info.Mode().IsRegular() {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		if m := places.Find(text); m != nil {
			t.Errorf("%s names %s", p, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// skipHidden leaves out what git keeps for itself and what the Makefile installs.
func skipHidden(root, p string, d fs.DirEntry, err error) error {
	if err == nil && p != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" {
		return filepath.SkipDir
	}
	return err
}
