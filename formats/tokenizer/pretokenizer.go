package tokenizer

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
}

// swap makes next the current split.
func (w *words) swap() { w.cur, w.next = w.next, w.cur[:0] }

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
	case "Sequence":
		return parsePreTokenizers(v)
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
