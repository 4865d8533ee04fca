package twin

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

// TestSum256: for every length around blocks, and for pairs of different length, the digests are crypto/sha256's.
func TestSum256(t *testing.T) {
	if !able() {
		t.Log("SKIPPED LOUDLY: this CPU has no SHA instructions; only the way around them is tested")
	}
	random := rand.NewChaCha8([32]byte{9})
	data := make([]byte, 2*(4*block+3)+1)
	for n := range 4*block + 3 {
		for _, shift := range []int{0, 1} { // data lies anywhere
			random.Read(data)
			p, q := data[shift:][:n:n], data[len(data)/2:][:n:n]
			check(t, p, q)
			check(t, p, q[:n/2])
			check(t, p, p)
		}
	}
	check(t, nil, nil)
}

func check(t *testing.T, p, q []byte) {
	t.Helper()
	before := bytes.Clone(p)
	of, and := Sum256(p, q)
	if of != sha256.Sum256(p) || and != sha256.Sum256(q) {
		t.Fatalf("%d and %d bytes: %x and %x", len(p), len(q), of, and)
	}
	if !bytes.Equal(before, p) {
		t.Fatal("the message was changed")
	}
}

func TestLong(t *testing.T) {
	random := rand.NewChaCha8([32]byte{7})
	for range 50 {
		p, q := make([]byte, 122_880), make([]byte, 122_880)
		random.Read(p)
		random.Read(q)
		check(t, p, q)
	}
	p, q := make([]byte, 1000), make([]byte, 1000)
	if n := testing.AllocsPerRun(10, func() { Sum256(p, q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSum256(f *testing.F) {
	f.Add([]byte("abcdefgh"), true)
	f.Fuzz(func(t *testing.T, data []byte, same bool) {
		p, q := data[:len(data)/2], data[len(data)/2:]
		if same {
			q = q[:len(p)]
		}
		check(t, p, q)
	})
}

func BenchmarkSum256(b *testing.B) {
	p, q := make([]byte, 122_880), make([]byte, 122_880)
	b.SetBytes(int64(len(p) + len(q)))
	for b.Loop() {
		Sum256(p, q)
	}
}
