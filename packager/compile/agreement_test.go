package compile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"skiff/formats/tokenizer"
	"skiff/packager/graph"
	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// What a user sees of logits are decisions: the top label of a text or of a token, the
// entities of a text, the span of an answer, the word for a mask, which of two pairs ranks
// higher. Int8 must decide as float32 does wherever that is no near tie. It is a near tie
// when it does not survive noise on the float32 logits that is tieNoise times as large as
// the fixture's int8 error is on average (root mean square), in each of tieDraws draws. The
// same holds for every fixture and task.
const (
	tieNoise = 2
	tieDraws = 32
)

// agreement counts decisions.
type agreement struct {
	count, ties int // all, and near ties
	same        int // that int8 makes as float32 does
	lost        int // that it makes otherwise though they are no near ties
}

func (a *agreement) add(b agreement) {
	a.count, a.ties, a.same, a.lost = a.count+b.count, a.ties+b.ties, a.same+b.same, a.lost+b.lost
}

// String says how many of the decisions are the same and how many are near ties.
func (a agreement) String() string {
	if a.count == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d, %d", a.same, a.count, a.ties)
}

// agree compares the decisions of int8 with those of float32.
func (f *fixture) agree(t *testing.T) agreement {
	t.Helper()
	want, got := f.decide(t, f.want), f.decide(t, f.got)
	tie := make([]bool, len(want))
	rng, sigma := rand.New(rand.NewPCG(1, 2)), tieNoise*f.noise()
	for range tieDraws {
		for i, d := range f.decide(t, shaken(rng, f.want, sigma)) {
			tie[i] = tie[i] || d != want[i]
		}
	}
	a := agreement{count: len(want)}
	for i := range want {
		switch {
		case want[i] == got[i]:
			a.same++
		case !tie[i]:
			a.lost++
			t.Errorf("decision %d: int8 says %s, float32 %s, which is no near tie", i, got[i], want[i])
		}
		if tie[i] {
			a.ties++
		}
	}
	if f.model.Head != nil && a.count == 0 {
		t.Error("no decisions")
	}
	return a
}

// noise is the root mean square of what int8 changes in an element of the answers.
func (f *fixture) noise() float64 {
	sum, n := 0.0, 0
	for i, want := range f.want {
		for j, w := range want {
			d := float64(f.got[i][j]) - float64(w)
			sum, n = sum+d*d, n+1
		}
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}

// shaken are answers with noise added.
func shaken(rng *rand.Rand, answers [][]float32, sigma float64) [][]float32 {
	out := make([][]float32, len(answers))
	for i, a := range answers {
		out[i] = slices.Clone(a)
		for j := range a {
			out[i][j] += float32(sigma * rng.NormFloat64())
		}
	}
	return out
}

// decide is what the task makes of the answers to all texts.
func (f *fixture) decide(t *testing.T, answers [][]float32) []string {
	t.Helper()
	var all []string
	switch f.model.Task {
	case graph.TaskClassify:
		return f.classes(answers)
	case graph.TaskFillMask:
		for _, a := range answers {
			all = append(all, f.tops(a)...)
		}
	case graph.TaskTag:
		for i, a := range answers {
			all = append(append(all, f.tops(a)...), f.entities(t, i, a))
		}
	case graph.TaskAnswer:
		for i, a := range answers {
			if span, ok := f.span(t, i, a); ok {
				all = append(all, span)
			}
		}
	}
	return all
}

// tops are the highest columns of rows.
func (f *fixture) tops(a []float32) []string {
	var all []string
	for row := range slices.Chunk(a, f.model.Dim()) {
		all = append(all, fmt.Sprint("column ", task.Top(row)))
	}
	return all
}

// classes are the top labels of texts; of labels that each may be right, which are; of
// numbers, how they are ordered.
func (f *fixture) classes(answers [][]float32) []string {
	var all []string
	ordered := f.model.Dim() == 1 || f.model.Head.Problem == graph.Regression
	for i, a := range answers {
		switch {
		case ordered:
			for _, b := range answers[:i] {
				for j := range a {
					all = append(all, fmt.Sprint("higher: ", a[j] > b[j]))
				}
			}
		case f.model.Head.Problem == graph.MultiLabel:
			for _, x := range a {
				all = append(all, fmt.Sprint("holds: ", x > 0))
			}
		default:
			all = append(all, f.tops(a)...)
		}
	}
	return all
}

// entities are those of text i, without their scores.
func (f *fixture) entities(t *testing.T, i int, a []float32) string {
	t.Helper()
	text := f.samples[i].Text.(string)
	e, err := f.model.Tokenizer.Encode(text, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Collect(slices.Chunk(a, f.model.Dim()))
	tok := f.model.Tokenizer
	if len(e.IDs) != len(rows) { // longer than the fixture's limit
		if tok, err = tokenizer.Parse(tok.Canonical(len(rows))); err == nil {
			e, err = tok.Encode(text, nil, true)
		}
		if err != nil || len(e.IDs) != len(rows) {
			t.Fatalf("%d tokens, %d rows: %v", len(e.IDs), len(rows), err)
		}
	}
	tagger := task.Tagger{Labels: f.model.Head.Labels, Aggregate: task.AggregateSimple, Prefixed: tok.MarksContinuation()}
	found := tagger.Entities(text, infer.Tokens(tok, &e), rows)
	said := "entities"
	for _, one := range found {
		said += fmt.Sprintf(" %s %d-%d", one.Label, one.Start, one.End)
	}
	return said
}

// span is the answer to question i; false where the text is read in more than one window,
// of which the golden file has only the first.
func (f *fixture) span(t *testing.T, i int, a []float32) (string, bool) {
	t.Helper()
	pair := f.samples[i].Text.([]any)
	question, text := pair[0].(string), pair[1].(string)
	windows, err := infer.Finding{}.Windows(f.model.Tokenizer, question, text, f.model.MaxTokens)
	if err != nil {
		t.Fatal(err)
	}
	if len(windows) != 1 || !slices.Equal(windows[0].IDs, f.samples[i].IDs) {
		return "", false
	}
	rows := slices.Collect(slices.Chunk(a, 2))
	spans := infer.Finding{}.Best(f.model.Tokenizer, text, windows, [][][]float32{rows})
	if len(spans) == 0 {
		return "no span", true
	}
	return fmt.Sprintf("span %d-%d", spans[0].Start, spans[0].End), true
}
