package bundle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files that do not exist yet; existing ones are kept for ever")

// TestGolden: the bundle that version 1 wrote is read for ever, and is what it was.
func TestGolden(t *testing.T) {
	const path = "testdata/v1.skiff"
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && *update {
		if err := tiny(t).WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	b, err := OpenFile(path, testTrust())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.VerifyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := describeBundle(t, b)
	if _, err := os.Stat(path + ".txt"); errors.Is(err, os.ErrNotExist) && *update {
		if err := os.WriteFile(path+".txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
	// The manifest of the same input is the same, but for the index: an encoder may improve.
	m := tiny(t).Manifest
	m.IndexParts = b.Manifest.IndexParts
	if diff := cmp.Diff(b.Manifest, m); diff != "" {
		t.Error(diff)
	}
}

// describeBundle writes all that a bundle says, line by line.
func describeBundle(t *testing.T, b *Bundle) string {
	var s strings.Builder
	m := b.Manifest
	objects, goldens := m.Objects, m.Goldens
	m.Objects, m.Goldens = nil, nil
	fmt.Fprintf(&s, "bundle %s, %d bytes\nkey %s\n%+v\n", b.Digest(), b.Size(), b.Key, m)
	for _, o := range objects {
		data, err := b.Read(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%s %q %s %v %v: %s\n", o.Kind, o.Name, o.DType, o.Shape, o.Extents, Sum(data))
	}
	for _, g := range goldens {
		fmt.Fprintf(&s, "golden %+v\n", g)
	}
	for i, c := range b.Index {
		e := c.Encodings[0]
		fmt.Fprintf(&s, "chunk %d: %s, %d bytes, %s %d bytes %s\n", i, c.Digest, c.Length, e.Codec, e.Length, e.Digest)
	}
	return s.String()
}
