package tokenizer

import (
	"strings"
	"testing"
)

// english is an ordinary paragraph, the benchmark's input.
const english = `The harbour master walked down to the quay before sunrise, as he had done every morning ` +
	`for thirty-one years. Two trawlers were late; nobody said so, but the wives of both crews stood by ` +
	`the lighthouse wall. "They'll come in with the tide," he told them, and he believed it, because the ` +
	`wind had turned south-west at 4:15 and visibility was better than six miles. `

func benchTokenizer(b *testing.B) *Tokenizer {
	return parseFile(b, sharedDir(b, "tokenizers", "bert-uncased-real", "tokenizer.json"))
}

func BenchmarkParseMiniLM(b *testing.B) {
	data := readFile(b, sharedDir(b, "models", "all-MiniLM-L6-v2", "tokenizer.json"))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendIDs(b *testing.B) {
	k := benchTokenizer(b)
	for name, text := range map[string]string{
		"english": strings.Repeat(english, 4),
		"short":   "A query of a few words",
		"german":  strings.Repeat("Über die Straße fährt der Bäcker früh; später öffnet er sein Geschäft. ", 20),
		"russian": strings.Repeat("Каждое утро начальник порта спускался к причалу. ", 30),
		"chinese": strings.Repeat("港口主管每天早上都在日出之前走到码头。", 40),
	} {
		b.Run(name, func(b *testing.B) {
			var ids []int32
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = k.AppendIDs(ids[:0], text, 0)
			}
		})
	}
}

// benchFolders are the kinds of tokenizers, by folder of the reference data.
var benchFolders = []string{"bert-uncased-real", "roberta-bbpe", "cl100k-like", "o200k-like", "sp-bpe", "sp-bpe-metaspace", "unigram-albert", "unigram-xlmr", "t5-like"}

// BenchmarkKinds tokenizes English with every kind of tokenizer.
func BenchmarkKinds(b *testing.B) {
	text := strings.Repeat(english, 20)
	for _, name := range benchFolders {
		k := parseFile(b, sharedDir(b, "tokenizers", name, "tokenizer.json"))
		b.Run(name, func(b *testing.B) {
			var ids []int32
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = k.AppendIDs(ids[:0], text, 0)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	k := benchTokenizer(b)
	text := strings.Repeat(english, 4)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Encode(text, nil, true); err != nil {
			b.Fatal(err)
		}
	}
}
