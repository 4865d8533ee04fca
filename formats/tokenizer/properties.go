package tokenizer

import "unicode/utf8"

// Parts of a code point's property word. tablegen writes them in this order.
const (
	propCategory   = 1<<5 - 1 // general category (Unicode 16), numbered by cat*
	propNumeric    = 1 << 5   // N of Unicode 17, what Rust calls numeric
	propWord       = 1 << 6   // \w of the Split regexes (Unicode 16)
	propMark       = 1 << 7   // M of Unicode 9, what StripAccents drops
	propCluster    = 8        // shift of the four bits of cluster*
	propCompat     = 1 << 12  // has a compatibility decomposition (Unicode 9)
	propComposes   = 1 << 13  // composes with a character before it (Unicode 9)
	propAlphabetic = 1 << 14  // Alphabetic (Unicode 16)
)

// General categories, in the order of a property word.
const categoryNames = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs"

// Values of Grapheme_Cluster_Break, and Extended_Pictographic.
const (
	clusterOther = iota
	clusterCR
	clusterLF
	clusterControl
	clusterExtend
	clusterJoiner
	clusterRegional
	clusterPrepend
	clusterSpacing
	clusterL
	clusterV
	clusterT
	clusterLV
	clusterLVT
	clusterPictographic
)

// props returns the property word of r, 0 outside Unicode.
func props(r rune) uint16 {
	if uint32(r) > utf8.MaxRune {
		return 0
	}
	i := int(r>>7) * 2
	block := int(propIndex[i])<<8 | int(propIndex[i+1])
	i = (block<<7 | int(r&127)) * 2
	return uint16(propBlocks[i])<<8 | uint16(propBlocks[i+1])
}

func isNumeric(r rune) bool { return props(r)&propNumeric != 0 }

// inRanges reports whether r is in a sorted table of (first, last) and size-6
// bytes more; it returns the offset of its record.
func inRanges(table string, size int, r rune) (int, bool) {
	i := find(table, size, r)
	return i, three(table[i:]) <= r && r <= three(table[i+3:])
}

// script returns the number of r's script in scriptNames, from 1; 0 for none.
func script(r rune) byte {
	if i, ok := inRanges(scriptRanges, 7, r); ok {
		return scriptRanges[i+6]
	}
	return 0
}

// scriptGroup returns what UnicodeScripts takes r for; 0 goes with anything.
func scriptGroup(r rune) byte {
	if i, ok := inRanges(scriptGroups, 7, r); ok {
		return scriptGroups[i+6]
	}
	return 0
}

// foldKey returns the least of the characters that equal r without case.
func foldKey(r rune) rune {
	if i := find(foldPairs, 6, r); three(foldPairs[i:]) == r {
		return three(foldPairs[i+3:])
	}
	return r
}

// compose returns what a and b compose to, 0 for nothing.
func compose(a, b rune) rune {
	switch l, v, t := a-jamoL, b-jamoV, b-jamoT; {
	case 0 <= l && l < jamoLCount && 0 <= v && v < jamoVCount:
		return hangulBase + (l*jamoVCount+v)*jamoTCount
	case 0 <= a-hangulBase && a-hangulBase < hangulCount && (a-hangulBase)%jamoTCount == 0 && 0 < t && t < jamoTCount:
		return a + t
	}
	if props(b)&propComposes == 0 {
		return 0
	}
	lo, hi := 0, len(composePairs)/9
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		p := composePairs[mid*9:]
		if x, y := three(p), three(p[3:]); x < a || x == a && y < b {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo*9 == len(composePairs) {
		return 0
	}
	if p := composePairs[lo*9:]; three(p) == a && three(p[3:]) == b {
		return three(p[6:])
	}
	return 0
}

// appendNFKD appends the full compatibility decomposition of r in UTF-8.
func appendNFKD(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf || props(r)&propCompat == 0 {
		return appendNFD(dst, r)
	}
	i := find(compatKeys, 6, r)
	off := int(compatKeys[i+3])<<8 | int(compatKeys[i+4])
	return append(dst, compatText[off:off+int(compatKeys[i+5])]...)
}
