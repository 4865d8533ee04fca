package catalog

import (
	"context"
	"encoding/binary"
	"fmt"

	"skiff/fleet/state"
	"skiff/formats/bundle"
)

// A table row is codec (1 byte), length (4, little-endian) and SHA-256 (32) of one encoded
// chunk; rows never cross from one piece of the table to the next.
const (
	rowSize   = 1 + 4 + 32
	tableRows = bundle.MaxPart / rowSize
)

// Blob is one thing that travels in one message: a piece of an envelope, an index part
// or an encoded chunk.
type Blob struct {
	Key    state.Key // SHA-256 of the stored bytes
	Length uint32    // bytes
	Codec  bundle.Codec
}

// Entry lists the blobs of one bundle, by kind and in order. It must not be changed.
type Entry struct {
	Envelope, Index, Chunks []Blob
}

// Find returns the entry of a stored bundle, or state.ErrNotFound.
func (c *Catalog) Find(ctx context.Context, digest bundle.Digest) (*Entry, error) {
	c.mu.Lock()
	e := c.entries[digest]
	c.mu.Unlock()
	if e != nil {
		return e, nil
	}
	rec, err := c.store.Bundle(ctx, digest.String())
	if err != nil {
		return nil, err
	}
	e = &Entry{Envelope: blobs(rec.Envelope), Index: blobs(rec.Index)}
	for i, p := range rec.Table {
		data, err := c.store.Objects().Get(ctx, p.Key)
		if err != nil {
			return nil, fmt.Errorf("read table %d of %s: %w", i, rec.Digest, err)
		}
		e.Chunks = appendTable(e.Chunks, data)
	}
	c.remember(digest, e)
	return e, nil
}

// remember keeps e; when there are too many, any other goes.
func (c *Catalog) remember(digest bundle.Digest, e *Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old := range c.entries {
		if len(c.entries) < maxCached {
			break
		}
		delete(c.entries, old)
	}
	c.entries[digest] = e
}

// Read returns the bytes of a blob. The caller must not change them.
func (c *Catalog) Read(ctx context.Context, b Blob) ([]byte, error) {
	return c.store.Objects().Get(ctx, b.Key)
}

func blobs(pieces []state.Piece) []Blob {
	out := make([]Blob, len(pieces))
	for i, p := range pieces {
		out[i] = Blob{Key: p.Key, Length: p.Length, Codec: bundle.CodecRaw}
	}
	return out
}

// encodeTable lists the first encoding of each chunk, the one a bundle file carries.
func encodeTable(index []bundle.Chunk) []byte {
	out := make([]byte, 0, len(index)*rowSize)
	for _, c := range index {
		enc := c.Encodings[0]
		out = append(out, byte(enc.Codec))
		out = binary.LittleEndian.AppendUint32(out, enc.Length)
		out = append(out, enc.Digest[:]...)
	}
	return out
}

func appendTable(dst []Blob, data []byte) []Blob {
	for ; len(data) >= rowSize; data = data[rowSize:] {
		b := Blob{Codec: bundle.Codec(data[0]), Length: binary.LittleEndian.Uint32(data[1:])}
		copy(b.Key[:], data[5:rowSize])
		dst = append(dst, b)
	}
	return dst
}
