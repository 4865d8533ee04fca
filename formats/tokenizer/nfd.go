package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// decompose brings t to canonical decomposition (NFD of Unicode 9).
//
// Spans follow the library's bookkeeping, not the characters: the first
// character of each decomposition uses up one source character and takes its
// span, the others take the span of the character used up last, and this is
// counted in output order, after marks were sorted. Where sorting moves marks,
// they thus exchange their spans.
func decompose(t, spare *text) {
	spare.reset(t.tracked)
	src := 0 // byte of the next source character to use up
	for i := 0; i < len(t.b); {
		n := stable(t.b[i:])
		spare.b = append(spare.b, t.b[i:i+n]...)
		if t.tracked {
			spare.spans = append(spare.spans, t.spans[i:i+n]...)
		}
		i += n
		src = i
		i = segment(t, spare, i, src)
	}
	*t, *spare = *spare, *t
}

// stable returns the length of the start of b in which nothing decomposes or
// moves.
func stable(b []byte) int {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if class(r)&(classDecompose|classCombine) != 0 {
			return i
		}
		i += size
	}
	return len(b)
}

// mark is a character waiting to be sorted by combining class.
type mark struct {
	r     rune
	first bool // first of a decomposition
	class byte
}

// segment decomposes the character at i and all that may be sorted with what
// it leaves, writes them, and returns the byte after them.
func segment(t, dst *text, i, src int) int {
	var room [32]mark
	marks := room[:0]
	var buf [32]byte
	begin := true
	for i < len(t.b) {
		r, size := utf8.DecodeRune(t.b[i:])
		out := appendNFD(buf[:0], r)
		head, _ := utf8.DecodeRune(out)
		if !begin && combiningClass(head) == 0 {
			break
		}
		begin = false
		i += size
		for first := true; len(out) > 0; first = false {
			c, n := utf8.DecodeRune(out)
			m := mark{c, first, combiningClass(c)}
			if m.class == 0 {
				src = flush(t, dst, marks, src)
				marks = marks[:0]
			}
			marks = append(marks, m)
			out = out[n:]
		}
	}
	flush(t, dst, marks, src)
	return i
}

// flush sorts marks by combining class, keeping the order of equals, writes them
// and returns the next source byte to use up.
func flush(t, dst *text, marks []mark, src int) int {
	slices.SortStableFunc(marks, func(a, b mark) int { return int(a.class) - int(b.class) })
	used := max(src-1, 0)
	for _, m := range marks {
		if m.first {
			_, size := utf8.DecodeRune(t.b[src:])
			used = src
			src += size
		}
		dst.put(m.r, t, used)
	}
	return src
}
