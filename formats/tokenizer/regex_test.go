package tokenizer

import (
	"strings"
	"testing"
)

// matches returns the matches of a regex in brackets, the rest between them.
func matches(t testing.TB, src, text string) string {
	t.Helper()
	re, err := compileRegex(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	var out strings.Builder
	for _, m := range re.find(nil, []byte(text)) {
		if m.is {
			out.WriteString("[" + text[m.lo:m.hi] + "]")
		} else {
			out.WriteString(text[m.lo:m.hi])
		}
	}
	return out.String()
}

func TestRegex(t *testing.T) {
	for _, c := range []struct{ src, text, want string }{
		{`\s+(?!\S)|\s+`, "a  \n b", "a[  \n][ ]b"},
		{`(?i:'s|'ll)`, "it'S, 'ſ 'LL", "it['S], ['ſ] ['LL]"},
		{`(?i:ss)`, "ß SS ſs", "[ß] [SS] [ſs]"},
		{`(?i)ß`, "ss", "[ss]"},
		{`\p{Lu}\p{Ll}*|\p{Han}+|\p{^L}`, "Ab中文1c", "[Ab][中文][1]c"},
		{`[^\s\p{L}\p{N}]+`, "a-b, c!", "a[-]b[,] c[!]"},
		{`[a-c&&[^b]]+`, "abc", "[a]b[c]"},
		{`[[:punct:]]`, "$+é!", "[$][+]é[!]"},
		{`\w`, "²₀_", "[²]₀[_]"},
		{`[\w]|[^\W]`, "²₀_", "²₀[_]"},
		{`[]a]`, "a]b", "[a][]]b"},
		{`x*`, "axb", "[]a[x]b[]"},
		{`a|ab`, "ab", "[a]b"},
		{`(?>a|ab)c`, "abc", "abc"},
		{`a+?b`, "aab", "[aab]"},
		{`a++a`, "aaa", "aaa"},
		{`a{2}`, "aaaaa", "[aa][aa]a"},
		{`a{,2}b`, "aaab", "a[aab]"},
		{`a{x`, "a{x", "[a{x]"},
		{`(?:ab){2,3}?`, "ababab", "[abab]ab"},
		{`(?<=a)b|(?<!a)c`, "abacc", "a[b]ac[c]"},
		{`(?<=^|,)x`, "x,xx", "[x],[x]x"},
		{`^.|.$`, "ab\ncd", "[a][b]\n[c][d]"},
		{`.`, "\na", "\n[a]"},
		{`(?m:.)`, "\n", "[\n]"},
		{`\b\w`, "ab cd", "[a]b [c]d"},
		{`\A.|.\z`, "abc", "[a]b[c]"},
		{`(a|b?)*c`, "abc", "[abc]"},
		{`(?:a?)*b`, "aab", "[aab]"},
		{`(?:a*|b)+`, "abba", "[a]b[]b[a]"}, // an empty round ends a loop
		{`(?:a?|b)*+c`, "bbc", "bb[c]"},
		{`(?:a*|b)*c`, "bbc", "[bbc]"},
		{`\p{Word}|[\p{Word}]`, "²₀_", "[²]₀[_]"},
		{`[\p{Word}]`, "²₀_", "²₀[_]"},
		{`(?x) a b # comment`, "ab", "[ab]"},
		{`\x41\x{42}\u0043\t`, "ABC\t", "[ABC\t]"},
		{`\R`, "\r\n\n", "[\r\n][\n]"},
		{`(?#note)a`, "a", "[a]"},
		{`(?<name>a)b`, "ab", "[ab]"},
		{`\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))`, "1234567", "[1][234][567]"},
	} {
		if got := matches(t, c.src, c.text); got != c.want {
			t.Errorf("%s on %q: got %q, want %q", c.src, c.text, got, c.want)
		}
	}
}

func TestRegexRefused(t *testing.T) {
	for src, want := range map[string]string{
		`(`: "closing", `)`: "opening", `[a`: "class without its end", `\`: "backslash at the end", `*a`: "nothing to repeat",
		`(a)\1`: `unsupported escape \1`, `\k<n>`: `unsupported escape \k`, `(?(1)a)`: "unsupported group", `\p{Nope}`: "unsupported property",
		`(?<=a*)b`: "lookbehind of no bounded width", `(?=a)*`: "repetition of nothing", `a{2000}`: "repeated over", `[z-a]`: "empty range", `[[:nope:]]`: "unsupported class",
		strings.Repeat("(", 200) + strings.Repeat(")", 200): "nested too deeply", strings.Repeat("((a|b){1000}){1000}", 3): "instructions",
		strings.Repeat("a", maxRegex+1): "limit",
	} {
		if _, err := compileRegex(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: error %v, want %s", src, err, want)
		}
	}
}

// TestRegexTime runs patterns that take exponential or cubic time in a naive
// matcher; the test's own time limit is the check.
func TestRegexTime(t *testing.T) {
	for _, src := range []string{`(a+)+b`, `(a|aa)+$`, `(?:a*)*b`, `(?=(a+)+b)a`, `a*a*a*a*b`, `(?>(a+)+b)|c`, `\w*?\w*?x`, `(?<=(?:a|aa){50})b`} {
		matches(t, src, strings.Repeat("a", 3000)+"!")
	}
	for _, src := range []string{`a++b`, `(?:aa)*+b`, `a*b`, `(?=a++b)a`, `(?<!a{255})b|a++c`} { // every start reads to the end
		matches(t, src, strings.Repeat("a", 8000)+"!")
	}
}

func FuzzRegex(f *testing.F) {
	f.Add(`\s+(?!\S)|(?i:'s|ß)`, "it's  ß ss")
	f.Add(`(?<=a|bc)[^\p{L}&&[:punct:]]{1,3}?`, "abc!!é")
	f.Add(`(?:(?:a?)*|b++)*\b$`, "aab\n")
	f.Fuzz(func(t *testing.T, src, text string) {
		re, err := compileRegex(src)
		if err != nil || len(text) > 1000 {
			return
		}
		at := int32(0)
		for _, m := range re.find(nil, appendValid(nil, text)) {
			if m.lo != at || m.hi < m.lo {
				t.Fatalf("match %v after byte %d", m, at)
			}
			at = m.hi
		}
		if int(at) != len(appendValid(nil, text)) {
			t.Fatalf("covered %d bytes", at)
		}
	})
}
