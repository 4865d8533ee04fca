package tokenizer

import "unicode/utf8"

// wordPiece is the WordPiece model: a word is cut greedily from the left into
// the longest pieces there are, those after the first written with a prefix; if
// that fails the whole word is unknown.
type wordPiece struct {
	*vocabulary
	prefix   string
	inner    uint32 // node of the prefix
	hasInner bool   // some word starts with the prefix
	maxChars int    // code points; longer words are unknown
	unknown  int32
}

func parseWordPiece(v value) (model, error) {
	o := v.object("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
	m := &wordPiece{
		prefix:   o.str("continuing_subword_prefix"),
		maxChars: int(o.integer("max_input_chars_per_word", 1<<31-1)),
	}
	unk := o.str("unk_token")
	words, ok := o.get("vocab", false)
	if !ok {
		return nil, o.err()
	}
	var err error
	if m.vocabulary, err = parseVocabulary(words); err != nil {
		return nil, err
	}
	if m.unknown, ok = m.id(unk); !ok {
		return nil, v.corrupt("unk_token %.60q is not in the vocabulary", unk)
	}
	m.inner, m.hasInner = m.words.walk(m.prefix)
	return m, nil
}

func (m *wordPiece) tokenize(_ *workspace, dst []piece, word []byte) []piece {
	whole := piece{m.unknown, 0, int32(len(word))}
	if len(word) > m.maxChars && utf8.RuneCount(word) > m.maxChars {
		return append(dst, whole)
	}
	begin := len(dst)
	id, n := m.words.longest(0, word)
	for at := 0; ; {
		if n == 0 {
			return append(dst[:begin], whole)
		}
		dst = append(dst, piece{id, int32(at), int32(at + n)})
		if at += n; at == len(word) {
			return dst
		}
		if n = 0; m.hasInner {
			id, n = m.words.longest(m.inner, word[at:])
		}
	}
}

func (m *wordPiece) text(p piece, _ []byte) string {
	t, _ := m.token(p.id)
	return t
}

func (m *wordPiece) appendJSON(dst []byte) []byte {
	unk, _ := m.token(m.unknown)
	dst = append(dst, `{"type":"WordPiece","unk_token":`...)
	dst = appendString(dst, unk)
	dst = append(dst, `,"continuing_subword_prefix":`...)
	dst = appendString(dst, m.prefix)
	dst = append(dst, `,"max_input_chars_per_word":`...)
	dst = appendInt(dst, m.maxChars)
	dst = append(dst, `,"vocab":`...)
	dst = m.vocabulary.appendJSON(dst)
	return append(dst, '}')
}
