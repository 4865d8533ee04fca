package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestHostile parses every hostile tokenizer of the reference data.
func TestHostile(t *testing.T) {
	dir := sharedDir(t, "fixtures", "hostile")
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "expect.json")), &expect); err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, e := range expect {
		if !strings.HasPrefix(name, "tok-") {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			data := readFile(t, filepath.Join(dir, name, "tokenizer.json"))
			k, err := parseBounded(t, data)
			var place *Error
			switch {
			case err == nil && e.Verdict == "refuse":
				t.Errorf("accepted: %s", e.Wrong)
			case err == nil:
				k.AppendIDs(nil, "survive this: é 中", 0)
			case !errors.As(err, &place):
				t.Errorf("error %v names no place", err)
			}
			t.Logf("%s: %v", e.Wrong, err)
		})
	}
	if n == 0 {
		t.Error("no hostile tokenizers")
	}
}

// parseBounded parses data and checks that all it allocated, garbage included,
// is a small multiple of it. Regexes, of which a file may have 64 KiB, cost more.
func parseBounded(tb testing.TB, data []byte) (*Tokenizer, error) {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	k, err := Parse(data)
	runtime.ReadMemStats(&after)
	tb.Logf("%d bytes allocated, %.1f for each of input", after.TotalAlloc-before.TotalAlloc, float64(after.TotalAlloc-before.TotalAlloc)/float64(len(data)))
	if used, limit := after.TotalAlloc-before.TotalAlloc, parseLimit(data); used > limit {
		tb.Errorf("%d bytes allocated for %d of input", used, len(data))
	}
	return k, err
}

func parseLimit(data []byte) uint64 {
	limit := 96*len(data) + 64<<10
	if bytes.Contains(data, []byte(`"Regex"`)) {
		limit += 32 << 20
	}
	return uint64(limit)
}

// TestMemory parses files made to cost the most for their size.
func TestMemory(t *testing.T) {
	const n = 200_000
	var distinct strings.Builder
	for i := range n / 10 {
		fmt.Fprintf(&distinct, `"%d":{},`, i)
	}
	special := `{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{` + strings.TrimSuffix(distinct.String(), ",") + `}}`
	for name, data := range map[string]string{
		"many numbers":      tiny{padding: "[" + strings.Repeat("1,", n) + "1]"}.json(),
		"many arrays":       tiny{padding: "[" + strings.Repeat("[],", n) + "1]"}.json(),
		"many objects":      tiny{pre: `{"type":"Sequence","pretokenizers":[` + strings.Repeat(bertPre+",", n/20) + bertPre + `]}`}.json(),
		"many keys":         tiny{post: special}.json(),
		"many unknown":      "{" + strings.TrimSuffix(distinct.String(), ",") + "}",
		"one long word":     tiny{words: []string{"[UNK]", strings.Repeat("x", n)}, post: "null"}.json(),
		"one long string":   tiny{model: `{"type":"` + strings.Repeat("x", n) + `"}`}.json(),
		"a long number":     tiny{model: `{"type":"WordPiece","vocab":{"a":` + strings.Repeat("1", n) + `}}`}.json(),
		"sparse ids":        tiny{model: `{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"a":1000}}`}.json(),
		"many merges":       tiny{model: bpeJSON("a b ab", strings.TrimSuffix(strings.Repeat("a b,", n/10), ","), "")}.json(),
		"many pieces":       tiny{model: unigramJSON(strings.Repeat("a -1 ", n/10), "")}.json(),
		"one long piece":    tiny{model: unigramJSON(strings.Repeat("x", n)+" -1", "")}.json(),
		"folded classes":    tiny{normalizer: replaceJSON("(?i)" + strings.Repeat(`[\p{Lu}]`, 2000))}.json(),
		"repeated groups":   tiny{normalizer: replaceJSON(strings.Repeat("(?:ab){999}", 1000))}.json(),
		"many regexes":      tiny{normalizer: `{"type":"Sequence","normalizers":[` + strings.TrimSuffix(strings.Repeat(replaceJSON("(?:ab){99}")+",", 5000), ",") + `]}`}.json(),
		"long charsmap":     tiny{normalizer: `{"type":"Precompiled","precompiled_charsmap":"` + strings.Repeat("A", n) + `"}`}.json(),
		"many decoders":     tiny{decoder: `{"type":"Sequence","decoders":[` + strings.Repeat(`{"type":"Fuse"},`, n/20) + `{"type":"Fuse"}]}`}.json(),
		"deep":              strings.Repeat("[", n),
		"escapes":           `"` + strings.Repeat(`\u0041`, n) + `"`,
		"long unfinished":   `"` + strings.Repeat("x", n),
		"nothing but space": strings.Repeat(" ", n),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseBounded(t, []byte(data))
			t.Logf("%.150v", err)
		})
	}
}

// replaceJSON writes a Replace normalizer of a regex.
func replaceJSON(regex string) string {
	return `{"type":"Replace","pattern":{"Regex":` + string(appendString(nil, regex)) + `},"content":"x"}`
}

// TestGrowth: no tokenizer blows a text up without bound.
func TestGrowth(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	levels := strings.Repeat(`{"type":"ByteLevel"},`, 60)
	level := strings.Repeat(byteLevelPre+",", 60)
	for name, y := range map[string]tiny{
		"Replace":         {normalizer: `{"type":"Replace","pattern":{"String":"a"},"content":"` + long + `"}`},
		"Prepend":         {normalizer: `{"type":"Sequence","normalizers":[` + strings.TrimSuffix(strings.Repeat(`{"type":"Prepend","prepend":"`+long+`"},`, 9), ",") + `]}`},
		"normalizers":     {normalizer: `{"type":"Sequence","normalizers":[` + strings.TrimSuffix(levels, ",") + `]}`},
		"pre-tokenizers":  {pre: `{"type":"Sequence","pretokenizers":[` + strings.TrimSuffix(level, ",") + `]}`},
		"nested Replaces": {normalizer: `{"type":"Sequence","normalizers":[` + strings.TrimSuffix(strings.Repeat(replaceJSON("")+",", 60), ",") + `]}`},
	} {
		k := y.parse(t)
		text := strings.Repeat("aé ", 1000)
		if _, err := k.Encode(text, nil, true); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: error %v, want ErrLimit", name, err)
		}
		k.AppendIDs(nil, text, 0)
	}
}

// TestRefused names what is wrong and where.
func TestRefused(t *testing.T) {
	template := func(single, specials string) string {
		return `{"type":"TemplateProcessing","single":[` + single + `],"pair":[],"special_tokens":{` + specials + `}}`
	}
	model := func(rest string) string {
		return `{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",` + rest + `}`
	}
	pad := func(strategy string) string {
		return `{"strategy":` + strategy + `,"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":"x"}`
	}
	for _, c := range []struct {
		data string
		want string
		kind error
	}{
		{tiny{normalizer: `{"type":"Quantum"}`}.json(), `normalizer: unsupported type "Quantum"`, ErrUnsupported},
		{tiny{pre: `{"type":"Sequence","pretokenizers":[` + bertPre + `,{"type":"Chop"}]}`}.json(), `pre_tokenizer.pretokenizers[1]: unsupported type "Chop"`, ErrUnsupported},
		{tiny{model: `{"type":"CharLevel","vocab":[]}`}.json(), `model: unsupported type "CharLevel"`, ErrUnsupported},
		{tiny{model: `{"type":"WordLevel","vocab":{"a":0}}`}.json(), `model: missing key "unk_token"`, ErrCorrupt},
		{tiny{model: `{"type":"WordLevel","vocab":[],"unk_token":"a"}`}.json(), `model.vocab: expected an object, got an array`, ErrCorrupt},
		{tiny{model: `{"type":"WordLevel","vocab":{"a":0},"unk_token":null}`}.json(), `model.unk_token: expected a string`, ErrCorrupt},
		{tiny{post: `{"type":"AlbertProcessing"}`}.json(), `post_processor: unsupported type "AlbertProcessing"`, ErrUnsupported},
		{tiny{decoder: `{"type":"Speech"}`}.json(), `decoder: unsupported type "Speech"`, ErrUnsupported},
		{tiny{model: `{"vocab":{}}`}.json(), `model: missing key "type"`, ErrCorrupt},
		{tiny{normalizer: `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":1,"lowercase":true}`}.json(), `normalizer.strip_accents: expected true or false, got a number`, ErrCorrupt},
		{tiny{normalizer: `{"type":"BertNormalizer","new":1}`}.json(), `normalizer: unknown key "new"`, ErrUnsupported},
		{tiny{normalizer: `{"type":"BertNormalizer","lowercase":true,"lowercase":true}`}.json(), `normalizer.lowercase: duplicate key`, ErrCorrupt},
		{tiny{normalizer: `7`}.json(), `normalizer: expected an object, got a number`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":9,"vocab":{"[UNK]":0,"a":0}`)}.json(), `model.vocab: duplicate id 0`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":9,"vocab":{"[UNK]":0,"[UN\u004b]":1}`)}.json(), `model.vocab: duplicate word "[UNK]"`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":9,"vocab":{"[UNK]":-1}`)}.json(), `model.vocab: expected a whole number from 0 to 1031, got -1`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":9,"vocab":{"[UNK]":1000000000}`)}.json(), `model.vocab: expected a whole number from 0 to 1031, got 1000000000`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":9,"vocab":{"[UNK]":1.0}`)}.json(), `got 1.0`, ErrCorrupt},
		{tiny{model: model(`"max_input_chars_per_word":-0,"vocab":{"a":1}`)}.json(), `model.max_input_chars_per_word: expected a whole number`, ErrCorrupt},
		{tiny{model: model(`"vocab":{}`)}.json(), `model: missing key "max_input_chars_per_word"`, ErrCorrupt},
		{tiny{post: template(`{"SpecialToken":{"id":"[NOPE]","type_id":0}}`, ``)}.json(), `post_processor.single[0].SpecialToken: special token "[NOPE]" is not defined`, ErrCorrupt},
		{tiny{post: template(`{"Sequence":{"id":"B","type_id":0}}`, ``)}.json(), `post_processor.single[0].Sequence: a template for one text names the second`, ErrCorrupt},
		{tiny{post: template(`{}`, ``)}.json(), `post_processor.single[0]: expected a Sequence or a SpecialToken`, ErrCorrupt},
		{tiny{post: template(``, `"E":{"id":"E","ids":[3,2],"tokens":["x"]}`)}.json(), `post_processor.special_tokens.E: 2 ids for 1 tokens`, ErrCorrupt},
		{tiny{post: template(``, `"E":{"id":"E","ids":[99],"tokens":["x"]}`)}.json(), `post_processor.special_tokens.E.ids[0]: expected a whole number from 0 to 19, got 99`, ErrCorrupt},
		{tiny{post: template(``, `"E":{"id":"F","ids":[1],"tokens":["x"]}`)}.json(), `post_processor.special_tokens.E: id "F" under key "E"`, ErrCorrupt},
		{tiny{post: `{"type":"BertProcessing","sep":["[SEP]"],"cls":["[CLS]",2]}`}.json(), `sep: expected a token and an id`, ErrCorrupt},
		{tiny{added: []string{"x|", "x|"}}.json(), `added_tokens[1]: duplicate content "x"`, ErrCorrupt},
		{strings.Replace(tiny{added: []string{"x|"}}.json(), `"id":20`, `"id":21`, 1), `added_tokens[0]: "x" has id 21, its place gives it 20`, ErrCorrupt},
		{tiny{added: []string{"[CLS]|", "[CLS]|"}}.json(), `added_tokens[1]: duplicate content "[CLS]"`, ErrCorrupt},
		{tiny{added: []string{"|"}}.json(), `added_tokens[0]: content of 0 bytes`, ErrLimit},
		{tiny{added: []string{"\u00ad|n"}}.json(), `added_tokens: added token "\u00ad" normalizes to nothing`, ErrUnsupported},
		{tiny{truncation: `{"max_length":5,"strategy":"Random","stride":0}`}.json(), `truncation.strategy: unsupported value "Random"`, ErrUnsupported},
		{tiny{truncation: `{"max_length":5e3,"strategy":"OnlyFirst","stride":0}`}.json(), `truncation.max_length: expected a whole number`, ErrCorrupt},
		{tiny{padding: pad(`{"Fixed":9000000}`)}.json(), `padding.strategy.Fixed: expected a whole number from 0 to 1048576`, ErrCorrupt},
		{tiny{padding: pad(`"Shortest"`)}.json(), `padding.strategy: unsupported value "Shortest"`, ErrUnsupported},
		{tiny{words: []string{"[UNK]", strings.Repeat("x", 5000)}, post: "null"}.json(), `model.vocab: word of 5000 bytes, expected at most 4096`, ErrLimit},
		{tiny{model: unigramJSON(strings.Repeat("x", 5000)+" -1", "")}.json(), `model.vocab: word of 5000 bytes`, ErrLimit},
		{tiny{model: unigramJSON("a -1", `"unk_id":1,`)}.json(), `model.unk_id: expected a whole number from 0 to 0, got 1`, ErrCorrupt},
		{tiny{model: unigramJSON("a x", "")}.json(), `json: expected a value`, ErrCorrupt},
		{tiny{model: `{"type":"Unigram","vocab":[["a"]]}`}.json(), `model.vocab: expected a word and a score`, ErrCorrupt},
		{tiny{model: bpeJSON("a b", "a b", "")}.json(), `model.merges: merge to "ab", which is not in the vocabulary`, ErrCorrupt},
		{tiny{model: bpeJSON("a b", "a c", "")}.json(), `model.merges: merge of "a" and "c", not both in the vocabulary`, ErrCorrupt},
		{tiny{model: bpeJSON("a b", "a b a", "")}.json(), `model.merges: merge "a b a" is not two tokens`, ErrCorrupt},
		{tiny{model: bpeJSON("a b", "", `"dropout":0.1,`)}.json(), `model.dropout: dropout, which makes tokens random`, ErrUnsupported},
		{tiny{normalizer: replaceJSON("(a)\\1")}.json(), `normalizer.pattern: regex`, ErrUnsupported},
		{tiny{pre: `{"type":"Sequence","pretokenizers":[` + strings.Repeat(bertPre+",", 2000) + bertPre + `]}`}.json(), `over 1024 components`, ErrLimit},
		{tiny{normalizer: `{"type":"Precompiled","precompiled_charsmap":"!"}`}.json(), `normalizer: precompiled_charsmap: illegal base64`, ErrCorrupt},
		{tiny{pre: `{"type":"Metaspace","replacement":"ab","prepend_scheme":"first"}`}.json(), `pre_tokenizer: replacement "ab" is not one character`, ErrCorrupt},
		{`{"version":"2.0"}`, `version: unsupported version`, ErrUnsupported},
		{`{"version":"1.0"}`, `tokenizer: missing key "model"`, ErrCorrupt},
		{`{"versoin":"1.0"}`, `tokenizer: unknown key "versoin"`, ErrUnsupported},
		{`[]`, `tokenizer: expected an object, got an array`, ErrCorrupt},
	} {
		_, err := Parse([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.kind) {
			t.Errorf("got %v\nwant %s (%v)", err, c.want, c.kind)
		}
	}
}

// TestJSON checks the scanner's grammar.
func TestJSON(t *testing.T) {
	for _, good := range []string{
		`{}`, ` [ ] `, `[1,-0,0.5,1e9,-12.5E-3]`, `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, `{"a":{"b":[null,true,false]}}`, `"é中😀"`,
	} {
		if _, err := parseJSON([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		``, ` `, `{`, `[`, `[1,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `[1 2]`, `01`, `1.`, `.5`, `1e`, `+1`, `-`, `tru`, `nulll`, `"`, `"a`,
		"\"\n\"", `"\x"`, `"\u12g4"`, `"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud800x"`, `"\u00"`, `1 1`, "\xff", "\"\xed\xa0\x80\"", "\x00",
		"\ufeff{}", `'a'`, `NaN`, strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	} {
		if _, err := parseJSON([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	d, err := parseJSON([]byte(`"a\u00e9\ud83d\ude00\n"`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.bytes(0, nil)); got != "aé😀\n" {
		t.Errorf("unescaped to %q", got)
	}
}
