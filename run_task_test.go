package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// taskAnswer is what skiff run --json prints for the tasks beside embedding.
type taskAnswer struct {
	Input      json.RawMessage
	Label      string
	Score      *float64
	Scores     map[string]float64
	Entities   []entity
	Candidates json.RawMessage
	Answer     *string
	Start, End int
}

// Each task answers through the bundle as through the float32 reference: the same best
// label, entities of the text, words for a mask.
func TestRunTasks(t *testing.T) {
	h := newHome(t)
	for name, c := range map[string]struct {
		stdin string
		check func(t *testing.T, a taskAnswer)
	}{
		"bert-sequence-classification": {"The function returns a list.\n", func(t *testing.T, a taskAnswer) {
			if a.Label == "" || len(a.Scores) != 3 || a.Scores[a.Label] != *a.Score {
				t.Errorf("%+v", a)
			}
		}},
		"bert-cross-encoder": {"a query\ta text\n", func(t *testing.T, a taskAnswer) {
			if a.Score == nil || *a.Score <= 0 || *a.Score >= 1 || string(a.Input) != `["a query","a text"]` {
				t.Errorf("%+v", a)
			}
		}},
		"bert-token-classification": {"The definition of a list\n", func(t *testing.T, a taskAnswer) {
			if len(a.Entities) == 0 || a.Entities[0].Text != "The definition of a list"[a.Entities[0].Start:a.Entities[0].End] {
				t.Errorf("%+v", a)
			}
		}},
		"bert-question-answering": {"What is it?\tThe function returns a list of names.\n", func(t *testing.T, a taskAnswer) {
			if a.Answer == nil || *a.Answer == "" || *a.Answer != "The function returns a list of names."[a.Start:a.End] {
				t.Errorf("%+v", a)
			}
		}},
		"bert-masked-lm": {"The [MASK] is a list\n", func(t *testing.T, a taskAnswer) {
			var words []candidate
			if err := json.Unmarshal(a.Candidates, &words); err != nil || len(words) != 5 || words[0].Score < words[1].Score {
				t.Errorf("%v: %s", err, a.Candidates)
			}
		}},
	} {
		dir := shared(t, "fixtures/"+name)
		bundle := filepath.Join(string(h), name+".skiff")
		h.must(t, "", "pack", dir, "-o", bundle, "--fast")
		for _, args := range [][]string{{"run", bundle, "--json"}, {"run", bundle, "--json", "--kernels", "go"}, {"run", dir, "--json", "--f32"}} {
			got := lines[taskAnswer](t, h.must(t, c.stdin, args...))
			if len(got) != 1 {
				t.Fatalf("%s: %d answers", strings.Join(args, " "), len(got))
			}
			c.check(t, got[0])
		}
		if r := h.run(t, "a\tb\tc\td\n", "run", bundle, "--json"); name != "bert-cross-encoder" && name != "bert-question-answering" && name != "bert-sequence-classification" && r.status != statusFailed {
			t.Errorf("%s takes a pair: status %d", name, r.status)
		}
	}
}
