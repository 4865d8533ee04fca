package bundle

import (
	"encoding/binary"
	"fmt"
)

// Chunk is one entry of the index.
type Chunk struct {
	Digest    Digest     // of the decoded bytes: the chunk's name
	Length    uint32     // decoded bytes
	Encodings []Encoding // at least one; the first needs no base and has a known codec
}

// Encoding is one encoded form of a chunk.
type Encoding struct {
	Codec  Codec
	Base   Digest // the decoded chunk that a delta is against; zero: none
	Length uint32 // encoded bytes
	Digest Digest // of the encoded bytes
}

// section names the chunk in errors.
func (c Chunk) section() string { return "chunk " + c.Digest.String()[:16] }

const (
	entrySize    = 32 + 4 + 1
	encodingSize = 1 + 1 + 4 + 32 // without a base
)

// appendEntry writes one index entry.
func appendEntry(dst []byte, c Chunk) []byte {
	dst = append(dst, c.Digest[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, c.Length)
	dst = append(dst, byte(len(c.Encodings)))
	for _, e := range c.Encodings {
		dst = append(dst, byte(e.Codec))
		if e.Base.IsZero() {
			dst = append(dst, 0)
		} else {
			dst = append(append(dst, 1), e.Base[:]...)
		}
		dst = binary.LittleEndian.AppendUint32(dst, e.Length)
		dst = append(dst, e.Digest[:]...)
	}
	return dst
}

// appendIndex lays out index parts, none longer than MaxPart and no entry split.
func appendIndex(chunks []Chunk) [][]byte {
	var parts [][]byte
	var part []byte
	for _, c := range chunks {
		grown := appendEntry(part, c)
		if len(grown) > MaxPart {
			parts = append(parts, part)
			grown = appendEntry(nil, c)
		}
		part = grown
	}
	return append(parts, part)
}

// parseIndex reads the entries of all parts.
func parseIndex(parts [][]byte) ([]Chunk, error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	chunks := make([]Chunk, 0, min(size/(entrySize+encodingSize), MaxChunks))
	for i, p := range parts {
		r := &cursor{data: p, section: fmt.Sprintf("index part %d", i)}
		for r.off < len(r.data) {
			if len(chunks) == MaxChunks {
				return nil, r.fault(ErrLimit, "more than %d chunks", MaxChunks)
			}
			c, err := r.entry()
			if err != nil {
				return nil, err
			}
			chunks = append(chunks, c)
		}
	}
	return chunks, checkUnique(chunks)
}

func checkUnique(chunks []Chunk) error {
	seen := make(map[Digest]struct{}, len(chunks))
	for i, c := range chunks {
		if _, ok := seen[c.Digest]; ok {
			return fault("index", 0, ErrCorrupt, "chunk %d is listed twice", i)
		}
		seen[c.Digest] = struct{}{}
	}
	return nil
}

// cursor reads fixed binary fields. Its first error sticks.
type cursor struct {
	data    []byte
	off     int
	section string
	err     error
}

func (r *cursor) fault(kind error, format string, args ...any) error {
	return fault(r.section, int64(r.off), kind, format, args...)
}

// next returns the next n bytes, or zeros after an error.
func (r *cursor) next(n int) []byte {
	if r.err == nil && len(r.data)-r.off < n {
		r.err = r.fault(ErrCorrupt, "data ends in an entry")
	}
	if r.err != nil {
		return make([]byte, n)
	}
	r.off += n
	return r.data[r.off-n : r.off]
}

func (r *cursor) byte() byte     { return r.next(1)[0] }
func (r *cursor) uint32() uint32 { return binary.LittleEndian.Uint32(r.next(4)) }
func (r *cursor) digest() Digest { return Digest(r.next(len(Digest{}))) }

// entry reads and checks one entry.
func (r *cursor) entry() (Chunk, error) {
	start := r.off
	c := Chunk{Digest: r.digest(), Length: r.uint32()}
	count := int(r.byte())
	switch {
	case r.err != nil:
		return c, r.err
	case c.Length < 1 || c.Length > MaxChunk:
		return c, r.fault(ErrLimit, "chunk of %d bytes, want 1 to %d", c.Length, MaxChunk)
	case count < 1 || count > MaxEncodings:
		return c, r.fault(ErrLimit, "%d encodings, want 1 to %d", count, MaxEncodings)
	}
	c.Encodings = make([]Encoding, count)
	for i := range c.Encodings {
		e, err := r.encoding(c)
		if err != nil {
			return c, err
		}
		c.Encodings[i] = e
	}
	if e := c.Encodings[0]; !e.Base.IsZero() || !e.Codec.known() {
		r.off = start
		return c, r.fault(ErrUnsupported, "first encoding is %s", e.Codec)
	}
	return c, nil
}

func (r *cursor) encoding(c Chunk) (Encoding, error) {
	e := Encoding{Codec: Codec(r.byte())}
	based := r.byte()
	if based == 1 {
		e.Base = r.digest()
	}
	e.Length, e.Digest = r.uint32(), r.digest()
	switch {
	case r.err != nil:
		return e, r.err
	case based > 1 || based == 1 && e.Base.IsZero():
		return e, r.fault(ErrCorrupt, "base flag %d", based)
	case e.Length < 1 || e.Length > MaxEncoded:
		return e, r.fault(ErrLimit, "encoding of %d bytes, want 1 to %d", e.Length, MaxEncoded)
	case e.Codec == CodecRaw && (based == 1 || e.Length != c.Length || e.Digest != c.Digest):
		return e, r.fault(ErrCorrupt, "raw encoding differs from the chunk")
	}
	return e, nil
}
