package bundle

import (
	"context"
	"errors"
	"io"

	"skiff/formats/sign"
	"skiff/formats/tensor"
)

var errTodo = errors.New("not yet")

// Codec says how a chunk is encoded. The numbers are frozen.
type Codec uint8

// The codecs.
const (
	CodecRaw      Codec = 0
	CodecZstd     Codec = 1
	CodecHuff0    Codec = 2
	CodecFSEDelta Codec = 3 // reserved
)

// Chunk is one entry of the index.
type Chunk struct {
	Digest    Digest // of the decoded bytes: the chunk's name
	Length    uint32 // decoded bytes
	Encodings []Encoding
}

// Encoding is one encoded form of a chunk.
type Encoding struct {
	Codec  Codec
	Base   Digest // decoded base chunk of a delta; zero: none
	Length uint32 // encoded bytes
	Digest Digest // of the encoded bytes
}

// Source fills dst, which has the decoded length, with the decoded bytes of chunk i.
// The bundle checks what it gets. Implementations must allow concurrent calls.
type Source interface {
	Chunk(ctx context.Context, i int, dst []byte) error
}

// Bundle is an opened bundle. Its fields are for reading only; its methods may be called concurrently.
type Bundle struct {
	Manifest      Manifest
	ManifestBytes []byte
	Envelope      []byte // header, signatures and manifest: what a server sends first
	Signatures    []sign.Signature
	Key           sign.KeyID // the trusted key that signed; zero where no trust was asked for
	Parts         [][]byte   // index parts; nil before WithIndex
	Index         []Chunk    // nil before WithIndex
}

// Open opens a bundle of size bytes. See OpenFile. The Bundle reads from r until it is no longer used.
func Open(r io.ReaderAt, size int64, trust *sign.Trust) (*Bundle, error) { return nil, errTodo }

// OpenFile opens a bundle file: signature, manifest, index; chunks are read when asked for. With a nil trust only the
// structure is checked, not who signed. Close it when done.
func OpenFile(path string, trust *sign.Trust) (*Bundle, error) { return nil, errTodo }

// ParseEnvelope reads a bundle's envelope; the result has no Index yet. It borrows data.
func ParseEnvelope(data []byte, trust *sign.Trust) (*Bundle, error) { return nil, errTodo }

// WithIndex returns the bundle with the index of the given parts, which it checks against the manifest and borrows.
func (b *Bundle) WithIndex(parts [][]byte) (*Bundle, error) { return nil, errTodo }

// WithSource returns the bundle reading decoded chunks from s.
func (b *Bundle) WithSource(s Source) *Bundle { return nil }

// WithEncoded returns the bundle reading its first encoding of chunk i by read, which may use buf's capacity
// and may return memory of its own that stays valid until the next call with the same buf.
func (b *Bundle) WithEncoded(read func(ctx context.Context, i int, buf []byte) ([]byte, error)) *Bundle {
	return nil
}

// Digest is the bundle's identity: the digest of the manifest bytes.
func (b *Bundle) Digest() Digest { return Sum(b.ManifestBytes) }

// Size is the length of the whole file in bytes; it needs the index.
func (b *Bundle) Size() int64 { return 0 }

// Object returns the object of that kind and name.
func (b *Bundle) Object(kind Kind, name string) (Object, bool) { return Object{}, false }

// Objects returns all objects of a kind, in the order they were added.
func (b *Bundle) Objects(kind Kind) []Object { return nil }

// Each calls fn with the bytes of an object in order, piece by piece; off is the offset in the object. data is only lent
// and must not be changed. Each chunk's decoded digest is checked every time.
func (b *Bundle) Each(ctx context.Context, o Object, fn func(off int, data []byte) error) error {
	return errTodo
}

// Read returns the bytes of an object, at most MaxReadBytes.
func (b *Bundle) Read(ctx context.Context, o Object) ([]byte, error) { return nil, errTodo }

// ReadInto fills dst, which must have the object's length.
func (b *Bundle) ReadInto(ctx context.Context, o Object, dst []byte) error { return errTodo }

// EncodedChunk returns chunk i as it travels, in its first encoding, checked against the encoded digest.
func (b *Bundle) EncodedChunk(i int) ([]byte, Encoding, error) { return nil, Encoding{}, errTodo }

// VerifyAll checks every byte of every chunk, encoded and decoded.
func (b *Bundle) VerifyAll(ctx context.Context) error { return errTodo }

// WriteTo writes the whole file.
func (b *Bundle) WriteTo(w io.Writer) (int64, error) { return 0, errTodo }

// WriteFile writes the whole file durably: wholly there or not at all.
func (b *Bundle) WriteFile(path string) error { return errTodo }

// Close closes the file of OpenFile; for other bundles it does nothing.
func (b *Bundle) Close() error { return nil }

// Decode decodes one encoded chunk into dst, which must have the decoded length of c, checking the encoded digest before
// and the decoded digest after. enc is one of c.Encodings.
func Decode(c Chunk, enc Encoding, encoded, dst []byte) error { return errTodo }

// Decoder is Decode with scratch memory to reuse. The zero value works. Not for concurrent use.
type Decoder struct{}

// Decode is like the function Decode.
func (d *Decoder) Decode(c Chunk, enc Encoding, encoded, dst []byte) error { return errTodo }

// Builder collects the objects of a bundle. Not for concurrent use.
type Builder struct{}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return &Builder{} }

// AddTensor adds a tensor. data is borrowed, and must not change, until Build has returned. Small tensors that are added
// one after another with the same block share chunks.
func (b *Builder) AddTensor(block, name string, dtype tensor.DType, shape []int, data []byte) error {
	return errTodo
}

// AddBlob adds an object that is no tensor. data is borrowed until Build has returned.
func (b *Builder) AddBlob(kind Kind, name string, data []byte) error { return errTodo }

// Build encodes, indexes and signs. The result holds the encoded chunks in memory and can be read and written. The same
// input gives the same bytes.
func (b *Builder) Build(ctx context.Context, m Manifest, key sign.Private) (*Bundle, error) {
	return nil, errTodo
}
