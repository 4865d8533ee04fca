package wire

import "math/bits"

// Bitmap is a set of small numbers: bit k is bit k%8 of byte k/8.
type Bitmap []byte

// NewBitmap returns an empty set with room for 0..n-1.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// Has reports whether k is in the set; what lies outside is not.
func (b Bitmap) Has(k int) bool { return k >= 0 && k/8 < len(b) && b[k/8]&(1<<(k%8)) != 0 }

// Set adds k, which must be within the room.
func (b Bitmap) Set(k int) { b[k/8] |= 1 << (k % 8) }

// Clear removes k.
func (b Bitmap) Clear(k int) {
	if b.Has(k) {
		b[k/8] &^= 1 << (k % 8)
	}
}

// Count returns how many numbers are in the set.
func (b Bitmap) Count() int {
	n := 0
	for _, v := range b {
		n += bits.OnesCount8(v)
	}
	return n
}

// Each calls fn with the numbers in the set, ascending, until fn returns false.
func (b Bitmap) Each(fn func(k int) bool) {
	for i, v := range b {
		for ; v != 0; v &= v - 1 {
			if !fn(i*8 + bits.TrailingZeros8(v)) {
				return
			}
		}
	}
}

// Trim returns the set without zero bytes at its end, as requests carry it.
func (b Bitmap) Trim() Bitmap {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return b[:n]
}
