package tokenizer

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// kinds are small tokenizers that have every component between them.
func kinds() []tiny {
	seq := func(key string, list ...string) string {
		return `{"type":"Sequence","` + key + `":[` + strings.Join(list, ",") + `]}`
	}
	split := func(regex, behavior string) string {
		return `{"type":"Split","pattern":{"Regex":` + string(appendString(nil, regex)) + `},"behavior":"` + behavior + `","invert":false}`
	}
	level := bpeJSON("a b Ġ Ã © ab Ġa Ġab </s> <s>", "a b,Ġ a,Ġa b", "")
	pieces := bpeJSON("▁ a b ab ▁a <0xC3> <0xA9> <unk>", "a b,▁ a", `"unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,`)
	scores := unigramJSON("<unk> 0 ▁ -2 a -1 b -1.5 ▁a -1.25 ab -2.5 <0xC3> -9 <0xA9> -9", `"unk_id":0,"byte_fallback":true,`)
	types := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, `{"type":"`+n+`"}`)
		}
		return out
	}
	return []tiny{
		{model: level, normalizer: "null", pre: byteLevelPre, decoder: byteLevelPre, words: []string{"<s>", "x", "</s>"},
			post: `{"type":"RobertaProcessing","sep":["</s>",8],"cls":["<s>",9],"trim_offsets":true,"add_prefix_space":true}`},
		{model: level, normalizer: `{"type":"NFC"}`, pre: seq("pretokenizers", split(`(?i:'s|ß)|[^\r\n\p{L}]?+\p{L}+|\s+(?!\S)`, "Isolated"), byteLevelPre),
			decoder: "null", post: seq("processors", byteLevelPre)},
		{model: pieces, normalizer: seq("normalizers", `{"type":"Prepend","prepend":"▁"}`, `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`), pre: "null", post: "null",
			decoder: seq("decoders", append(types("ByteFallback", "Fuse"), `{"type":"Strip","content":" ","start":1,"stop":0}`)...)},
		{model: `{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1,"ab":2,"\u0301":4}}`, pre: `{"type":"Whitespace"}`, post: "null", decoder: "null"},
		{model: scores, pre: metaspacePre, post: "null", decoder: `{"type":"CTC","pad_token":"a","word_delimiter_token":"b","cleanup":true}`,
			normalizer: seq("normalizers", append(types("Nmt", "NFKC", "StripAccents", "Lowercase"), `{"type":"Strip","strip_left":true,"strip_right":true}`)...)},
		{model: scores, normalizer: seq("normalizers", types("NFKD", "ByteLevel")...), decoder: `{"type":"BPEDecoder","suffix":"b"}`, post: "null",
			pre: seq("pretokenizers", append(types("UnicodeScripts", "WhitespaceSplit"), `{"type":"Punctuation","behavior":"Contiguous"}`,
				`{"type":"Digits","individual_digits":false}`, `{"type":"CharDelimiterSplit","delimiter":"|"}`, `{"type":"FixedLength","length":3}`, split(`(?<=a)|\b`, "MergedWithNext"))...)},
	}
}

// FuzzParse: no panic; what parses has a canonical form that parses to the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tiny{}.json()))
	f.Add([]byte(tiny{added: []string{"<X>|lr", "ab|nws"}, post: "null", normalizer: "null", pre: "null", decoder: "null"}.json()))
	for _, y := range kinds() {
		f.Add([]byte(y.json()))
	}
	f.Add([]byte(`{"version":"1.0","truncation":{"max_length":3,"strategy":"OnlyFirst","stride":0}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data)
		if err != nil {
			return
		}
		first := k.Canonical(8)
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("canonical form: %v\n%s", err, first)
		}
		if !bytes.Equal(again.Canonical(8), first) {
			t.Fatalf("canonical form is not stable:\n%s", first)
		}
		again.truncation = nil
		k.truncation, k.padding = nil, nil
		checkText(t, k, string(data))
		a, _ := k.Encode("The cat\u0301 <X>", nil, true)
		b, _ := again.Encode("The cat\u0301 <X>", nil, true)
		if show(a) != show(b) {
			t.Fatalf("canonical form encodes differently: %s, %s", show(a), show(b))
		}
	})
}

// FuzzEncode: no panic, spans within the text, hot path equal to Encode.
func FuzzEncode(f *testing.F) {
	var all []*Tokenizer
	for _, y := range []tiny{
		{added: []string{"<X>|lr", "ab|n", "x|w", "  |r"}},
		{normalizer: "null", pre: "null", post: "null"},
		{truncation: `{"max_length":6,"strategy":"LongestFirst","stride":1,"direction":"Left"}`, post: bertPost},
	} {
		all = append(all, y.parse(f))
	}
	for _, y := range kinds() {
		all = append(all, y.parse(f))
	}
	for _, s := range []string{"", "a b", "The café <X> ab!", "中\u0301\u0323\uAC01", "\xff\x00", "İ <X>  x", "e\u302e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range all {
			checkText(t, k, s)
		}
	})
}

func checkText(t *testing.T, k *Tokenizer, s string) {
	e, err := k.Encode(s, nil, true)
	if errors.Is(err, errUnknown) || errors.Is(err, errNoWord) || errors.Is(err, ErrLimit) {
		k.AppendIDs(nil, s, 0)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if ids := k.AppendIDs(nil, s, 0); !slices.Equal(ids, e.IDs) {
		t.Fatalf("AppendIDs gives %v, Encode %v", ids, e.IDs)
	}
	if ids := k.AppendIDs(nil, s, 3); len(ids) > 3 {
		t.Fatalf("%d ids, at most 3 asked for", len(ids))
	}
	n := utf8.RuneCountInString(s)
	for i, o := range e.Offsets {
		if o[0] < 0 || o[0] > o[1] || o[1] > n {
			t.Fatalf("token %d of %q: offsets %v of %d", i, s, o, n)
		}
	}
	k.Decode(e.IDs, true)
}
