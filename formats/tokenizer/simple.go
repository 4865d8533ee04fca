package tokenizer

import "unicode/utf8"

// lowercaser is Lowercase: every character by itself.
type lowercaser struct{}

func (lowercaser) normalize(t, spare *text) { lowercase(t, spare) }

func (lowercaser) appendJSON(dst []byte) []byte { return appendType(dst, "Lowercase") }

func lowercase(t, spare *text) {
	ascii := true
	for i, c := range t.b { // in place: no other byte is part of a character
		if 'A' <= c && c <= 'Z' {
			t.b[i] = c + 'a' - 'A'
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return
	}
	w := rewrite(t, spare)
	for i := 0; i < len(t.b); {
		r, size := utf8.DecodeRune(t.b[i:])
		if r >= utf8.RuneSelf && class(r)&classLower != 0 {
			w.keep(i)
			first, second := lower(r)
			w.put(first, 0)
			if second != 0 {
				w.put(second, 1)
			}
			w.at = i + size
		}
		i += size
	}
	w.keep(len(t.b))
	w.done()
}

// accentStripper is StripAccents: it drops all combining marks.
type accentStripper struct{}

func (accentStripper) normalize(t, spare *text) {
	if isASCII(t.b) {
		return
	}
	mapRunes(t, spare, func(r rune) (rune, bool) { return r, r < 0x300 || props(r)&propMark == 0 })
}

func (accentStripper) appendJSON(dst []byte) []byte { return appendType(dst, "StripAccents") }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// nmt is Nmt: controls go, odd white space becomes a space.
type nmt struct{}

func (nmt) normalize(t, spare *text) { mapRunes(t, spare, nmtRune) }

func (nmt) appendJSON(dst []byte) []byte { return appendType(dst, "Nmt") }

func nmtRune(r rune) (rune, bool) {
	switch {
	case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F,
		r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
		return ' ', true
	case 1 <= r && r < ' ', r == 0x7F, r == 0x8F, r == 0x9F:
		return 0, false
	}
	return r, true
}

// prepend is Prepend: it starts every piece that is not empty.
type prepend string

func parsePrepend(v value) (normalizer, error) {
	o := v.object("type", "prepend")
	return prepend(o.str("prepend")), o.err()
}

func (p prepend) normalize(t, spare *text) {
	if len(t.b) == 0 || p == "" {
		return // an empty one is exact too: the library puts the first character back
	}
	w := rewrite(t, spare)
	w.lead(string(p), 0)
	w.keep(len(t.b))
	w.done()
}

// lead writes s with the span of the character at byte i, which stays.
func (w *rewriter) lead(s string, i int) {
	if !w.to.room(len(s)) {
		return
	}
	w.to.b = append(w.to.b, s...)
	if w.to.tracked {
		w.to.cover(len(s), w.from.spans[i])
	}
}

func (p prepend) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Prepend","prepend":`...)
	return append(appendString(dst, string(p)), '}')
}

// strip is Strip: it drops white space at the ends of a piece.
type strip struct{ left, right bool }

func parseStrip(v value) (normalizer, error) {
	o := v.object("type", "strip_left", "strip_right")
	return strip{o.boolean("strip_left"), o.boolean("strip_right")}, o.err()
}

func (s strip) normalize(t, spare *text) {
	lo, hi := 0, len(t.b)
	if s.right {
		hi = spaceBefore(t.b, hi)
	}
	if s.left {
		lo = min(spaceAfter(t.b, 0), hi)
	}
	n := copy(t.b, t.b[lo:hi])
	t.b = t.b[:n]
	if t.tracked {
		copy(t.spans, t.spans[lo:hi])
		t.spans = t.spans[:n]
	}
}

func (s strip) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Strip","strip_left":`...)
	dst = appendBool(dst, s.left)
	dst = append(dst, `,"strip_right":`...)
	return append(appendBool(dst, s.right), '}')
}
