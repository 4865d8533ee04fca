package tokenizer

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestUnicodeTables compares every property of every code point with what the
// reference library was probed to do.
func TestUnicodeTables(t *testing.T) {
	var want struct {
		Ranges    map[string][][2]rune `json:"ranges"`
		Lowercase map[string]string    `json:"lowercase"`
		NFD       map[string]string    `json:"nfd_not_hangul"`
		NFKD      map[string]string    `json:"nfkd_not_hangul"`
	}
	if err := json.Unmarshal(readFile(t, sharedDir(t, "tokenizers", "unicode_tables.json")), &want); err != nil {
		t.Fatal(err)
	}
	clean := &bertNormalizer{clean: true}
	cleaned := func(r rune) string {
		var in, out text
		if r < utf8.RuneSelf {
			if c := clean.asciiByte(byte(r)); c != asciiDrop {
				return string(rune(c))
			}
			return ""
		}
		in.load([]byte(string(r)), 0)
		clean.other(r, &in, &out, 0)
		return string(out.b)
	}
	has := func(bit byte) func(rune) bool { return func(r rune) bool { return class(r)&bit != 0 } }
	for name, got := range map[string]func(rune) bool{
		"bert clean_text removes":                      func(r rune) bool { return cleaned(r) == "" },
		"bert clean_text to space":                     func(r rune) bool { return r != ' ' && cleaned(r) == " " },
		"bert chinese":                                 isChinese,
		"bert strip_accents removes":                   has(classNonspacing),
		"Punctuation / BertPreTokenizer punctuation":   isPunct,
		"char::is_whitespace (WhitespaceSplit, Strip)": isSpace,
		`regex \s`: isSpace,
		`Whitespace pre-tokenizer \w (regex crate)`: isWord,
	} {
		checkRanges(t, name, want.Ranges[name], got)
	}
	checkRegexRanges(t, want.Ranges)
	nmtMaps := func(to rune, kept bool) func(rune) bool {
		return func(r rune) bool {
			got, keep := nmtRune(r)
			return keep == kept && got == to && r != to
		}
	}
	checkRanges(t, "Nmt removes", want.Ranges["Nmt removes"], nmtMaps(0, false))
	checkRanges(t, "Nmt to space", want.Ranges["Nmt to space"], nmtMaps(' ', true))
	checkRanges(t, "StripAccents removes", want.Ranges["StripAccents removes"], func(r rune) bool { return props(r)&propMark != 0 })
	checkRanges(t, "Digits (char::is_numeric)", want.Ranges["Digits (char::is_numeric)"], isNumeric)
	checkMap(t, "NFKD", want.NFKD, func(r rune) string {
		if hangulBase <= r && r < hangulBase+hangulCount {
			return string(r)
		}
		return string(appendNFKD(nil, r))
	})
	checkMap(t, "lowercase", want.Lowercase, func(r rune) string {
		first, second := lower(r)
		if second != 0 {
			return string([]rune{first, second})
		}
		return string(first)
	})
	checkMap(t, "NFD", want.NFD, func(r rune) string {
		if hangulBase <= r && r < hangulBase+hangulCount {
			return string(r)
		}
		return string(appendNFD(nil, r))
	})
}

// checkRegexRanges compares the classes of regexes.
func checkRegexRanges(t *testing.T, ranges map[string][][2]rune) {
	n := 0
	for name, want := range ranges {
		src, ok := strings.CutPrefix(name, "regex ")
		if !ok {
			continue
		}
		n++
		root, err := parseRegex(src)
		if err != nil || root.op != reSet {
			t.Fatalf("%s: %v", src, err)
		}
		checkRanges(t, name, want, root.set.has)
	}
	if n < 14 {
		t.Errorf("only %d regex classes", n)
	}
}

// scalars calls f with every code point but the surrogates.
func scalars(f func(rune)) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r < 0xD800 || r > 0xDFFF {
			f(r)
		}
	}
}

func checkRanges(t *testing.T, name string, ranges [][2]rune, got func(rune) bool) {
	if len(ranges) == 0 {
		t.Errorf("%s: no ranges", name)
	}
	want := make([]bool, utf8.MaxRune+1)
	for _, r := range ranges {
		for c := r[0]; c <= r[1]; c++ {
			want[c] = true
		}
	}
	scalars(func(r rune) {
		if got(r) != want[r] {
			t.Errorf("%s: U+%04X is %v, want %v", name, r, got(r), want[r])
		}
	})
}

func checkMap(t *testing.T, name string, pairs map[string]string, got func(rune) string) {
	if len(pairs) == 0 {
		t.Errorf("%s: no pairs", name)
	}
	scalars(func(r rune) {
		want, ok := pairs[strconv.Itoa(int(r))]
		if !ok {
			want = string(r)
		}
		if g := got(r); g != want {
			t.Errorf("%s: U+%04X gives %+q, want %+q", name, r, g, want)
		}
	})
}

// TestCombiningClasses checks the one table that was not probed by its effects:
// decompositions are in canonical order, and the known totals of Unicode 9.0.
func TestCombiningClasses(t *testing.T) {
	count, sum := 0, 0
	scalars(func(r rune) {
		if c := combiningClass(r); c != 0 {
			count, sum = count+1, sum+int(c)
		}
		last := byte(0)
		for _, d := range string(appendNFD(nil, r)) {
			c := combiningClass(d)
			if c != 0 && c < last {
				t.Errorf("decomposition of U+%04X is out of order", r)
			}
			last = c
		}
	})
	if count != 814 || sum != 152626 {
		t.Errorf("%d code points of total class %d", count, sum)
	}
	for r, want := range map[rune]byte{0x301: 230, 0x323: 220, 0x345: 240, 0x302E: 224, 0x8D4: 230, 0x1DF6: 0, 'a': 0} {
		if got := combiningClass(r); got != want {
			t.Errorf("class of U+%04X is %d, want %d", r, got, want)
		}
	}
}

// TestHangul decomposes the first, a middle and the last syllable.
func TestHangul(t *testing.T) {
	for in, want := range map[rune]string{
		0xAC00: "\u1100\u1161", 0xAC01: "\u1100\u1161\u11A8", 0xD7A3: "\u1112\u1175\u11C2", 0xD7A4: "\uD7A4",
	} {
		if got := string(appendNFD(nil, in)); got != want {
			t.Errorf("U+%04X gives %+q, want %+q", in, got, want)
		}
	}
}

func TestClassOutsideUnicode(t *testing.T) {
	for _, r := range []rune{-1, utf8.MaxRune + 1, 1 << 30} {
		if class(r) != 0 {
			t.Errorf("class(%d) = %d", r, class(r))
		}
	}
}
