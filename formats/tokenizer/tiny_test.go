package tokenizer

import (
	"fmt"
	"strings"
	"testing"
)

// tiny is a tokenizer.json of a few words, whose sections tests replace.
type tiny struct {
	normalizer, pre, post, decoder, truncation, padding string
	added                                               []string // content and flags, see addedJSON
	words                                               []string
	model                                               string
}

// tinyWords are the words of a tiny tokenizer; ids count from 0.
var tinyWords = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "##c", "ab", "the", "cat", "##s", "!", "é", "e", "i", "café", "中", "α", "σ"}

const (
	bertNorm     = `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`
	bertPre      = `{"type":"BertPreTokenizer"}`
	bertPost     = `{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]}`
	wordPieceDec = `{"type":"WordPiece","prefix":"##","cleanup":true}`
)

func (y tiny) json() string {
	def := func(s, d string) string {
		if s == "" {
			return d
		}
		return s
	}
	words := y.words
	if words == nil {
		words = tinyWords
	}
	var vocab []string
	for i, w := range words {
		vocab = append(vocab, fmt.Sprintf("%s:%d", appendString(nil, w), i))
	}
	model := def(y.model, `{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":20,"vocab":{`+
		strings.Join(vocab, ",")+`}}`)
	var added []string
	next := len(words)
	for _, a := range y.added {
		content, flags, _ := strings.Cut(a, "|")
		id := next
		for i, w := range words {
			if w == content {
				id = i
			}
		}
		if id == next {
			next++
		}
		has := func(f string) bool { return strings.Contains(flags, f) }
		added = append(added, fmt.Sprintf(`{"id":%d,"content":%s,"single_word":%v,"lstrip":%v,"rstrip":%v,"normalized":%v,"special":%v}`,
			id, appendString(nil, content), has("w"), has("l"), has("r"), has("n"), has("s")))
	}
	return fmt.Sprintf(`{"version":"1.0","truncation":%s,"padding":%s,"added_tokens":[%s],"normalizer":%s,"pre_tokenizer":%s,"post_processor":%s,"decoder":%s,"model":%s}`,
		def(y.truncation, "null"), def(y.padding, "null"), strings.Join(added, ","), def(y.normalizer, bertNorm),
		def(y.pre, bertPre), def(y.post, bertPost), def(y.decoder, wordPieceDec), model)
}

func (y tiny) parse(tb testing.TB) *Tokenizer {
	tb.Helper()
	k, err := Parse([]byte(y.json()))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}
