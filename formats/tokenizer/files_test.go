package tokenizer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// oldFiles are the files of a model folder that FromFiles converts.
var oldFiles = []string{"vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "spm.model",
	"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}

// without returns a folder in memory, less some of its files.
func without(t *testing.T, dir string, drop ...string) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	for _, name := range oldFiles {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: data}
	}
	for _, name := range drop {
		delete(m, name)
	}
	return m
}

// TestFromFiles converts the old files of every model at hand and compares with
// the tokenizer.json that transformers made of them.
func TestFromFiles(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(sharedDir(t, "fixtures"), "*", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		m := without(t, dir)
		if m["vocab.txt"] == nil && m["merges.txt"] == nil && m["spiece.model"] == nil && m["sentencepiece.bpe.model"] == nil && m["spm.model"] == nil {
			continue
		}
		want := parseFile(t, path)
		got, err := FromFiles(m)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
			continue
		}
		toSingles(want)
		toSingles(got)
		if a, b := string(want.Canonical(0)), string(got.Canonical(0)); a != b {
			at := 0
			for at < min(len(a), len(b)) && a[at] == b[at] {
				at++
			}
			t.Errorf("%s: differs at byte %d:\nwant %.200s\ngot  %.200s", filepath.Base(dir), at, a[max(0, at-60):], b[max(0, at-60):])
		}
		f := &files{fsys: m}
		if err := f.read(); err != nil {
			t.Fatal(err)
		}
		kinds[f.kind]++
		if guessed, err := FromFiles(without(t, dir, "tokenizer_config.json")); err != nil {
			t.Errorf("%s without tokenizer_config.json: %v", filepath.Base(dir), err)
		} else if guessed.VocabSize() != got.VocabSize() {
			t.Errorf("%s without tokenizer_config.json: %d ids, want %d", filepath.Base(dir), guessed.VocabSize(), got.VocabSize())
		}
	}
	t.Log(kinds)
	if len(kinds) < 7 {
		t.Errorf("only %v", kinds)
	}
}

// toSingles rounds the scores of a unigram model to the float32s that they come from: those of
// a tokenizer.json are off by a bit, see readNumber.
func toSingles(k *Tokenizer) {
	if m, ok := k.model.(*unigram); ok {
		for i, s := range m.scores {
			m.scores[i] = float64(float32(s))
		}
	}
}

// TestFromFilesTiny needs no reference data.
func TestFromFilesTiny(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	bert := file("[PAD]\n[UNK]\n[CLS]\r\n[SEP]\n[MASK]\na\n##b\nA")
	bpe := file(`{"<s>":0,"</s>":1,"<unk>":2,"<pad>":3,"<mask>":4,"a":5,"b":6,"ab":7,"<|endoftext|>":8}`)
	merges := file("#version: 0.2\na b\n")
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		text  string
		want  string // tokens, or the error
	}{
		{"BERT", fstest.MapFS{"vocab.txt": bert}, "A ab", "[CLS](0,0) a(0,1) a(2,3) ##b(3,4) [SEP](0,0)"},
		{"cased", fstest.MapFS{"vocab.txt": bert, "tokenizer_config.json": file(`{"do_lower_case":false}`)}, "A a", "[CLS](0,0) A(0,1) a(2,3) [SEP](0,0)"},
		{"added_tokens.json", fstest.MapFS{"vocab.txt": bert, "added_tokens.json": file(`{"xy":8}`)}, "axy", "[CLS](0,0) a(0,1) xy(1,3) [SEP](0,0)"},
		{"RoBERTa", fstest.MapFS{"vocab.json": bpe, "merges.txt": merges}, "ab <mask>", "<s>(0,0) ab(0,2)  <mask>(3,9) </s>(0,0)"},
		{"GPT-2", fstest.MapFS{"vocab.json": bpe, "merges.txt": merges, "config.json": file(`{"model_type":"gpt2"}`)}, "ab<|endoftext|>", "ab(0,2) <|endoftext|>(2,15)"},
		{"tokenizer.json goes first", fstest.MapFS{"vocab.txt": bert, "tokenizer.json": file(tiny{post: "null"}.json())}, "cats", "cat(0,3) ##s(3,4)"},
		{"user-defined piece", fstest.MapFS{"spm.model": file("\x0a\x07\x0a\x05[CLS]\x0a\x07\x0a\x05[SEP]\x0a\x07\x0a\x05[UNK]\x0a\x05\x0a\x01(\x18\x04\x0a\x03\x0a\x01a\x0a\x05\x0a\x03▁\x12\x03\xc0\x02\x02")},
			"a(a", "[CLS](0,0) ▁(0,1) a(0,1) ((1,2) ▁(2,3) a(2,3) [SEP](0,0)"},
		{"nothing", fstest.MapFS{}, "", "open vocab.txt: open vocab.txt: file does not exist"},
		{"unknown class", fstest.MapFS{"tokenizer_config.json": file(`{"tokenizer_class":"LlamaTokenizer"}`)}, "", `tokenizer_config.json: unsupported tokenizer_class "LlamaTokenizer" without a tokenizer.json (byte 0)`},
		{"specials that the vocabulary lacks are added", fstest.MapFS{"vocab.txt": file("[UNK]\na\n")}, "a", "[CLS](0,0) a(0,1) [SEP](0,0)"},
		{"a class that writes its specials down", fstest.MapFS{"spm.model": file("\x0a\x03\x0a\x01a"), "tokenizer_config.json": file(`{"bos_token":"<c>","cls_token":"<c>"}`)}, "", `vocabulary: special token "[CLS]" is missing (byte 0)`},
		{"broken model", fstest.MapFS{"spm.model": file("\x0a\xff")}, "", "spm.model: broken protocol buffer (byte 1)"},
		{"word model", fstest.MapFS{"spm.model": file("\x0a\x03\x0a\x01a\x12\x02\x18\x03")}, "", "spm.model: unsupported model_type 3, expected 1 (unigram) or 2 (BPE) (byte 0)"},
		{"BPE model: its merges are all there can be, the best pieces first", fstest.MapFS{"spm.model": file("\x0a\x07\x0a\x05[UNK]\x0a\x05\x0a\x03▁\x0a\x03\x0a\x01a\x0a\x03\x0a\x01b" +
			"\x0a\x0b\x0a\x04▁a\x15\x00\x00\x80\xbf\x0a\x09\x0a\x02ab\x15\x00\x00\x00\xbf\x12\x0a\x18\x02\xea\x02\x05[UNK]")},
			"abca", "[CLS](0,0) ▁(0,1) ab(0,2) [UNK](2,3) a(3,4) [SEP](0,0)"},
		{"GPT-2 with bos", fstest.MapFS{"vocab.json": bpe, "merges.txt": merges, "config.json": file(`{"model_type":"gpt2"}`), "tokenizer_config.json": file(`{"add_bos_token":true}`)}, "ab", "<|endoftext|>(0,0) ab(0,2)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := FromFiles(c.files)
			if err != nil {
				if err.Error() != c.want {
					t.Errorf("got error %v, want %s", err, c.want)
				}
				return
			}
			e, err := k.Encode(c.text, nil, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(e); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// FuzzSentencePiece: no panic, and what converts parses.
func FuzzSentencePiece(f *testing.F) {
	f.Add([]byte("\x0a\x03\x0a\x01a\x12\x02\x18\x01"))
	f.Add([]byte("\x0a\x0c\x0a\x05[CLS]\x15\x00\x00\x80\xbf\x0a\x07\x0a\x05[SEP]\x1a\x08\x0a\x02id\x12\x02ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"spm.model", "spiece.model", "sentencepiece.bpe.model"} {
			k, err := FromFiles(fstest.MapFS{name: &fstest.MapFile{Data: data}})
			if err == nil {
				checkText(t, k, "a b [CLS]\u0301")
			}
		}
	})
}
