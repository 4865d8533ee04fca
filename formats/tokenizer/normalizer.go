package tokenizer

// normalizer rewrites a piece of text before it is split.
type normalizer interface {
	// normalize leaves its result in t; spare is room to swap with.
	normalize(t, spare *text)
	// appendJSON appends the section that parses to this normalizer.
	appendJSON(dst []byte) []byte
}

// parseNormalizer is the dispatch table of section "normalizer".
func parseNormalizer(v value) (normalizer, error) {
	if v.isNull() {
		return normalizers(nil), nil
	}
	typ, err := v.typeOf()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "BertNormalizer":
		return parseBertNormalizer(v)
	case "ByteLevel":
		return byteLevelNormalizer{}, v.object("type").err()
	case "Lowercase":
		return lowercaser{}, v.object("type").err()
	case "NFC", "NFD", "NFKC", "NFKD":
		return newUnicodeForm(typ), v.object("type").err()
	case "Nmt":
		return nmt{}, v.object("type").err()
	case "Precompiled":
		return parseCharsmap(v)
	case "Prepend":
		return parsePrepend(v)
	case "Replace":
		return parseReplace(v)
	case "Sequence":
		return parseNormalizers(v)
	case "Strip":
		return parseStrip(v)
	case "StripAccents":
		return accentStripper{}, v.object("type").err()
	}
	return nil, v.unsupported(typ)
}

// normalizers runs several in turn; none leaves the text as it is.
type normalizers []normalizer

func parseNormalizers(v value) (normalizer, error) {
	o := v.object("type", "normalizers")
	all := normalizers{}
	for e := range o.list("normalizers") {
		n, err := parseNormalizer(e)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, o.err()
}

func (all normalizers) normalize(t, spare *text) {
	for _, n := range all {
		if !t.room(0) {
			return
		}
		n.normalize(t, spare)
	}
}

func (all normalizers) appendJSON(dst []byte) []byte {
	if all == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"type":"Sequence","normalizers":[`...)
	for i, n := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = n.appendJSON(dst)
	}
	return append(dst, "]}"...)
}
