package bundle

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"skiff/formats/sign"
	"skiff/formats/tensor"
)

// Builder collects the objects of a bundle. It is not for concurrent use.
type Builder struct {
	objects []Object
	pieces  []piece // extents name these until Build knows the chunks
	block   string  // whose small tensors share the open piece
	open    int     // index of the open piece, or -1
}

// piece is a chunk to be: its decoded bytes.
type piece struct {
	data   []byte
	codes  bool // int8 codes alone
	shared bool // data is ours, and grows
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return &Builder{open: -1} }

// AddTensor adds a tensor; data is little-endian and must be as long as dtype and shape say. data is borrowed, and must not
// change, until Build has returned. Small tensors that are added one after another with the same block share chunks; what
// lies between them does not matter.
func (b *Builder) AddTensor(block, name string, dtype tensor.DType, shape []int, data []byte) error {
	size, ok := shapeSize(shape, dtype.Size())
	if !ok || size != uint64(len(data)) || size == 0 {
		return fault("manifest", 0, ErrCorrupt, "tensor %q: %d bytes are not %s %v", name, len(data), dtype, shape)
	}
	o := Object{Kind: KindTensor, Name: name, DType: dtype, Shape: slices.Clone(shape), Length: size}
	if len(data) <= smallTensor {
		o.Extents = b.share(block, data)
	} else {
		o.Extents = b.cut(data, run(dtype, shape), dtype == tensor.I8 || dtype == tensor.U8)
	}
	b.objects = append(b.objects, o)
	return nil
}

// AddBlob adds an object that is no tensor. data must not be empty; it is borrowed until Build has returned.
func (b *Builder) AddBlob(kind Kind, name string, data []byte) error {
	if kind == KindTensor || len(data) == 0 {
		return fault("manifest", 0, ErrCorrupt, "%s %q of %d bytes is no blob", kind, name, len(data))
	}
	o := Object{Kind: kind, Name: name, Length: uint64(len(data)), Extents: b.cut(data, MaxChunk, false)}
	b.objects = append(b.objects, o)
	return nil
}

// run returns the bytes of a chunk of a tensor: as many whole rows as fit, or parts of a row, in whole elements.
func run(dtype tensor.DType, shape []int) int {
	row := dtype.Size()
	for _, n := range shape[min(1, len(shape)):] {
		row *= n
	}
	if row > MaxChunk {
		return MaxChunk - MaxChunk%dtype.Size()
	}
	return MaxChunk - MaxChunk%row
}

// cut makes a piece of every size bytes of data.
func (b *Builder) cut(data []byte, size int, codes bool) []Extent {
	extents := make([]Extent, 0, len(data)/size+1)
	for part := range slices.Chunk(data, size) {
		extents = append(extents, Extent{Chunk: uint32(len(b.pieces)), Length: uint32(len(part))})
		b.pieces = append(b.pieces, piece{data: part, codes: codes})
	}
	return extents
}

// share appends data to the open piece of its block, or opens one.
func (b *Builder) share(block string, data []byte) []Extent {
	if b.open < 0 || b.block != block || len(b.pieces[b.open].data)+len(data) > MaxChunk {
		b.block, b.open = block, len(b.pieces)
		b.pieces = append(b.pieces, piece{shared: true})
	}
	p := &b.pieces[b.open]
	x := Extent{Chunk: uint32(b.open), Offset: uint32(len(p.data)), Length: uint32(len(data))}
	p.data = append(p.data, data...)
	return []Extent{x}
}

// Build encodes the chunks on all processors, fills KeyID, Objects and IndexParts of m, and signs. The result holds the
// encoded chunks in memory, and can be read and written. The same input gives the same bytes. Errors are *Error where the
// manifest or an object is over a limit, or ctx's.
func (b *Builder) Build(ctx context.Context, m Manifest, key sign.Private) (*Bundle, error) {
	if key.IsZero() {
		return nil, fmt.Errorf("build bundle: %w", sign.ErrKey)
	}
	made, err := encodeAll(ctx, b.pieces)
	if err != nil {
		return nil, fmt.Errorf("build bundle: %w", err)
	}
	index, encoded, place := unique(made)
	parts := appendIndex(index)
	m.KeyID, m.Objects, m.IndexParts = key.ID(), b.placed(place), describe(parts)
	manifest, err := encodeManifest(m)
	if err != nil {
		return nil, fmt.Errorf("build bundle: %w", err)
	}
	envelope := appendEnvelope([]sign.Signature{key.Sign(sign.TypeManifest, manifest)}, manifest)
	// What a reader would refuse must not be built: go the reader's way.
	out, err := ParseEnvelope(envelope, sign.NewTrust(key.Public(sign.RoleModel)))
	if err != nil {
		return nil, fmt.Errorf("build bundle: %w", err)
	}
	if out, err = out.WithIndex(parts); err != nil {
		return nil, fmt.Errorf("build bundle: %w", err)
	}
	return out.WithEncoded(func(_ context.Context, i int, _ []byte) ([]byte, error) { return encoded[i], nil }), nil
}

// made is an encoded piece.
type made struct {
	chunk   Chunk
	encoded []byte
}

// encodeAll encodes every piece. Each stands alone, so the result does not depend on how many workers there are.
func encodeAll(ctx context.Context, pieces []piece) ([]made, error) {
	out := make([]made, len(pieces))
	errs := make([]error, min(runtime.GOMAXPROCS(0), max(1, len(pieces))))
	var next atomic.Int64
	var workers sync.WaitGroup
	for w := range errs {
		workers.Go(func() {
			e, err := newEncoder()
			if err != nil {
				errs[w] = err
				return
			}
			for i := int(next.Add(1)) - 1; i < len(pieces) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				out[i] = e.make(pieces[i])
			}
		})
	}
	workers.Wait()
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *encoder) make(p piece) made {
	codec, encoded := e.encode(p.data, p.codes)
	if codec == CodecRaw && !p.shared {
		encoded = slices.Clone(encoded) // data is only borrowed
	}
	return made{
		chunk: Chunk{Digest: Sum(p.data), Length: uint32(len(p.data)), Encodings: []Encoding{{
			Codec: codec, Length: uint32(len(encoded)), Digest: Sum(encoded),
		}}},
		encoded: encoded,
	}
}

// unique drops repeated chunks; place maps the pieces to what is left.
func unique(all []made) (index []Chunk, encoded [][]byte, place []uint32) {
	seen := make(map[Digest]uint32, len(all))
	for _, m := range all {
		at, ok := seen[m.chunk.Digest]
		if !ok {
			at = uint32(len(index))
			seen[m.chunk.Digest] = at
			index, encoded = append(index, m.chunk), append(encoded, m.encoded)
		}
		place = append(place, at)
	}
	return index, encoded, place
}

// placed returns the objects with extents that name chunks.
func (b *Builder) placed(place []uint32) []Object {
	objects := slices.Clone(b.objects)
	for i := range objects {
		extents := slices.Clone(objects[i].Extents)
		for j := range extents {
			extents[j].Chunk = place[extents[j].Chunk]
		}
		objects[i].Extents = extents
	}
	return objects
}

func describe(parts [][]byte) []Part {
	out := make([]Part, len(parts))
	for i, p := range parts {
		out[i] = Part{Digest: Sum(p), Length: uint32(len(p))}
	}
	return out
}
