package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// addedToken is a token found in the text before the model sees it.
type addedToken struct {
	content                    string
	id                         int32
	singleWord, lstrip, rstrip bool
	normalized                 bool // looked for in normalized text, itself normalized
	special                    bool // left out when decoding without specials
}

// addedVocabulary is the added tokens and the two searches for them.
type addedVocabulary struct {
	tokens          []addedToken
	byID            map[int32]int
	byContent       map[string]int
	raw, normalized matcher
}

// parseAdded reads section "added_tokens". Like the library it ignores the
// file's ids: a word of the vocabulary keeps its id, another gets the next
// free one. A file that says otherwise is refused.
func parseAdded(v value, m model, n normalizer) (*addedVocabulary, error) {
	a := &addedVocabulary{byID: map[int32]int{}, byContent: map[string]int{}}
	list, err := v.list()
	if err != nil {
		return nil, err
	}
	next := m.size()
	for e := range list {
		t, err := parseAddedToken(e)
		if err != nil {
			return nil, err
		}
		id, ok := m.id(t.content)
		if !ok {
			id = int32(next)
		}
		next = max(next, int(id)+1)
		if err := a.add(e, t, id); err != nil {
			return nil, err
		}
	}
	return a, a.index(v, n)
}

func parseAddedToken(v value) (addedToken, error) {
	o := v.object("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
	t := addedToken{
		content:    o.str("content"),
		id:         int32(o.integer("id", 1<<31-1)),
		singleWord: o.boolean("single_word"),
		lstrip:     o.boolean("lstrip"),
		rstrip:     o.boolean("rstrip"),
		normalized: o.boolean("normalized"),
		special:    o.boolean("special"),
	}
	if err := o.err(); err != nil {
		return t, err
	}
	if len(t.content) == 0 || len(t.content) > maxAdded {
		return t, v.fail(ErrLimit, "content of %d bytes, expected 1 to %d", len(t.content), maxAdded)
	}
	return t, nil
}

func (a *addedVocabulary) add(v value, t addedToken, id int32) error {
	if t.id != id {
		return v.corrupt("%.60q has id %d, its place gives it %d", t.content, t.id, id)
	}
	if _, ok := a.byContent[t.content]; ok {
		return v.corrupt("duplicate content %.60q", t.content)
	}
	if _, ok := a.byID[id]; ok {
		return v.corrupt("duplicate id %d", id)
	}
	a.byID[id], a.byContent[t.content] = len(a.tokens), len(a.tokens)
	a.tokens = append(a.tokens, t)
	return nil
}

// index builds the searches. Of tokens that look the same after normalizing,
// the first special one is found, or else the first.
func (a *addedVocabulary) index(v value, n normalizer) error {
	size := 0
	for _, t := range a.tokens {
		size += len(t.content)
	}
	if size > maxVocabBytes/8 {
		return v.fail(ErrLimit, "%d bytes of added tokens", size)
	}
	var t, spare text
	for _, special := range []bool{true, false} {
		for i, tok := range a.tokens {
			if tok.special != special {
				continue
			}
			t.reset(false)
			t.load([]byte(tok.content), 0)
			if !tok.normalized {
				a.raw.add(t.b, i)
				continue
			}
			if n.normalize(&t, &spare); len(t.b) == 0 {
				return v.fail(ErrUnsupported, "added token %.60q normalizes to nothing", tok.content)
			}
			a.normalized.add(t.b, i)
		}
	}
	return nil
}

// matcher finds added tokens in text: leftmost, then longest, not overlapping.
type matcher struct {
	trie  *trie // nil if there are no tokens
	first []byte
}

func (m *matcher) add(pattern []byte, token int) {
	if m.trie == nil {
		m.trie = newTrie(len(pattern))
	}
	m.trie.insert(pattern, int32(token)) // a second of the same pattern is never found
	if bytes.IndexByte(m.first, pattern[0]) < 0 {
		m.first = append(m.first, pattern[0])
	}
}

// next returns the first match at or after from; n is 0 if there is none.
func (m *matcher) next(b []byte, from int) (token int32, at, n int) {
	for at = from; at < len(b); at++ {
		if len(m.first) == 1 {
			skip := bytes.IndexByte(b[at:], m.first[0])
			if skip < 0 {
				return 0, 0, 0
			}
			at += skip
		} else if m.trie.step(0, b[at]) == 0 {
			continue
		}
		if token, n = m.trie.longest(0, b[at:]); n > 0 {
			return token, at, n
		}
	}
	return 0, 0, 0
}

// split appends b cut at the tokens of m. As in the library, a match that
// single_word rejects uses up its text all the same, and where rstrip reached
// over a later match that one is taken again from its own start.
func (a *addedVocabulary) split(dst []extent, m *matcher, b []byte) []extent {
	done := 0
	for from := 0; m.trie != nil; {
		token, at, n := m.next(b, from)
		if n == 0 {
			break
		}
		from = at + n
		t, end := &a.tokens[token], from
		if t.singleWord && !alone(b, at, end) {
			continue
		}
		if t.lstrip {
			at = max(spaceBefore(b, at), done)
		}
		if t.rstrip {
			end = spaceAfter(b, end)
		}
		if done < at {
			dst = append(dst, extent{int32(done), int32(at), -1})
		}
		if at < end {
			dst = append(dst, extent{int32(at), int32(end), token})
		}
		done = end
	}
	if done < len(b) {
		dst = append(dst, extent{int32(done), int32(len(b)), -1})
	}
	return dst
}

// alone reports whether no word character touches b[lo:hi].
func alone(b []byte, lo, hi int) bool {
	before, _ := utf8.DecodeLastRune(b[:lo])
	after, _ := utf8.DecodeRune(b[hi:])
	return (lo == 0 || !isWord(before)) && (hi == len(b) || !isWord(after))
}

// spaceBefore returns the start of the white space that ends at i.
func spaceBefore(b []byte, i int) int {
	for i > 0 {
		r, n := utf8.DecodeLastRune(b[:i])
		if !isSpace(r) {
			break
		}
		i -= n
	}
	return i
}

// spaceAfter returns the end of the white space that starts at i.
func spaceAfter(b []byte, i int) int {
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if !isSpace(r) {
			break
		}
		i += n
	}
	return i
}

func (a *addedVocabulary) appendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, t := range a.tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		dst = appendInt(dst, int(t.id))
		dst = append(dst, `,"content":`...)
		dst = appendString(dst, t.content)
		for _, f := range []struct {
			key string
			set bool
		}{
			{`,"single_word":`, t.singleWord}, {`,"lstrip":`, t.lstrip}, {`,"rstrip":`, t.rstrip},
			{`,"normalized":`, t.normalized}, {`,"special":`, t.special},
		} {
			dst = append(dst, f.key...)
			dst = appendBool(dst, f.set)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
