package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"skiff/formats/bundle"
)

// State returns the newest whole state. ErrMissing: none was ever written. ErrDamaged: there are some and none is whole.
func (s *Store) State() ([]byte, error) {
	var state []byte
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bState)).Cursor()
		k, v := c.Last()
		if k == nil {
			return fmt.Errorf("read state: %w", ErrMissing)
		}
		for ; k != nil; k, v = c.Prev() {
			if body, ok := whole(v); ok {
				state = bytes.Clone(body)
				return nil
			}
		}
		return fmt.Errorf("read state: %w: no record has its digest", ErrDamaged)
	})
	return state, err
}

func whole(record []byte) ([]byte, bool) {
	if len(record) < sha256.Size {
		return nil, false
	}
	sum := sha256.Sum256(record[sha256.Size:])
	return record[sha256.Size:], bytes.Equal(sum[:], record[:sha256.Size])
}

// SetState appends the state to the journal and forgets the oldest, in one transaction. Errors: ErrFull, ErrDamaged.
func (s *Store) SetState(state []byte) error {
	sum := sha256.Sum256(state)
	err := s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bState))
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		if err := b.Put(number(seq), append(sum[:], state...)); err != nil {
			return err
		}
		if seq <= journalKept {
			return nil
		}
		return b.Delete(number(seq - journalKept))
	})
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Proof returns what the last proof of a bundle was bound to; nil when it was never proved.
func (s *Store) Proof(d bundle.Digest) ([]byte, error) {
	var binding []byte
	err := s.view(func(tx *bolt.Tx) error {
		binding = bytes.Clone(tx.Bucket([]byte(bProof)).Get(d[:]))
		return nil
	})
	return binding, err
}

// SetProof remembers that a bundle was proved, and what that holds for.
func (s *Store) SetProof(d bundle.Digest, binding []byte) error {
	err := s.update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bProof)).Put(d[:], binding) })
	if err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	return nil
}

// Fetched is how many encoded bytes of chunks came over the network.
type Fetched struct {
	Total uint64 `json:"total"` // in all
	Twice uint64 `json:"twice"` // of these, bytes of chunks that had come in before
}

// Fetched returns the committed counts.
func (s *Store) Fetched() (Fetched, error) {
	var f Fetched
	err := s.view(func(tx *bolt.Tx) error {
		f = fetched(tx)
		return nil
	})
	return f, err
}

func fetched(tx *bolt.Tx) (f Fetched) {
	v := tx.Bucket([]byte(bMeta)).Get([]byte("fetched"))
	if len(v) == 16 {
		f.Total, f.Twice = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
	}
	return f
}

// count adds to the counts, in the transaction of what was fetched.
func count(tx *bolt.Tx, add Fetched) error {
	f := fetched(tx)
	return tx.Bucket([]byte(bMeta)).Put([]byte("fetched"), append(number(f.Total+add.Total), number(f.Twice+add.Twice)...))
}
