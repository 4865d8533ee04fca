package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// golden is an encoding as the reference data has it.
type golden struct {
	IDs           []int32  `json:"ids"`
	Tokens        []string `json:"tokens"`
	TypeIDs       []int32  `json:"type_ids"`
	Offsets       [][2]int `json:"offsets"`
	SpecialMask   []int32  `json:"special_mask"`
	AttentionMask []int32  `json:"attention_mask"`
	Words         []int32  `json:"word_ids"`     // of pairs only
	Sequences     []int32  `json:"sequence_ids"` // of pairs only
	Overflowing   []golden `json:"overflowing"`
}

type goldenCase struct {
	golden
	Text        string  `json:"text"`
	Pair        *string `json:"pair"`
	Special     bool    `json:"add_special_tokens"`
	Decoded     *string `json:"decoded"`
	DecodedSkip *string `json:"decoded_skip_special"`
	Normalized  *string `json:"normalized"`
}

type goldenBatch struct {
	Inputs  []any    `json:"inputs"`
	Special bool     `json:"add_special_tokens"`
	Outputs []golden `json:"outputs"`
}

type goldenDecode struct {
	IDs         []int32 `json:"ids"`
	SkipSpecial bool    `json:"skip_special_tokens"`
	Decoded     string  `json:"decoded"`
}

// encoding converts g; the reference has no tokens for what overflows.
func (g golden) encoding() Encoding {
	e := Encoding{IDs: g.IDs, TypeIDs: g.TypeIDs, Tokens: g.Tokens, Offsets: g.Offsets,
		SpecialMask: g.SpecialMask, AttentionMask: g.AttentionMask, Words: g.Words, Sequences: g.Sequences}
	for _, o := range g.Overflowing {
		e.Overflowing = append(e.Overflowing, o.encoding())
	}
	return e
}

// same is a fast equality; cmp, which is slow, explains differences.
func (g golden) same(e Encoding, top bool) bool {
	return slices.Equal(g.IDs, e.IDs) && slices.Equal(g.TypeIDs, e.TypeIDs) && slices.Equal(g.Offsets, e.Offsets) &&
		slices.Equal(g.SpecialMask, e.SpecialMask) && slices.Equal(g.AttentionMask, e.AttentionMask) &&
		(!top || slices.Equal(g.Tokens, e.Tokens)) &&
		(g.Words == nil || slices.Equal(g.Words, e.Words)) && (g.Sequences == nil || slices.Equal(g.Sequences, e.Sequences)) &&
		slices.EqualFunc(g.Overflowing, e.Overflowing, func(g golden, e Encoding) bool { return g.same(e, false) })
}

func diffEncoding(want golden, got Encoding) string {
	if want.same(got, true) {
		return ""
	}
	got.Overflowing = slices.Clone(got.Overflowing)
	for i := range got.Overflowing {
		got.Overflowing[i].Tokens = nil
	}
	return cmp.Diff(want.encoding(), got, cmpopts.EquateEmpty())
}

// TestReference checks every folder of the reference data: those in
// testdata/accepted.txt must be matched exactly, all others refused by name.
func TestReference(t *testing.T) {
	root := sharedDir(t, "tokenizers")
	accepted := strings.Fields(string(readFile(t, "testdata/accepted.txt")))
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(root, e.Name())
			k, err := Parse(readFile(t, filepath.Join(dir, "tokenizer.json")))
			if !slices.Contains(accepted, e.Name()) {
				if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "unsupported type") {
					t.Fatalf("not in accepted.txt, error %v", err)
				}
				t.Log("refused:", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			f := readFolder(t, dir)
			f.check(t, k)
			again, err := Parse(k.Canonical(0))
			if err != nil {
				t.Fatal("canonical form:", err)
			}
			again.truncation, again.padding = k.truncation, k.padding
			f.check(t, again)
		})
	}
}

// folder is the reference data of one tokenizer.
type folder struct {
	cases   []goldenCase
	batches []goldenBatch
	decodes []goldenDecode
}

func readFolder(t *testing.T, dir string) folder {
	f := folder{
		readLines[goldenCase](t, filepath.Join(dir, "cases.jsonl")),
		readLines[goldenBatch](t, filepath.Join(dir, "batches.jsonl")),
		readLines[goldenDecode](t, filepath.Join(dir, "decodes.jsonl")),
	}
	if len(f.cases) == 0 {
		t.Fatal("no cases")
	}
	t.Logf("%d cases, %d batches, %d decodes", len(f.cases), len(f.batches), len(f.decodes))
	return f
}

func (f folder) check(t *testing.T, k *Tokenizer) {
	for i, c := range f.cases {
		got, err := k.Encode(c.Text, c.Pair, c.Special)
		if err != nil {
			t.Errorf("case %d: %v", i, err)
			continue
		}
		if d := diffEncoding(c.golden, got); d != "" {
			t.Errorf("case %d %q (-want +got):\n%s", i, c.Text, d)
		}
		checkDecoded(t, k, i, c)
		if c.Pair == nil && c.Special {
			checkAppendIDs(t, k, i, c)
		}
	}
	for i, b := range f.batches {
		checkBatch(t, k, i, b)
	}
	for i, d := range f.decodes {
		if got := k.Decode(d.IDs, d.SkipSpecial); got != d.Decoded {
			t.Errorf("decode %d: got %q, want %q", i, got, d.Decoded)
		}
	}
}

func checkDecoded(t *testing.T, k *Tokenizer, i int, c goldenCase) {
	for skip, want := range map[bool]*string{false: c.Decoded, true: c.DecodedSkip} {
		if want == nil {
			continue
		}
		if got := k.Decode(c.IDs, skip); got != *want {
			t.Errorf("case %d decoded, skip %v: got %q, want %q", i, skip, got, *want)
		}
	}
}

// checkAppendIDs compares the hot path with the reference, padding aside.
func checkAppendIDs(t *testing.T, k *Tokenizer, i int, c goldenCase) {
	var want []int32
	for j, id := range c.IDs {
		if c.AttentionMask[j] == 1 {
			want = append(want, id)
		}
	}
	dst := []int32{-7}
	if got := k.AppendIDs(dst, c.Text, 0); got[0] != -7 || !slices.Equal(got[1:], want) {
		t.Errorf("case %d %q: AppendIDs gives %v, want %v", i, c.Text, got[1:], want)
	}
}

func checkBatch(t *testing.T, k *Tokenizer, i int, b goldenBatch) {
	got, err := k.EncodeBatch(inputs(b.Inputs), b.Special)
	if err != nil {
		t.Errorf("batch %d: %v", i, err)
		return
	}
	if len(got) != len(b.Outputs) {
		t.Fatalf("batch %d: %d outputs, want %d", i, len(got), len(b.Outputs))
	}
	for j := range got {
		if d := diffEncoding(b.Outputs[j], got[j]); d != "" {
			t.Errorf("batch %d, output %d (-want +got):\n%s", i, j, d)
		}
	}
}

// TestReferenceComponents checks each normalizer and pre-tokenizer alone.
func TestReferenceComponents(t *testing.T) {
	root, folders := sharedDir(t, "tokenizers"), 0
	for _, glob := range []string{"norm-*", "pre-*"} {
		dirs, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			folders++
			t.Run(filepath.Base(dir), func(t *testing.T) { checkComponents(t, dir) })
		}
	}
	if folders < 60 {
		t.Errorf("only %d folders", folders)
	}
}

func checkComponents(t *testing.T, dir string) {
	k := parseFile(t, filepath.Join(dir, "tokenizer.json"))
	type preCase struct {
		goldenCase
		PreTokens []preToken `json:"pre_tokens"`
	}
	for i, c := range readLines[preCase](t, filepath.Join(dir, "cases.jsonl")) {
		if c.Normalized == nil && c.PreTokens == nil {
			t.Fatalf("case %d: nothing to compare", i)
		}
		if c.Normalized == nil {
			c.Normalized = &c.Text
		}
		if got := normalized(k, c.Text); got != *c.Normalized {
			t.Errorf("case %d: normalized %q, want %q", i, got, *c.Normalized)
		}
		if got := preTokens(k, *c.Normalized); c.PreTokens != nil && !slices.Equal(got, c.PreTokens) {
			t.Errorf("case %d: (-want +got)\n%s", i, cmp.Diff(c.PreTokens, got))
		}
	}
}

// preToken is a word and its offsets: [word, [start, end]] in JSON.
type preToken struct {
	Word    string
	Offsets [2]int
}

func (p *preToken) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("pre-token of %d parts", len(list))
	}
	at := list[1].([]any)
	*p = preToken{list[0].(string), [2]int{int(at[0].(float64)), int(at[1].(float64))}}
	return nil
}

// normalized runs the normalizer on a whole text.
func normalized(k *Tokenizer, s string) string {
	var t, spare text
	t.reset(true)
	t.load([]byte(s), 0)
	k.normalizer.normalize(&t, &spare)
	return string(t.b)
}

// preTokens runs the pre-tokenizer on a whole text.
func preTokens(k *Tokenizer, s string) []preToken {
	var w words
	w.text.reset(true)
	w.text.load([]byte(s), 0)
	w.cur = []extent{{0, int32(len(w.text.b)), -1}}
	k.preTokenizer.split(&w)
	var out []preToken
	for _, e := range w.cur {
		if e.lo < e.hi {
			out = append(out, preToken{string(w.text.b[e.lo:e.hi]), w.text.offsets(e.lo, e.hi)})
		}
	}
	return out
}

// inputs converts texts and lists of two texts.
func inputs(list []any) []Input {
	var in []Input
	for _, v := range list {
		switch v := v.(type) {
		case string:
			in = append(in, Input{Text: v})
		case []any:
			pair := v[1].(string)
			in = append(in, Input{Text: v[0].(string), Pair: &pair})
		}
	}
	return in
}
