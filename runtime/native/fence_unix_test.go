//go:build unix

package native

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fenced is memory whose end is the end of a page, before one that nobody may touch.
type fenced struct{ bytes, all []byte }

// fence is n bytes, the first 64-byte aligned: the fence is up to 63 bytes behind them.
func fence(n int) (fenced, error) {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	all, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fenced{}, fmt.Errorf("map memory: %w", err)
	}
	if err := unix.Mprotect(all[size:], unix.PROT_NONE); err != nil {
		return fenced{}, fmt.Errorf("protect memory: %w", err)
	}
	start := size - (n+63)&^63
	return fenced{all[start:][:n:n], all}, nil
}

func (f fenced) free() { _ = unix.Munmap(f.all) }
