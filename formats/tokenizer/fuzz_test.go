package tokenizer

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzParse: no panic; what parses has a canonical form that parses to the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tiny{}.json()))
	f.Add([]byte(tiny{added: []string{"<X>|lr", "ab|nws"}, post: "null", normalizer: "null", pre: "null", decoder: "null"}.json()))
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
