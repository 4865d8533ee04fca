package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"skiff/formats/bundle"
	"skiff/formats/sign"
)

// Chunk is a decoded chunk and its name.
type Chunk struct {
	Digest bundle.Digest
	Data   []byte // read before PutChunks returns, not kept
}

// PutChunks commits a batch of verified chunks and the count of bytes they took, in one transaction. Errors: ErrFull, ErrDamaged.
func (s *Store) PutChunks(chunks []Chunk) error {
	err := s.update(func(tx *bolt.Tx) error {
		for _, c := range chunks {
			if err := put(tx, bChunk, c.Digest, c.Data); err != nil {
				return err
			}
		}
		return count(tx, s.arrivals.open)
	})
	if err != nil {
		return fmt.Errorf("write %d chunks: %w", len(chunks), err)
	}
	s.arrivals.clear(chunks)
	return nil
}

// PutEnvelope commits the envelope of a bundle.
func (s *Store) PutEnvelope(d bundle.Digest, envelope []byte) error {
	err := s.update(func(tx *bolt.Tx) error { return put(tx, bEnvelope, d, envelope) })
	if err != nil {
		return fmt.Errorf("write envelope: %w", err)
	}
	return nil
}

// PutPart commits one verified index part.
func (s *Store) PutPart(d bundle.Digest, part []byte) error {
	err := s.update(func(tx *bolt.Tx) error { return put(tx, bPart, d, part) })
	if err != nil {
		return fmt.Errorf("write index part: %w", err)
	}
	return nil
}

// Has reports whether a chunk is held; an error counts as not.
func (s *Store) Has(chunk bundle.Digest) bool {
	held := false
	_ = s.view(func(tx *bolt.Tx) error {
		held = get(tx, bChunk, chunk) != nil
		return nil
	})
	return held
}

// Missing returns the positions of the index whose chunks are not held, whichever bundle brought them.
func (s *Store) Missing(index []bundle.Chunk) ([]int, error) {
	defer s.release()
	var missing []int
	err := s.view(func(tx *bolt.Tx) error {
		for i, c := range index {
			if v := get(tx, bChunk, c.Digest); len(v) != int(c.Length) {
				missing = append(missing, i)
			}
		}
		return nil
	})
	return missing, err
}

// Envelope opens the envelope of a bundle, verifying its signature again. Errors: ErrMissing, and those of bundle.ParseEnvelope.
func (s *Store) Envelope(d bundle.Digest, trust *sign.Trust) (*bundle.Bundle, error) {
	data, err := s.value(bEnvelope, d)
	if err != nil {
		return nil, fmt.Errorf("read envelope %.8s: %w", d, err)
	}
	b, err := bundle.ParseEnvelope(data, trust)
	if err != nil {
		return nil, fmt.Errorf("read envelope %.8s: %w", d, err)
	}
	if b.Digest() != d {
		return nil, fmt.Errorf("read envelope %.8s: %w: manifest has digest %.8s", d, bundle.ErrCorrupt, b.Digest())
	}
	return b, nil
}

// Parts returns the index parts that are held, at their place; nil for the others, and for those that rotted.
func (s *Store) Parts(b *bundle.Bundle) ([][]byte, error) {
	parts := make([][]byte, len(b.Manifest.IndexParts))
	for i, p := range b.Manifest.IndexParts {
		data, err := s.value(bPart, p.Digest)
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read index part %d: %w", i, err)
		}
		if bundle.Sum(data) == p.Digest {
			parts[i] = data
		}
	}
	return parts, nil
}

// Bundle opens a held bundle: signature, index, and its chunks read from here, each checked at every read. It stays usable until
// Close. ErrMissing: not all of envelope and index are held.
func (s *Store) Bundle(d bundle.Digest, trust *sign.Trust) (*bundle.Bundle, error) {
	b, err := s.Envelope(d, trust)
	if err != nil {
		return nil, err
	}
	parts, err := s.Parts(b)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if parts[i] == nil {
			return nil, fmt.Errorf("read index part %d of %.8s: %w", i, d, ErrMissing)
		}
	}
	if b, err = b.WithIndex(parts); err != nil {
		return nil, fmt.Errorf("read index of %.8s: %w", d, err)
	}
	return b.WithSource(source{s, b.Index}), nil
}

// source reads the chunks of one bundle.
type source struct {
	store *Store
	index []bundle.Chunk
}

// Chunk copies chunk i into dst. The bundle checks what it gets.
func (s source) Chunk(_ context.Context, i int, dst []byte) error {
	return s.store.view(func(tx *bolt.Tx) error {
		v := get(tx, bChunk, s.index[i].Digest)
		if len(v) != len(dst) {
			return fmt.Errorf("read chunk %d: %w", i, ErrMissing)
		}
		return s.store.load(tx, v, dst)
	})
}

func (s *Store) value(bucket string, name bundle.Digest) ([]byte, error) {
	var data []byte
	err := s.view(func(tx *bolt.Tx) error {
		v := get(tx, bucket, name)
		if v == nil {
			return ErrMissing
		}
		data = bytes.Clone(v)
		return nil
	})
	return data, err
}

// Sweep deletes what rotted on the disk of one bundle: values that no longer have the digest they are named by. It returns how many;
// they can be fetched again, the rest stays.
func (s *Store) Sweep(d bundle.Digest) (int, error) {
	defer s.release()
	rotten := map[string][]bundle.Digest{}
	b, err := s.Envelope(d, nil)
	if err != nil {
		if errors.Is(err, ErrMissing) || errors.Is(err, ErrDamaged) {
			return 0, err
		}
		rotten[bEnvelope] = []bundle.Digest{d}
		return 1, s.discard(rotten)
	}
	for _, p := range b.Manifest.IndexParts {
		if s.rots(bPart, p.Digest) {
			rotten[bPart] = append(rotten[bPart], p.Digest)
		}
	}
	if b, err := s.Bundle(d, nil); err == nil {
		for _, c := range b.Index {
			if s.rots(bChunk, c.Digest) {
				rotten[bChunk] = append(rotten[bChunk], c.Digest)
			}
		}
	}
	n := len(rotten[bPart]) + len(rotten[bChunk])
	if n == 0 {
		return 0, nil
	}
	return n, s.discard(rotten)
}

// rots reports whether a value is held and is not what its name says.
func (s *Store) rots(bucket string, name bundle.Digest) bool {
	data, err := s.value(bucket, name)
	return err == nil && bundle.Sum(data) != name
}

func (s *Store) discard(names map[string][]bundle.Digest) error {
	err := s.update(func(tx *bolt.Tx) error {
		for bucket, list := range names {
			for _, d := range list {
				if err := tx.Bucket([]byte(bucket)).DeleteBucket(d[:]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("discard values: %w", err)
	}
	return nil
}
