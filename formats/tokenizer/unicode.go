package tokenizer

import "unicode/utf8"

// Bits of a code point's class byte. tablegen writes them in this order.
const (
	classDrop       = 1 << iota // BERT clean_text removes it (Unicode 8)
	classSpace                  // White_Space, the same in all versions used
	classPunct                  // BERT punctuation: ASCII symbols or P of Unicode 8
	classNonspacing             // Mn of Unicode 8
	classWord                   // \w of Rust's regex crate (Unicode 16)
	classLower                  // has a lowercase (Unicode 17)
	classDecompose              // has a canonical decomposition (Unicode 9)
	classCombine                // combining class is not 0 (Unicode 9)
)

// class returns the class byte of r, 0 outside Unicode.
func class(r rune) byte {
	if uint32(r) > utf8.MaxRune {
		return 0
	}
	return classBlocks[int(classIndex[r>>7])<<7|int(r&127)]
}

func isSpace(r rune) bool { return class(r)&classSpace != 0 }
func isPunct(r rune) bool { return class(r)&classPunct != 0 }
func isWord(r rune) bool  { return class(r)&classWord != 0 }

// isChinese reports whether BERT puts spaces around r. The hole from 2B820 to
// 2B91F is the library's.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, 0x4E00 <= r && r <= 0x9FFF, 0xF900 <= r && r <= 0xFAFF:
		return true
	case r < 0x20000:
		return false
	}
	return r <= 0x2A6DF || 0x2A700 <= r && r <= 0x2B81F ||
		0x2B920 <= r && r <= 0x2CEAF || 0x2F800 <= r && r <= 0x2FA1F
}

// lower returns the lowercase of r by itself. U+0130 lowers to "i" and U+0307;
// second is 0 for all others.
func lower(r rune) (first, second rune) {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r, 0
	}
	if class(r)&classLower == 0 {
		return r, 0
	}
	i := find(lowerPairs, 6, r)
	if r == 0x130 {
		second = 0x307
	}
	return three(lowerPairs[i+3:]), second
}

// Hangul syllables decompose by arithmetic (Unicode, section 3.12).
const (
	hangulBase  = 0xAC00
	hangulCount = 11172
	jamoL       = 0x1100
	jamoV       = 0x1161
	jamoT       = 0x11A7
	jamoLCount  = 19
	jamoVCount  = 21
	jamoTCount  = 28
)

// appendNFD appends the full canonical decomposition of r in UTF-8.
func appendNFD(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf || class(r)&classDecompose == 0 {
		return utf8.AppendRune(dst, r)
	}
	if s := r - hangulBase; 0 <= s && s < hangulCount {
		dst = utf8.AppendRune(dst, jamoL+s/(jamoVCount*jamoTCount))
		dst = utf8.AppendRune(dst, jamoV+s/jamoTCount%jamoVCount)
		if t := s % jamoTCount; t > 0 {
			dst = utf8.AppendRune(dst, jamoT+t)
		}
		return dst
	}
	i := find(decompKeys, 6, r)
	off := int(decompKeys[i+3])<<8 | int(decompKeys[i+4])
	return append(dst, decompText[off:off+int(decompKeys[i+5])]...)
}

// combiningClass returns the canonical combining class of r.
func combiningClass(r rune) byte {
	if class(r)&classCombine == 0 {
		return 0
	}
	return combineRanges[find(combineRanges, 7, r)+6]
}

// find returns the offset of the last record of a sorted table whose key, its
// first three bytes, is at most r. The class bits promise that there is one.
func find(table string, size int, r rune) int {
	lo, hi := 0, len(table)/size-1
	for lo < hi {
		mid := int(uint(lo+hi+1) >> 1)
		if three(table[mid*size:]) <= r {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo * size
}

func three(s string) rune { return rune(s[0])<<16 | rune(s[1])<<8 | rune(s[2]) }
