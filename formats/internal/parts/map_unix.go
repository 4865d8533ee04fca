//go:build unix

package parts

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mapFile maps path into memory, read-only. A file that another process
// shortens while it is mapped makes reads fault; that is true of every mapped
// file and cannot be prevented here.
func mapFile(path string, max int64) ([]byte, func() error, error) {
	info, err := os.Stat(path) // before Open, which would wait on a named pipe
	if err != nil {
		return nil, nil, err
	}
	if err := regular(info, filepath.Base(path), max); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 {
		return nil, func() error { return nil }, nil // nothing to map
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, nil, fault(filepath.Base(path), "too long for this machine's addresses")
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// release drops the pages of a mapping, from the start of one. It is advice: where the
// system does not take it, nothing is lost.
func release(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) }
