//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package engine

import "unsafe"

// newMemory is so many zeroed bytes, 64-byte aligned.
func newMemory(bytes int) ([]byte, error) {
	mem := make([]byte, bytes+63)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(mem))) & 63
	return mem[skip:][:bytes:bytes], nil
}

// freeMemory leaves it to the collector.
func freeMemory([]byte) error { return nil }
