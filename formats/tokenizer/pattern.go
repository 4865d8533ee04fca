package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// match is a run of bytes that a pattern matched, or that lies between two.
type match struct {
	lo, hi int32
	is     bool
}

// pattern finds where text is to be split or replaced.
type pattern interface {
	// find appends matches and what is between them, in order and covering b.
	find(dst []match, b []byte) []match
}

// literal matches a text that is not empty.
type literal []byte

func (p literal) find(dst []match, b []byte) []match {
	done := 0
	for {
		n := bytes.Index(b[done:], p)
		if n < 0 {
			break
		}
		dst = appendBetween(dst, done, done+n)
		dst = append(dst, match{int32(done + n), int32(done + n + len(p)), true})
		done += n + len(p)
	}
	return appendBetween(dst, done, len(b))
}

func appendBetween(dst []match, lo, hi int) []match {
	if lo == hi {
		return dst
	}
	return append(dst, match{int32(lo), int32(hi), false})
}

// runePattern matches single characters.
type runePattern func(r rune) bool

func (is runePattern) find(dst []match, b []byte) []match {
	done := 0
	for i := 0; i < len(b); {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		if is(r) {
			dst = appendBetween(dst, done, i)
			dst = append(dst, match{int32(i), int32(i + size), true})
			done = i + size
		}
		i += size
	}
	return appendBetween(dst, done, len(b))
}

// wordPattern matches what is between words of the pre-tokenizer Whitespace,
// \w+|[^\w\s]+ of Rust's regex crate.
type wordPattern struct{}

func (wordPattern) find(dst []match, b []byte) []match {
	last, start := byte(0), 0
	for i := 0; i < len(b); {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		kind := class(r) & (classSpace | classWord)
		if i > 0 && kind != last {
			dst = append(dst, match{int32(start), int32(i), last == classSpace})
			start = i
		}
		last = kind
		i += size
	}
	if start < len(b) {
		dst = append(dst, match{int32(start), int32(len(b)), last == classSpace})
	}
	return dst
}

// source is a pattern as a file spells it.
type source struct {
	text  string
	regex bool
}

// parsePattern reads {"String": ...} or {"Regex": ...}.
func parsePattern(v value) (source, pattern, error) {
	o := v.object("String", "Regex")
	if o.err() == nil && len(o.fields) != 1 {
		o.keep(v.corrupt("expected a String or a Regex"))
	}
	if _, ok := o.get("String", true); ok {
		s := source{text: o.str("String")}
		if s.text == "" && o.err() == nil {
			v.doc.regex += regexCost
			re, err := compileRegex("")
			return s, re, err
		}
		return s, literal(s.text), o.err()
	}
	s := source{text: o.str("Regex"), regex: true}
	if o.err() != nil {
		return s, nil, o.err()
	}
	if v.doc.regex += len(s.text) + regexCost; v.doc.regex > maxRegexes {
		return s, nil, v.fail(ErrLimit, "over %d bytes of regexes", maxRegexes)
	}
	re, err := compileRegex(s.text)
	if err != nil {
		return s, nil, v.fail(ErrUnsupported, "regex %.80q: %v", s.text, err)
	}
	return s, re, nil
}

func (s source) appendJSON(dst []byte) []byte {
	if s.regex {
		dst = append(dst, `{"Regex":`...)
	} else {
		dst = append(dst, `{"String":`...)
	}
	return append(appendString(dst, s.text), '}')
}

// replacer is Replace, as a normalizer and as a decoder. The content is literal.
type replacer struct {
	source  source
	pattern pattern
	content string
}

func parseReplacer(v value) (*replacer, error) {
	o := v.object("type", "pattern", "content")
	n := &replacer{content: o.str("content")}
	p, ok := o.get("pattern", false)
	if !ok {
		return nil, o.err()
	}
	var err error
	n.source, n.pattern, err = parsePattern(p)
	return n, err
}

func parseReplace(v value) (normalizer, error) { return parseReplacer(v) }

// normalize replaces matches; what is put in has the span of the character
// before it, which is the last one replaced if there is one.
func (n *replacer) normalize(t, spare *text) {
	if len(t.b) == 0 {
		return
	}
	spare.matches = n.pattern.find(spare.matches[:0], t.b)
	if m := spare.matches; len(m) == 1 && !m[0].is {
		return
	}
	w := rewrite(t, spare)
	for _, m := range spare.matches {
		if m.is {
			w.pass(int(m.hi))
			w.insert(n.content)
		} else {
			w.keep(int(m.hi))
		}
	}
	w.done()
}

func (n *replacer) decode(tokens []string) []string {
	for i, t := range tokens {
		var out []byte
		for _, m := range n.pattern.find(nil, []byte(t)) {
			if m.is {
				out = append(out, n.content...)
			} else {
				out = append(out, t[m.lo:m.hi]...)
			}
		}
		tokens[i] = string(out)
	}
	return tokens
}

func (n *replacer) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Replace","pattern":`...)
	dst = n.source.appendJSON(dst)
	dst = append(dst, `,"content":`...)
	return append(appendString(dst, n.content), '}')
}
