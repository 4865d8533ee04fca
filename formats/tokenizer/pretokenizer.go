package tokenizer

import "slices"

// preTokenizer splits pieces of normalized text into words.
type preTokenizer interface {
	// split replaces w.cur with its words. Extents that are added tokens pass
	// through. One that rewrites the text does so in w.spare and moves all extents.
	split(w *words)
	// appendJSON appends the section that parses to this pre-tokenizer.
	appendJSON(dst []byte) []byte
}

// extent is a run of bytes of a text: an added token, or text to go on with.
type extent struct {
	lo, hi int32
	added  int32 // index of the added token, -1 for text
}

// words is one piece of text and its split so far.
type words struct {
	text, spare text
	cur, next   []extent
	matches     []match // room for a pattern
}

// swap makes next the current split.
func (w *words) swap() { w.cur, w.next = w.next, w.cur[:0] }

// rewrite starts a new text in spare, into which the extents are to be moved.
func (w *words) rewrite() {
	rewrite(&w.text, &w.spare)
}

// move copies bytes lo to hi to the new text.
func (w *words) move(lo, hi int32) {
	w.spare.b = append(w.spare.b, w.text.b[lo:hi]...)
	if w.text.tracked {
		w.spare.spans = append(w.spare.spans, w.text.spans[lo:hi]...)
	}
}

// put writes s to the new text, with the span of byte i.
func (w *words) put(s string, i int32) {
	w.spare.b = append(w.spare.b, s...)
	if w.text.tracked {
		w.spare.cover(len(s), w.text.spans[i])
	}
}

// atStart reports whether a piece is the start of the text. Where spans are not
// kept it is not: Tokenizer.needsSpans sees to it.
func (w *words) atStart(e extent) bool {
	return w.text.tracked && w.text.spans[e.lo].start == 0
}

// needsSpans reports whether p asks atStart.
func needsSpans(p preTokenizer) bool {
	switch p := p.(type) {
	case preTokenizers:
		return slices.ContainsFunc(p, needsSpans)
	case *metaspace:
		return p.scheme == first
	}
	return false
}

// add makes what was written since byte lo of the new text a piece.
func (w *words) add(lo int, added int32) {
	if hi := len(w.spare.b); lo < hi {
		w.next = append(w.next, extent{int32(lo), int32(hi), added})
	}
}

// done makes the new text and its extents the current ones.
func (w *words) done() {
	w.text, w.spare = w.spare, w.text
	w.swap()
}

// parsePreTokenizer is the dispatch table of section "pre_tokenizer".
func parsePreTokenizer(v value) (preTokenizer, error) {
	if v.isNull() {
		return preTokenizers(nil), nil
	}
	typ, err := v.typeOf()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "BertPreTokenizer":
		return parseBertPreTokenizer(v)
	case "ByteLevel":
		return parseByteLevelPreTokenizer(v)
	case "CharDelimiterSplit", "Delimiter":
		return parseDelimiter(v)
	case "Digits":
		return parseDigits(v)
	case "FixedLength":
		return parseFixedLength(v)
	case "Metaspace":
		return parseMetaspacePreTokenizer(v)
	case "Punctuation":
		return parsePunctuation(v)
	case "Sequence":
		return parsePreTokenizers(v)
	case "Split":
		return parseSplit(v)
	case "UnicodeScripts":
		return unicodeScripts{}, v.object("type").err()
	case "Whitespace":
		return &splitter{wordPattern{}, removed, false, string(appendType(nil, typ))}, v.object("type").err()
	case "WhitespaceSplit":
		return &splitter{runePattern(isSpace), removed, false, string(appendType(nil, typ))}, v.object("type").err()
	}
	return nil, v.unsupported(typ)
}

// preTokenizers runs several in turn; none leaves each piece one word.
type preTokenizers []preTokenizer

func parsePreTokenizers(v value) (preTokenizer, error) {
	o := v.object("type", "pretokenizers")
	all := preTokenizers{}
	for e := range o.list("pretokenizers") {
		p, err := parsePreTokenizer(e)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, o.err()
}

func (all preTokenizers) split(w *words) {
	for _, p := range all {
		if !w.text.room(0) {
			return
		}
		p.split(w)
	}
}

func (all preTokenizers) appendJSON(dst []byte) []byte {
	if all == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"type":"Sequence","pretokenizers":[`...)
	for i, p := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.appendJSON(dst)
	}
	return append(dst, "]}"...)
}
