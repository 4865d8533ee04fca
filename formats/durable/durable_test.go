package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// folder returns the names in dir and fails the test if there are others than want.
func folder(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Fatalf("folder holds %v, want %v", entries, want)
	}
	for i, e := range entries {
		if e.Name() != want[i] {
			t.Fatalf("folder holds %v, want %v", entries, want)
		}
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("file holds %q, %v; want %q", got, err, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, s := range []string{"one", "two"} {
		if err := Write(path, 0o640, content(s)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, s)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	folder(t, dir, "a")
}

func TestWriteFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, 0o600, content("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	err := Write(path, 0o600, func(w io.Writer) error {
		return errors.Join(content("half")(w), full)
	})
	if !errors.Is(err, full) {
		t.Fatalf("got %v, want %v", err, full)
	}
	holds(t, path, "old")
	folder(t, dir, "a")

	// The place is taken by a folder: the rename fails.
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "b"), 0o600, content("x")); err == nil {
		t.Fatal("wrote over a folder")
	}
	folder(t, dir, "a", "b")
	if err := Write(filepath.Join(dir, "none", "c"), 0o600, content("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing folder: got %v", err)
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := Create(path, 0o600, content("one")); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, 0o600, content("two")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want fs.ErrExist", err)
	}
	holds(t, path, "one")
	// Even when it appears after the first look.
	late := filepath.Join(dir, "late")
	err := Create(late, 0o600, func(w io.Writer) error {
		return os.WriteFile(late, []byte("other"), 0o600)
	})
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want fs.ErrExist", err)
	}
	holds(t, late, "other")
	folder(t, dir, "key", "late")
}

// TestWriteReplacesFilesOnly: a folder, a pipe or a device stays what it is.
func TestWriteReplacesFilesOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, 0o600, content("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Errorf("now %v, %v", info, err)
	}
	folder(t, dir, "a")
}
