package bundle

import (
	"context"
	"fmt"
)

// reader holds the buffers for reading chunks one after another, and the last chunk it read.
type reader struct {
	dec     Decoder
	encoded []byte
	buffer  []byte
	decoded []byte // in buffer, or where a caller wanted it
	chunk   int    // that decoded holds, or -1
}

// read returns the decoded bytes of chunk i, checked now, whether just read or still here.
func (r *reader) read(ctx context.Context, b *Bundle, i int) ([]byte, error) {
	c := b.Index[i]
	if r.chunk == i && Sum(r.decoded) == c.Digest {
		return r.decoded, nil
	}
	if err := r.load(ctx, b, i, nil); err != nil {
		return nil, err
	}
	if err := checkDecoded(c, r.decoded); err != nil {
		return nil, err
	}
	r.chunk = i
	return r.decoded, nil
}

// load gets chunk i into dst, or a buffer where that is nil, without checking it: r.decoded.
func (r *reader) load(ctx context.Context, b *Bundle, i int, dst []byte) error {
	r.chunk = -1
	n := int(b.Index[i].Length)
	if dst == nil {
		if cap(r.buffer) < n {
			r.buffer = make([]byte, n, MaxChunk)
		}
		dst = r.buffer[:n]
	}
	if len(dst) != n {
		return fault(b.Index[i].section(), 0, ErrCorrupt, "room for %d bytes, want %d", len(dst), n)
	}
	r.decoded = dst
	return r.fill(ctx, b, i)
}

// fill gets chunk i into r.decoded from wherever the bundle reads.
func (r *reader) fill(ctx context.Context, b *Bundle, i int) error {
	c := b.Index[i]
	if b.source != nil {
		if err := b.source.Chunk(ctx, i, r.decoded); err != nil {
			return fmt.Errorf("read %s: %w", c.section(), err)
		}
		return nil
	}
	if r.encoded == nil {
		r.encoded = make([]byte, 0, MaxEncoded)
	}
	encoded, err := b.encoded(ctx, i, 0, r.encoded[:0])
	if err != nil {
		return fmt.Errorf("read %s: %w", c.section(), err)
	}
	return r.dec.decode(c, c.Encodings[0], encoded, r.decoded)
}

// ready reports an error when there is nothing to read from.
func (b *Bundle) ready() error {
	if b.Index == nil || b.source == nil && b.encoded == nil {
		return fault("index", 0, ErrUnsupported, "bundle has no chunks at hand")
	}
	return nil
}

// Each calls fn with the bytes of an object in order, piece by piece; off is the offset within the object. data is only
// lent and must not be changed. Every chunk's decoded digest is checked every time. An error of fn ends the walk and is
// returned as it is.
func (b *Bundle) Each(ctx context.Context, o Object, fn func(off int, data []byte) error) error {
	if err := b.ready(); err != nil {
		return err
	}
	r := b.readers.Get().(*reader)
	defer b.readers.Put(r)
	off := 0
	for _, x := range o.Extents {
		if int(x.Chunk) >= len(b.Index) || uint64(x.Offset)+uint64(x.Length) > uint64(b.Index[x.Chunk].Length) {
			return fault("manifest", 0, ErrCorrupt, "%s %q: extent outside chunk %d", o.Kind, o.Name, x.Chunk)
		}
		data, err := r.read(ctx, b, int(x.Chunk))
		if err != nil {
			return err
		}
		end := x.Offset + x.Length
		if err := fn(off, data[x.Offset:end:end]); err != nil {
			return err
		}
		off += int(x.Length)
	}
	return nil
}

// Read returns the bytes of an object of at most MaxReadBytes, in new memory.
func (b *Bundle) Read(ctx context.Context, o Object) ([]byte, error) {
	if o.Length > MaxReadBytes {
		return nil, fault("manifest", 0, ErrLimit, "%s %q: %d bytes, want at most %d", o.Kind, o.Name, o.Length, MaxReadBytes)
	}
	dst := make([]byte, o.Length)
	return dst, b.ReadInto(ctx, o, dst)
}

// ReadInto fills dst, which must have the object's length.
func (b *Bundle) ReadInto(ctx context.Context, o Object, dst []byte) error {
	if uint64(len(dst)) != o.Length {
		return fault("manifest", 0, ErrCorrupt, "%s %q: room for %d bytes, want %d", o.Kind, o.Name, len(dst), o.Length)
	}
	return b.Each(ctx, o, func(off int, data []byte) error {
		copy(dst[off:], data)
		return nil
	})
}

// EncodedChunk returns chunk i as it travels, in its first encoding and checked against that encoding's digest. The bytes
// are only to be read. It needs a bundle that reads encoded chunks: of Open, Build or WithEncoded.
func (b *Bundle) EncodedChunk(i int) ([]byte, Encoding, error) {
	if i < 0 || i >= len(b.Index) || b.encoded == nil {
		return nil, Encoding{}, fault("index", 0, ErrUnsupported, "no encoded chunk %d at hand", i)
	}
	data, err := b.encodedChunk(context.Background(), i, 0, nil)
	return data, b.Index[i].Encodings[0], err
}

// encodedChunk reads and checks encoding j of chunk i.
func (b *Bundle) encodedChunk(ctx context.Context, i, j int, buf []byte) ([]byte, error) {
	c := b.Index[i]
	data, err := b.encoded(ctx, i, j, buf)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.section(), err)
	}
	return data, checkEncoded(c, c.Encodings[j], data)
}

// VerifyAll reads every chunk, in every encoding, and checks all digests, encoded and decoded. Envelope and index were
// checked when the bundle was opened.
func (b *Bundle) VerifyAll(ctx context.Context) error {
	if err := b.ready(); err != nil {
		return err
	}
	r := b.readers.Get().(*reader)
	defer b.readers.Put(r)
	for i, c := range b.Index {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.chunk = -1 // read it anew
		if _, err := r.read(ctx, b, i); err != nil {
			return err
		}
		for j := 1; j < len(c.Encodings) && b.encoded != nil; j++ {
			if _, err := b.encodedChunk(ctx, i, j, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
