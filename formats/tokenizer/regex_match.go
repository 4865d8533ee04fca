package tokenizer

import "unicode/utf8"

// machine runs a regex by backtracking. Its time is bounded in two ways: once a
// search has taken many steps it remembers which (instruction, position) have
// failed, which makes it linear in the text; and where that is not possible
// (lookaround, loops over what may be empty, very long texts) a search ends
// when it has taken its budget of steps. What is left of the text then has no match.
type machine struct {
	re    *regex
	b     []byte
	stack []frame
	slots []int32
	left  int64 // steps
	slow  int64 // steps at which to begin remembering
	memo  []uint64
	inSub int // depth of lookaround and atomic groups
}

const (
	stepsPerByte = 4096
	maxSlow      = 1 << 16 // bytes of a text that get so many
	maxMemo      = 1 << 27 // bits
)

// frameKind says how to go on from a frame.
type frameKind uint8

const (
	frameTry  frameKind = iota // at pc and pos
	frameGive                  // a greedy run gives its last character back, down to lo
	frameTake                  // a lazy run takes one more, having lo
	frameSlot                  // slot pc gets pos back
)

type frame struct {
	kind        frameKind
	pc, pos, lo int32
}

// find appends the matches of re and what is between them. As in the library an
// empty match right behind a match does not count.
func (re *regex) find(dst []match, b []byte) []match {
	if len(b) == 0 {
		return append(dst, match{})
	}
	m, ok := re.machines.Get().(*machine)
	if !ok {
		m = &machine{re: re, slots: make([]int32, re.slots)}
	}
	m.b, m.left = b, budget(len(b))
	done, last := 0, -1
	for at := 0; at <= len(b); {
		lo, hi, ok := m.search(at)
		if !ok {
			break
		}
		if lo == hi && hi == last {
			_, size := utf8.DecodeRune(b[at:])
			at += max(size, 1)
			continue
		}
		dst = appendBetween(dst, done, lo)
		dst = append(dst, match{int32(lo), int32(hi), true})
		done, last, at = hi, hi, hi
	}
	m.b = nil
	if cap(m.stack) > maxKeptText {
		m.stack = nil
	}
	re.machines.Put(m)
	return appendBetween(dst, done, len(b))
}

// budget is the steps for a text of n bytes: characters of runs, rounds of loops and
// ways tried again. Ordinary patterns need a few a byte.
func budget(n int) int64 {
	return stepsPerByte*int64(min(n, maxSlow)+16) + 64*int64(max(n-maxSlow, 0))
}

// search returns the first match at or after byte at.
func (m *machine) search(at int) (lo, hi int, ok bool) {
	m.slow = m.left - 16*int64(len(m.b)) - 1024
	for ; at <= len(m.b) && m.left > 0; at++ {
		if at < len(m.b) && (!utf8.RuneStart(m.b[at]) || !m.re.first[m.b[at]] && !m.re.anywhere) {
			continue
		}
		if at == len(m.b) && !m.re.anywhere {
			break
		}
		m.stack = m.stack[:0]
		if end, ok := m.run(0, int32(at), -1); ok {
			m.memo = nil
			return at, int(end), true
		}
	}
	m.memo = nil
	return 0, 0, false
}

// run runs the program at pc from pos up to its accept, at byte end if that is
// not negative, and returns where it accepts.
func (m *machine) run(pc, pos, end int32) (int32, bool) {
	base := len(m.stack)
	for {
		i := &m.re.prog[pc]
		ok := true
		switch i.op {
		case opAccept:
			if end < 0 || pos == end {
				m.unwind(base)
				return pos, true
			}
			ok = false
		case opSet:
			n := m.one(i.set, pos)
			ok = n > 0
			pos += n
			pc++
		case opRun:
			pos, ok = m.repeat(i, pc, pos)
			pc++
		case opSplit:
			m.stack = append(m.stack, frame{kind: frameTry, pc: i.y, pos: pos})
			pc = i.x
		case opJump:
			m.left--
			pc = i.x
		case opAssert:
			ok = m.assert(assertion(i.lo), int(pos))
			pc++
		case opLook:
			ok = m.look(i, pc, pos) != i.negated
			pc = i.x
		case opAtomic:
			m.inSub++
			pos, ok = m.run(pc+1, pos, -1)
			m.inSub--
			pc = i.x
		case opMark:
			m.stack = append(m.stack, frame{kind: frameSlot, pc: i.lo, pos: m.slots[i.lo]})
			m.slots[i.lo] = pos
			pc++
		case opMoved:
			if pc++; pos <= m.slots[i.lo] {
				pc = i.x
			}
		}
		if !ok {
			if pc, pos, ok = m.back(base); !ok {
				return 0, false
			}
		}
	}
}

// unwind drops the frames above base; slots keep what they have only for the
// run that set them.
func (m *machine) unwind(base int) {
	for len(m.stack) > base {
		if f := m.stack[len(m.stack)-1]; f.kind == frameSlot && m.inSub > 0 {
			m.slots[f.pc] = f.pos
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
}

// one returns the size of the character at pos if it is in the set, or 0.
func (m *machine) one(s *runeSet, pos int32) int32 {
	if int(pos) >= len(m.b) {
		return 0
	}
	if c := m.b[pos]; c < utf8.RuneSelf {
		return int32(s.ascii[c>>6] >> (c & 63) & 1)
	}
	r, n := utf8.DecodeRune(m.b[pos:])
	if !s.eval(r) {
		return 0
	}
	return int32(n)
}

// repeat matches a run and leaves a frame for other lengths of it.
func (m *machine) repeat(i *inst, pc, pos int32) (int32, bool) {
	count, low := int32(0), pos
	for count < i.lo || !i.lazy && (i.hi < 0 || count < i.hi) {
		n := m.one(i.set, pos)
		if n == 0 {
			break
		}
		pos += n
		if count++; count == i.lo {
			low = pos
		}
	}
	m.left -= int64(count)
	switch {
	case count < i.lo:
		return pos, false
	case i.lazy:
		m.stack = append(m.stack, frame{frameTake, pc, pos, count})
	case !i.possessive && pos > low:
		m.stack = append(m.stack, frame{frameGive, pc, pos, low})
	}
	return pos, true
}

// back goes on from the last frame above base.
func (m *machine) back(base int) (pc, pos int32, ok bool) {
	for len(m.stack) > base {
		if m.left--; m.left <= 0 {
			m.unwind(base)
			return 0, 0, false
		}
		top := len(m.stack) - 1
		f := &m.stack[top]
		switch f.kind {
		case frameSlot:
			m.slots[f.pc] = f.pos
			m.stack = m.stack[:top]
			continue
		case frameTry:
			pc, pos = f.pc, f.pos
			m.stack = m.stack[:top]
		case frameGive:
			_, n := utf8.DecodeLastRune(m.b[:f.pos])
			f.pos -= int32(n)
			pc, pos = f.pc+1, f.pos
			if f.pos <= f.lo {
				m.stack = m.stack[:top]
			}
		case frameTake:
			i := &m.re.prog[f.pc]
			n := m.one(i.set, f.pos)
			if n == 0 || i.hi >= 0 && f.lo >= i.hi {
				m.stack = m.stack[:top]
				continue
			}
			f.pos, f.lo = f.pos+n, f.lo+1
			pc, pos = f.pc+1, f.pos
		}
		if m.left > m.slow || !m.failed(pc, pos) {
			return pc, pos, true
		}
	}
	return 0, 0, false
}

// failed reports whether it was here before in this search, and notes that it
// is now.
func (m *machine) failed(pc, pos int32) bool {
	if m.inSub > 0 || m.re.slots > 0 {
		return false
	}
	if m.memo == nil {
		n := int64(len(m.re.prog)) * int64(len(m.b)+1)
		if n > maxMemo {
			return false
		}
		m.memo = make([]uint64, n/64+1)
	}
	bit := int(pos)*len(m.re.prog) + int(pc)
	was := m.memo[bit>>6]>>(bit&63)&1 == 1
	m.memo[bit>>6] |= 1 << (bit & 63)
	return was
}

// look runs a lookaround.
func (m *machine) look(i *inst, pc, pos int32) bool {
	m.inSub++
	defer func() { m.inSub-- }()
	if !i.behind {
		_, ok := m.run(pc+1, pos, -1)
		return ok
	}
	start := pos
	for n := int32(0); n <= i.hi; n++ {
		if n >= i.lo {
			if _, ok := m.run(pc+1, start, pos); ok {
				return true
			}
		}
		if start == 0 {
			break
		}
		_, size := utf8.DecodeLastRune(m.b[:start])
		start -= int32(size)
	}
	return false
}

func (m *machine) assert(a assertion, pos int) bool {
	switch a {
	case lineStart:
		return pos == 0 || m.b[pos-1] == '\n' && pos < len(m.b)
	case lineEnd:
		return pos == len(m.b) || m.b[pos] == '\n'
	case textStart:
		return pos == 0
	case textEnd:
		return pos == len(m.b)
	case textEndNewline:
		return pos == len(m.b) || pos == len(m.b)-1 && m.b[pos] == '\n'
	}
	before, _ := utf8.DecodeLastRune(m.b[:pos])
	after, _ := utf8.DecodeRune(m.b[pos:])
	edge := (pos > 0 && isRegexWord(before)) != (pos < len(m.b) && isRegexWord(after))
	return edge == (a == wordEdge)
}

// isRegexWord reports whether r is in \w of the Split regexes.
func isRegexWord(r rune) bool { return props(r)&propWord != 0 }
