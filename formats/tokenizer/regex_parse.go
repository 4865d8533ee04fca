package tokenizer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on a regex, so that its program stays small.
const (
	maxRegex       = 1 << 14 // bytes
	maxRegexDepth  = 100
	maxRegexCount  = 1000    // of a bounded repetition
	maxRegexRanges = 1 << 16 // of all classes
	maxRegexBehind = 255     // characters of a lookbehind
)

// regexOp is the kind of a regexNode.
type regexOp int

const (
	reEmpty regexOp = iota
	reSet
	reConcat
	reAlternate
	reRepeat
	reLook
	reAtomic
	reAssert
)

// assertion is a place without width.
type assertion int

const (
	lineStart assertion = iota
	lineEnd
	textStart
	textEnd
	textEndNewline
	wordEdge
	wordInside
)

// regexNode is a parsed regex.
type regexNode struct {
	op               regexOp
	set              *runeSet
	subs             []*regexNode
	min, max         int // of reRepeat; max -1: any
	lazy, possessive bool
	negated, behind  bool // of reLook
	assert           assertion
	folded           rune // of reSet: the character it is, without case; 0: another set
}

// regexFlags are the options in force: ignore case, dot matches newline,
// extended.
type regexFlags struct{ fold, dotAll, extended bool }

// regexParser reads Oniguruma's Ruby syntax as far as tokenizers use it. What
// it does not know it refuses by name: back references, calls, conditions.
type regexParser struct {
	src   string
	pos   int
	flags regexFlags
	depth int
	size  int // ranges of classes
}

func parseRegex(src string) (*regexNode, error) {
	if len(src) > maxRegex {
		return nil, fmt.Errorf("%w: %d bytes", ErrLimit, len(src))
	}
	p := &regexParser{src: src}
	n, err := p.alternate()
	if err == nil && p.pos < len(src) {
		err = errors.New("a closing parenthesis without its opening")
	}
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", p.pos, err)
	}
	return n, nil
}

func (p *regexParser) more() bool { return p.pos < len(p.src) }

// accept steps over s if it is next.
func (p *regexParser) accept(s string) bool {
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// next returns the next character.
func (p *regexParser) next() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// alternate reads up to a closing parenthesis or the end. Options that a part
// sets end with it.
func (p *regexParser) alternate() (*regexNode, error) {
	if p.depth++; p.depth > maxRegexDepth {
		return nil, fmt.Errorf("%w: nested too deeply", ErrLimit)
	}
	saved := p.flags
	defer func() { p.flags = saved; p.depth-- }()
	n := &regexNode{op: reAlternate}
	for {
		c, err := p.concat()
		if err != nil {
			return nil, err
		}
		n.subs = append(n.subs, c)
		if !p.accept("|") {
			break
		}
	}
	if len(n.subs) == 1 {
		return n.subs[0], nil
	}
	return n, nil
}

func (p *regexParser) concat() (*regexNode, error) {
	n := &regexNode{op: reConcat}
	for p.more() && p.src[p.pos] != '|' && p.src[p.pos] != ')' {
		if p.flags.extended && p.blank() {
			continue
		}
		a, err := p.atom()
		if err == nil && p.size > maxRegexRanges {
			err = fmt.Errorf("%w: over %d ranges", ErrLimit, maxRegexRanges)
		}
		if err != nil {
			return nil, err
		}
		if a, err = p.quantifiers(a); err != nil {
			return nil, err
		}
		n.subs = append(n.subs, a)
	}
	if p.flags.fold {
		n.subs = foldSequences(n.subs)
	}
	if len(n.subs) == 1 {
		return n.subs[0], nil
	}
	return n, nil
}

// blank steps over white space and comments of the extended syntax.
func (p *regexParser) blank() bool {
	switch p.src[p.pos] {
	case ' ', '\t', '\n', '\r', '\f', '\v':
		p.pos++
		return true
	case '#':
		for p.more() && p.src[p.pos] != '\n' {
			p.pos++
		}
		return true
	}
	return false
}

func (p *regexParser) atom() (*regexNode, error) {
	switch {
	case p.accept("(?#"):
		end := strings.IndexByte(p.src[p.pos:], ')')
		if end < 0 {
			return nil, errors.New("a comment without its end")
		}
		p.pos += end + 1
		return &regexNode{op: reEmpty}, nil
	case p.accept("("):
		return p.group()
	case p.accept("["):
		s, err := p.set()
		return p.setNode(s), err
	case p.accept("."):
		s := &runeSet{negated: true}
		if !p.flags.dotAll {
			s.ranges = []rune{'\n', '\n'}
		}
		return &regexNode{op: reSet, set: s.finish()}, nil
	case p.accept("^"):
		return &regexNode{op: reAssert, assert: lineStart}, nil
	case p.accept("$"):
		return &regexNode{op: reAssert, assert: lineEnd}, nil
	case p.accept("\\"):
		return p.escape()
	}
	if strings.IndexByte("*+?", p.src[p.pos]) >= 0 {
		return nil, fmt.Errorf("%q with nothing to repeat", p.src[p.pos])
	}
	return p.char(p.next()), nil
}

// setNode finishes a set, all equals without case in it if these are on.
func (p *regexParser) setNode(s *runeSet) *regexNode {
	if s == nil {
		return nil
	}
	if p.flags.fold {
		negated := s.negated
		s.negated = false
		s.fold()
		s.negated = negated
	}
	p.size += len(s.ranges)
	return &regexNode{op: reSet, set: s.finish()}
}

func (p *regexParser) char(r rune) *regexNode {
	n := p.setNode(single(r))
	if p.flags.fold {
		n.folded = foldKey(r)
	}
	return n
}

// group reads what follows an opening parenthesis.
func (p *regexParser) group() (*regexNode, error) {
	wrap := func(n regexNode) (*regexNode, error) {
		sub, err := p.alternate()
		if err == nil && !p.accept(")") {
			err = errors.New("an opening parenthesis without its closing")
		}
		if err != nil {
			return nil, err
		}
		if n.op == reEmpty {
			return sub, nil
		}
		n.subs = []*regexNode{sub}
		return &n, nil
	}
	switch {
	case !p.accept("?"), p.accept(":"):
		return wrap(regexNode{})
	case p.accept("="):
		return wrap(regexNode{op: reLook})
	case p.accept("!"):
		return wrap(regexNode{op: reLook, negated: true})
	case p.accept("<="):
		return wrap(regexNode{op: reLook, behind: true})
	case p.accept("<!"):
		return wrap(regexNode{op: reLook, behind: true, negated: true})
	case p.accept(">"):
		return wrap(regexNode{op: reAtomic})
	case p.accept("<"), p.accept("'"):
		end := strings.IndexAny(p.src[p.pos:], ">'")
		if end <= 0 {
			return nil, errors.New("a name without its end")
		}
		p.pos += end + 1
		return wrap(regexNode{})
	}
	return p.options()
}

// options reads (?imx-imx) or (?imx-imx:...).
func (p *regexParser) options() (*regexNode, error) {
	saved, on := p.flags, true
	for p.more() {
		switch c := p.next(); c {
		case 'i':
			p.flags.fold = on
		case 'm':
			p.flags.dotAll = on
		case 'x':
			p.flags.extended = on
		case '-':
			on = false
		case ')': // to the end of the group, as a part of its own
			return p.alternate()
		case ':':
			sub, err := p.alternate()
			p.flags = saved
			if err == nil && !p.accept(")") {
				err = errors.New("an opening parenthesis without its closing")
			}
			return sub, err
		default:
			return nil, fmt.Errorf("unsupported group (?%c", c)
		}
	}
	return nil, errors.New("options without their end")
}

// escape reads what follows a backslash outside of a class.
func (p *regexParser) escape() (*regexNode, error) {
	if !p.more() {
		return nil, errors.New("a backslash at the end")
	}
	c := p.src[p.pos]
	if s := escapeSet(c); s != nil {
		p.pos++
		return &regexNode{op: reSet, set: s.finish()}, nil
	}
	if i := strings.IndexByte("AzZbBG", c); i >= 0 {
		p.pos++
		if c == 'G' {
			return nil, errors.New(`unsupported \G`)
		}
		return &regexNode{op: reAssert, assert: []assertion{textStart, textEnd, textEndNewline, wordEdge, wordInside}[i]}, nil
	}
	switch c {
	case 'p', 'P':
		s, err := p.property()
		if err != nil {
			return nil, err
		}
		if s.flags == setWord { // outside a class it is \w, which has more
			s.and = nil
		}
		return &regexNode{op: reSet, set: s.finish()}, nil
	case 'R':
		p.pos++
		crlf := &regexNode{op: reConcat, subs: []*regexNode{p.char('\r'), p.char('\n')}}
		one := (&runeSet{ranges: []rune{'\n', '\r', 0x85, 0x85, 0x2028, 0x2029}}).finish()
		alt := &regexNode{op: reAlternate, subs: []*regexNode{crlf, {op: reSet, set: one}}}
		return &regexNode{op: reAtomic, subs: []*regexNode{alt}}, nil
	}
	r, err := p.escapedRune()
	if err != nil {
		return nil, err
	}
	return p.char(r), nil
}

// escapedRune reads an escape that stands for one character.
func (p *regexParser) escapedRune() (rune, error) {
	c := p.next()
	switch c {
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 'f':
		return '\f', nil
	case 'v':
		return '\v', nil
	case 'a':
		return '\a', nil
	case 'e':
		return 0x1B, nil
	case 'x':
		if p.accept("{") {
			end := strings.IndexByte(p.src[p.pos:], '}')
			if end < 0 {
				return 0, errors.New("a code point without its end")
			}
			return p.hex(end, 1)
		}
		return p.hex(2, 0)
	case 'u':
		return p.hex(4, 0)
	case '0':
		n := 0
		for n < 2 && p.pos+n < len(p.src) && '0' <= p.src[p.pos+n] && p.src[p.pos+n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint("0"+p.src[p.pos:p.pos+n], 8, 8)
		p.pos += n
		return rune(v), nil
	}
	if c < utf8.RuneSelf && ('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
		return 0, fmt.Errorf(`unsupported escape \%c`, c)
	}
	return c, nil
}

// hex reads n digits and steps over skip more bytes.
func (p *regexParser) hex(n, skip int) (rune, error) {
	if n > len(p.src)-p.pos {
		return 0, errors.New("a code point without its end")
	}
	v, err := strconv.ParseUint(strings.TrimSpace(p.src[p.pos:p.pos+n]), 16, 32)
	if err != nil || v > utf8.MaxRune || n == 2 && v >= utf8.RuneSelf && skip == 0 {
		return 0, fmt.Errorf("unsupported code point %.20q", p.src[p.pos:p.pos+n])
	}
	p.pos += n + skip
	return rune(v), nil
}

// property reads p{...} or P{...}.
func (p *regexParser) property() (*runeSet, error) {
	negated := p.src[p.pos] == 'P'
	p.pos++
	end := strings.IndexByte(p.src[p.pos:], '}')
	if !p.accept("{") || end < 0 {
		return nil, errors.New("a property without braces")
	}
	name := p.src[p.pos : p.pos+end-1]
	p.pos += end
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, negated = rest, !negated
	}
	s := namedSet(name)
	if s == nil {
		return nil, fmt.Errorf("unsupported property %.60q", name)
	}
	s.negated = s.negated != negated
	return s, nil
}

// quantifiers reads the repetitions that follow an atom.
func (p *regexParser) quantifiers(n *regexNode) (*regexNode, error) {
	for p.more() {
		r := &regexNode{op: reRepeat, subs: []*regexNode{n}, max: -1}
		bounded := false
		switch {
		case p.accept("*"):
		case p.accept("+"):
			r.min = 1
		case p.accept("?"):
			r.max = 1
		case p.src[p.pos] == '{':
			if bounded = p.bounds(r); !bounded {
				return n, nil
			}
		default:
			return n, nil
		}
		if max(r.min, r.max) > maxRegexCount {
			return nil, fmt.Errorf("%w: repeated over %d times", ErrLimit, maxRegexCount)
		}
		if r.max >= 0 && r.min > r.max {
			r.min, r.max, r.possessive = r.max, r.min, true
		}
		switch {
		case bounded && r.min == r.max && p.accept("?"): // in this syntax x{n}? is (?:x{n})?
			r = &regexNode{op: reRepeat, subs: []*regexNode{r}, max: 1}
		case p.accept("?"):
			r.lazy = true
		case !bounded && p.accept("+"):
			r.possessive = true
		}
		if n.op == reAssert || n.op == reEmpty || n.op == reLook {
			return nil, errors.New("unsupported repetition of nothing")
		}
		if p.depth++; p.depth > maxRegexDepth {
			return nil, fmt.Errorf("%w: repeated too often", ErrLimit)
		}
		defer func() { p.depth-- }()
		n = r
	}
	return n, nil
}

// bounds reads {n}, {n,}, {,m} or {n,m}; anything else is text.
func (p *regexParser) bounds(r *regexNode) bool {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if end < 0 {
		return false
	}
	low, high, comma := strings.Cut(p.src[p.pos+1:p.pos+end], ",")
	number := func(s string, empty int) int {
		if s == "" {
			return empty
		}
		n, err := strconv.ParseUint(s, 10, 20)
		if err != nil {
			return -2
		}
		return int(n)
	}
	r.min, r.max = number(low, 0), number(high, -1)
	if !comma {
		r.max = r.min
	}
	if r.min < 0 || r.max < -1 || low == "" && high == "" {
		r.min, r.max = 0, -1
		return false
	}
	p.pos += end + 1
	return true
}
