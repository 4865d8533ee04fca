package tokenizer

// wordLevel is the WordLevel model: a word is one token of the vocabulary, or
// the unknown one as a whole.
type wordLevel struct {
	*vocabulary
	unk     string
	unknown int32 // -1: the vocabulary has no unk, and a word that it lacks is an error
}

func parseWordLevel(v value) (model, error) {
	o := v.object("type", "unk_token", "vocab")
	m := &wordLevel{unk: o.str("unk_token"), unknown: -1}
	words, ok := o.get("vocab", false)
	if !ok {
		return nil, o.err()
	}
	var err error
	if m.vocabulary, err = parseVocabulary(words); err != nil {
		return nil, err
	}
	if id, ok := m.id(m.unk); ok {
		m.unknown = id
	}
	return m, o.err()
}

func (m *wordLevel) tokenize(s *workspace, dst []piece, word []byte) []piece {
	id, ok := m.words.getBytes(word)
	if !ok {
		if id = m.unknown; id < 0 {
			s.failed = errNoWord
			return dst
		}
	}
	return append(dst, piece{id, 0, int32(len(word))})
}

func (m *wordLevel) text(p piece, _ []byte) string {
	t, _ := m.token(p.id)
	return t
}

func (m *wordLevel) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"WordLevel","unk_token":`...)
	dst = appendString(dst, m.unk)
	dst = append(dst, `,"vocab":`...)
	dst = m.vocabulary.appendJSON(dst)
	return append(dst, '}')
}
