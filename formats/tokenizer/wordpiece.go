package tokenizer

import "unicode/utf8"

// wordPiece is the WordPiece model: a word is cut greedily from the left into
// the longest pieces there are, those after the first written with a prefix; if
// that fails the whole word is unknown.
type wordPiece struct {
	*vocabulary
	prefix   string
	inner    uint64 // hash of the prefix
	maxChars int    // code points; longer words are unknown
	unk      string
	unknown  int32 // -1: the vocabulary has no unk, and a word that it cannot spell is an error
}

func parseWordPiece(v value) (model, error) {
	o := v.object("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
	m := &wordPiece{
		prefix:   o.str("continuing_subword_prefix"),
		maxChars: int(o.integer("max_input_chars_per_word", 1<<31-1)),
	}
	m.unk, m.unknown = o.str("unk_token"), -1
	words, ok := o.get("vocab", false)
	if !ok {
		return nil, o.err()
	}
	var err error
	if m.vocabulary, err = parseDictionary(words); err != nil {
		return nil, err
	}
	if id, ok := m.id(m.unk); ok {
		m.unknown = id
	}
	m.inner = m.dict.hash(0, m.prefix)
	return m, nil
}

func (m *wordPiece) tokenize(s *workspace, dst []piece, word []byte) []piece {
	if len(word) > m.maxChars && utf8.RuneCount(word) > m.maxChars {
		return m.whole(s, dst, word)
	}
	begin := len(dst)
	var id int32
	var n int
	id, n, s.hashes = m.dict.start(m.vocabulary, s.hashes, 0, "", word)
	for at := 0; ; {
		if n == 0 {
			return m.whole(s, dst[:begin], word)
		}
		dst = append(dst, piece{id, int32(at), int32(at + n)})
		if at += n; at == len(word) {
			return dst
		}
		id, n, s.hashes = m.dict.start(m.vocabulary, s.hashes, m.inner, m.prefix, word[at:])
	}
}

// whole makes a word the unknown token.
func (m *wordPiece) whole(s *workspace, dst []piece, word []byte) []piece {
	if m.unknown < 0 {
		s.failed = errNoWord
		return dst
	}
	return append(dst, piece{m.unknown, 0, int32(len(word))})
}

func (m *wordPiece) text(p piece, _ []byte) string {
	t, _ := m.token(p.id)
	return t
}

func (m *wordPiece) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"WordPiece","unk_token":`...)
	dst = appendString(dst, m.unk)
	dst = append(dst, `,"continuing_subword_prefix":`...)
	dst = appendString(dst, m.prefix)
	dst = append(dst, `,"max_input_chars_per_word":`...)
	dst = appendInt(dst, m.maxChars)
	dst = append(dst, `,"vocab":`...)
	dst = m.vocabulary.appendJSON(dst)
	return append(dst, '}')
}
