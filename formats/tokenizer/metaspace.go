package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// scheme says where Metaspace starts a piece with its replacement.
type scheme int

const (
	always scheme = iota
	never
	first // where the piece is the start of the text
)

// metaspace is Metaspace: spaces become a visible character, at which words
// start.
type metaspace struct {
	replacement string
	scheme      scheme
	cut         bool
}

func parseMetaspace(v value) (*metaspace, error) {
	o := v.object("type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
	m := &metaspace{replacement: o.str("replacement"), cut: true}
	if o.err() == nil && utf8.RuneCountInString(m.replacement) != 1 {
		o.keep(v.corrupt("replacement %.60q is not one character", m.replacement))
	}
	if _, ok := o.get("prepend_scheme", true); ok {
		m.scheme = scheme(o.choice("prepend_scheme", "always", "never", "first"))
	}
	if p, ok := o.optional("add_prefix_space"); ok && !o.boolean("add_prefix_space") && m.scheme != never {
		o.keep(p.corrupt("add_prefix_space does not match prepend_scheme"))
	}
	if _, ok := o.optional("split"); ok {
		m.cut = o.boolean("split")
	}
	return m, o.err()
}

func parseMetaspacePreTokenizer(v value) (preTokenizer, error) { return parseMetaspace(v) }

func (m *metaspace) split(w *words) {
	w.rewrite()
	for _, e := range w.cur {
		lo := len(w.spare.b)
		if e.added >= 0 {
			w.move(e.lo, e.hi)
			w.add(lo, e.added)
			continue
		}
		b := w.text.b[e.lo:e.hi]
		if m.scheme != never && !m.starts(b) && (m.scheme == always || w.atStart(e)) {
			w.put(m.replacement, e.lo)
		}
		lo = m.replace(w, e, lo)
		w.add(lo, -1)
	}
	w.done()
}

// replace copies a piece and returns where in the new text its last word starts.
func (m *metaspace) replace(w *words, e extent, lo int) int {
	b, done := w.text.b[:e.hi], e.lo
	for i := e.lo; i < e.hi; {
		size := int32(m.at(b[i:]))
		if size == 0 {
			i++
			continue
		}
		w.move(done, i)
		if m.cut {
			w.add(lo, -1)
			lo = len(w.spare.b)
		}
		w.put(m.replacement, i)
		i += size
		done = i
	}
	w.move(done, e.hi)
	return lo
}

// at returns the size of the space or replacement that b starts with, or 0.
func (m *metaspace) at(b []byte) int {
	switch {
	case b[0] == ' ':
		return 1
	case b[0] == m.replacement[0] && len(b) >= len(m.replacement) && string(b[:len(m.replacement)]) == m.replacement:
		return len(m.replacement)
	}
	return 0
}

// starts reports whether a piece already starts with the replacement.
func (m *metaspace) starts(b []byte) bool {
	return len(b) > 0 && m.at(b) > 0
}

// decode turns replacements to spaces; those of the first token go.
func (m *metaspace) decode(tokens []string) []string {
	for i, t := range tokens {
		space := " "
		if i == 0 && m.scheme != never {
			space = ""
		}
		tokens[i] = strings.ReplaceAll(t, m.replacement, space)
	}
	return tokens
}

func (m *metaspace) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Metaspace","replacement":`...)
	dst = appendString(dst, m.replacement)
	dst = append(dst, `,"prepend_scheme":`...)
	dst = appendString(dst, [...]string{"always", "never", "first"}[m.scheme])
	dst = append(dst, `,"split":`...)
	return append(appendBool(dst, m.cut), '}')
}
