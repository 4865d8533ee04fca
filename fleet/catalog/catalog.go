// Package catalog puts bundles into the fleet's store and finds their parts again.
//
//	.skiff file -> Add: every byte checked -> objects, then one record
//	bundle digest -> Find: lists of objects that travel as they are stored
//
// Add is the only place of the fleet that reads the bundle format; who signed a bundle
// is for the devices to judge, the server holds no model key. Find parses nothing but
// its own table, so a request costs the same whatever the bundle is.
//
// It must not import runtime, agent, packager, nor anything that talks to a network.
package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"skiff/fleet/state"
	"skiff/formats/bundle"
)

// ErrConflict is returned by Add for a bundle that is stored under other signatures.
var ErrConflict = errors.New("bundle is stored with other signatures")

const (
	writers   = 8  // objects written at a time
	maxCached = 16 // entries remembered by Find
)

// Catalog is the bundles of one store. Its methods are safe for concurrent callers.
type Catalog struct {
	store *state.Store

	mu      sync.Mutex // guards entries
	entries map[bundle.Digest]*Entry
}

// New returns the catalog of a store.
func New(store *state.Store) *Catalog {
	return &Catalog{store: store, entries: make(map[bundle.Digest]*Entry)}
}

// Add checks every byte of the bundle file at path and stores it. A bundle that is
// stored already is left as it is and its record returned. Whatever stops Add, no bundle
// is visible before all of it is on disk; what was written is used by the next try.
// Errors: those of package bundle, ErrConflict, state.ErrFull, state.ErrUnavailable.
func (c *Catalog) Add(ctx context.Context, path string) (state.Bundle, error) {
	b, err := bundle.OpenFile(path, nil)
	if err != nil {
		return state.Bundle{}, fmt.Errorf("read bundle: %w", err)
	}
	defer b.Close()
	if err := b.VerifyAll(ctx); err != nil {
		return state.Bundle{}, fmt.Errorf("verify bundle: %w", err)
	}
	rec, small := record(b)
	switch old, err := c.store.Bundle(ctx, rec.Digest); {
	case err == nil && !slices.Equal(old.Envelope, rec.Envelope):
		return state.Bundle{}, fmt.Errorf("store bundle %s: %w", rec.Digest, ErrConflict)
	case err == nil:
		return old, nil
	case !errors.Is(err, state.ErrNotFound):
		return state.Bundle{}, err
	}
	if err := c.write(ctx, b, small); err != nil {
		return state.Bundle{}, fmt.Errorf("store bundle %s: %w", rec.Digest, err)
	}
	// Only now is every object on disk.
	return rec, c.store.PutBundle(ctx, rec)
}

// record describes b and returns with it the small objects that the record names.
func record(b *bundle.Bundle) (rec state.Bundle, small [][]byte) {
	m := b.Manifest
	rec = state.Bundle{
		Digest: b.Digest().String(), Product: m.Product, Channels: m.Channels, Name: m.Name, Version: m.Version,
		Release: m.Release, Task: m.Task, Key: m.KeyID.String(), Size: b.Size(), Manifest: uint32(len(b.ManifestBytes)),
		Chunks: len(b.Index), Added: time.Now().UTC(),
	}
	envelope := slices.Collect(slices.Chunk(b.Envelope, bundle.MaxPart))
	table := slices.Collect(slices.Chunk(encodeTable(b.Index), tableRows*rowSize))
	rec.Envelope, rec.Index, rec.Table = pieces(envelope), pieces(b.Parts), pieces(table)
	return rec, slices.Concat(envelope, b.Parts, table)
}

func pieces(parts [][]byte) []state.Piece {
	out := make([]state.Piece, len(parts))
	for i, p := range parts {
		out[i] = state.Piece{Key: sha256.Sum256(p), Length: uint32(len(p))}
	}
	return out
}

// write stores the small objects and all chunks, several at a time, because each write
// waits for the disk.
func (c *Catalog) write(ctx context.Context, b *bundle.Bundle, small [][]byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range jobs {
				if err := c.writeOne(ctx, b, small, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < len(small)+len(b.Index) && ctx.Err() == nil; i++ {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	return context.Cause(ctx)
}

// writeOne stores job i: first the small objects, then the chunks.
func (c *Catalog) writeOne(ctx context.Context, b *bundle.Bundle, small [][]byte, i int) error {
	if err := context.Cause(ctx); err != nil {
		return err // another job failed
	}
	if i < len(small) {
		return c.store.Objects().Add(ctx, sha256.Sum256(small[i]), small[i])
	}
	data, enc, err := b.EncodedChunk(i - len(small))
	if err != nil {
		return fmt.Errorf("read chunk %d: %w", i-len(small), err)
	}
	return c.store.Objects().Add(ctx, state.Key(enc.Digest), data)
}

// Plant stores envelope, whatever it holds, as the envelope of a bundle whose index and
// chunks are those of like, and returns its digest: the SHA-256 of the bytes after the
// header and signatures, as a device computes it. It exists so that tests and the demo
// can play a hostile server; the HTTP API has no way to it.
func (c *Catalog) Plant(ctx context.Context, envelope, manifest []byte, like bundle.Digest) (bundle.Digest, error) {
	rec, err := c.store.Bundle(ctx, like.String())
	if err != nil {
		return bundle.Digest{}, err
	}
	parts := slices.Collect(slices.Chunk(envelope, bundle.MaxPart))
	for _, p := range parts {
		if err := c.store.Objects().Add(ctx, sha256.Sum256(p), p); err != nil {
			return bundle.Digest{}, err
		}
	}
	digest := bundle.Sum(manifest)
	rec.Digest, rec.Envelope, rec.Manifest, rec.Added = digest.String(), pieces(parts), uint32(len(manifest)), time.Now().UTC()
	return digest, c.store.PutBundle(ctx, rec)
}
