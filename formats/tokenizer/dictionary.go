package tokenizer

import (
	"math/bits"
	"math/rand/v2"
)

// dictionary finds the words of a vocabulary by their hash, and the longest word at the
// start of a text by the hashes of its beginnings. For whole words it is three times as
// fast to build as a trie, in half of the room.
//
// The hash of a word is a polynomial in a random odd number, modulo 2^64: that of a word
// with one more byte follows from it, and no file can make its words collide.
type dictionary struct {
	entries []entry // power of two, at least twice the words; zero word = free
	shift   uint    // 64 - log2(len(entries))
	factor  uint64
	longest int // bytes of the longest word
}

// entry is a word, as its id plus 1, and some bits of its hash that its place does not tell.
type entry struct{ check, word uint32 }

func newDictionary(words int) *dictionary {
	size := max(4, uint(bits.Len(uint(2*words))))
	return &dictionary{entries: make([]entry, 1<<size), shift: 64 - size, factor: rand.Uint64() | 1}
}

// extend is the hash of what has hash h with a byte behind it.
func (d *dictionary) extend(h uint64, c byte) uint64 { return (h + uint64(c) + 1) * d.factor }

// hash is that of word behind what has hash h; 0 is the hash of nothing.
func (d *dictionary) hash(h uint64, word string) uint64 {
	for i := range len(word) {
		h = d.extend(h, word[i])
	}
	return h
}

// insert adds the word that r is of text; false means that it was there. runs has the
// words before it.
func (d *dictionary) insert(text []byte, runs []run, id int, r run) bool {
	word := text[r.off : r.off+r.len]
	var h uint64
	for _, c := range word {
		h = d.extend(h, c)
	}
	d.longest = max(d.longest, len(word))
	check := uint32(h >> 8)
	for i := h >> d.shift; ; i++ {
		e := &d.entries[i&uint64(len(d.entries)-1)]
		if e.word == 0 {
			*e = entry{check, uint32(id) + 1}
			return true
		}
		if e.check == check {
			if o := runs[e.word-1]; string(text[o.off:o.off+o.len]) == string(word) {
				return false
			}
		}
	}
}

// find returns the word of hash h that is prefix and then rest.
func (d *dictionary) find(v *vocabulary, h uint64, prefix string, rest []byte) (int32, bool) {
	check := uint32(h >> 8)
	for i := h >> d.shift; ; i++ {
		e := d.entries[i&uint64(len(d.entries)-1)]
		if e.word == 0 {
			return 0, false
		}
		if e.check != check {
			continue
		}
		r := v.runs[e.word-1]
		word := v.text[r.off : r.off+r.len]
		if len(word) == len(prefix)+len(rest) && word[:len(prefix)] == prefix && word[len(prefix):] == string(rest) {
			return int32(e.word - 1), true
		}
	}
}

// start returns the id and length of the longest part, of a byte or more, that text starts
// with and that is a word behind prefix, whose hash is h; length 0 if there is none. hashes
// is room for those of the parts, and is returned.
func (d *dictionary) start(v *vocabulary, hashes []uint64, h uint64, prefix string, text []byte) (id int32, n int, room []uint64) {
	hashes = hashes[:0]
	for _, c := range text[:max(0, min(len(text), d.longest-len(prefix)))] {
		h = d.extend(h, c)
		hashes = append(hashes, h)
	}
	for n = len(hashes); n > 0; n-- {
		if n < len(text) && text[n]&0xc0 == 0x80 {
			continue // no word ends within a code point
		}
		if id, ok := d.find(v, hashes[n-1], prefix, text[:n]); ok {
			return id, n, hashes
		}
	}
	return 0, 0, hashes
}
