package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

// TestWordLevel compares with testdata/wordlevel, which its make.py wrote with the library:
// every encode, from the file and from its canonical form, and every decode.
func TestWordLevel(t *testing.T) {
	var golden []struct {
		Name      string
		Tokenizer json.RawMessage
		Cases     []struct {
			Text        string
			Pair        *string
			Special     bool
			Error       string
			IDs         []int32
			Tokens      []string
			Offsets     [][2]int
			TypeIDs     []int32 `json:"type_ids"`
			SpecialMask []int32 `json:"special_mask"`
			Decoded     string
			DecodedAll  string `json:"decoded_all"`
		}
	}
	if err := json.Unmarshal(readFile(t, "testdata/wordlevel/golden.json"), &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden {
		k, err := Parse(g.Tokenizer)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		again, err := Parse(k.Canonical(k.MaxLength()))
		if err != nil {
			t.Fatal(err)
		}
		again.padding = k.padding
		if cut := k.truncation; cut != nil {
			again.truncation.stride = cut.stride
		}
		for _, c := range g.Cases {
			for _, k := range []*Tokenizer{k, again} {
				got, err := k.Encode(c.Text, c.Pair, c.Special)
				if (err != nil) != (c.Error != "") || err != nil && !errors.Is(err, errNoWord) {
					t.Errorf("%s: %q: error %v, want %q", g.Name, c.Text, err, c.Error)
				}
				if !slices.Equal(got.IDs, c.IDs) || !slices.Equal(got.Tokens, c.Tokens) || !slices.Equal(got.Offsets, c.Offsets) ||
					!slices.Equal(got.TypeIDs, c.TypeIDs) || !slices.Equal(got.SpecialMask, c.SpecialMask) {
					t.Errorf("%s: %q %v:\ngot  %s\nwant %v %v %v", g.Name, c.Text, c.Pair, show(got), c.Tokens, c.IDs, c.Offsets)
				}
				if d, all := k.Decode(c.IDs, true), k.Decode(c.IDs, false); d != c.Decoded || all != c.DecodedAll {
					t.Errorf("%s: %v decodes to %q and %q, want %q and %q", g.Name, c.IDs, d, all, c.Decoded, c.DecodedAll)
				}
			}
		}
	}
}

// TestWordLevelRules: what needs no reference data.
func TestWordLevelRules(t *testing.T) {
	const vocab = `"vocab":{"?":0,"a":1}`
	for _, model := range []string{`{"type":"WordLevel","unk_token":"?",` + vocab + `}`, `{"unk_token":"?",` + vocab + `}`} {
		k := tiny{model: model, normalizer: "null", pre: `{"type":"Whitespace"}`, post: "null", decoder: "null"}.parse(t)
		if ids := k.AppendIDs(nil, "a b a", 0); !slices.Equal(ids, []int32{1, 0, 1}) || k.UnknownID() != 0 || k.MarksContinuation() || k.VocabSize() != 2 {
			t.Errorf("%s: %v, unknown %d, %d words", model, ids, k.UnknownID(), k.VocabSize())
		}
	}
}

// TestPromptLength: the tokens of a prompt, special ones before it included, one behind it not.
func TestPromptLength(t *testing.T) {
	k := tiny{}.parse(t)
	whole := k.AppendIDs(nil, "the cat", 0)
	for _, c := range []struct {
		prompt string
		max    int
		want   int
	}{{"", 0, 0}, {"the cat", 0, len(whole) - 1}, {"the cat", 3, 2}, {" ", 0, 1}} {
		if got := k.PromptLength(c.prompt, c.max); got != c.want {
			t.Errorf("%q of at most %d: %d tokens, want %d", c.prompt, c.max, got, c.want)
		}
	}
	bare := tiny{post: "null"}.parse(t)
	if got := bare.PromptLength("the cat", 0); got != len(whole)-2 {
		t.Errorf("without special tokens: %d, want %d", got, len(whole)-2)
	}
}
