package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skiff/formats/safetensors"
)

// TestFixtures checks the second set of reference data, made with another
// library's front end, where its tokenizers are within what is implemented.
func TestFixtures(t *testing.T) {
	root := sharedDir(t, "fixtures")
	files, err := filepath.Glob(filepath.Join(root, "tokenizers", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		var set struct {
			Tokenizer string
			Cases     []struct {
				TypeIDs   []int32  `json:"token_type_ids"`
				Text      any      // a string or a list of two
				IDs       []int32  `json:"input_ids"`
				Offsets   [][2]int `json:"offsets"`
				MaxLength int      `json:"max_length"`
			}
		}
		if err := json.Unmarshal(readFile(t, file), &set); err != nil {
			t.Fatal(err)
		}
		k, err := Parse(readFile(t, filepath.Join(root, set.Tokenizer, "tokenizer.json")))
		if errors.Is(err, ErrUnsupported) {
			t.Logf("%s: refused: %v", set.Tokenizer, err)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", set.Tokenizer, err)
			continue
		}
		checked++
		for i, c := range set.Cases {
			in := inputs([]any{c.Text})[0]
			k := k
			if in.Pair != nil { // pairs were cut to a length
				if k, err = Parse(k.Canonical(c.MaxLength)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := k.Encode(in.Text, in.Pair, true)
			if err != nil || !slices.Equal(got.IDs, c.IDs) || in.Pair == nil && !slices.Equal(got.Offsets, c.Offsets) ||
				c.TypeIDs != nil && !slices.Equal(got.TypeIDs, c.TypeIDs) {
				t.Errorf("%s: case %d %v: got %v, %v; want %v, %v (error %v)", set.Tokenizer, i, c.Text, got.IDs, got.Offsets, c.IDs, c.Offsets, err)
			}
		}
		t.Logf("%s: %d cases", set.Tokenizer, len(set.Cases))
	}
	if checked < 2 {
		t.Errorf("only %d sets checked", checked)
	}
}

// TestModels parses the tokenizer of every model at hand: it is good, or it is
// refused for a component that is named.
func TestModels(t *testing.T) {
	for _, dir := range []string{"models", "fixtures"} {
		files, err := filepath.Glob(filepath.Join(sharedDir(t, dir), "*", "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			k, err := Parse(readFile(t, f))
			name := filepath.Base(filepath.Dir(f))
			switch {
			case errors.Is(err, ErrUnsupported) && strings.Contains(err.Error(), "unsupported type"):
				t.Logf("%s: refused: %v", name, err)
			case err != nil:
				t.Errorf("%s: %v", name, err)
			default:
				checkVocabulary(t, name, k, filepath.Join(filepath.Dir(f), "vocab.txt"))
			}
		}
	}
}

// checkVocabulary compares k with a vocab.txt, if there is one.
func checkVocabulary(t *testing.T, name string, k *Tokenizer, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for i, word := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if got, ok := k.Token(int32(i)); !ok || got != word {
			t.Errorf("%s: token %d is %q, want %q", name, i, got, word)
		}
		if id, ok := k.ID(word); !ok || int(id) != i {
			t.Errorf("%s: id of %q is %d, want %d", name, word, id, i)
		}
	}
	if k.VocabSize() < 1 {
		t.Errorf("%s: no vocabulary", name)
	}
}

// TestModelGoldens compares the ids that the models' own answers were made from.
func TestModelGoldens(t *testing.T) {
	var mini struct {
		MaxLength int `json:"max_length"`
		Sentences []struct {
			Text string
			IDs  []int32 `json:"input_ids"`
		}
	}
	models := sharedDir(t, "models")
	if err := json.Unmarshal(readFile(t, filepath.Join(models, "skiff-mini-embed-golden", "golden.json")), &mini); err != nil {
		t.Fatal(err)
	}
	k := parseFile(t, filepath.Join(models, "skiff-mini-embed", "tokenizer.json"))
	for _, s := range mini.Sentences {
		if got := k.AppendIDs(nil, s.Text, mini.MaxLength); !slices.Equal(got, s.IDs) {
			t.Errorf("skiff-mini-embed: %q: got %v, want %v", s.Text, got, s.IDs)
		}
	}
	var ref struct {
		MaxTokens int `json:"max_tokens"`
		Texts     []struct{ Text string }
	}
	dir := sharedDir(t, "minilm")
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "reference.json")), &ref); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k = parseFile(t, filepath.Join(models, "all-MiniLM-L6-v2", "tokenizer.json"))
	for i, s := range ref.Texts {
		v, ok := f.Tensor(fmt.Sprintf("input_ids.%d", i))
		if !ok {
			t.Fatalf("no input_ids.%d", i)
		}
		want := make([]int32, v.Len())
		for j := range want {
			want[j] = int32(binary.LittleEndian.Uint32(v.Data[4*j:]))
		}
		if got := k.AppendIDs(nil, s.Text, ref.MaxTokens); !slices.Equal(got, want) {
			t.Errorf("MiniLM: %q: got %v, want %v", s.Text, got, want)
		}
	}
	t.Logf("%d and %d texts", len(mini.Sentences), len(ref.Texts))
}
