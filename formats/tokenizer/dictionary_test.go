package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestDictionary: a dictionary answers as a trie of the same words does, for words of every length, of one byte or several a
// code point, alone and behind a prefix.
func TestDictionary(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	letters := []string{"a", "b", "#", "é", "日", "😀"}
	some := func(most int) string {
		var b strings.Builder
		for range random.IntN(most + 1) {
			b.WriteString(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	for round := range 60 {
		words, json := newTrie(8), ""
		for n := range 1 + random.IntN(300) {
			word := some(1 + round%7)
			if words.insert([]byte(word), int32(n)) {
				json += fmt.Sprintf(`,%q:%d`, word, n)
			}
		}
		doc, err := parseJSON([]byte("{" + json[1:] + "}"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := parseDictionary(value{doc: doc, path: "vocab"})
		if err != nil {
			t.Fatal(err)
		}
		var room []uint64
		for range 500 {
			text, prefix := some(10), []string{"", "#", "##", "é", "none"}[random.IntN(5)]
			wantID, known := words.get(text)
			if id, ok := v.id(text); id != wantID || ok != known {
				t.Fatalf("%q: %d, %v, want %d, %v", text, id, ok, wantID, known)
			}
			var want int32
			length := 0
			if node, ok := words.walk(prefix); ok {
				want, length = words.longest(node, []byte(text))
			}
			id, n, hashes := v.dict.start(v, room, v.dict.hash(0, prefix), prefix, []byte(text))
			if room = hashes; n != length || n > 0 && id != want {
				t.Fatalf("%q behind %q: %d of %d bytes, want %d of %d", text, prefix, id, n, want, length)
			}
		}
	}
}

func TestDictionaryDuplicate(t *testing.T) {
	doc, err := parseJSON([]byte(`{"a":0,"b":1,"a":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseDictionary(value{doc: doc, path: "vocab"}); err == nil || !strings.Contains(err.Error(), `duplicate word "a"`) {
		t.Errorf("a word that comes twice: %v", err)
	}
}
