package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// byteRune returns the character that stands for a byte in byte-level
// vocabularies: itself where it is printable Latin-1, or else one from U+0100.
func byteRune(c byte) rune {
	switch {
	case '!' <= c && c <= '~', 0xA1 <= c && c <= 0xAC, 0xAE <= c:
		return rune(c)
	case c <= ' ':
		return 0x100 + rune(c)
	case c <= 0xA0:
		return 0x121 + rune(c) - 0x7F
	}
	return 0x143 // U+00AD
}

// runeByte is the inverse of byteRune.
func runeByte(r rune) (byte, bool) {
	switch {
	case '!' <= r && r <= '~', 0xA1 <= r && r <= 0xAC, 0xAE <= r && r <= 0xFF:
		return byte(r), true
	case 0x100 <= r && r <= 0x120:
		return byte(r - 0x100), true
	case 0x121 <= r && r <= 0x142:
		return byte(r - 0x121 + 0x7F), true
	}
	return 0xAD, r == 0x143
}

// appendByteRunes appends the characters that stand for the bytes of b.
func appendByteRunes(dst, b []byte) []byte {
	for _, c := range b {
		if '!' <= c && c <= '~' {
			dst = append(dst, c)
			continue
		}
		r := byteRune(c)
		dst = append(dst, 0xC0|byte(r>>6), 0x80|byte(r)&0x3F)
	}
	return dst
}

// byteLevelNormalizer is the normalizer ByteLevel: bytes to characters.
type byteLevelNormalizer struct{}

func (byteLevelNormalizer) normalize(t, spare *text) {
	rewrite(t, spare)
	if !spare.room(2 * len(t.b)) {
		t.full = true
		return
	}
	spare.bytes(t, 0, int32(len(t.b)))
	*t, *spare = *spare, *t
}

// bytes appends the characters for bytes lo to hi of from.
func (t *text) bytes(from *text, lo, hi int32) {
	if !t.tracked {
		t.b = appendByteRunes(t.b, from.b[lo:hi])
		return
	}
	for i := lo; i < hi; i++ {
		n := len(t.b)
		t.b = appendByteRunes(t.b, from.b[i:i+1])
		t.cover(len(t.b)-n, from.spans[i])
	}
}

func (byteLevelNormalizer) appendJSON(dst []byte) []byte { return appendType(dst, "ByteLevel") }

// byteLevel is the component ByteLevel of the other sections.
type byteLevel struct{ prefix, trim, regex bool }

func parseByteLevel(v value) (byteLevel, error) {
	o := v.object("type", "add_prefix_space", "trim_offsets", "use_regex")
	l := byteLevel{prefix: o.boolean("add_prefix_space"), trim: o.boolean("trim_offsets"), regex: true}
	if _, ok := o.get("use_regex", true); ok {
		l.regex = o.boolean("use_regex")
	}
	return l, o.err()
}

func (l byteLevel) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"ByteLevel","add_prefix_space":`...)
	dst = appendBool(dst, l.prefix)
	dst = append(dst, `,"trim_offsets":`...)
	dst = appendBool(dst, l.trim)
	dst = append(dst, `,"use_regex":`...)
	return append(appendBool(dst, l.regex), '}')
}

// byteLevelPreTokenizer is the pre-tokenizer: a space before each piece, GPT-2's
// split, bytes to characters.
type byteLevelPreTokenizer struct{ byteLevel }

func parseByteLevelPreTokenizer(v value) (preTokenizer, error) {
	l, err := parseByteLevel(v)
	return byteLevelPreTokenizer{l}, err
}

func (l byteLevelPreTokenizer) split(w *words) {
	if l.prefix {
		addPrefix(w)
	}
	w.rewrite()
	for _, e := range w.cur {
		switch {
		case e.added >= 0:
			lo := len(w.spare.b)
			w.move(e.lo, e.hi)
			w.add(lo, e.added)
		case l.regex:
			for i := e.lo; i < e.hi; {
				lo, n := len(w.spare.b), int32(gpt2Word(w.text.b[i:e.hi]))
				w.spare.bytes(&w.text, i, i+n)
				w.add(lo, -1)
				i += n
			}
		default:
			lo := len(w.spare.b)
			w.spare.bytes(&w.text, e.lo, e.hi)
			w.add(lo, -1)
		}
	}
	w.done()
}

// addPrefix puts a space before each piece that does not start with one.
func addPrefix(w *words) {
	needed := false
	for _, e := range w.cur {
		needed = needed || e.added < 0 && e.lo < e.hi && w.text.b[e.lo] != ' '
	}
	if !needed {
		return
	}
	w.rewrite()
	for _, e := range w.cur {
		lo := len(w.spare.b)
		if e.added < 0 && e.lo < e.hi && w.text.b[e.lo] != ' ' {
			w.put(" ", e.lo)
		}
		w.move(e.lo, e.hi)
		w.add(lo, e.added)
	}
	w.done()
}

// gpt2Word returns the length of the word that b, which is not empty, starts
// with, by GPT-2's regex, which matches everywhere:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Word(b []byte) int {
	if n := contraction(b); n > 0 {
		return n
	}
	i := 0
	if b[0] == ' ' && len(b) > 1 {
		i = 1
	}
	kind, size := gpt2Kind(b[i:])
	if kind == gpt2Space {
		return gpt2Spaces(b)
	}
	for i += size; i < len(b); i += size {
		var k int
		if k, size = gpt2Kind(b[i:]); k != kind {
			break
		}
	}
	return i
}

// contraction returns the length of the English ending that b starts with.
func contraction(b []byte) int {
	if len(b) < 2 || b[0] != '\'' {
		return 0
	}
	switch b[1] {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v', 'l':
		want := byte('e')
		if b[1] == 'l' {
			want = 'l'
		}
		if len(b) > 2 && b[2] == want {
			return 3
		}
	}
	return 0
}

// gpt2Spaces returns the length of the white space b starts with, less its last
// character if something else follows and it is not the only one.
func gpt2Spaces(b []byte) int {
	i, last := 0, 0
	for i < len(b) {
		kind, size := gpt2Kind(b[i:])
		if kind != gpt2Space {
			if last > 0 {
				return last
			}
			return i
		}
		last = i
		i += size
	}
	return i
}

const (
	gpt2Other = iota
	gpt2Letter
	gpt2Number
	gpt2Space
)

// gpt2Kind tells what the first character of b is, and its size.
func gpt2Kind(b []byte) (kind, size int) {
	switch c := b[0]; {
	case 'a' <= c|0x20 && c|0x20 <= 'z':
		return gpt2Letter, 1
	case '0' <= c && c <= '9':
		return gpt2Number, 1
	case c == ' ', '\t' <= c && c <= '\r':
		return gpt2Space, 1
	case c < utf8.RuneSelf:
		return gpt2Other, 1
	}
	r, size := utf8.DecodeRune(b)
	switch cat := props(r) & propCategory; {
	case catLetters>>cat&1 == 1:
		return gpt2Letter, size
	case catNumbers>>cat&1 == 1:
		return gpt2Number, size
	case isSpace(r):
		return gpt2Space, size
	}
	return gpt2Other, size
}

// Sets of general categories, bits by number in categoryNames.
const (
	catLetters = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5
	catNumbers = 1<<9 | 1<<10 | 1<<11
)

// decode turns tokens to one: their bytes together, with one U+FFFD for each
// maximal broken part. A token with a character that stands for no byte is
// taken as it is.
func (byteLevel) decode(tokens []string) []string {
	var all []byte
	for _, t := range tokens {
		n := len(all)
		for _, r := range t {
			c, ok := runeByte(r)
			if !ok {
				all = append(all[:n], t...)
				break
			}
			all = append(all, c)
		}
	}
	return []string{lossy(all)}
}

// lossy decodes UTF-8 as Rust does: one U+FFFD for each maximal part that could
// have started a character, where Go has one for each byte.
func lossy(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
		} else {
			n = brokenPart(b)
			out.WriteRune(utf8.RuneError)
		}
		b = b[n:]
	}
	return out.String()
}

// brokenPart returns the length of the longest start of b that starts some
// character, at least 1.
func brokenPart(b []byte) int {
	n := 1
	for n < min(len(b), 3) && !utf8.FullRune(b[:n+1]) && b[n]&0xC0 == 0x80 {
		n++
	}
	return n
}

// trimOffsets takes the spaces in a token out of its span.
func (l byteLevel) trimOffsets(e *Encoding) {
	for i := range e.Overflowing {
		l.trimOffsets(&e.Overflowing[i])
	}
	for i, token := range e.Tokens {
		lead, trail := spacesAround(token)
		at := &e.Offsets[i]
		if lead > 0 {
			if l.prefix && lead == 1 && (i == 0 || at[0] == 0) {
				lead = 0 // it may be ours
			}
			at[0] = min(at[0]+lead, at[1])
		}
		if trail > 0 && at[1] >= trail {
			at[1] = max(at[1]-trail, at[0])
		}
	}
}

// spacesAround counts the white space at both ends of a token.
func spacesAround(token string) (lead, trail int) {
	space := func(r rune) bool { return r == 0x120 || isSpace(r) }
	b := []byte(token)
	for _, r := range token {
		if !space(r) {
			break
		}
		lead++
	}
	for len(b) > 0 {
		r, n := utf8.DecodeLastRune(b)
		if !space(r) {
			break
		}
		trail++
		b = b[:len(b)-n]
	}
	return lead, trail
}
