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

// Check reports what Encode would of a text by itself. It costs nothing where the vocabulary
// has a token for whatever it cannot spell, as nearly all have.
func (k *Tokenizer) Check(text string) error {
	if !k.refuses() {
		return nil
	}
	_, err := k.Encode(text, nil, true)
	return err
}

// refuses reports whether the vocabulary lacks that token, so that there are texts which
// Encode fails for and of which AppendIDs leaves out a part.
func (k *Tokenizer) refuses() bool {
	switch m := k.model.(type) {
	case *unigram:
		return m.unknown < 0
	case *wordLevel:
		return m.unknown < 0
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
