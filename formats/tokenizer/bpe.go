package tokenizer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// bpe is the BPE model: the characters of a word are merged pair by pair, the
// pair of least rank first and of these the leftmost.
type bpe struct {
	*vocabulary
	pairs        pairTable
	merges       [][2]int32 // by rank
	prefix       string     // written before characters that do not start a word
	suffix       string     // written behind the last character
	unk          string     // with named
	named        bool       // there is an unknown token
	unknown      int32      // -1: unknown characters vanish or, with named, are an error
	fuse         bool       // neighbouring unknowns are one
	ignoreMerges bool       // a word of the vocabulary is one token
	chars        [0x800]int32
	bytes        [256]int32 // tokens of byte fallback, -1
	fallback     bool
	cutAt        []byte // text may be cut before a run of this character, nil: not
}

func parseBPE(v value) (model, error) {
	o := v.object("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
		"fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges")
	m := &bpe{
		prefix:       o.optionalStr("continuing_subword_prefix"),
		suffix:       o.optionalStr("end_of_word_suffix"),
		fuse:         o.optionalBool("fuse_unk"),
		fallback:     o.optionalBool("byte_fallback"),
		ignoreMerges: o.optionalBool("ignore_merges"),
		unknown:      -1,
	}
	if d, ok := o.optional("dropout"); ok {
		if f, err := d.number(); err != nil || f != 0 {
			o.keep(d.fail(ErrUnsupported, "dropout, which makes tokens random"))
		}
	}
	words, ok := o.get("vocab", false)
	merges, ok2 := o.get("merges", false)
	if !ok || !ok2 {
		return nil, o.err()
	}
	var err error
	if m.vocabulary, err = parseVocabulary(words); err != nil {
		return nil, err
	}
	if _, m.named = o.optional("unk_token"); m.named {
		m.unk = o.str("unk_token")
		if id, ok := m.id(m.unk); ok {
			m.unknown = id
		}
	}
	if o.err() != nil {
		return nil, o.err()
	}
	if err := m.parseMerges(merges); err != nil {
		return nil, err
	}
	m.index()
	return m, nil
}

// parseMerges reads a list of "a b" or ["a", "b"].
func (m *bpe) parseMerges(v value) error {
	if err := v.want(kindArray); err != nil {
		return err
	}
	nodes, end := v.doc.nodes, v.node().next
	n := 0
	for i := v.i + 1; i < end; i = nodes[i].next {
		n++
	}
	m.pairs, m.merges = newPairTable(n), make([][2]int32, 0, n)
	var bufs [3][]byte
	for i := v.i + 1; i < end; i = nodes[i].next {
		e := value{v.doc, i, v.path}
		left, right, err := mergeOf(e, &bufs)
		if err != nil {
			return err
		}
		if err := m.addMerge(e, left, right, &bufs[2]); err != nil {
			return err
		}
	}
	return nil
}

// mergeOf returns the two sides of a merge.
func mergeOf(e value, bufs *[3][]byte) (left, right []byte, err error) {
	nodes := e.doc.nodes
	switch n := e.node(); {
	case n.kind == kindString:
		bufs[0] = append(bufs[0][:0], e.doc.bytes(e.i, bufs[1])...)
		var ok bool
		left, right, ok = bytes.Cut(bufs[0], []byte{' '})
		if !ok || bytes.IndexByte(right, ' ') >= 0 {
			return nil, nil, e.corrupt("merge %.60q is not two tokens", bufs[0])
		}
		return left, right, nil
	case n.kind == kindArray && n.next == e.i+3 && nodes[e.i+1].kind == kindString && nodes[e.i+2].kind == kindString:
		bufs[0] = append(bufs[0][:0], e.doc.bytes(e.i+1, bufs[0])...)
		bufs[1] = append(bufs[1][:0], e.doc.bytes(e.i+2, bufs[1])...)
		return bufs[0], bufs[1], nil
	}
	return nil, nil, e.corrupt("expected a merge of two tokens")
}

func (m *bpe) addMerge(e value, left, right []byte, buf *[]byte) error {
	a, ok := m.words.getBytes(left)
	b, ok2 := m.words.getBytes(right)
	if !ok || !ok2 {
		return e.corrupt("merge of %.60q and %.60q, not both in the vocabulary", left, right)
	}
	if len(right) < len(m.prefix) {
		return e.corrupt("right side %.60q of a merge is shorter than the prefix", right)
	}
	*buf = append(append((*buf)[:0], left...), right[len(m.prefix):]...)
	id, ok := m.words.getBytes(*buf)
	if !ok {
		return e.corrupt("merge to %.60q, which is not in the vocabulary", *buf)
	}
	m.pairs.set(a, b, int32(len(m.merges)), id)
	m.merges = append(m.merges, [2]int32{a, b})
	return nil
}

// index fills the tables that speed up the way from text to symbols.
func (m *bpe) index() {
	var buf [utf8.UTFMax]byte
	for r := range m.chars {
		m.chars[r] = noValue
		if id, ok := m.words.getBytes(utf8.AppendRune(buf[:0], rune(r))); ok {
			m.chars[r] = id
		}
	}
	m.bytes = byteTokens(m.words)
	const space = "▁"
	if _, ok := m.words.get(space); ok && m.prefix == "" && m.suffix == "" && !m.ignoreMerges && !m.crosses(space) {
		m.cutAt = []byte(space)
	}
}

// byteTokens returns the ids of <0x00> to <0xFF>, -1 where there is none.
func byteTokens(words *trie) (ids [256]int32) {
	const hex = "0123456789ABCDEF"
	for c := range ids {
		ids[c] = noValue
		if id, ok := words.get("<0x" + string(hex[c>>4]) + string(hex[c&15]) + ">"); ok {
			ids[c] = id
		}
	}
	return ids
}

// crosses reports whether some merge has mark at the start of its right side
// and not at the end of its left.
func (m *bpe) crosses(mark string) bool {
	for _, p := range m.merges {
		left, _ := m.token(p[0])
		right, _ := m.token(p[1])
		if strings.HasPrefix(right, mark) && !strings.HasSuffix(left, mark) {
			return true
		}
	}
	return false
}

func (m *bpe) tokenize(s *workspace, dst []piece, word []byte) []piece {
	at := int32(0)
	for len(word) > 0 {
		n := len(word)
		if m.cutAt != nil {
			n = m.nextCut(word)
		}
		dst, at = m.part(s, dst, word[:n], at)
		word = word[n:]
	}
	return dst
}

// nextCut returns the length of the start of word that merges by itself.
func (m *bpe) nextCut(word []byte) int {
	i := 0
	for bytes.HasPrefix(word[i:], m.cutAt) {
		i += len(m.cutAt)
	}
	if n := bytes.Index(word[i:], m.cutAt); n >= 0 {
		return i + n
	}
	return len(word)
}

// part tokenizes a word whose tokens start at byte at, and returns where they
// end. That is not always its length: unknown characters may vanish.
func (m *bpe) part(s *workspace, dst []piece, word []byte, at int32) ([]piece, int32) {
	place, key := s.cache.place(word)
	if place != nil && place.key == key {
		return place.appendTo(dst, at)
	}
	begin, start := len(dst), at
	if id, ok := m.words.getBytes(word); ok && m.ignoreMerges {
		at += int32(len(word))
		dst = append(dst, piece{id, start, at})
	} else {
		m.symbols(s, word)
		m.merge(s)
		for i := int32(0); i >= 0 && int(i) < len(s.symbols); i = s.symbols[i].next {
			y := s.symbols[i]
			dst = append(dst, piece{y.id, at, at + y.len})
			at += y.len
		}
	}
	if place != nil && s.failed == nil {
		place.store(key, dst[begin:], start)
	}
	return dst, at
}

// symbol is a part of a word while it is merged; a len of 0 is one merged away.
type symbol struct{ id, len, prev, next int32 }

// symbols fills s.symbols with the characters of word. Like the library it does
// not write out a waiting unknown before the bytes of a character.
func (m *bpe) symbols(s *workspace, word []byte) {
	s.symbols = s.symbols[:0]
	waiting := int32(0) // bytes of an unknown not yet written
	for i := 0; i < len(word); {
		size := 1
		if word[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(word[i:])
		}
		id := m.char(s, word, i, size)
		switch {
		case id >= 0:
			if waiting > 0 {
				s.add(m.unknown, waiting)
				waiting = 0
			}
			s.add(id, int32(size))
		case m.fallback && m.addBytes(s):
		case m.unknown < 0:
			if m.named {
				s.failed = errNoWord
			}
		case m.fuse:
			waiting += int32(size)
		default:
			if waiting > 0 {
				s.add(m.unknown, waiting)
			}
			waiting = int32(size)
		}
		i += size
	}
	if waiting > 0 {
		s.add(m.unknown, waiting)
	}
	if n := len(s.symbols); n > 0 {
		s.symbols[n-1].next = -1
	}
}

func (s *workspace) add(id, n int32) {
	i := int32(len(s.symbols))
	s.symbols = append(s.symbols, symbol{id, n, i - 1, i + 1})
}

// char returns the id of the character at byte i, -1 if it has none, and leaves
// what was looked up in s.buf.
func (m *bpe) char(s *workspace, word []byte, i, size int) int32 {
	first, last := i == 0, i+size == len(word)
	if (first || m.prefix == "") && (!last || m.suffix == "") {
		s.buf = append(s.buf[:0], word[i:i+size]...)
		if size <= 2 {
			r, _ := utf8.DecodeRune(word[i:])
			return m.chars[r]
		}
	} else {
		s.buf = s.buf[:0]
		if !first {
			s.buf = append(s.buf, m.prefix...)
		}
		s.buf = append(s.buf, word[i:i+size]...)
		if last {
			s.buf = append(s.buf, m.suffix...)
		}
	}
	if id, ok := m.words.getBytes(s.buf); ok {
		return id
	}
	return noValue
}

// addBytes writes the byte tokens of s.buf if there are all.
func (m *bpe) addBytes(s *workspace) bool {
	for _, c := range s.buf {
		if m.bytes[c] < 0 {
			return false
		}
	}
	for _, c := range s.buf {
		s.add(m.bytes[c], 1)
	}
	return true
}

func (m *bpe) text(p piece, _ []byte) string {
	t, _ := m.token(p.id)
	return t
}

func (m *bpe) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"BPE","dropout":null,"unk_token":`...)
	if m.named {
		dst = appendString(dst, m.unk)
	} else {
		dst = append(dst, "null"...)
	}
	for _, f := range []struct{ key, text string }{
		{`,"continuing_subword_prefix":`, m.prefix}, {`,"end_of_word_suffix":`, m.suffix},
	} {
		dst = append(dst, f.key...)
		if f.text == "" {
			dst = append(dst, "null"...)
		} else {
			dst = appendString(dst, f.text)
		}
	}
	for _, f := range []struct {
		key string
		set bool
	}{{`,"fuse_unk":`, m.fuse}, {`,"byte_fallback":`, m.fallback}, {`,"ignore_merges":`, m.ignoreMerges}} {
		dst = append(dst, f.key...)
		dst = appendBool(dst, f.set)
	}
	dst = append(dst, `,"vocab":`...)
	dst = m.vocabulary.appendJSON(dst)
	dst = append(dst, `,"merges":`...)
	dst = appendList(dst, m.merges, func(dst []byte, p [2]int32) []byte {
		left, _ := m.token(p[0])
		right, _ := m.token(p[1])
		dst = appendString(append(dst, '['), left)
		dst = appendString(append(dst, ','), right)
		return append(dst, ']')
	})
	return append(dst, '}')
}
