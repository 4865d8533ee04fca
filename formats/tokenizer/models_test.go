package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// bpeJSON writes a BPE model of words, whose ids count from 0, and merges.
func bpeJSON(words, merges, rest string) string {
	var vocab, pairs []string
	for i, w := range strings.Fields(words) {
		vocab = append(vocab, fmt.Sprintf("%s:%d", appendString(nil, w), i))
	}
	if merges != "" {
		for _, m := range strings.Split(merges, ",") {
			pairs = append(pairs, string(appendString(nil, m)))
		}
	}
	return `{"type":"BPE",` + rest + `"vocab":{` + strings.Join(vocab, ",") + `},"merges":[` + strings.Join(pairs, ",") + `]}`
}

// unigramJSON writes a Unigram model of "word score" pairs.
func unigramJSON(pieces, rest string) string {
	var vocab []string
	f := strings.Fields(pieces)
	for i := 0; i < len(f); i += 2 {
		vocab = append(vocab, fmt.Sprintf("[%s,%s]", appendString(nil, f[i]), f[i+1]))
	}
	return `{"type":"Unigram",` + rest + `"vocab":[` + strings.Join(vocab, ",") + `]}`
}

const (
	byteLevelPre = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	metaspacePre = `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}`
)

// TestModelRules needs no reference data: each answer follows from a rule.
func TestModelRules(t *testing.T) {
	const ties = "a b c ab bc abc aa aaa <unk>"
	for _, c := range []struct {
		name, model, text, want string
		norm, pre               string
	}{
		{name: "least rank first", model: bpeJSON(ties, "b c,a b,a bc,a a,aa a", ""), text: "abc", want: "abc(0,3)"},
		{name: "then leftmost", model: bpeJSON(ties, "b c,a b,a bc,a a,aa a", ""), text: "aaaaa", want: "aa(0,2) aaa(2,5)"},
		{name: "no merge", model: bpeJSON(ties, "", ""), text: "ab", want: "a(0,1) b(1,2)"},
		{name: "whole words", model: bpeJSON(ties, "", `"ignore_merges":true,`), text: "abc", want: "abc(0,3)"},
		{name: "unknown vanishes", model: bpeJSON(ties, "", ""), text: "axa", want: "a(0,1) a(1,2)"},
		{name: "unknown", model: bpeJSON(ties, "", `"unk_token":"<unk>",`), text: "axya", want: "a(0,1) <unk>(1,2) <unk>(2,3) a(3,4)"},
		{name: "fused", model: bpeJSON(ties, "", `"unk_token":"<unk>","fuse_unk":true,`), text: "axya", want: "a(0,1) <unk>(1,3) a(3,4)"},
		{name: "bytes overtake an unknown", model: bpeJSON("a <0xC3> <0xA9> <unk>", "", `"unk_token":"<unk>","byte_fallback":true,`),
			text: "èéa", want: "<0xC3>(0,1) <0xA9>(0,1) <unk>(1,2) a(2,3)"},
		{name: "suffix", model: bpeJSON("a b b</w> ab</w> <unk>", "a b</w>", `"unk_token":"<unk>","end_of_word_suffix":"</w>",`), text: "ab a", pre: `{"type":"Whitespace"}`, want: "ab</w>(0,2) <unk>(3,4)"},
		{name: "prefix", model: bpeJSON("a ##b ab ##a", "a ##b", `"continuing_subword_prefix":"##",`), text: "aba", want: "ab(0,2) ##a(2,3)"},
		{name: "byte level", model: bpeJSON("a Ġ Ã © Ġa", "Ġ a", ""), pre: byteLevelPre, text: "a aé", want: "a(0,1) Ġa(1,3) Ã(3,4) ©(3,4)"},
		{name: "cut at the mark", model: bpeJSON("▁ a ▁a ▁▁ <unk>", "▁ a,▁ ▁", `"unk_token":"<unk>","fuse_unk":true,`), norm: `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
			text: "a  ax a", want: "a(0,1) ▁(1,2) ▁a(2,4) <unk>(4,5) ▁a(5,7)"},
		{name: "a tie keeps the longest last piece", model: unigramJSON("a -1 b -1 ab -2", ""), text: "ab", want: "ab(0,2)"},
		{name: "scores are of 64 bits", model: unigramJSON("a -1 b -1 ab -2.0000001", ""), text: "ab", want: "a(0,1) b(1,2)"},
		{name: "unknowns are one", model: unigramJSON("<unk> 0 a -1 b -1", `"unk_id":0,`), text: "axxb", want: "a(0,1) xx(1,3) b(3,4)"},
		{name: "bytes of a run", model: unigramJSON("<unk> 0 a -1 <0xC3> -2 <0xA9> -2", `"unk_id":0,"byte_fallback":true,`), text: "aéa", want: "a(0,1) <0xC3>(1,2) <0xA9>(1,2) a(2,3)"},
		{name: "not all bytes", model: unigramJSON("<unk> 0 a -1 <0xC3> -2", `"unk_id":0,"byte_fallback":true,`), text: "é", want: "é(0,1)"},
		{name: "metaspace", model: unigramJSON("<unk> 0 ▁a -1 ▁ -3 b -1", `"unk_id":0,`), pre: metaspacePre, text: "a  ab", want: "▁a(0,1) ▁(1,2) ▁a(2,4) b(4,5)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := tiny{model: c.model, normalizer: "null", pre: "null", post: "null", decoder: "null"}
			if c.norm != "" {
				y.normalizer = c.norm
			}
			if c.pre != "" {
				y.pre = c.pre
			}
			k := y.parse(t)
			for range 2 { // the second time it knows which words merge to one token
				got, err := k.Encode(c.text, nil, true)
				if err != nil {
					t.Fatal(err)
				}
				if show(got) != c.want {
					t.Errorf("got  %s\nwant %s", show(got), c.want)
				}
				if ids := k.AppendIDs(nil, c.text, 0); !slices.Equal(ids, got.IDs) {
					t.Errorf("AppendIDs gives %v, Encode %v", ids, got.IDs)
				}
			}
		})
	}
	for _, m := range []string{
		bpeJSON("a b", "", `"unk_token":"u",`), bpeJSON("a b", "", `"unk_token":"",`),
		`{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"","max_input_chars_per_word":3,"vocab":{"a":0}}`,
	} { // the library loads them, and fails when it needs the token
		k := tiny{model: m, normalizer: "null", pre: "null", post: "null", decoder: "null"}.parse(t)
		again, err := Parse(k.Canonical(0))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*Tokenizer{k, k, again} {
			if e, err := k.Encode("aa", nil, true); err != nil || len(e.IDs) != 2 {
				t.Errorf("%s: got %v, %v", m, e.IDs, err)
			}
			if _, err := k.Encode("ax", nil, true); !errors.Is(err, errNoWord) {
				t.Errorf("%s: error %v, want %v", m, err, errNoWord)
			}
		}
	}
	k := tiny{model: unigramJSON("a -1", ""), normalizer: "null", pre: "null", post: "null", decoder: "null"}.parse(t)
	if _, err := k.Encode("ax", nil, true); !errors.Is(err, errUnknown) {
		t.Errorf("error %v, want %v", err, errUnknown)
	}
}

// TestNormalizerRules checks normalizers against NOTES and the Unicode Standard.
func TestNormalizerRules(t *testing.T) {
	typ := func(name string) string { return `{"type":"` + name + `"}` }
	replace := func(pattern, content string) string {
		return `{"type":"Replace","pattern":{"Regex":` + string(appendString(nil, pattern)) + `},"content":"` + content + `"}`
	}
	for _, c := range []struct{ norm, text, want string }{
		{typ("NFC"), "e\u0301 \u1100\u1161\u11A8 a\u0323\u0301 \u0958", "é 각 ạ\u0301 \u0915\u093C"},
		{typ("NFC"), "a\u0301\u1DF6\u0323", "á\u1DF6\u0323"},
		{typ("NFD"), "é각", "e\u0301\u1100\u1161\u11A8"},
		{typ("NFKC"), "ﬁ① ｶﾞ\u32FF", "fi1 ガ\u32FF"},
		{typ("NFKD"), "½é", "1\u20442e\u0301"},
		{typ("StripAccents"), "e\u0301\u0903é", "eé"},
		{typ("Lowercase"), "ΑΣ İẞ", "ασ i\u0307ß"},
		{typ("Nmt"), "a\u200Bb\x01\u0085\tc", "a b\u0085 c"},
		{typ("ByteLevel"), " é", "ĠÃ©"},
		{`{"type":"Strip","strip_left":true,"strip_right":false}`, "\u3000\u0085 a ", "a "},
		{`{"type":"Prepend","prepend":"ab"}`, "c", "abc"},
		{replace("x*", "-"), "axb", "-a-b-"},
		{replace("(a)", "$1"), "a", "$1"},
		{`{"type":"Replace","pattern":{"String":""},"content":"-"}`, "ab", "-a-b-"},
	} {
		k := tiny{normalizer: c.norm}.parse(t)
		if got := normalized(k, c.text); got != c.want {
			t.Errorf("%s of %+q: got %+q, want %+q", c.norm, c.text, got, c.want)
		}
	}
}

// TestDecoderRules checks decoders on tokens of their own.
func TestDecoderRules(t *testing.T) {
	for _, c := range []struct {
		decoder string
		tokens  []string
		want    string
	}{
		{`{"type":"ByteFallback"}`, []string{"<0xE4>", "<0xB8>", "<0xAD>", "a", "<0xE4>", "<0xff>"}, "中a\uFFFD\uFFFD"},
		{`{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`, []string{"▁▁a▁b", "▁c"}, "ab c"},
		{`{"type":"BPEDecoder","suffix":"</w>"}`, []string{"a</w>", "b</w>"}, "a b"},
		{`{"type":"CTC","pad_token":"_","word_delimiter_token":"|","cleanup":true}`, []string{"a", "a", "_", "a", "|"}, "aa "},
		{`{"type":"Strip","content":" ","start":1,"stop":1}`, []string{"  a  ", " "}, " a "},
		{`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"Regex":"[ae]+"},"content":"<>"},{"type":"Fuse"}]}`, []string{"bae", "c"}, "b<>c"},
	} {
		k := tiny{decoder: c.decoder}.parse(t)
		if got := strings.Join(k.decoder.decode(slices.Clone(c.tokens)), ""); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.decoder, c.tokens, got, c.want)
		}
	}
	if got, want := lossy([]byte{0xF0, 0x9F, 0xFF, 0xE2, 0x82, 'a'}), "\uFFFD\uFFFD\uFFFDa"; got != want {
		t.Errorf("lossy gives %q, want %q", got, want)
	}
}

// TestBytesHaveCharacters: the alphabet is a bijection.
func TestBytesHaveCharacters(t *testing.T) {
	seen := map[rune]bool{}
	for c := range 256 {
		r := byteRune(byte(c))
		back, ok := runeByte(r)
		if !ok || back != byte(c) || seen[r] {
			t.Errorf("byte %#x: character %U, back %#x, %v", c, r, back, ok)
		}
		seen[r] = true
	}
	for _, r := range []rune{0, ' ', 0x7F, 0xA0, 0xAD, 0x144, 0x10FFFF} {
		if _, ok := runeByte(r); ok {
			t.Errorf("%U stands for a byte", r)
		}
	}
}
