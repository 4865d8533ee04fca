// Package twin computes the SHA-256 of two messages at once. One SHA-256 is a chain of instructions each of which waits for the one
// before; two that are interleaved fill each other's waiting, and take about 0.65 of the time of one after the other.
//
// Data flow: two byte slices -> two digests, the same that crypto/sha256 gives. Where the CPU has no SHA instructions, or the messages
// are not equally long, it is crypto/sha256 that computes them.
//
// It must not import anything but the standard library.
package twin

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	block  = 64 // bytes
	length = 8  // bytes of a message's length, at its end
)

// Sum256 returns the SHA-256 of p and of q. It allocates nothing.
func Sum256(p, q []byte) (of, and [sha256.Size]byte) {
	if len(p) != len(q) || !able() {
		return sha256.Sum256(p), sha256.Sum256(q)
	}
	a := [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}
	b := a
	whole := len(p) / block * block
	if whole > 0 {
		blocks(&a, &b, &p[0], &q[0], whole/block)
	}
	var s, t [2 * block]byte
	n := pad(&s, p[whole:], len(p))
	pad(&t, q[whole:], len(q))
	blocks(&a, &b, &s[0], &t[0], n)
	for i := range a {
		binary.BigEndian.PutUint32(of[4*i:], a[i])
		binary.BigEndian.PutUint32(and[4*i:], b[i])
	}
	return of, and
}

// pad writes the last blocks of a message of size bytes, of which rest is over, and returns how many they are.
func pad(last *[2 * block]byte, rest []byte, size int) int {
	end := copy(last[:], rest)
	last[end] = 0x80
	n := 1
	if end >= block-length {
		n = 2
	}
	binary.BigEndian.PutUint64(last[n*block-length:], uint64(size)*8)
	return n
}
