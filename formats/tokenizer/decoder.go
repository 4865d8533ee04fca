package tokenizer

import "strings"

// decoder turns tokens back to text.
type decoder interface {
	// decode returns the text of tokens; it may write to the slice.
	decode(tokens []string) string
	// appendJSON appends the section that parses to this decoder.
	appendJSON(dst []byte) []byte
}

// parseDecoder is the dispatch table of section "decoder".
func parseDecoder(v value) (decoder, error) {
	if v.isNull() {
		return spaceDecoder{}, nil
	}
	typ, err := v.typeOf()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "WordPiece":
		o := v.object("type", "prefix", "cleanup")
		return wordPieceDecoder{o.str("prefix"), o.boolean("cleanup")}, o.err()
	}
	return nil, v.unsupported(typ)
}

// spaceDecoder joins tokens with a space.
type spaceDecoder struct{}

func (spaceDecoder) decode(tokens []string) string { return strings.Join(tokens, " ") }

func (spaceDecoder) appendJSON(dst []byte) []byte { return append(dst, "null"...) }

// wordPieceDecoder joins pieces that have the prefix to the word before.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(tokens []string) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			inner, ok := strings.CutPrefix(t, d.prefix)
			if t = inner; !ok {
				t = " " + t
			}
		}
		if d.cleanup {
			t = cleanup(t)
		}
		b.WriteString(t)
	}
	return b.String()
}

// cleanup undoes spaces before punctuation within one token, one rule after
// the other as the library does.
func cleanup(t string) string {
	if !strings.Contains(t, " ") {
		return t
	}
	for _, rule := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		t = strings.ReplaceAll(t, rule[0], rule[1])
	}
	return t
}

func (d wordPieceDecoder) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"WordPiece","prefix":`...)
	dst = appendString(dst, d.prefix)
	dst = append(dst, `,"cleanup":`...)
	dst = appendBool(dst, d.cleanup)
	return append(dst, '}')
}
