package tokenizer

import "unicode/utf8"

// span is a range of code points of the original text.
type span struct{ start, end int32 }

// text is a piece of input on its way through the normalizer: UTF-8, and for
// each byte the span its character came from. Spans are kept only where offsets
// are asked for (tracked).
type text struct {
	b       []byte
	spans   []span
	base    int32 // code point of the original text where the piece starts
	tracked bool
	limit   int  // bytes that b may grow to
	full    bool // something did not fit

	marks, waiting []mark  // room for a composer
	matches        []match // room for a pattern
}

// reset empties t, keeping its room.
func (t *text) reset(tracked bool) {
	t.b, t.spans, t.tracked = t.b[:0], t.spans[:0], tracked
}

// load fills an empty t with the raw bytes of a piece whose first character is
// code point first of the original text.
func (t *text) load(raw []byte, first int32) {
	t.b = append(t.b, raw...)
	t.base, t.limit, t.full = first, maxGrowth(len(raw)), false
	if !t.tracked {
		return
	}
	for i := 0; i < len(raw); first++ {
		_, n := utf8.DecodeRune(raw[i:])
		t.cover(n, span{first, first + 1})
		i += n
	}
}

// room reports whether n more bytes fit.
func (t *text) room(n int) bool {
	if len(t.b)+n > t.limit {
		t.full = true
	}
	return !t.full
}

// cover appends the span of n bytes that were appended to b.
func (t *text) cover(n int, s span) {
	for range n {
		t.spans = append(t.spans, s)
	}
}

// put appends r with the span of byte i of from.
func (t *text) put(r rune, from *text, i int) {
	n := len(t.b)
	t.b = utf8.AppendRune(t.b, r)
	if t.tracked {
		t.cover(len(t.b)-n, from.spans[i])
	}
}

// offsets returns the code points that bytes lo to hi came from.
func (t *text) offsets(lo, hi int32) [2]int {
	if lo == hi {
		return [2]int{}
	}
	return [2]int{int(t.spans[lo].start), int(t.spans[hi-1].end)}
}

// appendValid appends s with each invalid byte replaced by U+FFFD, which is one
// code point too.
func appendValid(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for _, r := range s {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
