package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns tokens back to text.
type decoder interface {
	// decode returns the texts of tokens, which are to be joined; it may write to
	// the slice.
	decode(tokens []string) []string
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
	case "BPEDecoder":
		o := v.object("type", "suffix")
		return bpeDecoder(o.str("suffix")), o.err()
	case "ByteFallback":
		return byteFallback{}, v.object("type").err()
	case "ByteLevel":
		return parseByteLevel(v)
	case "CTC":
		o := v.object("type", "pad_token", "word_delimiter_token", "cleanup")
		return ctcDecoder{o.str("pad_token"), o.str("word_delimiter_token"), o.boolean("cleanup")}, o.err()
	case "Fuse":
		return fuse{}, v.object("type").err()
	case "Metaspace":
		return parseMetaspace(v)
	case "Replace":
		return parseReplacer(v)
	case "Sequence":
		return parseDecoders(v)
	case "Strip":
		return parseStripDecoder(v)
	case "WordPiece":
		o := v.object("type", "prefix", "cleanup")
		return wordPieceDecoder{o.str("prefix"), o.boolean("cleanup")}, o.err()
	}
	return nil, v.unsupported(typ)
}

// decoders runs several in turn.
type decoders []decoder

func parseDecoders(v value) (decoder, error) {
	o := v.object("type", "decoders")
	all := decoders{}
	for e := range o.list("decoders") {
		if e.isNull() {
			return nil, e.corrupt("expected a decoder")
		}
		d, err := parseDecoder(e)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, o.err()
}

func (all decoders) decode(tokens []string) []string {
	for _, d := range all {
		tokens = d.decode(tokens)
	}
	return tokens
}

func (all decoders) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Sequence","decoders":`...)
	dst = appendList(dst, all, func(dst []byte, d decoder) []byte { return d.appendJSON(dst) })
	return append(dst, '}')
}

// spaceDecoder joins tokens with a space.
type spaceDecoder struct{}

func (spaceDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, " ")} }

func (spaceDecoder) appendJSON(dst []byte) []byte { return append(dst, "null"...) }

// fuse makes all tokens one.
type fuse struct{}

func (fuse) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

func (fuse) appendJSON(dst []byte) []byte { return appendType(dst, "Fuse") }

// bpeDecoder turns its suffix to a space, in the last token to nothing.
type bpeDecoder string

func (d bpeDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		space := " "
		if i == len(tokens)-1 {
			space = ""
		}
		tokens[i] = strings.ReplaceAll(t, string(d), space)
	}
	return tokens
}

func (d bpeDecoder) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"BPEDecoder","suffix":`...)
	return append(appendString(dst, string(d)), '}')
}

// byteFallback turns a run of byte tokens to the text it is, or else each of
// them to U+FFFD.
type byteFallback struct{}

func (byteFallback) decode(tokens []string) []string {
	var out []string
	var run []byte
	flush := func() {
		if utf8.Valid(run) {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if c, ok := byteOf(t); ok {
			run = append(run, c)
			continue
		}
		if len(run) > 0 {
			flush()
		}
		out = append(out, t)
	}
	if len(run) > 0 {
		flush()
	}
	return out
}

// byteOf returns the byte of a token such as <0x0A>. As in the library the
// digits may also be a plus sign and one digit.
func byteOf(t string) (byte, bool) {
	if len(t) != 6 || t[:3] != "<0x" || t[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(t[3:5], "+"), 16, 8)
	return byte(n), err == nil
}

func (byteFallback) appendJSON(dst []byte) []byte { return appendType(dst, "ByteFallback") }

// stripDecoder drops up to so many of a character at the ends of each token.
type stripDecoder struct {
	content     string
	start, stop int
}

func parseStripDecoder(v value) (decoder, error) {
	o := v.object("type", "content", "start", "stop")
	d := stripDecoder{o.str("content"), clamp(o.integer("start", 1<<53)), clamp(o.integer("stop", 1<<53))}
	if o.err() == nil && utf8.RuneCountInString(d.content) != 1 {
		o.keep(v.corrupt("content %.60q is not one character", d.content))
	}
	return d, o.err()
}

// decode strips; where both ends meet the library panics and we stop.
func (d stripDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		for n := 0; n < d.start && strings.HasPrefix(t, d.content); n++ {
			t = t[len(d.content):]
		}
		for n := 0; n < d.stop && strings.HasSuffix(t, d.content); n++ {
			t = t[:len(t)-len(d.content)]
		}
		tokens[i] = t
	}
	return tokens
}

func (d stripDecoder) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Strip","content":`...)
	dst = appendString(dst, d.content)
	dst = append(dst, `,"start":`...)
	dst = appendInt(dst, d.start)
	dst = append(dst, `,"stop":`...)
	return append(appendInt(dst, d.stop), '}')
}

// ctcDecoder drops repeated tokens and padding.
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decode(tokens []string) []string {
	var out []string
	for i, t := range tokens {
		if i > 0 && t == tokens[i-1] {
			continue
		}
		t = strings.ReplaceAll(t, d.pad, "")
		if d.cleanup {
			t = strings.ReplaceAll(cleanup(t), d.delimiter, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

func (d ctcDecoder) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"CTC","pad_token":`...)
	dst = appendString(dst, d.pad)
	dst = append(dst, `,"word_delimiter_token":`...)
	dst = appendString(dst, d.delimiter)
	dst = append(dst, `,"cleanup":`...)
	return append(appendBool(dst, d.cleanup), '}')
}

// wordPieceDecoder joins pieces that have the prefix to the word before.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(tokens []string) []string {
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
		tokens[i] = t
	}
	return tokens
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
