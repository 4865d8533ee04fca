package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"skiff/formats/bundle"
)

// arrivals counts bytes that are fetched twice. What came in and was not committed when the process died is lost, and so would be the
// memory of it: each arrival is therefore noted in a small file that is never synced (it outlives a kill, not a power cut, and nothing
// but a count depends on it) and emptied at each commit.
//
//	record  chunk digest 32, encoded length u32 big-endian
type arrivals struct {
	file *os.File
	lost map[bundle.Digest]bool // came in, in this process or one before, and is not held
	open Fetched                // not yet added to the committed counts
}

const arrivalSize = 32 + 4

func openArrivals(dir string) (*arrivals, error) {
	f, err := os.OpenFile(filepath.Join(dir, "arrivals"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open arrivals: %w", err)
	}
	return &arrivals{file: f, lost: map[bundle.Digest]bool{}}, nil
}

func (a *arrivals) close() error { return a.file.Close() }

// Arrived counts a chunk that came in, n encoded bytes, before it is put. One that came in before counts as fetched twice.
func (s *Store) Arrived(name bundle.Digest, n int) {
	a := s.arrivals
	a.open.Total += uint64(n)
	if a.lost[name] || s.Has(name) {
		a.open.Twice += uint64(n)
	}
	a.lost[name] = true
	record := binary.BigEndian.AppendUint32(name[:], uint32(n))
	_, _ = a.file.Write(record) // a lost record is a smaller count, nothing else
}

// clear is called when the open counts and the chunks were committed.
func (a *arrivals) clear(held []Chunk) {
	a.open = Fetched{}
	for _, c := range held {
		delete(a.lost, c.Digest)
	}
	_ = a.file.Truncate(0)
}

// settleArrivals takes over the records of a process that died: their bytes are counted, and those not held are lost.
func (s *Store) settleArrivals() error {
	data, err := io.ReadAll(io.LimitReader(s.arrivals.file, 1<<20))
	if err != nil || len(data) < arrivalSize {
		return err
	}
	var add Fetched
	for ; len(data) >= arrivalSize; data = data[arrivalSize:] {
		name := bundle.Digest(data[:32])
		if s.Has(name) {
			continue // the kill came between the commit and the truncation
		}
		add.Total += uint64(binary.BigEndian.Uint32(data[32:]))
		s.arrivals.lost[name] = true
	}
	err = s.update(func(tx *bolt.Tx) error { return count(tx, add) })
	if errors.Is(err, ErrFull) {
		return nil // it is only a count
	}
	if err == nil {
		err = s.arrivals.file.Truncate(0)
	}
	return err
}
