package house

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows says which trees the code of a tree may import, besides its own.
// The root, package main, may import everything and nothing imports it.
var arrows = map[string][]string{
	"formats":  {},
	"runtime":  {"formats"},
	"packager": {"formats", "runtime"},
	"agent":    {"formats", "runtime"},
	"fleet":    {"formats"},
}

// fences says which of our packages may import a third-party module. A module
// that is not here is a new dependency: it needs a line here and in RATIONALE.md.
var fences = map[string][]string{
	"github.com/tetratelabs/wazero":       {"skiff/runtime/engine", "skiff/runtime/engine/machinecode"},
	"go.etcd.io/bbolt":                    {"skiff/agent/store"},
	"github.com/eclipse/paho.mqtt.golang": {"skiff/agent/link", "skiff/fleet/delivery"},
	"github.com/klauspost/compress":       {"skiff/formats/bundle"},
	"github.com/fxamacker/cbor/v2":        {"skiff/formats/bundle", "skiff/formats/wire"},
	"github.com/nats-io/nats-server/v2":   {"skiff/fleet/broker", "skiff/fleet/state"},
	"github.com/nats-io/nats.go":          {"skiff/fleet/broker", "skiff/fleet/state"},
	"github.com/spf13/cobra":              {"skiff"},
	"github.com/vbauerster/mpb/v8":        {"skiff"},
	"google.golang.org/protobuf":          {"skiff/formats/onnx"},
	"golang.org/x/arch":                   {"skiff/runtime/engine/machinecode"},
	"golang.org/x/sys":                    {"skiff/fleet/broker", "skiff/formats/internal/parts", "skiff/runtime/native"},
	"golang.org/x/term":                   {"skiff"},
}

// testOnly are modules that any test may import and no other code.
var testOnly = []string{"github.com/google/go-cmp"}

// pure are packages of decisions: no input or output, no goroutine of their own.
var pure = map[string][]string{
	"skiff/agent/core": {"bufio", "context", "io", "io/fs", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "sync"},
}

// TestArrows: formats <- runtime <- packager and agent; fleet sees formats only.
// Tests may cross, because a test of a link needs both its ends.
func TestArrows(t *testing.T) {
	for _, f := range open(t).Files {
		from := tree(f.Package)
		if f.Test || from == "" {
			continue
		}
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s is outside the five trees", f.Path)
			continue
		}
		for _, p := range f.Imports() {
			if to := tree(p); ours(p) && to != from && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may import only %v", f.Path, p, from, allowed)
			}
		}
	}
}

// TestFences: each third-party module is imported where DESIGN's table says.
func TestFences(t *testing.T) {
	for _, f := range open(t).Files {
		for _, p := range f.Imports() {
			if std(p) || ours(p) || (f.Test && slices.ContainsFunc(testOnly, within(p))) {
				continue
			}
			inside, known := fence(p)
			switch {
			case !known:
				t.Errorf("%s imports %s, which has no fence: a new dependency needs one, and a line in RATIONALE.md", f.Path, p)
			case !f.Test && !slices.Contains(inside, f.Package):
				t.Errorf("%s imports %s: only %v may", f.Path, p, inside)
			}
		}
	}
}

// TestReasons: every dependency has its reason in RATIONALE.md.
func TestReasons(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(open(t).Root, "RATIONALE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(slices.Collect(maps.Keys(fences)), testOnly) {
		if !strings.Contains(string(text), m) {
			t.Errorf("RATIONALE.md does not say why %s", m)
		}
	}
}

// fence returns where an import path of a fenced module may be imported.
func fence(p string) ([]string, bool) {
	for m, inside := range fences {
		if within(p)(m) {
			return inside, true
		}
	}
	return nil, false
}

// within reports whether an import path lies in a module.
func within(p string) func(module string) bool {
	return func(m string) bool { return p == m || strings.HasPrefix(p, m+"/") }
}

// TestPure: what decides has no way to reach a disk or a socket, reads no clock and
// starts no goroutine.
func TestPure(t *testing.T) {
	h := open(t)
	for _, f := range h.Files {
		banned := pure[f.Package]
		if banned == nil || f.Test {
			continue
		}
		for _, p := range f.Imports() {
			if slices.Contains(banned, p) {
				t.Errorf("%s imports %s: %s decides and does nothing else", f.Path, p, f.Package)
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if does(n) {
				t.Errorf("%s: %s decides and does nothing else", h.Fset.Position(n.Pos()), f.Package)
			}
			return true
		})
	}
}

// does reports whether a statement starts a goroutine or asks for the time.
func does(n ast.Node) bool {
	if _, ok := n.(*ast.GoStmt); ok {
		return true
	}
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}, sel.Sel.Name)
}
