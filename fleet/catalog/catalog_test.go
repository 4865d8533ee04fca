package catalog

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/fleet/broker"
	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tensor"
)

func open(t *testing.T) (*Catalog, *state.Store) {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{DataDir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	user, password := b.Credentials()
	s, err := state.Open(t.Context(), state.Config{Server: b, User: user, Password: password})
	must(t, err)
	t.Cleanup(s.Close)
	return New(s), s
}

func write(t *testing.T) (string, *bundle.Bundle) {
	t.Helper()
	b := bundle.NewBuilder()
	must(t, b.AddTensor("0", "w", tensor.I8, []int{3, 100_000}, make([]byte, 300_000)))
	must(t, b.AddBlob(bundle.KindTokenizer, "tokenizer.json", []byte("{}")))
	built, err := b.Build(t.Context(), bundle.Manifest{Product: "default", Name: "n", Version: "1", Task: "embed",
		Meta: bundle.Meta{MaxTokensPerText: 8, Hidden: 4}, MinRuntime: 1}, sign.FromSeed([32]byte{1}))
	must(t, err)
	path := filepath.Join(t.TempDir(), "b.skiff")
	must(t, built.WriteFile(path))
	return path, built
}

// TestAddFind: what Find lists are the bundle's own parts, in its order.
func TestAddFind(t *testing.T) {
	c, store := open(t)
	path, b := write(t)
	rec, err := c.Add(t.Context(), path)
	must(t, err)
	if rec.Digest != b.Digest().String() || rec.Size != b.Size() || rec.Chunks != len(b.Index) {
		t.Errorf("record %+v", rec)
	}
	e, err := New(store).Find(t.Context(), b.Digest())
	must(t, err)
	var want []Blob
	for _, chunk := range b.Index {
		enc := chunk.Encodings[0]
		want = append(want, Blob{Key: state.Key(enc.Digest), Length: enc.Length, Codec: enc.Codec})
	}
	if diff := cmp.Diff(want, e.Chunks); diff != "" {
		t.Error(diff)
	}
	if len(e.Index) != len(b.Parts) || len(e.Envelope) != 1 {
		t.Errorf("%d index parts, %d envelope pieces", len(e.Index), len(e.Envelope))
	}
	for _, blob := range append(append(e.Envelope, e.Index...), e.Chunks...) {
		data, err := c.Read(t.Context(), blob)
		must(t, err)
		if state.Key(bundle.Sum(data)) != blob.Key || len(data) != int(blob.Length) {
			t.Errorf("blob %x has %d bytes of other content", blob.Key[:4], len(data))
		}
	}
}

func TestAddStopped(t *testing.T) {
	c, store := open(t)
	path, b := write(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Add(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := store.Bundle(t.Context(), b.Digest().String()); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a stopped Add left a record: %v", err)
	}
	if _, err := c.Find(t.Context(), b.Digest()); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestTable(t *testing.T) {
	var index []bundle.Chunk
	for i := range 2*tableRows + 1 {
		enc := bundle.Encoding{Codec: bundle.Codec(i % 3), Length: uint32(i + 1), Digest: bundle.Sum([]byte{byte(i), byte(i >> 8)})}
		index = append(index, bundle.Chunk{Encodings: []bundle.Encoding{enc}})
	}
	data := encodeTable(index)
	var got []Blob
	for at := 0; at < len(data); at += tableRows * rowSize {
		got = appendTable(got, data[at:min(len(data), at+tableRows*rowSize)])
	}
	if len(got) != len(index) {
		t.Fatalf("%d rows, want %d", len(got), len(index))
	}
	for i, b := range got {
		enc := index[i].Encodings[0]
		if b != (Blob{state.Key(enc.Digest), enc.Length, enc.Codec}) {
			t.Fatalf("row %d is %+v", i, b)
		}
	}
}

func TestCacheBound(t *testing.T) {
	c := New(nil)
	for i := range byte(3 * maxCached) {
		c.remember(bundle.Digest{i}, &Entry{})
	}
	if len(c.entries) != maxCached {
		t.Errorf("%d entries, want %d", len(c.entries), maxCached)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
