package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show writes an encoding as "token(start,end) ...".
func show(e Encoding) string {
	var out []string
	for i, t := range e.Tokens {
		out = append(out, fmt.Sprintf("%s(%d,%d)", t, e.Offsets[i][0], e.Offsets[i][1]))
	}
	return strings.Join(out, " ")
}

// TestEncode needs no reference data: each answer follows from a rule.
func TestEncode(t *testing.T) {
	plain := `null`
	for _, c := range []struct {
		name string
		tiny tiny
		text string
		want string
	}{
		{"empty", tiny{}, "", "[CLS](0,0) [SEP](0,0)"},
		{"longest piece first", tiny{post: plain}, "abbc", "ab(0,2) ##b(2,3) ##c(3,4)"},
		{"a missing piece spoils the word", tiny{post: plain}, "ab abq", "ab(0,2) [UNK](3,6)"},
		{"too many characters", tiny{post: plain}, strings.Repeat("a", 21), "[UNK](0,21)"},
		{"characters, not bytes, are counted", tiny{post: plain, normalizer: "null", words: []string{"[UNK]", "é", "##é"}},
			strings.Repeat("é", 3), "é(0,1) ##é(1,2) ##é(2,3)"},
		{"punctuation stands alone", tiny{post: plain}, "cats!!", "cat(0,3) ##s(3,4) !(4,5) !(5,6)"},
		{"lowercase and accents", tiny{post: plain}, "É Α Σ", "e(0,1) α(2,3) σ(4,5)"},
		{"dotted capital I", tiny{post: plain}, "İ", "i(0,1)"},
		{"controls vanish and join", tiny{post: plain}, "a\x01\u00adb", "ab(0,4)"},
		{"Chinese is spaced out", tiny{post: plain}, "a中b", "a(0,1) 中(1,2) b(2,3)"},
		{"other white space", tiny{post: plain}, "a\u3000b\tb", "a(0,1) b(2,3) b(4,5)"},
		{"invalid UTF-8 is U+FFFD, which goes", tiny{post: plain}, "a\xffb", "ab(0,3)"},
		{"no normalizer", tiny{post: plain, normalizer: "null"}, "café A", "café(0,4) [UNK](5,6)"},
		{"no pre-tokenizer", tiny{post: plain, pre: "null"}, "a b", "[UNK](0,3)"},
		{"sequences", tiny{post: plain, normalizer: `{"type":"Sequence","normalizers":[` + bertNorm + `]}`,
			pre: `{"type":"Sequence","pretokenizers":[` + bertPre + `,` + bertPre + `]}`}, "A!", "a(0,1) !(1,2)"},
		{"raw added token", tiny{added: []string{"<X>|"}, post: plain}, "A<X>b<x>", "a(0,1) <X>(1,4) b(4,5) [UNK](5,6) [UNK](6,7) [UNK](7,8)"},
		{"normalized added token", tiny{added: []string{"QR|n"}, post: plain}, "aqrb QR", "a(0,1) qr(1,3) b(3,4) qr(5,7)"},
		{"raw goes before normalized", tiny{added: []string{"AB|n", "bc|"}, post: plain}, "abc", "a(0,1) bc(1,3)"},
		{"longest", tiny{added: []string{"x|", "xy|"}, post: plain}, "xyx", "xy(0,2) x(2,3)"},
		{"strip both sides", tiny{added: []string{"<X>|lr"}, post: plain}, "a  <X> \u3000b", "a(0,1)   <X> \u3000(1,8) b(8,9)"},
		{"single word", tiny{added: []string{"x|w", "q|"}, post: plain}, "x xa qx x", "x(0,1) [UNK](2,4) q(5,6) [UNK](6,7) x(8,9)"},
		{"rstrip over a later match", tiny{added: []string{"<X>|r", "  |"}, post: plain}, "<X>  a", "<X>  (0,5)   (3,5) a(5,6)"},
		{"hole in the ids", tiny{post: plain, model: `{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"","max_input_chars_per_word":9,"vocab":{"u":0,"a":700}}`}, "aau", "a(0,1) a(1,2) u(2,3)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.tiny.model != "" {
				c.tiny.words = []string{"u", "a"}
			}
			k := c.tiny.parse(t)
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
		})
	}
}

// TestMissingSections: what a file leaves out it has not, as in the library.
func TestMissingSections(t *testing.T) {
	k, err := Parse([]byte(`{"model":{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"","max_input_chars_per_word":9,"vocab":{"u":0,"a":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if e, err := k.Encode("aau", nil, true); err != nil || show(e) != "a(0,1) a(1,2) u(2,3)" {
		t.Errorf("got %s, %v", show(e), err)
	}
}

// TestMarksExchangeSpans: canonical ordering moves marks, not their spans.
func TestMarksExchangeSpans(t *testing.T) {
	var in, spare text
	in.reset(true)
	in.load([]byte("x\u0301\u302E\u0323y\u00E9\u0323"), 0)
	decompose(&in, &spare)
	if got, want := string(in.b), "x\u0323\u302E\u0301ye\u0323\u0301"; got != want {
		t.Fatalf("got %+q, want %+q", got, want)
	}
	var spans []span
	for i := range string(in.b) {
		spans = append(spans, in.spans[i])
	}
	want := []span{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {6, 7}}
	if d := cmp.Diff(want, spans, cmp.AllowUnexported(span{})); d != "" {
		t.Errorf("spans (-want +got):\n%s", d)
	}
}

func TestTruncation(t *testing.T) {
	const form = `{"max_length":%d,"strategy":"%s","stride":%d,"direction":"%s"}`
	pair := "b b"
	for _, c := range []struct {
		name, text string
		pair       *string
		max        int
		strategy   string
		stride     int
		direction  string
		want       string
		err        error
	}{
		{"right", "a b a", nil, 4, "LongestFirst", 0, "Right", "2 4 5 3; 2 4 3", nil},
		{"left with stride", "a b a b", nil, 4, "LongestFirst", 1, "Left", "2 4 5 3; 2 5 4 3; 2 4 5 3", nil},
		{"room for no text", "a b", nil, 2, "LongestFirst", 0, "Right", "2 3; 2 4 5 3", nil},
		{"less than the specials cuts nothing", "a b", nil, 1, "LongestFirst", 0, "Right", "2 4 5 3", nil},
		{"pair shares", "a a a", &pair, 6, "LongestFirst", 0, "Right", "2 4 4 3 5 3; 2 4 3 5 3; 2 4 3 5 3; 2 4 4 3 5 3", nil},
		{"second only", "a", &pair, 5, "OnlySecond", 0, "Right", "2 4 3 5 3; 2 4 3 5 3", nil},
		{"no second", "a b", nil, 3, "OnlySecond", 0, "Right", "", errNoSecond},
		{"first too short", "a", &pair, 4, "OnlyFirst", 0, "Right", "", errTooShort},
		{"stride too long", "a b a", nil, 4, "LongestFirst", 2, "Right", "", errStride},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := tiny{truncation: fmt.Sprintf(form, c.max, c.strategy, c.stride, c.direction)}.parse(t)
			got, err := k.Encode(c.text, c.pair, true)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			var parts []string
			for _, e := range append([]Encoding{got}, got.Overflowing...) {
				parts = append(parts, strings.Trim(fmt.Sprint(e.IDs), "[]"))
			}
			if s := strings.Join(parts, "; "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
			if ids := k.AppendIDs(nil, c.text, 0); err == nil && c.pair == nil && !slices.Equal(ids, got.IDs) {
				t.Errorf("AppendIDs gives %v, Encode %v", ids, got.IDs)
			}
		})
	}
}

func TestPadding(t *testing.T) {
	k := tiny{padding: `{"strategy":"BatchLongest","direction":"Left","pad_to_multiple_of":4,"pad_id":0,"pad_type_id":7,"pad_token":"[PAD]"}`}.parse(t)
	got, err := k.EncodeBatch([]Input{{Text: "a"}, {Text: "a b a"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := Encoding{
		IDs:           []int32{0, 0, 0, 0, 0, 2, 4, 3},
		TypeIDs:       []int32{7, 7, 7, 7, 7, 0, 0, 0},
		Tokens:        []string{"[PAD]", "[PAD]", "[PAD]", "[PAD]", "[PAD]", "[CLS]", "a", "[SEP]"},
		Offsets:       [][2]int{6: {0, 1}, 7: {}},
		SpecialMask:   []int32{1, 1, 1, 1, 1, 1, 0, 1},
		AttentionMask: []int32{0, 0, 0, 0, 0, 1, 1, 1},
		Words:         []int32{-1, -1, -1, -1, -1, -1, 0, -1},
		Sequences:     []int32{-1, -1, -1, -1, -1, -1, 0, -1},
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got[1].Len() != 8 {
		t.Errorf("second has %d tokens", got[1].Len())
	}
}

// A text that is too long for one window is in several, each with the whole question;
// neighbours share stride tokens.
func TestWindows(t *testing.T) {
	k := tiny{}.parse(t)
	got, err := k.Windows("a b", "b a b a b", 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range got {
		if e.Len() > 8 || len(e.Overflowing) != 0 {
			t.Errorf("a window of %d tokens", e.Len())
		}
		texts = append(texts, strings.Join(e.Tokens, " "))
	}
	want := []string{"[CLS] a b [SEP] b a b [SEP]", "[CLS] a b [SEP] b a b [SEP]"}
	if d := cmp.Diff(want, texts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int32{-1, 0, 0, -1, 1, 1, 1, -1}, got[1].Sequences); d != "" {
		t.Errorf("sequences (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int32{-1, 0, 1, -1, 2, 3, 4, -1}, got[1].Words); d != "" {
		t.Errorf("words (-want +got):\n%s", d)
	}
	if _, err := k.Windows("a b a b a b", "b", 5, 1); err == nil {
		t.Error("a question that fills the window")
	}
}

func TestTemplateSwapsTexts(t *testing.T) {
	k := tiny{post: `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":2}},{"SpecialToken":{"id":"E","type_id":1}}],
		"pair":[{"Sequence":{"id":"B","type_id":1}},{"SpecialToken":{"id":"E","type_id":5}},{"Sequence":{"id":"A","type_id":0}}],
		"special_tokens":{"E":{"id":"E","ids":[3,2],"tokens":["x","y"]}}}`}.parse(t)
	pair := "b"
	got, err := k.Encode("a", &pair, true)
	if err != nil {
		t.Fatal(err)
	}
	want := Encoding{IDs: []int32{5, 3, 2, 4}, TypeIDs: []int32{1, 5, 5, 0}, Tokens: []string{"b", "x", "y", "a"},
		Offsets: [][2]int{{0, 1}, {}, {}, {0, 1}}, SpecialMask: []int32{0, 1, 1, 0}, AttentionMask: []int32{1, 1, 1, 1},
		Words: []int32{0, -1, -1, 0}, Sequences: []int32{1, -1, -1, 0}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if n := k.SpecialCount(true); n != 2 {
		t.Errorf("SpecialCount(true) = %d", n)
	}
}

func TestOverflowIsBounded(t *testing.T) {
	k := tiny{post: "null", truncation: `{"max_length":2,"strategy":"LongestFirst","stride":0}`}.parse(t)
	long := strings.Repeat("a ", 1000)
	if _, err := k.Encode(long, &long, true); !errors.Is(err, ErrLimit) {
		t.Errorf("error %v, want ErrLimit", err)
	}
	if _, err := k.Encode(long, nil, true); err != nil {
		t.Error(err)
	}
}

func TestAppendIDsMax(t *testing.T) {
	k := tiny{}.parse(t)
	for max, want := range map[int][]int32{
		0: {2, 4, 5, 4, 3}, 1: {2}, 2: {2, 3}, 3: {2, 4, 3}, 4: {2, 4, 5, 3}, 5: {2, 4, 5, 4, 3}, 9: {2, 4, 5, 4, 3},
	} {
		if got := k.AppendIDs([]int32{9}, "a b a", max); !slices.Equal(got[1:], want) || got[0] != 9 {
			t.Errorf("max %d: got %v, want %v", max, got[1:], want)
		}
	}
}

func TestDecode(t *testing.T) {
	ids := []int32{2, 10, 11, 12, 99, -5, 9, 3}
	for _, c := range []struct {
		decoder string
		skip    bool
		want    string
	}{
		{wordPieceDec, false, "[CLS] cats! the [SEP]"},
		{wordPieceDec, true, "cats! the"},
		{"null", true, "cat ##s ! the"},
		{`{"type":"WordPiece","prefix":"##","cleanup":false}`, true, "cats ! the"},
	} {
		k := tiny{decoder: c.decoder, added: []string{"[CLS]|s", "[SEP]|s"}}.parse(t)
		if got := k.Decode(ids, c.skip); got != c.want {
			t.Errorf("%s skip %v: got %q, want %q", c.decoder, c.skip, got, c.want)
		}
	}
}

func TestLookups(t *testing.T) {
	k := tiny{added: []string{"[CLS]|s", "new|"}, truncation: `{"max_length":8,"strategy":"LongestFirst","stride":0}`}.parse(t)
	n := len(tinyWords)
	if got := k.VocabSize(); got != n+1 {
		t.Errorf("VocabSize %d, want %d", got, n+1)
	}
	if id, ok := k.ID("new"); !ok || int(id) != n {
		t.Errorf("ID(new) = %d, %v", id, ok)
	}
	if s, ok := k.Token(int32(n)); !ok || s != "new" {
		t.Errorf("Token(%d) = %q, %v", n, s, ok)
	}
	if s, ok := k.Token(10); !ok || s != "cat" {
		t.Errorf("Token(10) = %q, %v", s, ok)
	}
	for _, id := range []int32{-1, int32(n) + 1} {
		if _, ok := k.Token(id); ok {
			t.Errorf("Token(%d) found", id)
		}
	}
	if !k.IsSpecial(2) || k.IsSpecial(int32(n)) || k.IsSpecial(4) {
		t.Error("IsSpecial is wrong")
	}
	if k.MaxLength() != 8 || k.SpecialCount(false) != 2 {
		t.Errorf("MaxLength %d, SpecialCount %d", k.MaxLength(), k.SpecialCount(false))
	}
}

func TestCanonical(t *testing.T) {
	y := tiny{added: []string{"q\"\\\x01|lrwns", "[CLS]|s"}, padding: `{"strategy":{"Fixed":9},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"}`,
		truncation: `{"max_length":5,"strategy":"OnlyFirst","stride":1,"direction":"Left"}`}
	k := y.parse(t)
	first := k.Canonical(6)
	again, err := Parse(first)
	if err != nil {
		t.Fatalf("%v in\n%s", err, first)
	}
	if second := again.Canonical(6); string(second) != string(first) {
		t.Errorf("canonical form of the canonical form differs:\n%s\n%s", first, second)
	}
	spaced, err := Parse([]byte(strings.ReplaceAll(y.json(), ",", " ,\n ")))
	if err != nil {
		t.Fatal(err)
	}
	if got := spaced.Canonical(6); string(got) != string(first) {
		t.Errorf("white space changes the canonical form:\n%s\n%s", first, got)
	}
	got, err := again.Encode("a b a b a b", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{2, 4, 5, 4, 5, 3}; !slices.Equal(got.IDs, want) {
		t.Errorf("got %v, want %v", got.IDs, want)
	}
	if none, err := Parse(k.Canonical(0)); err != nil || none.MaxLength() != 0 {
		t.Errorf("Canonical(0): %v, length %d", err, none.MaxLength())
	}
}

func TestAppendIDsAllocatesNothing(t *testing.T) {
	k := tiny{added: []string{"<X>|", "qr|n"}}.parse(t)
	text := strings.Repeat("The café <X> QR 中 cats\u0323\u0301! ", 40)
	dst := k.AppendIDs(nil, text, 0)
	if n := testing.AllocsPerRun(50, func() { dst = k.AppendIDs(dst[:0], text, 0) }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations a call", n)
	}
}

// TestKindsAllocateNothing: no tokenizer allocates on the hot path.
func TestKindsAllocateNothing(t *testing.T) {
	text := strings.Repeat("a ab é b's | ab\u0301 12 x\u0085 <s> ", 40)
	for i, y := range kinds() {
		k := y.parse(t)
		dst := k.AppendIDs(nil, text, 0)
		if len(dst) < 100 {
			t.Errorf("kind %d: only %d ids", i, len(dst))
		}
		if n := testing.AllocsPerRun(50, func() { dst = k.AppendIDs(dst[:0], text, 0) }); n != 0 && !raceEnabled {
			t.Errorf("kind %d: %v allocations a call", i, n)
		}
	}
}

// TestKindsRoundTrip: the canonical form of every component parses to the same.
func TestKindsRoundTrip(t *testing.T) {
	for i, y := range kinds() {
		k := y.parse(t)
		first := k.Canonical(9)
		again, err := Parse(first)
		if err != nil {
			t.Errorf("kind %d: %v in\n%s", i, err, first)
			continue
		}
		if second := again.Canonical(9); string(second) != string(first) {
			t.Errorf("kind %d: canonical form of the canonical form differs:\n%s\n%s", i, first, second)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	k := tiny{added: []string{"<X>|"}}.parse(t)
	text := strings.Repeat("The café <X> cats! ", 20)
	want := k.AppendIDs(nil, text, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				e, err := k.Encode(text, nil, true)
				if err != nil || !slices.Equal(e.IDs, want) || !slices.Equal(k.AppendIDs(nil, text, 0), want) {
					t.Errorf("got %v, error %v", e.IDs, err)
				}
			}
		})
	}
	wg.Wait()
}
