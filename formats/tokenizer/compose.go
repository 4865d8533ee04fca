package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// unicodeForm is NFC, NFD, NFKC or NFKD (Unicode 9).
type unicodeForm struct {
	name            string
	compat, compose bool
}

// newUnicodeForm returns the form of a type name.
func newUnicodeForm(name string) *unicodeForm {
	return &unicodeForm{name: name, compat: len(name) == 4, compose: name[len(name)-1] == 'C'}
}

func (f *unicodeForm) normalize(t, spare *text) {
	n := f.stable(t.b)
	if n == len(t.b) {
		return
	}
	c := composer{rewriter: rewrite(t, spare), marks: spare.marks[:0], waiting: spare.waiting[:0]}
	for i := 0; i < len(t.b); {
		if f.compose {
			n = lastStart(t.b[i:], n) // it may compose with what follows
		}
		c.keep(i + n)
		i = f.segment(t.b, i+n, &c)
		n = f.stable(t.b[i:])
	}
	c.done()
	t.marks, t.waiting = c.marks, c.waiting
}

// decompose brings t to canonical decomposition.
func decompose(t, spare *text) { (&unicodeForm{name: "NFD"}).normalize(t, spare) }

// stable returns the length of the start of b that the form leaves as it is.
func (f *unicodeForm) stable(b []byte) int {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if !f.inert(r) {
			return i
		}
		i += size
	}
	return len(b)
}

// inert reports whether r stays and starts anew: nothing sorts or composes
// across it with what is before.
func (f *unicodeForm) inert(r rune) bool {
	if class(r)&(classDecompose|classCombine) != 0 {
		return false
	}
	p := props(r)
	return (!f.compat || p&propCompat == 0) && (!f.compose || p&propComposes == 0)
}

// lastStart returns the start of the last character of b[:n].
func lastStart(b []byte, n int) int {
	_, size := utf8.DecodeLastRune(b[:n])
	if n == len(b) {
		return n
	}
	return n - size
}

// segment brings what starts at byte i to the form, up to the next inert
// character, and returns the byte after it.
func (f *unicodeForm) segment(b []byte, i int, c *composer) int {
	var buf [64]byte
	for begin := i; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if i > begin && f.inert(r) {
			break
		}
		i += size
		out := appendNFD(buf[:0], r)
		if f.compat {
			out = appendNFKD(buf[:0], r)
		}
		for change := 0; len(out) > 0; change = 1 {
			r, size := utf8.DecodeRune(out)
			c.add(r, change, f.compose)
			out = out[size:]
		}
	}
	c.flush(f.compose)
	c.at = i
	return i
}

// mark is a character on its way through normalization, with its change.
type mark struct {
	r      rune
	change int32
	class  byte
}

// composer sorts marks by combining class and composes them.
type composer struct {
	rewriter
	marks   []mark // since the last character of class 0, with it
	waiting []mark // cannot compose with the starter, in order
	starter mark
	started bool
	last    byte // class of the last waiting
}

// add takes the next decomposed character.
func (c *composer) add(r rune, change int, compose bool) {
	m := mark{r, int32(change), combiningClass(r)}
	if m.class == 0 {
		c.sort(compose)
	}
	c.marks = append(c.marks, m)
}

// sort passes the marks on in order of combining class; equals stay in order.
func (c *composer) sort(compose bool) {
	sortMarks(c.marks)
	for _, m := range c.marks {
		if compose {
			c.compose(m)
		} else {
			c.put(m.r, int(m.change))
		}
	}
	c.marks = c.marks[:0]
}

// flush writes all that is left.
func (c *composer) flush(compose bool) {
	c.sort(compose)
	c.release()
}

// release writes the starter and what waits behind it.
func (c *composer) release() {
	if c.started {
		c.put(c.starter.r, int(c.starter.change))
	}
	for _, m := range c.waiting {
		c.put(m.r, int(m.change))
	}
	c.started, c.waiting, c.last = false, c.waiting[:0], 0
}

// compose is one step of the composition algorithm.
func (c *composer) compose(m mark) {
	switch {
	case !c.started && m.class != 0:
		c.put(m.r, int(m.change))
		return
	case !c.started:
		c.starter, c.started = m, true
		return
	}
	if blocked := len(c.waiting) > 0 && c.last >= m.class; !blocked {
		if r := compose(c.starter.r, m.r); r != 0 {
			c.starter.r, c.starter.change = r, c.starter.change+m.change-1
			return
		}
	}
	if m.class == 0 {
		c.release()
		c.starter, c.started = m, true
		return
	}
	c.waiting, c.last = append(c.waiting, m), m.class
}

// sortMarks is a stable insertion sort while it is short; hostile runs of marks
// are sorted in less than quadratic time.
func sortMarks(marks []mark) {
	if len(marks) > 32 {
		slices.SortStableFunc(marks, func(a, b mark) int { return int(a.class) - int(b.class) })
		return
	}
	for i := 1; i < len(marks); i++ {
		for j := i; j > 0 && marks[j].class < marks[j-1].class; j-- {
			marks[j], marks[j-1] = marks[j-1], marks[j]
		}
	}
}

func (f *unicodeForm) appendJSON(dst []byte) []byte { return appendType(dst, f.name) }
