package program

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A program with padding of its own place is of another version, and of that alone.
func TestPads(t *testing.T) {
	p := tiny(t)
	plain := p.Encode()
	p.Pads = 2
	got, err := Decode(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
	if _, err := got.Check(); err != nil {
		t.Error(err)
	}
	got.Pads = got.Vocab + 1
	if _, err := got.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("padding past the vocabulary: %v", err)
	}
	data := p.Encode()
	for _, version := range []byte{0, 1, 2, 3, 5} {
		data[4] = version
		if _, err := Decode(data); !errors.Is(err, ErrInvalid) {
			t.Errorf("version %d with padding: %v", version, err)
		}
	}
	p.Pads = 0
	if !bytes.Equal(p.Encode(), plain) {
		t.Error("another encoding without padding")
	}
}

// Ints are any numbers; what follows them is no layout.
func TestInts(t *testing.T) {
	p := tiny(t)
	p.Weights[0].Layout = Ints
	if _, err := p.Check(); err != nil {
		t.Error(err)
	}
	if got, want := p.Weights[0].Bytes(), uint64(64); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	p.Weights[0].Layout++
	if _, err := p.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown layout: %v", err)
	}
	if _, err := Decode(p.Encode()); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown layout: %v", err)
	}
}
