package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"unicode/utf8"
)

// charsmap is Precompiled: SentencePiece's table of replacements, a double-array
// trie over UTF-8 whose values are offsets of zero-terminated texts.
//
// As in the library it works on extended grapheme clusters: a cluster of under
// six bytes is looked up whole, and the shortest entry that starts it replaces
// all of it; otherwise each character is looked up by itself.
type charsmap struct {
	units []uint32
	texts string
	blob  string    // the file's bytes, for appendJSON
	plain [128]bool // ASCII that no entry starts with
}

func parseCharsmap(v value) (normalizer, error) {
	o := v.object("type", "precompiled_charsmap")
	if m, ok := o.get("precompiled_charsmap", false); ok && m.isNull() {
		return normalizers{}, o.err() // SentencePiece's identity
	}
	blob, err := base64.StdEncoding.DecodeString(o.str("precompiled_charsmap"))
	if err != nil {
		o.keep(v.corrupt("precompiled_charsmap: %v", err))
	}
	if o.err() != nil {
		return nil, o.err()
	}
	m, ok := newCharsmap(string(blob))
	if !ok {
		return nil, v.corrupt("precompiled_charsmap of %d bytes has no trie or broken texts", len(blob))
	}
	return m, nil
}

func newCharsmap(blob string) (*charsmap, bool) {
	if len(blob) < 4 {
		return nil, false
	}
	n := binary.LittleEndian.Uint32([]byte(blob[:4]))
	if n < 4 || int64(n) > int64(len(blob)-4) || !utf8.ValidString(blob[4+n/4*4:]) {
		return nil, false
	}
	m := &charsmap{units: make([]uint32, n/4), texts: blob[4+n/4*4:], blob: blob}
	raw := []byte(blob[4:])
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	for c := range m.plain {
		_, ok := m.lookup([]byte{byte(c)})
		m.plain[c] = !ok && c != '\r' && c != 0
	}
	return m, true
}

// lookup returns the text of the shortest entry that key starts with. What
// leads out of the table is no entry.
func (m *charsmap) lookup(key []byte) (string, bool) {
	at := unitOffset(m.units[0])
	for _, c := range key {
		if c == 0 {
			break
		}
		at ^= uint32(c)
		if at >= uint32(len(m.units)) {
			return "", false
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(c) {
			return "", false
		}
		at ^= unitOffset(unit)
		if unit>>8&1 == 1 {
			return m.text(at)
		}
	}
	return "", false
}

// unitOffset is where a unit's children are, relative to it.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// text returns the text that the leaf at a unit names.
func (m *charsmap) text(leaf uint32) (string, bool) {
	if leaf >= uint32(len(m.units)) {
		return "", false
	}
	off := m.units[leaf] & (1<<31 - 1)
	if off > uint32(len(m.texts)) || off < uint32(len(m.texts)) && !utf8.RuneStart(m.texts[off]) {
		return "", false
	}
	for end := off; ; end++ {
		if end == uint32(len(m.texts)) || m.texts[end] == 0 {
			return m.texts[off:end], true
		}
	}
}

func (m *charsmap) normalize(t, spare *text) {
	i := m.plainTo(t.b, 0)
	if i == len(t.b) {
		return
	}
	w := rewrite(t, spare)
	for i < len(t.b) {
		w.keep(i)
		n := cluster(t.b[i:])
		m.cluster(&w, t.b[i:i+n])
		w.at = i + n
		i = m.plainTo(t.b, i+n)
	}
	w.keep(len(t.b))
	w.done()
}

// plainTo returns the end of the characters from i on that stay: ASCII without
// an entry, up to one that may begin a cluster.
func (m *charsmap) plainTo(b []byte, i int) int {
	for i < len(b) && b[i] < utf8.RuneSelf && m.plain[b[i]] {
		if i+1 < len(b) && b[i+1] >= utf8.RuneSelf {
			return i
		}
		i++
	}
	return i
}

// cluster writes one grapheme cluster.
func (m *charsmap) cluster(w *rewriter, b []byte) {
	if len(b) < 6 {
		if s, ok := m.lookup(b); ok {
			w.replace(utf8.RuneCount(b), s)
			return
		}
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if s, ok := m.lookup(b[:size]); ok {
			w.replace(1, s)
		} else {
			w.put(r, 0)
		}
		b = b[size:]
	}
}

// replace writes s for the next n characters: one for one, then those inserted,
// or all that is left over with the last.
func (w *rewriter) replace(n int, s string) {
	if !w.to.room(len(s)) {
		return
	}
	more := utf8.RuneCountInString(s)
	if !w.to.tracked {
		w.to.b = append(w.to.b, s...)
		return
	}
	if s == "" {
		w.drop(n)
	}
	i := 0
	for _, r := range s {
		i++
		switch {
		case i > n:
			w.put(r, 1)
		case i == more && more < n:
			w.put(r, more-n)
		default:
			w.put(r, 0)
		}
	}
}

// drop uses up n characters with the one written last. As in the library, an
// inserted one then takes the span of the first of these, and where nothing is
// written yet they stay, so that what follows takes their spans.
func (w *rewriter) drop(n int) {
	if len(w.to.b) == 0 {
		return
	}
	if w.inserted && w.src < len(w.from.spans) {
		_, size := utf8.DecodeLastRune(w.to.b)
		for i := len(w.to.spans) - size; i < len(w.to.spans); i++ {
			w.to.spans[i] = w.from.spans[w.src]
		}
	}
	w.inserted = false
	w.skip(n)
}

func (m *charsmap) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Precompiled","precompiled_charsmap":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, []byte(m.blob))
	return append(dst, `"}`...)
}
