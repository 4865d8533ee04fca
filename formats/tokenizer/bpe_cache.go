package tokenizer

import "encoding/binary"

// wordCache remembers how short words merged. A word has one place; the last
// that came there stays. It belongs to one workspace of one tokenizer.
type wordCache []cachedWord

const (
	cacheBits   = 12
	cacheWord   = 23 // bytes of a word
	cachePieces = 8
)

// cachedWord is a word, its length in the last byte, and its tokens.
type cachedWord struct {
	key   [cacheWord + 1]byte
	count uint8
	ends  [cachePieces]uint8 // bytes, from the start of the word
	ids   [cachePieces]int32
}

// place returns where a word is or belongs; nil if it is too long.
func (c *wordCache) place(word []byte) (e *cachedWord, key [cacheWord + 1]byte) {
	if len(word) > cacheWord {
		return nil, key
	}
	if *c == nil {
		*c = make(wordCache, 1<<cacheBits)
	}
	copy(key[:], word)
	key[cacheWord] = byte(len(word))
	h := binary.LittleEndian.Uint64(key[:])*0x9E3779B97F4A7C15 ^
		binary.LittleEndian.Uint64(key[8:])*0xC2B2AE3D27D4EB4F ^
		binary.LittleEndian.Uint64(key[16:])*0x165667B19E3779F9
	h ^= h >> 29
	return &(*c)[h*0x9E3779B97F4A7C15>>(64-cacheBits)], key
}

// appendTo appends the tokens of e for a word that starts at byte at.
func (e *cachedWord) appendTo(dst []piece, at int32) ([]piece, int32) {
	end := at
	for i := range e.count {
		start := end
		end = at + int32(e.ends[i])
		dst = append(dst, piece{e.ids[i], start, end})
	}
	return dst, end
}

// store makes e the word of key, which has these pieces from byte at on.
func (e *cachedWord) store(key [cacheWord + 1]byte, pieces []piece, at int32) {
	if len(pieces) > cachePieces {
		return
	}
	e.key, e.count = key, uint8(len(pieces))
	for i, p := range pieces {
		e.ids[i], e.ends[i] = p.id, uint8(p.hi-at)
	}
}
