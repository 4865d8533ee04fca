package store

import (
	"fmt"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// Values of at least directSize bytes are read from the file, not from bbolt's memory map: each page of the map that was looked at
// counts as memory of this process as long as the kernel has no other use for it, and of a file that is not cached the map brings
// one page at a time, because bbolt asks for random access.
const directSize = 16 << 10

// releaseEvery is after how many such values the pages of the map that led to them are given back: 64 KB each, as the kernel maps
// what lies around a page.
const releaseEvery = 32

// load copies the value v, which tx found, to dst, which is as long.
func (s *Store) load(tx *bolt.Tx, v, dst []byte) error {
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(v))) - s.db.Info().Data) // the map cannot move while tx is open
	if len(v) < directSize || at < 0 || at+int64(len(v)) > tx.Size() {
		copy(dst, v) // small ones may be copies, which are not in the map
		return nil
	}
	if _, err := s.file.ReadAt(dst, at); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if s.loaded.Add(1)%releaseEvery == 0 {
		releasePages(s.db.Info().Data, tx.Size())
	}
	return nil
}

// release gives back the pages of the map. What is needed of them again comes from the kernel's cache of the file.
func (s *Store) release() {
	_ = s.view(func(tx *bolt.Tx) error {
		releasePages(s.db.Info().Data, tx.Size())
		return nil
	})
}
