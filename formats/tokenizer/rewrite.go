package tokenizer

import "unicode/utf8"

// rewriter writes a new text from an old one, character by character, and keeps
// the library's book of spans: a change of 0 uses up one source character and
// takes its span, -n uses up n more after it, and a positive one inserts, with
// the span of the character used up last.
type rewriter struct {
	from, to *text
	at       int  // byte of from up to which it is rewritten
	src      int  // byte of the next character to use up; with tracked spans only
	inserted bool // the last change was positive
}

// rewrite starts a new text in spare.
func rewrite(t, spare *text) rewriter {
	spare.reset(t.tracked)
	spare.base, spare.limit, spare.full = t.base, t.limit, t.full
	return rewriter{from: t, to: spare}
}

// done makes the new text t.
func (w *rewriter) done() { *w.from, *w.to = *w.to, *w.from }

// put writes r.
func (w *rewriter) put(r rune, change int) {
	n := len(w.to.b)
	w.to.b = utf8.AppendRune(w.to.b, r)
	if w.to.tracked {
		w.to.cover(len(w.to.b)-n, w.use(change))
	}
}

// use counts a change and returns the span it gives.
func (w *rewriter) use(change int) span {
	w.inserted = change > 0
	if w.inserted {
		return w.last()
	}
	at := w.src
	w.skip(1 - change)
	if at >= len(w.from.spans) {
		return w.last()
	}
	return w.from.spans[at]
}

// last returns the span of the character used up last.
func (w *rewriter) last() span {
	if w.src == 0 {
		return span{w.from.base, w.from.base}
	}
	return w.from.spans[w.src-1]
}

// skip uses up n characters.
func (w *rewriter) skip(n int) {
	for ; n > 0 && w.src < len(w.from.b); n-- {
		_, size := utf8.DecodeRune(w.from.b[w.src:])
		w.src += size
	}
}

// keep copies the source up to byte end as it is.
func (w *rewriter) keep(end int) {
	if end == w.at {
		return
	}
	n := len(w.to.b)
	w.to.b = append(w.to.b, w.from.b[w.at:end]...)
	switch {
	case !w.to.tracked:
	case w.src == w.at:
		w.to.spans = append(w.to.spans, w.from.spans[w.at:end]...)
		w.src, w.inserted = end, false
	default:
		for n < len(w.to.b) {
			_, size := utf8.DecodeRune(w.to.b[n:])
			w.to.cover(size, w.use(0))
			n += size
		}
	}
	w.at = end
}

// pass goes to byte end without writing; all before it is used up.
func (w *rewriter) pass(end int) { w.at, w.src = end, end }

// insert writes s with the span of the character used up last.
func (w *rewriter) insert(s string) {
	if !w.to.room(len(s)) {
		return
	}
	w.to.b = append(w.to.b, s...)
	if w.to.tracked {
		w.to.cover(len(s), w.last())
	}
}

// mapRunes replaces every character that f changes by another or, where keep is false,
// none. What is dropped widens no span.
func mapRunes(t, spare *text, f func(r rune) (to rune, keep bool)) {
	w := rewrite(t, spare)
	changed := false
	for i := 0; i < len(t.b); {
		r, size := utf8.DecodeRune(t.b[i:])
		to, keep := f(r)
		if to == r && keep {
			i += size
			continue
		}
		changed = true
		w.keep(i)
		if keep {
			w.put(to, 0)
		}
		i += size
		w.pass(i)
	}
	if !changed {
		return
	}
	w.keep(len(t.b))
	w.done()
}
