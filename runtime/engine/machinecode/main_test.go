package main

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/runtime/engine"
	"skiff/runtime/kernel"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestCounts holds what the loops of MiniLM's kernels cost: a change of a body, or of
// wazero, that spills a register or checks a bound more often is seen and meant.
func TestCounts(t *testing.T) {
	wantCompiler(t)
	var got bytes.Buffer
	if err := run(t.Context(), &got, nil, false); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", runtime.GOARCH+".txt")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED LOUDLY: no counts for %s", runtime.GOARCH)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the loops cost otherwise; if meant, go test -update (-want +got):\n%s", diff)
	}
}

// TestTile: the loop of the matrix product is what it was designed to be: 96 products in a
// round of 6 rows, no sum of which leaves its register, and one check for each of its two
// streams.
func TestTile(t *testing.T) {
	wantCompiler(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the design is for amd64's sixteen registers")
	}
	k, err := kernel.NewLinear(1, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	code, err := compile(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	instructions, err := decode(code)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range findLoops(instructions) {
		if l.products != 96 {
			continue
		}
		// 6 vectors of rows for each of 8 steps, and two loads for each check of bounds; the
		// weights' loads are their widening, 16 more.
		if l.checks != 2 || l.frameStores > 1 || l.loads > 66 || l.instructions > 350 {
			t.Errorf("the tile's loop: %+v", l)
		}
		return
	}
	t.Error("no loop of 96 products")
}

func wantCompiler(t *testing.T) {
	t.Helper()
	if !engine.CanCompile() {
		t.Skip("SKIPPED LOUDLY: wazero has no compiler for this CPU")
	}
}

// TestParseCache: a file cut anywhere is an error, not a panic.
func TestParseCache(t *testing.T) {
	file := []byte("WAZEVO\x061.12.0\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00abc")
	if code, err := parseCache(file); err != nil || string(code) != "abc" {
		t.Errorf("%q, %v", code, err)
	}
	for n := range file {
		if code, err := parseCache(file[:n]); err == nil {
			t.Errorf("cut to %d bytes: %q", n, code)
		}
	}
}
