package house

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the texts whose names must exist.
var pages = []string{"README.md", "RATIONALE.md"}

var (
	fenced     = regexp.MustCompile("(?ms)^```.*?^```$")
	backticked = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z][A-Za-z0-9]*)(?:\.([A-Z][A-Za-z0-9]*))?(?:\(.*\))?$`)
	location   = regexp.MustCompile(`^\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*/?$`)
	testRun    = regexp.MustCompile(`^go test (\./[a-z/]+)(?: -run ([A-Za-z]+))?$`)
	document   = regexp.MustCompile(`^[A-Za-z0-9_-]+\.(go|md|mod|sum|svg|sh|py)$`)
)

// TestNamesExist: whatever README.md and RATIONALE.md put in backticks and that
// looks like one of our identifiers (bundle.OpenFile) or like a path of the
// repository (formats/bundle) is there. Identifiers of the standard library and
// of dependencies are left to their own documentation.
func TestNamesExist(t *testing.T) {
	h := open(t)
	exported := h.exported()
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(h.Root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range backticked.FindAllSubmatch(fenced.ReplaceAll(text, nil), -1) {
			word := string(m[1])
			if id := identifier.FindStringSubmatch(word); id != nil {
				if names, ours := exported[id[1]]; ours && !names.has(id[2], id[3]) {
					t.Errorf("%s names %s, which does not exist", page, word)
				}
			} else if h.local(word) && !h.exists(word) {
				t.Errorf("%s names %s, which does not exist", page, word)
			} else if m := testRun.FindStringSubmatch(word); m != nil && !h.hasTest(m[1], m[2]) {
				t.Errorf("%s says %s, which runs no test", page, word)
			}
		}
	}
}

// hasTest reports whether a folder has a test whose name contains part.
func (h house) hasTest(folder, part string) bool {
	return slices.ContainsFunc(h.Files, func(f file) bool {
		return f.Test && f.Package == path.Join(module, folder) && slices.ContainsFunc(f.AST.Decls, func(d ast.Decl) bool {
			fn, ok := d.(*ast.FuncDecl)
			return ok && strings.HasPrefix(fn.Name.Name, "Test") && strings.Contains(fn.Name.Name, part)
		})
	})
}

// names are a package's exported identifiers: "Open", and "File.Close" for
// methods, fields and interface members.
type names []string

func (n names) has(name, member string) bool {
	if member != "" {
		name += "." + member
	}
	return slices.Contains(n, name)
}

// exported collects names by package name; packages of the same name are merged.
func (h house) exported() map[string]names {
	all := map[string]names{}
	for _, f := range h.Files {
		if f.Test {
			continue
		}
		p := f.AST.Name.Name
		for _, d := range f.AST.Decls {
			all[p] = append(all[p], declared(d)...)
		}
	}
	return all
}

func declared(d ast.Decl) names {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if recv := receiver(d); recv != "" {
			return names{recv + "." + d.Name.Name}
		}
		return names{d.Name.Name}
	case *ast.GenDecl:
		var found names
		for _, spec := range d.Specs {
			found = append(found, specified(spec)...)
		}
		return found
	}
	return nil
}

func specified(spec ast.Spec) names {
	var found names
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, id := range spec.Names {
			found = append(found, id.Name)
		}
	case *ast.TypeSpec:
		found = append(found, spec.Name.Name)
		for _, m := range members(spec.Type) {
			found = append(found, spec.Name.Name+"."+m)
		}
	}
	return found
}

// members returns the field names of a struct or the methods of an interface.
func members(typ ast.Expr) names {
	var list *ast.FieldList
	switch typ := typ.(type) {
	case *ast.StructType:
		list = typ.Fields
	case *ast.InterfaceType:
		list = typ.Methods
	default:
		return nil
	}
	var found names
	for _, f := range list.List {
		for _, id := range f.Names {
			found = append(found, id.Name)
		}
	}
	return found
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) != 1 {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// local reports whether a word in backticks claims to be a path of ours: below
// one of the five trees, or a file of a kind that lies in the repository's root.
func (h house) local(word string) bool {
	if !location.MatchString(word) {
		return false
	}
	first, _, below := strings.Cut(word, "/")
	_, isTree := arrows[first]
	return isTree && below || first == ".ci" || document.MatchString(word)
}

// exists finds a path from the root, or a bare file name anywhere in the module.
func (h house) exists(word string) bool {
	if _, err := os.Stat(filepath.Join(h.Root, word)); err == nil {
		return true
	}
	return slices.ContainsFunc(h.Files, func(f file) bool { return path.Base(f.Path) == word })
}
