//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package engine

import (
	"fmt"
	"syscall"
)

// newMemory is so many zeroed bytes off the Go heap, at the start of a page: the collector
// neither scans nor counts them, and what is never touched takes no room.
func newMemory(bytes int) ([]byte, error) {
	mem, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", bytes, err)
	}
	return mem, nil
}

// freeMemory takes what newMemory gave; nobody may look at it any more.
func freeMemory(mem []byte) error { return syscall.Munmap(mem) }
