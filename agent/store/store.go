// Package store keeps what a device must not lose in one bbolt file: the journal of its state, and the envelopes, index parts and
// decoded chunks of the bundles it holds.
//
//	state     sequence u64 big-endian -> SHA-256 of the rest, then the state as the agent wrote it; the last few are kept
//	envelope  bundle digest -> {bundle digest -> envelope}
//	part      part digest   -> {part digest   -> index part}
//	chunk     chunk digest  -> {chunk digest  -> decoded bytes}
//	proof     bundle digest -> what its proof was bound to
//	meta      "fetched" -> bytes fetched in all, bytes fetched twice, u64 big-endian each
//
// Every large value has a bucket of its own: bbolt rewrites all values of a leaf when one is put beside them, so that chunks in one
// flat bucket are written four times over. Values are named by their SHA-256 (an envelope by the digest of the manifest in it),
// because bbolt does not checksum data pages; whoever reads a value checks it again.
//
// Data flow: the agent's one loop writes, each call is one transaction; readers (the loader of a model) may run beside it. A small
// file beside the database, "arrivals", notes chunks that came in and are not committed yet; see arrivals.go.
//
// It must not import core nor link: it knows bytes and digests, not what they are for.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"skiff/formats/bundle"
)

var (
	// ErrFull is returned when the disk, or MaxSize, leaves no room. Nothing was written, nothing was lost.
	ErrFull = errors.New("store full")
	// ErrMissing is returned when a value is not held.
	ErrMissing = errors.New("not in store")
	// ErrInUse is returned by Open when another process has the store open.
	ErrInUse = errors.New("store in use by another process")
	// ErrDamaged is returned when the database itself is broken while it is open. Open sets such a file aside.
	ErrDamaged = errors.New("store damaged")
)

const (
	fileName    = "agent.db"
	asideName   = "agent.db.damaged" // the last one set aside
	suspectName = "agent.db.suspect" // marks a file to check at the next Open

	journalKept = 8 // states; the newest that is whole counts
)

// The buckets.
const (
	bState    = "state"
	bEnvelope = "envelope"
	bPart     = "part"
	bChunk    = "chunk"
	bProof    = "proof"
	bMeta     = "meta"
)

// Config says where the store is. The zero value of all but Dir is a default.
type Config struct {
	Dir     string // made when missing
	MaxSize int64  // bytes the database may take; 0: as the disk allows
}

// Store is an open store. Reading methods may be called concurrently, writing ones by one goroutine at a time.
type Store struct {
	// Damage tells what Open found broken and set aside; empty when all was well.
	Damage string

	db       *bolt.DB
	file     *os.File     // the database, to read large values from
	loaded   atomic.Int64 // values read from file
	dir      string
	arrivals *arrivals
}

// Open opens the store, or makes an empty one. A file that cannot be opened or read is renamed aside, told in Damage, and an empty
// store takes its place: all that is in it can be fetched again. Errors: ErrInUse, ErrFull, or of the file system.
func Open(c Config) (*Store, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder: %w", err)
	}
	path := filepath.Join(c.Dir, fileName)
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create store: %w", full(err))
	}
	s := &Store{dir: c.Dir}
	err := s.open(path, c)
	if errors.Is(err, ErrDamaged) {
		s.Damage = err.Error()
		err = s.replace(path, c)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.arrivals, err = openArrivals(c.Dir); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	if err := s.settleArrivals(); err != nil {
		s.Close()
		return nil, fmt.Errorf("settle arrivals: %w", err)
	}
	return s, nil
}

func options(c Config) *bolt.Options {
	return &bolt.Options{
		Timeout:      time.Second,
		FreelistType: bolt.FreelistMapType,
		MaxSize:      int(c.MaxSize),
		NoStatistics: true,
	}
}

// create makes an empty database under another name first: a power cut while bbolt writes its first pages leaves a file that
// never opens again.
func create(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := path + ".new"
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	db, err := bolt.Open(temp, 0o600, options(Config{}))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{bState, bEnvelope, bPart, bChunk, bProof, bMeta} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// open opens the file and reads enough of it to know that it can be used.
func (s *Store) open(path string, c Config) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, err := bolt.Open(path, 0o600, options(c))
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrInUse, path)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENOMEM):
		return err
	case err != nil && errors.Is(full(err), ErrFull):
		return full(err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s.db = db
	if s.file, err = os.Open(path); err != nil {
		return errors.Join(err, s.db.Close())
	}
	if err := s.examine(); err != nil {
		return errors.Join(err, s.closeFiles())
	}
	return nil
}

// examine demands the buckets and a whole state; a file that misbehaved in the last run is walked page by page.
func (s *Store) examine() error {
	_, err := os.Stat(filepath.Join(s.dir, suspectName))
	suspect := err == nil
	err = s.view(func(tx *bolt.Tx) error {
		for _, name := range []string{bState, bEnvelope, bPart, bChunk, bProof, bMeta} {
			if tx.Bucket([]byte(name)) == nil {
				return fmt.Errorf("%w: no bucket %q", ErrDamaged, name)
			}
		}
		if !suspect {
			return nil
		}
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		return first
	})
	if err != nil {
		return err
	}
	if _, err := s.State(); err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	if suspect {
		return os.Remove(filepath.Join(s.dir, suspectName))
	}
	return nil
}

// replace sets the damaged file aside and opens an empty one.
func (s *Store) replace(path string, c Config) error {
	if err := os.Rename(path, filepath.Join(s.dir, asideName)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, suspectName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(path); err != nil {
		return full(err)
	}
	return s.open(path, c)
}

// Condemn marks the database to be walked, and set aside if it is broken, at the next Open. For a caller that got ErrDamaged.
func (s *Store) Condemn() error {
	f, err := os.Create(filepath.Join(s.dir, suspectName))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(s.dir))
}

// Close closes the files. It waits for readers.
func (s *Store) Close() error {
	var err error
	if s.arrivals != nil {
		err = s.arrivals.close()
	}
	return errors.Join(s.closeFiles(), err)
}

func (s *Store) closeFiles() error { return errors.Join(s.db.Close(), s.file.Close()) }

// view runs a read transaction. A page that cannot be read (a panic inside bbolt, or the kernel's SIGBUS on a bad disk block) is an
// error of this call, not the end of the process.
func (s *Store) view(fn func(*bolt.Tx) error) (err error) {
	defer guard(&err)()
	return s.db.View(fn)
}

// update runs one write transaction: wholly on disk when it returns nil, without any effect otherwise.
func (s *Store) update(fn func(*bolt.Tx) error) (err error) {
	defer guard(&err)()
	return full(s.db.Update(fn))
}

// guard turns panics and memory faults into ErrDamaged. Its result is to be deferred.
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}

// full names the ways of a disk to be full.
func full(err error) error {
	if errors.Is(err, berrors.ErrMaxSizeReached) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// put writes a large value in a bucket of its own; one that is there stays.
func put(tx *bolt.Tx, bucket string, name bundle.Digest, value []byte) error {
	b, err := tx.Bucket([]byte(bucket)).CreateBucketIfNotExists(name[:])
	if err != nil {
		return err
	}
	if b.Get(name[:]) != nil {
		return nil
	}
	return b.Put(name[:], value)
}

// get returns a large value, valid inside tx; nil when it is not held.
func get(tx *bolt.Tx, bucket string, name bundle.Digest) []byte {
	b := tx.Bucket([]byte(bucket)).Bucket(name[:])
	if b == nil {
		return nil
	}
	return b.Get(name[:])
}
