package tokenizer

// MarksContinuation reports whether the vocabulary marks the pieces that go on with a
// word, as WordPiece does by ##.
func (k *Tokenizer) MarksContinuation() bool {
	switch m := k.model.(type) {
	case *wordPiece:
		return m.prefix != ""
	case *bpe:
		return m.prefix != ""
	}
	return false
}

// UnknownID is the id of the token for what the vocabulary cannot spell; -1 where there
// is none.
func (k *Tokenizer) UnknownID() int32 {
	switch m := k.model.(type) {
	case *wordPiece:
		return m.unknown
	case *bpe:
		return m.unknown
	case *unigram:
		return m.unknown
	case *wordLevel:
		return m.unknown
	}
	return -1
}
