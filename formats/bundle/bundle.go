package bundle

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"skiff/formats/sign"
)

// Source yields decoded chunks: it fills dst, whose length is the decoded length of chunk i. The bundle checks the digest
// of what it gets. Calls may be concurrent.
type Source interface {
	Chunk(ctx context.Context, i int, dst []byte) error
}

// Bundle is an opened bundle. Its fields are for reading only; its methods may be called concurrently, except Close.
type Bundle struct {
	Manifest      Manifest
	ManifestBytes []byte
	Envelope      []byte // header, signatures and manifest
	Signatures    []sign.Signature
	Key           sign.KeyID // the trusted key that signed; zero where no trust was asked for
	Parts         [][]byte   // index parts; nil before WithIndex
	Index         []Chunk    // nil before WithIndex

	source  Source      // decoded chunks, or
	encoded readEncoded // encoded ones; both nil: nothing to read from
	file    *os.File    // of OpenFile
	readers *sync.Pool  // of *reader
}

// readEncoded returns encoding j of chunk i, unchecked. It may use buf's capacity.
type readEncoded func(ctx context.Context, i, j int, buf []byte) ([]byte, error)

// Open opens a bundle of size bytes, which it reads from r as long as it is in use: envelope, then index parts, then, when
// asked for, chunks. With a nil trust the structure is checked, not who signed. Errors are *Error around ErrCorrupt,
// ErrUnsupported, ErrLimit, those of package sign, or of r.
func Open(r io.ReaderAt, size int64, trust *sign.Trust) (*Bundle, error) {
	envelope, err := readEnvelope(r, size)
	if err != nil {
		return nil, err
	}
	b, err := ParseEnvelope(envelope, trust)
	if err != nil {
		return nil, err
	}
	off := int64(len(envelope))
	parts := make([][]byte, len(b.Manifest.IndexParts))
	for i, p := range b.Manifest.IndexParts {
		section := fmt.Sprintf("index part %d", i)
		if parts[i], err = readSection(r, size, off, int64(p.Length), section); err != nil {
			return nil, err
		}
		off += int64(p.Length)
	}
	if b, err = b.WithIndex(parts); err != nil {
		return nil, err
	}
	if b.Size() != size {
		return nil, fault("file", min(size, b.Size()), ErrCorrupt, "%d bytes, want %d", size, b.Size())
	}
	return b.reading(nil, fileReader(r, off, b.Index)), nil
}

// OpenFile is Open for a file. Close the bundle when it is no longer used.
func OpenFile(path string, trust *sign.Trust) (*Bundle, error) {
	info, err := os.Stat(path) // before Open, which would wait on a named pipe
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open bundle %s: %w", path, fault("file", 0, ErrUnsupported, "not a regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	b, err := openFile(f, trust)
	if err != nil {
		f.Close() // nothing was written: its error says nothing more
		return nil, fmt.Errorf("open bundle %s: %w", path, err)
	}
	return b, nil
}

func openFile(f *os.File, trust *sign.Trust) (*Bundle, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := Open(f, info.Size(), trust)
	if err == nil {
		b.file = f
	}
	return b, err
}

// Close closes the file of OpenFile; for other bundles it does nothing.
func (b *Bundle) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// readEnvelope reads the envelope at the front of a file.
func readEnvelope(r io.ReaderAt, size int64) ([]byte, error) {
	head, err := readSection(r, size, 0, headerSize, "header")
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(head)
	if err != nil {
		return nil, err
	}
	return readSection(r, size, 0, int64(h.envelopeSize()), "header")
}

// readSection reads n bytes at off. It allocates nothing for what lies beyond the end of the file.
func readSection(r io.ReaderAt, size, off, n int64, section string) ([]byte, error) {
	if n > size-off {
		return nil, fault(section, max(0, size-off), ErrCorrupt, "file of %d bytes ends", size)
	}
	data := make([]byte, n)
	if _, err := r.ReadAt(data, off); err != nil && err != io.EOF {
		return nil, &Error{Section: section, Err: err}
	}
	return data, nil
}

// fileReader reads encoded chunks that lie one after another from off on.
func fileReader(r io.ReaderAt, off int64, index []Chunk) readEncoded {
	starts := make([]int64, len(index))
	for i, c := range index {
		starts[i] = off
		off += c.encodedSize()
	}
	return func(ctx context.Context, i, j int, buf []byte) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := starts[i]
		for _, e := range index[i].Encodings[:j] {
			at += int64(e.Length)
		}
		n := int(index[i].Encodings[j].Length)
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		_, err := r.ReadAt(buf[:n], at)
		if err == io.EOF {
			err = nil // the digest tells whether anything is missing
		}
		return buf[:n], err
	}
}

// encodedSize is the length of all encodings of a chunk, in bytes.
func (c Chunk) encodedSize() int64 {
	var n int64
	for _, e := range c.Encodings {
		n += int64(e.Length)
	}
	return n
}

// WithIndex returns a bundle with the index of the given parts, which it checks against the manifest before it reads them,
// and borrows.
func (b *Bundle) WithIndex(parts [][]byte) (*Bundle, error) {
	want := b.Manifest.IndexParts
	if len(parts) != len(want) {
		return nil, fault("index", 0, ErrCorrupt, "%d parts, want %d", len(parts), len(want))
	}
	for i, p := range parts {
		if len(p) != int(want[i].Length) || Sum(p) != want[i].Digest {
			return nil, fault(fmt.Sprintf("index part %d", i), 0, ErrCorrupt, "digest differs")
		}
	}
	index, err := parseIndex(parts)
	if err != nil {
		return nil, err
	}
	if err := checkExtents(b.Manifest.Objects, index); err != nil {
		return nil, err
	}
	n := *b
	n.Parts, n.Index = parts, index
	return &n, nil
}

// WithSource returns a bundle that reads decoded chunks from s.
func (b *Bundle) WithSource(s Source) *Bundle { return b.reading(s, nil) }

// WithEncoded returns a bundle that reads the first encoding of chunk i by read and decodes it. read may be called
// concurrently; it may fill buf, whose capacity may be zero, or return memory of its own, which the bundle only reads and
// only until its next call with the same buf.
func (b *Bundle) WithEncoded(read func(ctx context.Context, i int, buf []byte) ([]byte, error)) *Bundle {
	return b.reading(nil, func(ctx context.Context, i, j int, buf []byte) ([]byte, error) {
		if j > 0 {
			return nil, fault(b.Index[i].section(), 0, ErrUnsupported, "encoding %d is not at hand", j)
		}
		return read(ctx, i, buf)
	})
}

func (b *Bundle) reading(s Source, e readEncoded) *Bundle {
	n := *b
	n.source, n.encoded = s, e
	n.readers = &sync.Pool{New: func() any { return &reader{chunk: -1} }}
	return &n
}

// Digest is the bundle's identity: the SHA-256 of the manifest bytes.
func (b *Bundle) Digest() Digest { return Sum(b.ManifestBytes) }

// Size is the length of the whole file in bytes. It needs the index.
func (b *Bundle) Size() int64 {
	n := int64(len(b.Envelope))
	for _, p := range b.Parts {
		n += int64(len(p))
	}
	for _, c := range b.Index {
		n += c.encodedSize()
	}
	return n
}

// Object returns the object of that kind and name.
func (b *Bundle) Object(kind Kind, name string) (Object, bool) {
	for _, o := range b.Manifest.Objects {
		if o.Kind == kind && o.Name == name {
			return o, true
		}
	}
	return Object{}, false
}

// Objects returns all objects of a kind, in the order they were added.
func (b *Bundle) Objects(kind Kind) []Object {
	var out []Object
	for _, o := range b.Manifest.Objects {
		if o.Kind == kind {
			out = append(out, o)
		}
	}
	return out
}
