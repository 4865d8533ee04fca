package onnx

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared is the folder with the large test files, beside the repository or at
// SKIFF_SHARED; the test is skipped when there is none.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is absent; set SKIFF_SHARED", path)
	}
	return path
}

// hostileCauses are parts of the messages that the corpus of malformed files must
// give.
func hostileCauses() map[string]string {
	return map[string]string{
		"truncated": "only", "empty": "the file is empty", "bad-varint": "more than ten bytes", "length-beyond": "claims 4294967295 bytes",
		"deep-groups": "is a group", "cycle": "a cycle: ", "self-cycle": "a cycle: ", "unknown-op": "unknown operator Frobnicate",
		"unknown-domain": "unknown domain", "opset-future": "opset 9999", "missing-input": "which nothing makes", "duplicate-output": "which is there already",
		"raw-size": "10 bytes of data do not hold shape [2 2] of F32", "dims-negative": "a dimension of -", "dims-overflow": "that no memory holds",
		"dims-huge": "do not hold shape", "dtype-unknown": "unknown type 99", "external-escape": "outside of the model's folder",
		"external-absolute": "no path within the model's folder", "external-offset": "at offset", "external-length": "bytes of external data", "external-missing": "not in the model's folder",
		"reshape-bomb": "makes a ",
	}
}

// TestHostile runs the shared corpus of malformed files against its verdicts.
func TestHostile(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, e := range expect {
		if filepath.Ext(name) != ".onnx" {
			continue
		}
		seen++
		m, err := Open(filepath.Join(dir, name))
		if (err == nil) != (e.Verdict == "accept") {
			t.Errorf("%s (%s): got %v, want %s", name, e.Wrong, err, e.Verdict)
		}
		if err == nil {
			m.Close()
			continue
		}
		cause := hostileCauses()[strings.TrimSuffix(strings.TrimPrefix(name, "onnx-"), ".onnx")]
		if !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), name+": ") || cause == "" || !strings.Contains(err.Error(), cause) {
			t.Errorf("%s (%s): want %q: %v", name, e.Wrong, cause, err)
		}
	}
	if seen < 24 {
		t.Errorf("only %d files", seen)
	}
}

// TestFixtures: every export among the golden models is read, with its tensors and
// in an order that runs.
func TestFixtures(t *testing.T) {
	dir := shared(t, "fixtures")
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".onnx" || filepath.Base(filepath.Dir(path)) == "hostile" {
			return err
		}
		seen++
		m, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		defer m.Close()
		if len(m.Graph.Nodes) < 70 || len(m.Graph.Consts) < 40 || len(m.Graph.Inputs) < 2 || len(m.Graph.Outputs) == 0 {
			t.Errorf("%s: %d nodes, %d constants, %d inputs, %d outputs", path, len(m.Graph.Nodes), len(m.Graph.Consts), len(m.Graph.Inputs), len(m.Graph.Outputs))
		}
		return nil
	})
	if err != nil || seen < 23 {
		t.Errorf("%d files: %v", seen, err)
	}
}
