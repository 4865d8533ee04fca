package tokenizer

import "unicode/utf8"

// cluster returns the length of the extended grapheme cluster that b starts
// with (Unicode Standard Annex 29). Of its rules it leaves out conjuncts of
// Indic scripts (GB9c): all their clusters have six bytes and over, which the
// only caller takes apart again.
func cluster(b []byte) int {
	r, n := utf8.DecodeRune(b)
	last := clusterOf(r)
	regional := last == clusterRegional // an odd number of these so far
	pictographic := last == clusterPictographic
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		next := clusterOf(r)
		if breaks(last, next, regional, pictographic) {
			break
		}
		regional = next == clusterRegional && !regional
		pictographic = next == clusterPictographic ||
			pictographic && (next == clusterExtend || next == clusterJoiner)
		last = next
		n += size
	}
	return n
}

func clusterOf(r rune) int { return int(props(r) >> propCluster & 15) }

// breaks reports whether a cluster ends between two characters. pictographic
// tells that a pictograph and only Extend and joiners are before.
func breaks(last, next int, regional, pictographic bool) bool {
	switch {
	case last == clusterCR:
		return next != clusterLF
	case last == clusterLF, last == clusterControl, next == clusterCR, next == clusterLF, next == clusterControl:
		return true
	case next == clusterExtend, next == clusterJoiner, next == clusterSpacing, last == clusterPrepend:
		return false
	case last == clusterL:
		return next != clusterL && next != clusterV && next != clusterLV && next != clusterLVT
	case last == clusterLV, last == clusterV:
		return next != clusterV && next != clusterT
	case last == clusterLVT, last == clusterT:
		return next != clusterT
	case last == clusterJoiner && next == clusterPictographic:
		return !pictographic
	}
	return last != clusterRegional || next != clusterRegional || !regional
}
