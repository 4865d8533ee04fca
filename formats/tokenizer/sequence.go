package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// scratch is the room one text needs on its way, kept for the next.
type scratch struct {
	raw    []byte   // the text, valid UTF-8
	cuts   []extent // added tokens in raw
	words  words    // one piece of raw, normalized and split
	pieces []piece  // one word
	work   workspace
	ids    []int32 // the result
	word   int32   // index of the word that is tokenized
}

func (k *Tokenizer) get() *scratch {
	if s, ok := k.scratch.Get().(*scratch); ok {
		s.ids, s.work.failed = s.ids[:0], nil
		return s
	}
	return new(scratch)
}

// put keeps s unless a long text has blown it up.
func (k *Tokenizer) put(s *scratch) {
	if cap(s.raw) <= maxKeptText && cap(s.words.text.spans) <= maxKeptText && cap(s.work.best) <= maxKeptText && cap(s.work.symbols) <= maxKeptText {
		k.scratch.Put(s)
	}
}

// sequence tokenizes one text of an input.
func (k *Tokenizer) sequence(text string, typeID int32, out *Encoding) error {
	if len(text) > maxText {
		return fmt.Errorf("read text: %w: %d bytes", ErrLimit, len(text))
	}
	s := k.get()
	k.run(s, text, -1, out)
	failed := s.work.failed
	k.put(s)
	if failed != nil {
		return failed
	}
	out.finish(typeID)
	return nil
}

// run tokenizes text to s.ids and, if out is not nil, to out with tokens and
// offsets. It may stop after enough tokens, if that is not negative.
func (k *Tokenizer) run(s *scratch, text string, enough int, out *Encoding) {
	s.raw = appendValid(s.raw[:0], text)
	s.word = 0
	s.cuts = k.added.split(s.cuts[:0], &k.added.raw, s.raw)
	w := &s.words
	var at position
	for _, e := range s.cuts {
		if enough >= 0 && len(s.ids) >= enough {
			return
		}
		w.text.reset(out != nil || k.needsSpans && e.lo == 0)
		if out != nil {
			at.move(s.raw, e.lo)
		}
		w.text.load(s.raw[e.lo:e.hi], at.point)
		if e.added >= 0 {
			k.emitAdded(s, extent{0, e.hi - e.lo, e.added}, out)
			continue
		}
		k.normalizer.normalize(&w.text, &w.spare)
		w.cur = k.added.split(w.cur[:0], &k.added.normalized, w.text.b)
		k.preTokenizer.split(w)
		if w.text.full {
			s.work.failed = errGrowth
		}
		k.emit(s, enough, out)
	}
}

// position is a place in a text, in bytes and in code points.
type position struct{ off, point int32 }

// move goes to byte off of b. It may go back: added tokens can overlap.
func (p *position) move(b []byte, off int32) {
	if off >= p.off {
		p.point += int32(utf8.RuneCount(b[p.off:off]))
	} else {
		p.point -= int32(utf8.RuneCount(b[off:p.off]))
	}
	p.off = off
}

// emit tokenizes the words of one piece.
func (k *Tokenizer) emit(s *scratch, enough int, out *Encoding) {
	t := &s.words.text
	for _, e := range s.words.cur {
		if enough >= 0 && len(s.ids) >= enough {
			return
		}
		if e.added >= 0 {
			k.emitAdded(s, e, out)
			continue
		}
		word := t.b[e.lo:e.hi]
		s.pieces = k.model.tokenize(&s.work, s.pieces[:0], word)
		for _, p := range s.pieces {
			s.ids = append(s.ids, p.id)
			if out != nil {
				out.push(p.id, k.model.text(p, word), t.offsets(min(e.lo+p.lo, e.hi), min(e.lo+p.hi, e.hi)), s.word)
			}
		}
		s.word++
	}
}

// emitAdded writes an added token; its text is what was found, with the white
// space it took in.
func (k *Tokenizer) emitAdded(s *scratch, e extent, out *Encoding) {
	id := k.added.tokens[e.added].id
	s.ids = append(s.ids, id)
	if out != nil {
		t := &s.words.text
		out.push(id, string(t.b[e.lo:e.hi]), t.offsets(e.lo, e.hi), s.word)
	}
	s.word++
}
