package wire

import (
	"encoding/binary"
	"fmt"

	"skiff/formats/bundle"
)

// Sizes of chunk messages, in bytes.
const (
	ChunkHeader = 56
	MaxPayload  = 131_072 // a chunk message with its header
	MaxBody     = MaxPayload - ChunkHeader
)

const chunkVersion = 1

// Chunk is the header of one piece of a bundle on its way.
type Chunk struct {
	Kind    Kind
	Codec   bundle.Codec  // of the body; 0 for envelope and index
	Request uint32        // id of the request it answers; 0 in a broadcast
	Bundle  [8]byte       // first bytes of the bundle's digest, see Short
	Index   uint32        // which piece
	Total   uint32        // pieces of this kind in the bundle
	Digest  bundle.Digest // of the body
}

// Short returns the bytes of a bundle's digest that chunk headers carry.
func Short(d bundle.Digest) [8]byte { return [8]byte(d[:8]) }

// AppendChunk appends header and body to dst.
func AppendChunk(dst []byte, c Chunk, body []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, chunkVersion, byte(c.Kind), byte(c.Codec), 0)
	dst = le.AppendUint32(dst, c.Request)
	dst = append(dst, c.Bundle[:]...)
	dst = le.AppendUint32(dst, c.Index)
	dst = le.AppendUint32(dst, c.Total)
	dst = append(dst, c.Digest[:]...)
	return append(dst, body...)
}

// ParseChunk splits a payload into header and body, which borrows from payload. It does not compare the digest: the
// receiver knows a better one, from the manifest or the index, and must compare the body with that. Errors are ErrMessage.
func ParseChunk(payload []byte) (Chunk, []byte, error) {
	if len(payload) <= ChunkHeader || len(payload) > MaxPayload {
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: %d bytes, want %d to %d", ErrMessage, len(payload), ChunkHeader+1, MaxPayload)
	}
	le := binary.LittleEndian
	c := Chunk{
		Kind: Kind(payload[1]), Codec: bundle.Codec(payload[2]), Request: le.Uint32(payload[4:]), Bundle: [8]byte(payload[8:16]),
		Index: le.Uint32(payload[16:]), Total: le.Uint32(payload[20:]), Digest: bundle.Digest(payload[24:ChunkHeader]),
	}
	switch {
	case payload[0] != chunkVersion:
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: version %d, want %d", ErrMessage, payload[0], chunkVersion)
	case payload[3] != 0:
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: flags %#x", ErrMessage, payload[3])
	case c.Kind < Envelope || c.Kind > Chunks:
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: kind %d", ErrMessage, c.Kind)
	case c.Kind != Chunks && c.Codec != bundle.CodecRaw:
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: codec %s of kind %d", ErrMessage, c.Codec, c.Kind)
	case c.Index >= c.Total || c.Total > bundle.MaxChunks:
		return Chunk{}, nil, fmt.Errorf("parse chunk: %w: piece %d of %d", ErrMessage, c.Index, c.Total)
	}
	return c, payload[ChunkHeader:], nil
}

// EnvelopePieces is the number of pieces an envelope of n bytes travels in.
func EnvelopePieces(n int) int { return (n + bundle.MaxPart - 1) / bundle.MaxPart }

// EnvelopePiece returns piece i of an envelope, borrowed. i must be below EnvelopePieces(len(envelope)).
func EnvelopePiece(envelope []byte, i int) []byte {
	return envelope[i*bundle.MaxPart : min(len(envelope), (i+1)*bundle.MaxPart)]
}
