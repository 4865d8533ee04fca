package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Properties of a runeSet that are not general categories.
const (
	setSpace = 1 << iota
	setWord
	setAlphabetic
	setUpper
	setLower
)

// runeSet is a set of characters of a regex.
type runeSet struct {
	ascii   [2]uint64 // the whole answer below U+0080
	negated bool
	ranges  []rune // pairs of first and last
	mask    uint32 // general categories
	flags   uint8  // set*
	scripts []byte
	sets    []*runeSet // nested, united
	and     []*runeSet // intersected with all before
}

// has reports whether r is in the set.
func (s *runeSet) has(r rune) bool {
	if r < utf8.RuneSelf {
		return s.ascii[r>>6]>>(r&63)&1 == 1
	}
	return s.eval(r)
}

func (s *runeSet) eval(r rune) bool {
	in := s.union(r)
	for _, a := range s.and {
		in = in && a.eval(r)
	}
	return in != s.negated
}

func (s *runeSet) union(r rune) bool {
	p := props(r)
	if s.mask>>(p&propCategory)&1 == 1 || s.flags != 0 && s.flagged(r, p) {
		return true
	}
	for i := 0; i < len(s.ranges); i += 2 {
		if s.ranges[i] <= r && r <= s.ranges[i+1] {
			return true
		}
	}
	if len(s.scripts) > 0 && slices.Contains(s.scripts, script(r)) {
		return true
	}
	for _, n := range s.sets {
		if n.eval(r) {
			return true
		}
	}
	return false
}

func (s *runeSet) flagged(r rune, p uint16) bool {
	switch {
	case s.flags&setSpace != 0 && isSpace(r),
		s.flags&setWord != 0 && p&propWord != 0,
		s.flags&setAlphabetic != 0 && p&propAlphabetic != 0:
		return true
	case s.flags&setUpper != 0:
		if _, ok := inRanges(upperRanges, 6, r); ok {
			return true
		}
	}
	if s.flags&setLower != 0 {
		_, ok := inRanges(lowerRanges, 6, r)
		return ok
	}
	return false
}

// finish makes the table for ASCII.
func (s *runeSet) finish() *runeSet {
	s.ascii = [2]uint64{}
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if s.eval(r) {
			s.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return s
}

// single returns the set of one character.
func single(r rune) *runeSet { return &runeSet{ranges: []rune{r, r}} }

// fold adds all characters that equal one of the set without case. It comes
// before negation.
func (s *runeSet) fold() {
	var add []rune
	for i := 0; i < len(foldPairs); i += 6 {
		r, key := three(foldPairs[i:]), three(foldPairs[i+3:])
		switch in, least := s.eval(r), s.eval(key); {
		case in && !least:
			add = append(add, key)
		case least && !in:
			add = append(add, r)
		}
	}
	for _, r := range add { // of a group of three, two may come by their least
		key := foldKey(r)
		s.ranges = append(s.ranges, r, r)
		if r != key {
			continue
		}
		for i := 0; i < len(foldPairs); i += 6 {
			if three(foldPairs[i+3:]) == key {
				c := three(foldPairs[i:])
				s.ranges = append(s.ranges, c, c)
			}
		}
	}
	s.compact()
}

// compact sorts and joins the ranges.
func (s *runeSet) compact() {
	type pair struct{ lo, hi rune }
	var pairs []pair
	for i := 0; i < len(s.ranges); i += 2 {
		pairs = append(pairs, pair{s.ranges[i], s.ranges[i+1]})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.lo - b.lo) })
	s.ranges = s.ranges[:0]
	for _, p := range pairs {
		if n := len(s.ranges); n > 0 && p.lo <= s.ranges[n-1]+1 {
			s.ranges[n-1] = max(s.ranges[n-1], p.hi)
			continue
		}
		s.ranges = append(s.ranges, p.lo, p.hi)
	}
}

// classes returns the set of an escape such as \d, or nil. \h is a hex digit.
func escapeSet(c byte) *runeSet {
	s := &runeSet{}
	switch c | 0x20 {
	case 'd':
		s.mask = categoryMask("Nd")
	case 's':
		s.flags = setSpace
	case 'w':
		s.flags = setWord
	case 'h':
		s.ranges = []rune{'0', '9', 'A', 'F', 'a', 'f'}
	default:
		return nil
	}
	s.negated = c < 'a'
	return s
}

// categoryMask returns the categories whose names start with name, 0 for none.
func categoryMask(name string) (mask uint32) {
	for i, c := range strings.Fields(categoryNames) {
		if strings.EqualFold(c, name) || len(name) == 1 && strings.EqualFold(c[:1], name) {
			mask |= 1 << i
		}
	}
	if strings.EqualFold(name, "LC") {
		mask = categoryMask("Lu") | categoryMask("Ll") | categoryMask("Lt")
	}
	return mask
}

// longCategory returns the short name of a category's long one, squeezed.
func longCategory(name string) string {
	const names = "letter L uppercaseletter Lu lowercaseletter Ll titlecaseletter Lt casedletter LC modifierletter Lm otherletter Lo " +
		"mark M nonspacingmark Mn spacingmark Mc enclosingmark Me number N decimalnumber Nd letternumber Nl othernumber No " +
		"punctuation P connectorpunctuation Pc dashpunctuation Pd openpunctuation Ps closepunctuation Pe initialpunctuation Pi " +
		"finalpunctuation Pf otherpunctuation Po symbol S mathsymbol Sm currencysymbol Sc modifiersymbol Sk othersymbol So " +
		"separator Z spaceseparator Zs lineseparator Zl paragraphseparator Zp other C control Cc format Cf surrogate Cs privateuse Co unassigned Cn"
	f := strings.Fields(names)
	for i := 0; i < len(f); i += 2 {
		if f[i] == name {
			return f[i+1]
		}
	}
	return name
}

// namedSet returns the set of a property or POSIX class, or nil.
func namedSet(name string) *runeSet {
	name = strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
	s := &runeSet{}
	switch name {
	case "any":
		s.ranges = []rune{0, utf8.MaxRune}
	case "assigned":
		s.mask, s.negated = categoryMask("Cn"), true
	case "ascii":
		s.ranges = []rune{0, 0x7F}
	case "alpha", "alphabetic":
		s.flags = setAlphabetic
	case "alnum":
		s.flags, s.mask = setAlphabetic, categoryMask("Nd")
	case "blank":
		s.mask, s.ranges = categoryMask("Zs"), []rune{'\t', '\t'}
	case "cntrl":
		s.mask = categoryMask("Cc")
	case "digit":
		s.mask = categoryMask("Nd")
	case "graph":
		s.mask, s.flags, s.negated = categoryMask("Cc")|categoryMask("Cn")|categoryMask("Cs"), setSpace, true
	case "print":
		s.mask, s.negated = categoryMask("Cc")|categoryMask("Cn")|categoryMask("Cs")|categoryMask("Zl")|categoryMask("Zp"), true
	case "lower", "lowercase":
		s.flags = setLower
	case "upper", "uppercase":
		s.flags = setUpper
	case "punct":
		s.mask = categoryMask("P")
	case "space", "whitespace":
		s.flags = setSpace
	case "word":
		s.flags = setWord
		latin := &runeSet{negated: true, ranges: []rune{0xB2, 0xB3, 0xB9, 0xB9, 0xBC, 0xBE}} // \w alone has these
		s.and = []*runeSet{latin}
	case "xdigit":
		s.ranges = []rune{'0', '9', 'A', 'F', 'a', 'f'}
	default:
		if s.mask = categoryMask(longCategory(name)); s.mask != 0 {
			return s
		}
		for i, n := range strings.Fields(scriptNames) {
			if strings.ToLower(strings.ReplaceAll(n, "_", "")) == name {
				s.scripts = []byte{byte(i + 1)}
				return s
			}
		}
		return nil
	}
	return s
}
