package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mini is the built-in model packed once for all tests that only read it, by a
// user of their own.
type mini struct {
	home   home
	bundle string
	pub    string // trust file of the key that signed
}

var packOnce = struct {
	sync.Once
	dir string
	err string
}{}

// packedMini packs the built-in model at first use.
func packedMini(t *testing.T) mini {
	t.Helper()
	packOnce.Do(func() {
		dir, err := os.MkdirTemp("", "skiff-test-")
		if err != nil {
			packOnce.err = err.Error()
			return
		}
		packOnce.dir = dir
		r := home(dir).run(t, "", "pack", "builtin", "-o", filepath.Join(dir, "mini.skiff"))
		if r.status != statusDone {
			packOnce.err = r.stderr
		}
	})
	if packOnce.err != "" {
		t.Fatal(packOnce.err)
	}
	dir := packOnce.dir
	return mini{home(dir), filepath.Join(dir, "mini.skiff"), filepath.Join(dir, "skiff", publicFile)}
}

// TestPackIsReproducible: the same model and key give the same file; another key
// another signature only where it signs.
func TestPackIsReproducible(t *testing.T) {
	m := packedMini(t)
	again := filepath.Join(t.TempDir(), "again.skiff")
	r := m.home.must(t, "", "pack", "builtin", "-o", again, "--json")
	result := lines[packed](t, r)[0]
	want, err := os.ReadFile(m.bundle)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Error("the same input gave other bytes")
	}
	if result.Bytes != int64(len(got)) || result.Bundle != again || result.Name != "skiff-mini-embed" || result.CosineMean < 0.998 || result.Goldens == 0 {
		t.Errorf("pack says %+v", result)
	}
	if !strings.Contains(r.stderr, "done") && !strings.Contains(r.stderr, "100%") {
		t.Errorf("progress in a pipe: %q", r.stderr)
	}
}

// TestPackNames: what the operator says about a bundle is in it.
func TestPackNames(t *testing.T) {
	h, out := newHome(t), filepath.Join(t.TempDir(), "x.skiff")
	h.must(t, "", "pack", "builtin", "-o", out, "--fast", "--name", "boat", "--version", "2.1", "--release", "7", "--product", "buoy", "--channel", "stable,test")
	info := lines[bundleInfo](t, h.must(t, "", "inspect", out, "--json"))[0]
	got := []any{info.Name, info.Version, info.Release, info.Product, info.Channels}
	if diff := cmp.Diff([]any{"boat", "2.1", uint64(7), "buoy", []string{"stable", "test"}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPackRefuses: nothing is written where something is wrong.
func TestPackRefuses(t *testing.T) {
	h, dir := newHome(t), t.TempDir()
	for _, c := range []struct{ name, output, key, want string }{
		{"output is a folder", dir, "", "is a folder"},
		{"no folder for the output", filepath.Join(dir, "no", "x.skiff"), "", "no such file or directory"},
		{"no key", filepath.Join(dir, "x.skiff"), filepath.Join(dir, "no.key"), "no.key"},
		{"a key that is none", filepath.Join(dir, "x.skiff"), "LICENSE", "LICENSE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.run(t, "", "pack", "builtin", "-o", c.output, "--key", c.key)
			if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
				t.Errorf("status %d, stdout %q, stderr %q; want %q", r.status, r.stdout, r.stderr, c.want)
			}
		})
	}
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPackInterrupted: Ctrl-C in the middle leaves no file, whole or partial.
func TestPackInterrupted(t *testing.T) {
	h, dir := newHome(t), t.TempDir()
	cmd := h.command(t, "pack", "builtin", "-o", filepath.Join(dir, "x.skiff"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The first line of progress says that the work has begun.
	first := make([]byte, 1)
	if _, err := stderr.Read(first); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(stderr); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("%v: %s", err, rest.String())
	}
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
