package task

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
)

// golden is what the original libraries computed for one folder of ../shared/fixtures.
type golden struct {
	Cases []struct {
		Text     any
		Tokens   []string
		Offsets  [][2]int
		TypeIDs  []int `json:"token_type_ids"`
		Entities []struct {
			Group      string `json:"entity_group"`
			Score      float64
			Start, End int
		}
		Pipeline *struct {
			Score      float64
			Start, End int
		}
		Scores     map[string]float64
		Activation string
		Masks      []struct {
			Position int
			Top5     []struct {
				ID    int
				Score float64
			}
		}
	}
	weights *safetensors.File
	labels  []string
}

func openGolden(t *testing.T, name string) *golden {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "fixtures", name)
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is not here (set SKIFF_SHARED)", dir)
	}
	g := &golden{}
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	if g.weights, err = safetensors.Open(filepath.Join(dir, "golden.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.weights.Close() })
	var config struct{ ID2Label map[string]string }
	if data, err = os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.labels = make([]string, len(config.ID2Label))
	for id, label := range config.ID2Label {
		var i int
		if err := json.Unmarshal([]byte(id), &i); err != nil {
			t.Fatal(err)
		}
		g.labels[i] = label
	}
	return g
}

// rows is a golden tensor of case i as rows; a vector is one row.
func (g *golden) rows(t *testing.T, i int, name string) [][]float32 {
	t.Helper()
	id, _ := json.Marshal(i)
	v, ok := g.weights.Tensor(string(id) + "." + name)
	if !ok {
		t.Fatalf("case %d has no %s", i, name)
	}
	flat, err := v.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	cols := v.Shape[len(v.Shape)-1]
	var out [][]float32
	for ; len(flat) >= cols; flat = flat[cols:] {
		out = append(out, flat[:cols])
	}
	return out
}

// tokens of a WordPiece case; the first, the last and every separator between are special.
func (g *golden) tokens(i int) []Token {
	c := g.Cases[i]
	out := make([]Token, len(c.Tokens))
	word := 0
	for j, text := range c.Tokens {
		tok := Token{Text: text, Start: c.Offsets[j][0], End: c.Offsets[j][1], Unknown: text == "[UNK]", Sequence: c.TypeIDs[j]}
		if c.Offsets[j] == [2]int{} {
			tok.Word, tok.Sequence = -1, -1
		} else {
			if !strings.HasPrefix(text, "##") {
				word++
			}
			tok.Word = word
		}
		out[j] = tok
	}
	return out
}

func near(a float32, b float64) bool { return math.Abs(float64(a)-b) < 1e-5 }

func TestEntitiesAgainstTransformers(t *testing.T) {
	g := openGolden(t, "bert-token-classification")
	tagger := Tagger{Labels: g.labels, Aggregate: AggregateSimple, Prefixed: true}
	total := 0
	for i, c := range g.Cases {
		got := tagger.Entities(c.Text.(string), g.tokens(i), g.rows(t, i, "logits"))
		if len(got) != len(c.Entities) {
			t.Errorf("case %d: %d entities, want %d", i, len(got), len(c.Entities))
			continue
		}
		for j, want := range c.Entities {
			total++
			e := got[j]
			if e.Label != want.Group || e.Start != want.Start || e.End != want.End || !near(e.Score, want.Score) {
				t.Errorf("case %d entity %d: %+v, want %+v", i, j, e, want)
			}
		}
	}
	if total < 50 {
		t.Errorf("only %d entities compared", total)
	}
}

func TestSpansAgainstTransformers(t *testing.T) {
	g := openGolden(t, "bert-question-answering")
	compared := 0
	for i, c := range g.Cases {
		if c.Pipeline == nil {
			continue
		}
		compared++
		w := Window{Tokens: g.tokens(i), Start: g.rows(t, i, "start_logits")[0], End: g.rows(t, i, "end_logits")[0]}
		found := Reader{}.Find(c.Text.([]any)[1].(string), []Window{w})
		if len(found) != 1 || found[0].Start != c.Pipeline.Start || found[0].End != c.Pipeline.End || !near(found[0].Score, c.Pipeline.Score) {
			t.Errorf("case %d: %+v, want %+v", i, found, *c.Pipeline)
		}
	}
	if compared < 4 {
		t.Errorf("only %d spans compared", compared)
	}
}

func TestScoresAgainstTransformers(t *testing.T) {
	for _, name := range []string{"bert-sequence-classification", "bert-cross-encoder"} {
		g := openGolden(t, name)
		for i, c := range g.Cases {
			f, err := ParseFunction(c.Activation)
			if err != nil {
				t.Fatal(err)
			}
			logits := g.rows(t, i, "logits")[0]
			scores := make([]float32, len(logits))
			f.Apply(scores, logits)
			if len(g.labels) == 0 {
				g.labels = []string{"LABEL_0"}
			}
			for j, label := range g.labels {
				if want, ok := c.Scores[label]; !ok || !near(scores[j], want) {
					t.Errorf("%s case %d %s: %g, want %g", name, i, label, scores[j], want)
				}
			}
		}
	}
}

func TestCandidatesAgainstTransformers(t *testing.T) {
	g := openGolden(t, "bert-masked-lm")
	for i, c := range g.Cases {
		for _, mask := range c.Masks {
			got := Best(g.rows(t, i, "logits")[mask.Position], 5)
			for j, want := range mask.Top5 {
				if got[j].ID != want.ID || !near(got[j].Score, want.Score) {
					t.Errorf("case %d mask %d candidate %d: %+v, want %+v", i, mask.Position, j, got[j], want)
				}
			}
		}
	}
}

// What the pipeline does with words of several pieces, by hand.
func TestAggregations(t *testing.T) {
	labels := []string{"O", "B-A", "I-A", "B-B"}
	tokens := []Token{
		{Text: "[CLS]", Sequence: -1, Word: -1},
		{Text: "new", Start: 0, End: 3, Word: 0},
		{Text: "##ly", Start: 3, End: 5, Word: 0},
		{Text: "york", Start: 6, End: 10, Word: 1},
		{Text: ".", Start: 10, End: 11, Word: 2},
		{Text: "[SEP]", Sequence: -1, Word: -1},
	}
	logits := [][]float32{{9, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 0, 4}, {0, 0, 3, 0}, {5, 0, 0, 0}, {9, 0, 0, 0}}
	type place struct {
		Label      string
		Start, End int
	}
	for a, want := range map[Aggregation][]place{
		AggregateNone:    {{"B-A", 0, 3}, {"B-B", 3, 5}, {"I-A", 6, 10}},
		AggregateSimple:  {{"A", 0, 3}, {"B", 3, 5}, {"A", 6, 10}},
		AggregateFirst:   {{"A", 0, 10}},
		AggregateMax:     {{"B", 0, 5}, {"A", 6, 10}},
		AggregateAverage: {{"B", 0, 5}, {"A", 6, 10}},
	} {
		var got []place
		for _, e := range (Tagger{Labels: labels, Aggregate: a, Prefixed: true}).Entities("newly york.", tokens, logits) {
			got = append(got, place{e.Label, e.Start, e.End})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", a, diff)
		}
	}
}

func TestBestOfManyWindows(t *testing.T) {
	token := func(start, word int) Token { return Token{Start: start, End: start + 2, Word: word, Sequence: 1} }
	special := Token{Word: -1, Sequence: -1}
	low := Window{Tokens: []Token{special, token(0, 0), token(3, 1)}, Start: []float32{0, 1, 0}, End: []float32{0, 1, 0}}
	high := Window{Tokens: []Token{special, token(6, 2), token(9, 3)}, Start: []float32{0, 0, 8}, End: []float32{0, 0, 8}}
	found := Reader{}.Find("ab cd ef gh", []Window{low, high})
	if len(found) != 1 || found[0].Start != 9 || found[0].End != 11 {
		t.Errorf("%+v", found)
	}
	if found := (Reader{}).Find("", nil); len(found) != 0 {
		t.Errorf("of no window: %+v", found)
	}
	if found := (Reader{}).Find("x", []Window{{Tokens: []Token{special}, Start: []float32{1}, End: []float32{1}}}); len(found) != 0 {
		t.Errorf("of special tokens alone: %+v", found)
	}
}

// letters is a window over one word of n letters, each a token, behind the token that stands
// for no answer, whose logits are none.
func letters(n int, none float32) Window {
	w := Window{Tokens: []Token{{Word: -1, Sequence: -1}}, Start: make([]float32, n+1), End: make([]float32, n+1)}
	for i := range n {
		w.Tokens = append(w.Tokens, Token{Start: i, End: i + 1, Sequence: 1})
	}
	w.Start[0], w.End[0] = none, none
	return w
}

// Of each window twice as many spans as are wanted and ten more are looked at: here all are
// the same word, whose score is their sum. Those of no answer take no place among them.
func TestSpansOfAWindow(t *testing.T) {
	const n = 20
	text := strings.Repeat("a", n)
	for answers, want := range map[int]float64{0: 12, 1: 12, 2: 14, 3: 16} {
		found := Reader{Answers: answers, MaxTokens: 1}.Find(text, []Window{letters(n, -100)})
		if len(found) != 1 || found[0].Start != 0 || found[0].End != n || !near(found[0].Score, want/(n*n)) {
			t.Errorf("%d answers: %+v, want one of %g", answers, found, want/(n*n))
		}
	}
	if found := (Reader{}).Find(text, []Window{letters(n, 9)}); len(found) != 1 || found[0].End != n {
		t.Errorf("with no answer likeliest: %+v", found)
	}
}

// There is no answer in a text only as far as there is none in any of its windows.
func TestImpossible(t *testing.T) {
	sure, unsure := letters(3, 9), letters(3, 1)
	for _, windows := range [][]Window{{sure, unsure}, {unsure, sure}, {unsure}} {
		found := Reader{Answers: 2, Impossible: true}.Find("aaa", windows)
		p := math.E / (math.E + 3)
		if len(found) != 2 || !slices.ContainsFunc(found, func(s Span) bool { return s.Start == 0 && s.End == 0 && near(s.Score, p*p) }) {
			t.Errorf("%d windows: %+v, want an empty one of %g", len(windows), found, p*p)
		}
	}
	if found := (Reader{Impossible: true}).Find("aaa", []Window{sure}); len(found) != 1 || found[0].End != 0 {
		t.Errorf("no answer is likeliest: %+v", found)
	}
	if found := (Reader{Impossible: true}).Find("", nil); len(found) != 0 {
		t.Errorf("of no window: %+v", found)
	}
}

// TestReached: a score that is the threshold reaches it; one threshold is for all labels.
func TestReached(t *testing.T) {
	labels, scores := []string{"a", "b", "c"}, []float32{0.1, 0.5, 0.25}
	for _, c := range []struct {
		thresholds []float64
		want       []string
	}{
		{nil, nil}, {[]float64{0.5}, []string{"b"}}, {[]float64{0.1}, labels}, {[]float64{1}, []string{}},
		{[]float64{0.2, 0.5, 0.3}, []string{"b"}}, {[]float64{0.1, 0.6, 0.25}, []string{"a", "c"}},
	} {
		got := Reached(labels, scores, c.thresholds)
		if !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("thresholds %v: %v, want %v", c.thresholds, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for a := AggregateNone; a <= AggregateMax; a++ {
		if got, err := ParseAggregation(a.String()); err != nil || got != a {
			t.Errorf("%s: %v, %v", a, got, err)
		}
	}
	if _, err := ParseAggregation("mean"); err == nil {
		t.Error("mean is an aggregation")
	}
	if _, err := ParseFunction("relu"); err == nil {
		t.Error("relu is a score function")
	}
}
