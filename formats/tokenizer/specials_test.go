package tokenizer

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// showAdded writes the added tokens as "id content flags", the flags w(ord),
// l(strip), r(strip), n(ormalized) and s(pecial).
func showAdded(k *Tokenizer) string {
	var out []string
	for _, t := range k.added.tokens {
		flags := ""
		for i, set := range []bool{t.singleWord, t.lstrip, t.rstrip, t.normalized, t.special} {
			if set {
				flags += "wlrns"[i : i+1]
			}
		}
		out = append(out, fmt.Sprintf("%d %s %s", t.id, t.content, flags))
	}
	return strings.Join(out, ", ")
}

// TestSpecialsOfFiles: the expected values are what transformers 4.57 searches for
// after loading the same files.
func TestSpecialsOfFiles(t *testing.T) {
	const (
		bert  = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"
		bpe   = `{"<s>":0,"</s>":1,"<unk>":2,"<pad>":3,"<mask>":4,"a":5,"b":6,"ab":7,"<|endoftext|>":8}`
		merge = "#version: 0.2\na b\n"
	)
	for _, c := range []struct{ why, files, want string }{
		{"a text has its class's flags", "vocab.txt¦" + bert, "0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] s"},
		{"special_tokens_map.json goes before tokenizer_config.json", "vocab.txt¦" + bert + `¦tokenizer_config.json¦{"mask_token":"[A]"}¦special_tokens_map.json¦{"mask_token":"[B]"}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 6 [B] s"},
		{"but not with added_tokens_decoder", "vocab.txt¦" + bert + `¦tokenizer_config.json¦{"mask_token":"[A]","added_tokens_decoder":{}}¦special_tokens_map.json¦{"mask_token":"[B]"}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 6 [A] s"},
		{"an object has flags of its own", "vocab.txt¦" + bert + `¦special_tokens_map.json¦{"mask_token":{"content":"[MASK]","lstrip":true,"normalized":true}}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] lns"},
		{"additional tokens come last and once", "vocab.txt¦" + bert + `¦tokenizer_config.json¦{"additional_special_tokens":["<e>","a"]}¦special_tokens_map.json¦{"additional_special_tokens":["<f>","<e>"]}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] s, 5 a s, 6 <e> s, 7 <f> s"},
		{"additional tokens of one text change one another", "vocab.txt¦" + bert + `¦tokenizer_config.json¦{"additional_special_tokens":[{"content":"x","lstrip":true},"x"]}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] s, 6 x s"},
		{"added_tokens.json comes first, special if a file names it so", "vocab.txt¦" + bert + `¦added_tokens.json¦{"<e>":7,"x":6}¦tokenizer_config.json¦{"additional_special_tokens":["<f>","<e>"]}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] s, 6 x n, 7 <e> s, 8 <f> s"},
		{"added_tokens_decoder has the flags of what a file names", "vocab.txt¦" + bert + `¦tokenizer_config.json¦{"mask_token":"[MASK]","added_tokens_decoder":{"4":{"content":"[MASK]","lstrip":true,"special":true}}}`,
			"0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] ls"},
		{"words that are twice leave a hole, which counts", "vocab.txt¦" + bert + `a` + "\n" + `¦added_tokens.json¦{"x":7}`, "0 [PAD] s, 1 [UNK] s, 2 [CLS] s, 3 [SEP] s, 4 [MASK] s, 6 x n"},
		{"RoBERTa's class makes tokens of texts", "vocab.json¦" + bpe + "¦merges.txt¦" + merge, "0 <s> ns, 1 </s> ns, 2 <unk> ns, 3 <pad> ns, 4 <mask> ls"},
		{"a role of the class takes other flags, but is looked for as before", "vocab.json¦" + bpe + "¦merges.txt¦" + merge + `¦tokenizer_config.json¦{"added_tokens_decoder":{"4":{"content":"<mask>","rstrip":true,"normalized":true,"special":true},"3":{"content":"<pad>","rstrip":true,"special":true}}}`,
			"0 <s> ns, 1 </s> ns, 2 <unk> ns, 3 <pad> s, 4 <mask> lns"},
		{"GPT-2", "vocab.json¦" + bpe + "¦merges.txt¦" + merge + `¦config.json¦{"model_type":"gpt2"}`, "8 <|endoftext|> ns"},
		{"tokenizer_class of config.json", "vocab.json¦" + bpe + "¦merges.txt¦" + merge + `¦config.json¦{"tokenizer_class":"GPT2TokenizerFast"}`, "8 <|endoftext|> ns"},
		{"CamemBERT", "sentencepiece.bpe.model¦\x0a\x07\x0a\x05<unk>\x0a\x07\x0a\x03<s>\x18\x03\x0a\x08\x0a\x04</s>\x18\x03\x0a\x03\x0a\x01a¦config.json¦" + `{"model_type":"camembert"}`,
			"0 <s>NOTUSED s, 1 <pad> s, 2 </s>NOTUSED s, 3 <unk> s, 4 <unk>NOTUSED s, 5 <s> s, 6 </s> s, 8 <mask> ls"},
	} {
		fsys := fstest.MapFS{}
		for f := strings.Split(c.files, "¦"); len(f) > 1; f = f[2:] {
			fsys[f[0]] = &fstest.MapFile{Data: []byte(f[1])}
		}
		k, err := FromFiles(fsys)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if got := showAdded(k); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.why, got, c.want)
		}
	}
}

// TestMergeLines: the first line is never a merge, and what has no line end is lost.
func TestMergeLines(t *testing.T) {
	for in, want := range map[string]string{"": "", "#version\na b\n": "a b", "a b\nb c\nc d\n": "b c;c d", "x\r\na b\r\nb c": "a b", "x\n": ""} {
		if got := strings.Join(mergeLines([]byte(in)), ";"); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
