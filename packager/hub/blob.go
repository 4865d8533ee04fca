package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// lockPause is how often a lock that another process holds is asked for.
const lockPause = 100 * time.Millisecond

// verify reads a whole file and compares it with its digest: 64 hexadecimal
// digits are SHA-256, 40 are what git calls a blob. Size is not compared when it
// is below 0. A difference is ErrDigest.
func verify(path, digest string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("read %s: not a regular file", path)
	}
	if size >= 0 && info.Size() != size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrDigest, info.Size(), size)
	}
	h := hasher(digest, info.Size())
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest {
		return fmt.Errorf("%w: %s, want %s", ErrDigest, got, digest)
	}
	return nil
}

// hasher is the hash that a digest of this form comes from.
func hasher(digest string, size int64) hash.Hash {
	if len(digest) == 2*sha256.Size {
		return sha256.New()
	}
	h := sha1.New() // git's choice; the hub gives no better one for small files
	fmt.Fprintf(h, "blob %d\x00", size)
	return h
}

// blob is where the content with a digest lies.
func (r *repo) blob(digest string) string { return filepath.Join(r.dir, "blobs", digest) }

// holds reports whether a file's content is in the cache and whole.
func (r *repo) holds(f file) bool { return verify(r.blob(f.digest), f.digest, f.size) == nil }

// blobLock is the right to write one blob.
type blobLock struct {
	file      *os.File
	exclusive bool // false where the file system has no locks
}

func (l blobLock) release() { l.file.Close() }

// lock waits until no other process or goroutine writes the blob.
func (r *repo) lock(ctx context.Context, digest string) (blobLock, error) {
	if err := os.MkdirAll(r.locks, 0o777); err != nil {
		return blobLock{}, fmt.Errorf("make folder of locks: %w", err)
	}
	path := filepath.Join(r.locks, digest+".lock")
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
		if err != nil {
			return blobLock{}, fmt.Errorf("open lock: %w", err)
		}
		held, err := tryLock(f)
		if errors.Is(err, errors.ErrUnsupported) {
			return blobLock{f, false}, nil
		}
		if held && stillAt(f, path) {
			return blobLock{f, true}, nil
		}
		f.Close()
		if err != nil {
			return blobLock{}, fmt.Errorf("lock %s: %w", path, err)
		}
		if held {
			continue // who had the lock removed its file; there is a new one, or none
		}
		if err := sleep(ctx, lockPause); err != nil {
			return blobLock{}, err
		}
	}
}

// stillAt reports whether an open file is the one at path.
func stillAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}
