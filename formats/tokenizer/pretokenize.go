package tokenizer

import "unicode/utf8"

// behavior says what becomes of a match when text is split.
type behavior int

const (
	removed behavior = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

// behaviors are the names of behavior.
func behaviors() []string {
	return []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}
}

// splitter splits every piece of text at the matches of a pattern.
type splitter struct {
	pattern  pattern
	behavior behavior
	invert   bool
	json     string // the section
}

func (s *splitter) split(w *words) {
	for _, e := range w.cur {
		if e.added >= 0 || e.lo == e.hi {
			w.next = append(w.next, e)
			continue
		}
		w.matches = s.pattern.find(w.matches[:0], w.text.b[e.lo:e.hi])
		if s.invert {
			for i := range w.matches {
				w.matches[i].is = !w.matches[i].is
			}
		}
		w.next = s.behavior.cut(w.next, w.matches, e.lo)
	}
	w.swap()
}

func (s *splitter) appendJSON(dst []byte) []byte { return append(dst, s.json...) }

// cut appends the pieces that matches make; their bytes count from off.
func (h behavior) cut(dst []extent, matches []match, off int32) []extent {
	begin, last := len(dst), false // of this text; whether the match before was one
	for i, m := range matches {
		join := false
		switch h {
		case removed:
			if m.is {
				continue
			}
		case contiguous:
			join = m.is == last
		case mergedWithPrevious:
			join = m.is && !last
		case mergedWithNext:
			join = h.joinsNext(matches, i)
		}
		last = m.is
		switch {
		case join && len(dst) > begin:
			dst[len(dst)-1].hi = off + m.hi
		case m.lo < m.hi || h != removed && h != isolated:
			dst = append(dst, extent{off + m.lo, off + m.hi, -1})
		}
	}
	return dropEmpty(dst, begin)
}

// joinsNext reports whether match i goes to what is before it when matches go
// to what follows them: that is, whether the one before it is a match that
// nothing but i claims. A match before a match stands alone.
func (behavior) joinsNext(matches []match, i int) bool {
	return i > 0 && matches[i-1].is && !matches[i].is
}

// dropEmpty removes the empty pieces after begin.
func dropEmpty(dst []extent, begin int) []extent {
	n := begin
	for _, e := range dst[begin:] {
		if e.lo < e.hi {
			dst[n] = e
			n++
		}
	}
	return dst[:n]
}

// parseSplit reads Split.
func parseSplit(v value) (preTokenizer, error) {
	o := v.object("type", "pattern", "behavior", "invert")
	s := &splitter{behavior: behavior(o.choice("behavior", behaviors()...)), invert: o.boolean("invert")}
	p, ok := o.get("pattern", false)
	if !ok {
		return nil, o.err()
	}
	src, pattern, err := parsePattern(p)
	if err != nil {
		return nil, err
	}
	s.pattern = pattern
	dst := append([]byte(nil), `{"type":"Split","pattern":`...)
	dst = src.appendJSON(dst)
	dst = append(dst, `,"behavior":`...)
	dst = appendString(dst, behaviors()[s.behavior])
	dst = append(dst, `,"invert":`...)
	s.json = string(append(appendBool(dst, s.invert), '}'))
	return s, nil
}

// parsePunctuation reads Punctuation.
func parsePunctuation(v value) (preTokenizer, error) {
	o := v.object("type", "behavior")
	s := &splitter{pattern: runePattern(isPunct), behavior: isolated}
	if _, ok := o.get("behavior", true); ok {
		s.behavior = behavior(o.choice("behavior", behaviors()...))
	}
	dst := appendString([]byte(`{"type":"Punctuation","behavior":`), behaviors()[s.behavior])
	s.json = string(append(dst, '}'))
	return s, o.err()
}

// parseDigits reads Digits.
func parseDigits(v value) (preTokenizer, error) {
	o := v.object("type", "individual_digits")
	s := &splitter{pattern: runePattern(isNumeric), behavior: contiguous}
	if o.boolean("individual_digits") {
		s.behavior = isolated
	}
	s.json = string(append(appendBool([]byte(`{"type":"Digits","individual_digits":`), s.behavior == isolated), '}'))
	return s, o.err()
}

// parseDelimiter reads CharDelimiterSplit.
func parseDelimiter(v value) (preTokenizer, error) {
	o := v.object("type", "delimiter")
	c := o.str("delimiter")
	if o.err() == nil && utf8.RuneCountInString(c) != 1 {
		o.keep(v.corrupt("delimiter %.60q is not one character", c))
	}
	dst := appendString([]byte(`{"type":"CharDelimiterSplit","delimiter":`), c)
	return &splitter{pattern: literal(c), behavior: removed, json: string(append(dst, '}'))}, o.err()
}

// fixedLength is FixedLength: pieces of so many characters.
type fixedLength int

func parseFixedLength(v value) (preTokenizer, error) {
	o := v.object("type", "length")
	n := 5
	if _, ok := o.get("length", true); ok {
		n = int(o.integer("length", 1<<31-1))
	}
	if n == 0 {
		o.keep(v.fail(ErrUnsupported, "length 0"))
	}
	return fixedLength(n), o.err()
}

func (n fixedLength) split(w *words) {
	for _, e := range w.cur {
		if e.added >= 0 {
			w.next = append(w.next, e)
			continue
		}
		start, count := e.lo, 0
		for i := e.lo; i < e.hi; {
			_, size := utf8.DecodeRune(w.text.b[i:e.hi])
			i += int32(size)
			if count++; count == int(n) {
				w.next = append(w.next, extent{start, i, -1})
				start, count = i, 0
			}
		}
		if start < e.hi {
			w.next = append(w.next, extent{start, e.hi, -1})
		}
	}
	w.swap()
}

func (n fixedLength) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"FixedLength","length":`...)
	return append(appendInt(dst, int(n)), '}')
}

// unicodeScripts is UnicodeScripts: text is cut where the script changes. What
// comes before the first character that has a script is lost.
type unicodeScripts struct{}

func (unicodeScripts) split(w *words) {
	for _, e := range w.cur {
		if e.added >= 0 {
			w.next = append(w.next, e)
			continue
		}
		last, start := byte(0), int32(-1)
		for i := e.lo; i < e.hi; {
			r, size := utf8.DecodeRune(w.text.b[i:e.hi])
			if g := scriptGroup(r); g != 0 && g != last {
				if start >= 0 {
					w.next = append(w.next, extent{start, i, -1})
				}
				last, start = g, i
			}
			i += int32(size)
		}
		if start >= 0 {
			w.next = append(w.next, extent{start, e.hi, -1})
		}
	}
	w.swap()
}

func (unicodeScripts) appendJSON(dst []byte) []byte { return appendType(dst, "UnicodeScripts") }
