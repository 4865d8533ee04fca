package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// set reads a character class after its opening bracket.
func (p *regexParser) set() (*runeSet, error) {
	if p.depth++; p.depth > maxRegexDepth {
		return nil, fmt.Errorf("%w: nested too deeply", ErrLimit)
	}
	defer func() { p.depth-- }()
	s := &runeSet{negated: p.accept("^")}
	part := &runeSet{} // between two &&
	var parts []*runeSet
	for first := true; ; first = false {
		switch {
		case !p.more():
			return nil, errors.New("a class without its end")
		case p.src[p.pos] == ']' && !first:
			p.pos++
			parts = append(parts, part)
			s.sets, s.and = parts[:1], parts[1:]
			return s, nil
		case p.accept("&&"):
			parts, part = append(parts, part), &runeSet{}
			continue
		}
		if err := p.setItem(part); err != nil {
			return nil, err
		}
	}
}

// setItem reads one item of a class: a class, a property, a range, a character.
func (p *regexParser) setItem(s *runeSet) error {
	if p.accept("[:") {
		return p.posix(s)
	}
	if p.accept("[") {
		n, err := p.set()
		if err == nil {
			s.sets = append(s.sets, n)
		}
		return err
	}
	lo, sub, err := p.setRune()
	if err != nil {
		return err
	}
	if sub != nil {
		s.sets = append(s.sets, sub)
		return nil
	}
	hi := lo
	if rest := p.src[p.pos:]; len(rest) > 1 && rest[0] == '-' && rest[1] != ']' && rest[1] != '[' {
		p.pos++
		if hi, sub, err = p.setRune(); err != nil {
			return err
		}
		if sub != nil { // the dash was one
			s.sets = append(s.sets, sub)
			s.ranges = append(s.ranges, lo, lo, '-', '-')
			return nil
		}
	}
	if lo > hi {
		return fmt.Errorf("empty range %q-%q", lo, hi)
	}
	s.ranges = append(s.ranges, lo, hi)
	return nil
}

// setRune reads a character of a class, or an escape that is a set.
func (p *regexParser) setRune() (rune, *runeSet, error) {
	if !p.accept(`\`) {
		return p.next(), nil, nil
	}
	if !p.more() {
		return 0, nil, errors.New("a backslash at the end")
	}
	c := p.src[p.pos]
	if s := escapeSet(c); s != nil {
		p.pos++
		if s.flags == setWord { // in a class it is the property, which has less
			negated := s.negated
			s = namedSet("word")
			s.negated = negated
		}
		return 0, s, nil
	}
	switch c {
	case 'p', 'P':
		s, err := p.property()
		return 0, s, err
	case 'b':
		p.pos++
		return '\b', nil, nil
	case 'R', 'X':
		return 0, nil, fmt.Errorf(`unsupported escape \%c in a class`, c)
	}
	r, err := p.escapedRune()
	return r, nil, err
}

// posix reads a class such as [:alpha:] after its opening.
func (p *regexParser) posix(s *runeSet) error {
	negated := p.accept("^")
	name, _, ok := strings.Cut(p.src[p.pos:], ":]")
	n := namedSet(name)
	if !ok || n == nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
		return fmt.Errorf("unsupported class [:%.20s", name)
	}
	if name == "punct" { // as a property it is P alone
		n.mask |= categoryMask("S")
	}
	p.pos += len(name) + len(":]")
	n.negated = n.negated != negated
	s.sets = append(s.sets, n)
	return nil
}

// width returns the least and greatest number of characters that n matches; the
// greatest is -1 if there is no bound.
func (n *regexNode) width() (lo, hi int) {
	switch n.op {
	case reSet:
		return 1, 1
	case reConcat:
		for _, s := range n.subs {
			l, h := s.width()
			lo, hi = lo+l, addWidth(hi, h)
		}
	case reAlternate:
		lo, hi = n.subs[0].width()
		for _, s := range n.subs[1:] {
			l, h := s.width()
			lo = min(lo, l)
			if hi >= 0 {
				hi = max(hi, h)
			}
			if h < 0 {
				hi = -1
			}
		}
	case reRepeat:
		l, h := n.subs[0].width()
		lo, hi = min(l*n.min, maxRegex), h*n.max
		if (n.max < 0 || h < 0) && h != 0 || hi > maxRegex {
			hi = -1
		}
	case reAtomic:
		return n.subs[0].width()
	}
	return min(lo, maxRegex), hi
}

func addWidth(a, b int) int {
	if a < 0 || b < 0 || a+b > maxRegex {
		return -1
	}
	return a + b
}

// starts adds to bytes those that a match of n can start with, and reports
// whether it can be empty.
func (n *regexNode) starts(bytes *[256]bool) (empty bool) {
	switch n.op {
	case reSet:
		for c := range bytes {
			bytes[c] = bytes[c] || c >= utf8.RuneSelf || n.set.has(rune(c))
		}
		return false
	case reConcat:
		for _, s := range n.subs {
			if !s.starts(bytes) {
				return false
			}
		}
		return true
	case reAlternate:
		for _, s := range n.subs {
			empty = s.starts(bytes) || empty
		}
		return empty
	case reRepeat:
		return n.subs[0].starts(bytes) || n.min == 0
	case reAtomic:
		return n.subs[0].starts(bytes)
	}
	return true
}
