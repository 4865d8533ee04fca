package compile

import (
	"math/rand/v2"
	"testing"

	"skiff/runtime/program"
)

// Buffers that live at the same time never share a byte, whatever their lifetimes.
func TestPlaceKeepsLiveBuffersApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var a arena
		var sum uint32
		for range 1 + rng.IntN(12) {
			b := a.rows(1+rng.IntN(20), 1+rng.IntN(100))
			b.use(rng.IntN(10))
			b.use(rng.IntN(10))
			sum += b.bytes
		}
		end := a.place(program.Base)
		if end > program.Base+sum {
			t.Fatalf("%d bytes for buffers of %d in all", end-program.Base, sum)
		}
		for i, b := range a.buffers {
			if b.offset%program.Align != 0 || b.offset < program.Base || b.offset+b.bytes > end {
				t.Fatalf("buffer %d: %d bytes at %d of %d", i, b.bytes, b.offset, end)
			}
			for _, c := range a.buffers[:i] {
				together := b.first <= c.last && c.first <= b.last
				if together && b.offset < c.offset+c.bytes && c.offset < b.offset+b.bytes {
					t.Fatalf("buffers of stages %d-%d and %d-%d overlap", b.first, b.last, c.first, c.last)
				}
			}
		}
	}
}

// Buffers of different times share their place.
func TestPlaceReuses(t *testing.T) {
	var a arena
	early, late := a.rows(10, 16), a.rows(10, 16)
	early.use(0)
	early.use(3)
	late.use(4)
	if end := a.place(0); end != early.bytes || early.offset != late.offset {
		t.Errorf("%d bytes, offsets %d and %d", end, early.offset, late.offset)
	}
}
