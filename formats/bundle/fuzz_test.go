package bundle

import (
	"bytes"
	"errors"
	"testing"
)

// place fails the test unless err says where and is of this package's kinds.
func place(t *testing.T, err error) {
	t.Helper()
	var e *Error
	known := errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLimit)
	if !errors.As(err, &e) || e.Section == "" || !known {
		t.Fatalf("error %T without place or kind: %v", err, err)
	}
}

func FuzzEnvelope(f *testing.F) {
	ours, trust := tiny(f).Envelope, testTrust()
	f.Add(ours)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseEnvelope(data, nil)
		if err != nil {
			place(t, err)
			return
		}
		if !bytes.Equal(appendEnvelope(b.Signatures, b.ManifestBytes), data) {
			t.Fatal("another form")
		}
		if _, err := ParseEnvelope(data, trust); err == nil && !bytes.Equal(data, ours) {
			t.Fatal("believed what nobody signed")
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(tiny(f).ManifestBytes)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			place(t, err)
			return
		}
		again, err := encodeManifest(m)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		if len(again) > len(data) || len(again) == len(data) && !bytes.Equal(again, data) {
			t.Fatalf("another form:\n%x\n%x", data, again)
		}
	})
}

func FuzzIndex(f *testing.F) {
	for _, p := range tiny(f).Parts {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		chunks, err := parseIndex([][]byte{data})
		if err != nil {
			place(t, err)
			return
		}
		var again []byte
		for _, c := range chunks {
			again = appendEntry(again, c)
		}
		if !bytes.Equal(again, data) {
			t.Fatal("another form")
		}
	})
}

// FuzzDecode lets a codec see bytes that were signed but do not mean anything.
func FuzzDecode(f *testing.F) {
	b := build(f, testManifest(), testObjects()[5:])
	for i, c := range b.Index {
		data, enc, err := b.EncodedChunk(i)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 1000 {
			f.Add(uint8(enc.Codec), c.Length, data)
		}
	}
	var dec Decoder
	f.Fuzz(func(t *testing.T, codec uint8, length uint32, data []byte) {
		if length < 1 || length > MaxChunk {
			return
		}
		guarded := bytes.Repeat([]byte{0xa5}, int(length)+64)
		dst := guarded[:length]
		c := Chunk{Digest: Sum(data), Length: length}
		enc := Encoding{Codec: Codec(codec % 4), Length: uint32(len(data)), Digest: Sum(data)}
		if err := dec.Decode(c, enc, data, dst); err != nil {
			place(t, err)
		}
		if !bytes.Equal(guarded[length:], bytes.Repeat([]byte{0xa5}, 64)) {
			t.Fatal("wrote beyond its room")
		}
	})
}
