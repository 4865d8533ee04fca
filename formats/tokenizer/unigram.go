package tokenizer

import (
	"math"
	"unicode/utf8"
)

// unknownPenalty is how much worse than the worst piece an unknown character is.
const unknownPenalty = 10

// unigram is the Unigram model: of all ways to cut a word into pieces, the one
// with the greatest sum of scores.
type unigram struct {
	*vocabulary
	scores   []float64 // by id
	unknown  int32     // -1: an unknown character is an error
	floor    float64   // score of an unknown character
	fallback bool      // unknown runs become byte tokens
	bytes    [256]int32
}

func parseUnigram(v value) (model, error) {
	o := v.object("type", "unk_id", "vocab", "byte_fallback")
	m := &unigram{unknown: -1, fallback: o.optionalBool("byte_fallback")}
	words, ok := o.get("vocab", false)
	if !ok {
		return nil, o.err()
	}
	if err := m.parsePieces(words); err != nil {
		return nil, err
	}
	if unk, ok := o.optional("unk_id"); ok {
		id, err := unk.index(int64(len(m.scores)))
		if err != nil {
			return nil, err
		}
		m.unknown = int32(id)
	}
	m.index()
	return m, o.err()
}

// index derives what follows from pieces and scores.
func (m *unigram) index() {
	m.floor = math.Inf(1)
	for _, s := range m.scores {
		m.floor = min(m.floor, s)
	}
	m.floor -= unknownPenalty
	m.bytes = byteTokens(m.words)
}

// parsePieces reads a list of [word, score]; of equal words the last counts.
func (m *unigram) parsePieces(v value) error {
	if err := v.want(kindArray); err != nil {
		return err
	}
	nodes, end := v.doc.nodes, v.node().next
	b := newPieceBuilder(int(end-v.i)/4+1, int(v.node().end-v.node().off))
	for i := v.i + 1; i < end; i = nodes[i].next {
		e := value{v.doc, i, v.path}
		if nodes[i].kind != kindArray || nodes[i].next != i+3 || nodes[i+1].kind != kindString {
			return e.corrupt("expected a word and a score")
		}
		score, err := value{v.doc, i + 2, v.path}.number()
		if err != nil {
			return err
		}
		b.buf = v.doc.bytes(i+1, b.buf)
		if !b.add(b.buf, score) {
			return e.fail(ErrLimit, "word of %d bytes, expected at most %d and %d together", len(b.buf), maxWord, maxVocabBytes)
		}
		if !nodes[i+1].escaped {
			b.buf = nil // it is the file's
		}
	}
	m.vocabulary, m.scores = b.done()
	return nil
}

// pieceBuilder collects the pieces of a unigram model in the order of their ids.
type pieceBuilder struct {
	vocabulary
	text   []byte
	scores []float64
	buf    []byte
}

// newPieceBuilder makes room for n pieces of size bytes together.
func newPieceBuilder(n, size int) *pieceBuilder {
	return &pieceBuilder{
		vocabulary: vocabulary{words: newTrie(min(size, maxVocabBytes) / 8), runs: make([]run, 0, n)},
		text:       make([]byte, 1, size/2+1),
		scores:     make([]float64, 0, n),
	}
}

func (b *pieceBuilder) add(word []byte, score float64) bool {
	if len(word) > maxWord || len(b.text)+len(word) > maxVocabBytes {
		return false
	}
	b.words.set(word, int32(len(b.runs)))
	b.runs = append(b.runs, run{uint32(len(b.text)), uint32(len(word))})
	b.text = append(b.text, word...)
	b.scores = append(b.scores, score)
	return true
}

func (b *pieceBuilder) done() (*vocabulary, []float64) {
	b.vocabulary.text = string(b.text)
	b.count = len(b.runs)
	return &b.vocabulary, b.scores
}

// arrival is the best way to a byte of a word: the last piece of it.
type arrival struct {
	score float64
	start int32 // -1: there is none
	id    int32
}

func (m *unigram) tokenize(s *workspace, dst []piece, word []byte) []piece {
	m.search(s, word)
	begin := len(dst)
	for end := int32(len(word)); end > 0; {
		a := s.best[end]
		if n := len(dst); a.id == m.unknown && n > begin && dst[n-1].id == m.unknown {
			dst[n-1].lo = a.start // neighbouring unknowns are one
		} else {
			dst = append(dst, piece{a.id, a.start, end})
		}
		end = a.start
	}
	reverse(dst[begin:])
	return m.settle(s, dst, begin, word)
}

func reverse(p []piece) {
	for i, j := 0, len(p)-1; i < j; i, j = i+1, j-1 {
		p[i], p[j] = p[j], p[i]
	}
}

// search fills s.best. Starts are tried from left to right and a later way has
// to be better, so that of equals the one with the longest last piece stays.
func (m *unigram) search(s *workspace, word []byte) {
	s.best = s.best[:0]
	for range len(word) + 1 {
		s.best = append(s.best, arrival{start: -1})
	}
	for i := 0; i < len(word); {
		size := 1
		if word[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(word[i:])
		}
		here, single := s.best[i].score, false
		node := uint32(0)
		for j := i; j < len(word); j++ {
			if node = m.words.step(node, word[j]); node == 0 {
				break
			}
			id := m.words.values[node]
			if id == noValue {
				continue
			}
			single = single || j+1-i == size
			s.best[j+1].improve(here+m.scores[id], int32(i), id)
		}
		if !single {
			s.best[i+size].improve(here+m.floor, int32(i), m.unknown)
		}
		i += size
	}
}

func (a *arrival) improve(score float64, start, id int32) {
	if a.start < 0 || score > a.score {
		*a = arrival{score, start, id}
	}
}

// settle gives the unknown runs among the pieces after begin their ids: they may
// be words after all, or become bytes.
func (m *unigram) settle(s *workspace, dst []piece, begin int, word []byte) []piece {
	n := begin
	for n < len(dst) && dst[n].id != m.unknown {
		n++
	}
	if n == len(dst) {
		return dst
	}
	s.pieces = append(s.pieces[:0], dst[n:]...)
	dst = dst[:n]
	for _, p := range s.pieces {
		if p.id != m.unknown {
			dst = append(dst, p)
			continue
		}
		if id, ok := m.words.getBytes(word[p.lo:p.hi]); ok {
			dst = append(dst, piece{id, p.lo, p.hi})
			continue
		}
		dst = m.unknownRun(s, dst, p, word)
	}
	return dst
}

func (m *unigram) unknownRun(s *workspace, dst []piece, p piece, word []byte) []piece {
	begin := len(dst)
	for _, c := range word[p.lo:p.hi] {
		if !m.fallback || m.bytes[c] < 0 {
			dst = dst[:begin]
			break
		}
		dst = append(dst, piece{m.bytes[c], p.lo, p.hi})
	}
	switch {
	case len(dst) > begin:
	case m.unknown < 0:
		s.failed = errUnknown
	default:
		dst = append(dst, p)
	}
	return dst
}

// text returns the text of a piece; unknowns have that of the word.
func (m *unigram) text(p piece, word []byte) string {
	if p.id == m.unknown {
		return string(word[p.lo:p.hi])
	}
	t, _ := m.token(p.id)
	return t
}

func (m *unigram) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"Unigram","unk_id":`...)
	if m.unknown < 0 {
		dst = append(dst, "null"...)
	} else {
		dst = appendInt(dst, int(m.unknown))
	}
	dst = append(dst, `,"vocab":[`...)
	for id, score := range m.scores {
		if id > 0 {
			dst = append(dst, ',')
		}
		word, _ := m.token(int32(id))
		dst = appendString(append(dst, '['), word)
		dst = appendNumber(append(dst, ','), score)
		dst = append(dst, ']')
	}
	dst = append(dst, `],"byte_fallback":`...)
	return append(appendBool(dst, m.fallback), '}')
}
