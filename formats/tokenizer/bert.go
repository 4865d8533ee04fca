package tokenizer

import "unicode/utf8"

// bertNormalizer is BertNormalizer: clean text, space out Chinese, strip
// accents, lowercase, in this order.
type bertNormalizer struct {
	clean, chinese, strip, lower bool
	ascii                        [utf8.RuneSelf]byte // what an ASCII byte becomes; asciiDrop: nothing
}

// asciiDrop marks a byte that goes. It is not ASCII, so nothing becomes it.
const asciiDrop = 0xFF

func parseBertNormalizer(v value) (normalizer, error) {
	o := v.object("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
	n := &bertNormalizer{
		clean:   o.boolean("clean_text"),
		chinese: o.boolean("handle_chinese_chars"),
		lower:   o.boolean("lowercase"),
	}
	n.strip = n.lower
	if _, ok := o.optional("strip_accents"); ok {
		n.strip = o.boolean("strip_accents")
	}
	for i := range n.ascii {
		n.ascii[i] = n.asciiByte(byte(i))
	}
	return n, o.err()
}

func (n *bertNormalizer) asciiByte(c byte) byte {
	if n.clean {
		switch {
		case c == '\t' || c == '\n' || c == '\r':
			return ' '
		case class(rune(c))&classDrop != 0:
			return asciiDrop
		}
	}
	if n.lower && 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (n *bertNormalizer) normalize(t, spare *text) {
	rewrite(t, spare)
	folded := n.first(t, spare)
	*t, *spare = *spare, *t
	if folded {
		return
	}
	if n.strip {
		decompose(t, spare)
		stripMarks(t)
	}
	if n.lower {
		lowercase(t, spare)
	}
}

// first cleans and spaces out; ASCII is lowercased on the way, which no later
// step undoes. It reports whether that was all there is to do.
func (n *bertNormalizer) first(t, dst *text) bool {
	folded := true
	for i := 0; i < len(t.b); {
		c := t.b[i]
		if c < utf8.RuneSelf {
			if c = n.ascii[c]; c != asciiDrop {
				dst.b = append(dst.b, c)
				if t.tracked {
					dst.spans = append(dst.spans, t.spans[i])
				}
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(t.b[i:])
		n.other(r, t, dst, i)
		folded = false
		i += size
	}
	return folded
}

// other cleans and spaces out a character that is not ASCII.
func (n *bertNormalizer) other(r rune, t, dst *text, i int) {
	if n.clean {
		switch bits := class(r); {
		case bits&classDrop != 0:
			return
		case bits&classSpace != 0:
			r = ' '
		}
	}
	if !n.chinese || !isChinese(r) {
		dst.put(r, t, i)
		return
	}
	dst.put(' ', t, i)
	dst.put(r, t, i)
	dst.put(' ', t, i)
}

// stripMarks drops the nonspacing marks, in place.
func stripMarks(t *text) {
	n := 0
	for i := 0; i < len(t.b); {
		r, size := utf8.DecodeRune(t.b[i:])
		if class(r)&classNonspacing == 0 {
			copy(t.b[n:], t.b[i:i+size])
			if t.tracked {
				copy(t.spans[n:], t.spans[i:i+size])
			}
			n += size
		}
		i += size
	}
	t.b = t.b[:n]
	if t.tracked {
		t.spans = t.spans[:n]
	}
}

func (n *bertNormalizer) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"BertNormalizer","clean_text":`...)
	dst = appendBool(dst, n.clean)
	dst = append(dst, `,"handle_chinese_chars":`...)
	dst = appendBool(dst, n.chinese)
	dst = append(dst, `,"strip_accents":`...)
	dst = appendBool(dst, n.strip)
	dst = append(dst, `,"lowercase":`...)
	dst = appendBool(dst, n.lower)
	return append(dst, '}')
}

// bertPreTokenizer is BertPreTokenizer: white space separates and goes, each
// punctuation character is a word of its own.
type bertPreTokenizer struct{}

func parseBertPreTokenizer(v value) (preTokenizer, error) {
	return bertPreTokenizer{}, v.object("type").err()
}

func (bertPreTokenizer) split(w *words) {
	for _, e := range w.cur {
		if e.added >= 0 {
			w.next = append(w.next, e)
			continue
		}
		w.next = splitBert(w.next, w.text.b, e)
	}
	w.swap()
}

func splitBert(dst []extent, b []byte, e extent) []extent {
	start := e.lo
	for i := e.lo; i < e.hi; {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:e.hi])
		}
		end := i
		i += int32(size)
		bits := class(r) & (classSpace | classPunct)
		if bits == 0 {
			continue
		}
		if start < end {
			dst = append(dst, extent{start, end, -1})
		}
		if bits&classPunct != 0 {
			dst = append(dst, extent{end, i, -1})
		}
		start = i
	}
	if start < e.hi {
		dst = append(dst, extent{start, e.hi, -1})
	}
	return dst
}

func (bertPreTokenizer) appendJSON(dst []byte) []byte {
	return append(dst, `{"type":"BertPreTokenizer"}`...)
}
