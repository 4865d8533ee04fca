package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// askedAnswer is what skiff run --json prints when more than the best is asked for.
type askedAnswer struct {
	Input      json.RawMessage
	Label      string
	Score      *float64
	Labels     []string
	Scores     map[string]float64
	Entities   []entity
	Answer     *string
	Start, End int
	Answers    []struct {
		Answer     string
		Start, End int
		Score      float64
	}
	Candidates []candidate
	Embedding  []float32
}

// TestRunAnswers compares what run --f32 finds under each option with transformers' pipeline
// (testdata/answers.py).
func TestRunAnswers(t *testing.T) {
	h, dir := newHome(t), shared(t, "fixtures/bert-question-answering")
	data, err := os.ReadFile(filepath.Join("testdata", "answers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Pair    []string
		Options struct {
			Top        int  `json:"top_k"`
			MaxAnswer  int  `json:"max_answer_len"`
			Window     int  `json:"max_seq_len"`
			Stride     int  `json:"doc_stride"`
			Impossible bool `json:"handle_impossible_answer"`
		}
		Answers []struct {
			Answer     string
			Start, End int
			Score      float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden {
		args := []string{"run", dir, "--f32", "--json", "--top-k", strconv.Itoa(c.Options.Top)}
		for _, o := range []struct {
			flag string
			n    int
		}{{"--max-answer-len", c.Options.MaxAnswer}, {"--max-seq-len", c.Options.Window}, {"--doc-stride", c.Options.Stride}} {
			if o.n != 0 {
				args = append(args, o.flag, strconv.Itoa(o.n))
			}
		}
		if c.Options.Impossible {
			args = append(args, "--impossible")
		}
		stdin, err := json.Marshal(c.Pair)
		if err != nil {
			t.Fatal(err)
		}
		got := lines[askedAnswer](t, h.must(t, string(stdin), args...))[0].Answers
		if len(got) != len(c.Answers) {
			t.Errorf("%v: %d answers, want %d", args, len(got), len(c.Answers))
			continue
		}
		for i, want := range c.Answers {
			a := got[i]
			if a.Answer != want.Answer || a.Start != want.Start || a.End != want.End || math.Abs(a.Score-want.Score) > 1e-5 {
				t.Errorf("%v: answer %d is %+v, want %+v", args[3:], i, a, want)
			}
		}
	}
}

// TestRunFlags: each flag of a task does through a bundle and through the reference what it
// says, and is refused for a model of another task.
func TestRunFlags(t *testing.T) {
	h := newHome(t)
	for name, c := range map[string]struct {
		stdin, flags, other string
		check               func(a askedAnswer) bool
	}{
		"bert-sequence-classification": {"The function returns a list.\n", "--top-k 2 --threshold 0", "--prompt query", func(a askedAnswer) bool {
			return len(a.Scores) == 2 && len(a.Labels) == 3 && slices.Contains(a.Labels, a.Label)
		}},
		"bert-token-classification": {"The definition of a list\n", "--aggregation none", "--threshold 0.5", func(a askedAnswer) bool {
			return len(a.Entities) > 0 && !strings.Contains(a.Entities[0].Text, " ")
		}},
		"bert-question-answering": {"What is it?\tThe function returns a list of names.\n", "--top-k 3 --max-answer-len 2", "--aggregation max", func(a askedAnswer) bool {
			return len(a.Answers) == 3 && a.Answers[0].Score >= a.Answers[1].Score && len(strings.Fields(*a.Answer)) <= 2
		}},
		"bert-masked-lm": {"The [MASK] is a list\n", "--top-k 7", "--impossible", func(a askedAnswer) bool { return len(a.Candidates) == 7 }},
		"bert-embed":     {"a\n", "", "--top-k 1", func(a askedAnswer) bool { return len(a.Embedding) > 0 }},
	} {
		dir := shared(t, "fixtures/"+name)
		bundle := filepath.Join(string(h), name+".skiff")
		h.must(t, "", "pack", dir, "-o", bundle, "--fast")
		for _, args := range [][]string{{"run", bundle, "--json"}, {"run", dir, "--json", "--f32"}} {
			got := lines[askedAnswer](t, h.must(t, c.stdin, append(args, strings.Fields(c.flags)...)...))
			if len(got) != 1 || !c.check(got[0]) {
				t.Errorf("%s %s: %+v", name, c.flags, got)
			}
			if name == "bert-question-answering" {
				r := h.run(t, c.stdin, append(args, "--max-seq-len", "10", "--doc-stride", "9")...)
				if r.status != statusFailed || !strings.Contains(r.stderr, "--doc-stride: two windows would share") {
					t.Errorf("a stride of a whole window: status %d, %q", r.status, r.stderr)
				}
			}
			r := h.run(t, c.stdin, append(args, strings.Fields(c.other)...)...)
			if r.status != statusUsage || r.stdout != "" || !strings.Contains(r.stderr, "and this model is for") {
				t.Errorf("%s %s: status %d, %q", name, c.other, r.status, r.stderr)
			}
		}
	}
}

// TestThresholds: those of the model's file or of pack travel, and run's go before them.
func TestThresholds(t *testing.T) {
	h, dir := newHome(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(shared(t, "fixtures/bert-act-silu"))); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), "{", `{"thresholds":[0, 1, 0.5],`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	own, other := filepath.Join(dir, "own.skiff"), filepath.Join(dir, "other.skiff")
	h.must(t, "", "pack", dir, "-o", own, "--fast")
	h.must(t, "", "pack", dir, "-o", other, "--fast", "--threshold", "1,positive=0")
	for _, c := range []struct {
		args          []string
		first, second bool // negative, neutral
	}{
		{[]string{own}, true, false}, {[]string{other}, false, false}, {[]string{dir, "--f32"}, true, false},
		{[]string{own, "--threshold", "0"}, true, true}, {[]string{dir, "--f32", "--threshold", "1"}, false, false},
	} {
		got := lines[askedAnswer](t, h.must(t, "The function returns a list.\n", append([]string{"run", "--json"}, c.args...)...))
		labels := got[0].Labels
		if labels == nil || slices.Contains(labels, "negative") != c.first || slices.Contains(labels, "neutral") != c.second {
			t.Errorf("%v: %v of %v", c.args, labels, got[0].Scores)
		}
	}
	if r := h.must(t, "The function returns a list.\n", "run", other); !strings.HasPrefix(r.stdout, "positive 0.") {
		t.Errorf("other: %q", r.stdout)
	}
	if r := h.run(t, "", "pack", dir, "-o", other, "--threshold", "happy=0.5"); r.status != statusFailed || !strings.Contains(r.stderr, "negative, neutral, positive") {
		t.Errorf("status %d: %q", r.status, r.stderr)
	}
}

// TestRunPrompt: a prompt by its name, through the bundle, packed in memory and in float32;
// one that is not known is told what there is.
func TestRunPrompt(t *testing.T) {
	h := newHome(t)
	model, bundle := sentenceModel(t), filepath.Join(string(h), "prompts.skiff")
	h.must(t, "", "pack", model, "-o", bundle)
	for _, at := range []string{model, bundle} {
		if r := h.must(t, "", "inspect", at, "--json"); !strings.Contains(r.stdout, `"passage: the "`) || !strings.Contains(r.stdout, `"prefix":"query: "`) {
			t.Errorf("inspect %s: %s", at, r.stdout)
		}
		if r := h.must(t, "", "inspect", at); !strings.Contains(r.stdout, `passage: "passage: the "`) {
			t.Errorf("inspect %s: %s", at, r.stdout)
		}
	}
	for _, args := range [][]string{{"run", bundle, "--json"}, {"run", model, "--json"}, {"run", model, "--json", "--f32"}} {
		vector := func(more ...string) []float32 {
			return lines[askedAnswer](t, h.must(t, "the quiet sea\n", append(args, more...)...))[0].Embedding
		}
		query, passage := vector("--prompt", "query"), vector("--prompt", "passage")
		if !slices.Equal(query, vector()) || slices.Equal(query, passage) || !slices.Equal(passage, lines[askedAnswer](t, h.must(t, "passage: the the quiet sea\n", append(args, "--prompt", "none")...))[0].Embedding) {
			t.Errorf("%v: query %v, passage %v, default %v", args, query, passage, vector())
		}
		r := h.run(t, "a\n", append(args, "--prompt", "Query")...)
		if r.status != statusFailed || !strings.Contains(r.stderr, `unknown prompt "Query": the model has long, none, passage, query`) {
			t.Errorf("%v: status %d, %q", args, r.status, r.stderr)
		}
	}
}

// sentenceModel is a folder with prompts, of which query is the default one.
func sentenceModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("packager", "importer", "testdata", "sentence"))); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"1_Pooling/config.json":             `{"embedding_dimension": 6, "pooling_mode": ["mean", "max"]}`,
		"config_sentence_transformers.json": `{"prompts": {"query": "query: ", "passage": "passage: the ", "long": "a boat", "none": ""}, "default_prompt_name": "query"}`,
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
