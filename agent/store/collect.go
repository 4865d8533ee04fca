package store

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"skiff/formats/bundle"
)

// collectBatch bounds one transaction of Collect: deleting frees pages, but the free list itself takes some.
const collectBatch = 256

// Collect deletes every envelope, index part, chunk and proof that no bundle in keep refers to, and returns how many values went. A
// bundle in keep whose index is not wholly held keeps all chunks: they may be its own. Safe to interrupt.
func (s *Store) Collect(ctx context.Context, keep []bundle.Digest) (int, error) {
	live, all, err := s.live(keep)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, bucket := range []string{bEnvelope, bPart, bChunk, bProof} {
		if bucket == bChunk && !all {
			continue
		}
		for ctx.Err() == nil {
			n, err := s.collectSome(bucket, live[bucket])
			total += n
			if err != nil {
				return total, fmt.Errorf("collect %ss: %w", bucket, err)
			}
			if n < collectBatch {
				break
			}
		}
	}
	return total, ctx.Err()
}

type nameSet map[bundle.Digest]bool

// live walks what keep refers to. all is false when an index is missing.
func (s *Store) live(keep []bundle.Digest) (live map[string]nameSet, all bool, err error) {
	live = map[string]nameSet{bEnvelope: {}, bPart: {}, bChunk: {}, bProof: {}}
	all = true
	for _, d := range keep {
		live[bEnvelope][d], live[bProof][d] = true, true
		b, err := s.Envelope(d, nil)
		if err != nil {
			if errors.Is(err, ErrDamaged) {
				return nil, false, err
			}
			all = false
			continue
		}
		for _, p := range b.Manifest.IndexParts {
			live[bPart][p.Digest] = true
		}
		if b, err = s.Bundle(d, nil); err != nil {
			all = false
			continue
		}
		for _, c := range b.Index {
			live[bChunk][c.Digest] = true
		}
	}
	return live, all, nil
}

func (s *Store) collectSome(bucket string, live nameSet) (int, error) {
	var dead [][]byte
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bucket)).Cursor()
		for k, _ := c.First(); k != nil && len(dead) < collectBatch; k, _ = c.Next() {
			if !live[bundle.Digest(k)] {
				dead = append(dead, append([]byte(nil), k...))
			}
		}
		return nil
	})
	if err != nil || len(dead) == 0 {
		return 0, err
	}
	err = s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		for _, k := range dead {
			remove := b.DeleteBucket
			if bucket == bProof {
				remove = b.Delete
			}
			if err := remove(k); err != nil {
				return err
			}
		}
		return nil
	})
	return len(dead), err
}

// Check reads everything: the pages of the database, and every value against its name. It returns all faults joined.
func (s *Store) Check(ctx context.Context) error {
	var faults []error
	err := s.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			faults = append(faults, err)
		}
		for _, bucket := range []string{bPart, bChunk} {
			c := tx.Bucket([]byte(bucket)).Cursor()
			for k, _ := c.First(); k != nil && ctx.Err() == nil; k, _ = c.Next() {
				name := bundle.Digest(k)
				if bundle.Sum(get(tx, bucket, name)) != name {
					faults = append(faults, fmt.Errorf("%s %.8s: %w", bucket, name, bundle.ErrCorrupt))
				}
			}
		}
		return ctx.Err()
	})
	return errors.Join(append(faults, err)...)
}
