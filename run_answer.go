package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// answer is what skiff run --json prints for each input; which fields there are depends on
// the task.
type answer struct {
	Input      *input             `json:"input,omitempty"`
	Embedding  []float32          `json:"embedding,omitempty"`
	Label      string             `json:"label,omitempty"`
	Score      *float32           `json:"score,omitempty"`
	Labels     []string           `json:"labels,omitzero"` // those that reach their threshold; nil where there is none
	Scores     map[string]float32 `json:"scores,omitempty"`
	Entities   *[]entity          `json:"entities,omitempty"`
	Answer     *string            `json:"answer,omitempty"`
	Start      *int               `json:"start,omitempty"`
	End        *int               `json:"end,omitempty"`
	Answers    []answer           `json:"answers,omitempty"`    // all of them, where several were asked for
	Candidates any                `json:"candidates,omitempty"` // of one mask; a list of such for several
	IDs        []int32            `json:"ids,omitempty"`
	Hidden     [][]float32        `json:"last_hidden_state,omitempty"` // T rows of H

	shown []string // labels of the line that is printed without --json; each has a score
	masks []string // words and scores of each mask, for that line
}

type entity struct {
	Label string  `json:"label"`
	Text  string  `json:"text"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float32 `json:"score"`
}

type candidate struct {
	Token string  `json:"token"`
	ID    int32   `json:"id"`
	Score float32 `json:"score"`
}

// classified is the best label, those that reach their thresholds, and the scores of the
// best top, or of all where top is 0. Without --json the best top labels are shown, of all
// the best one; where there are thresholds, only those that reach theirs.
func classified(labels []string, scores []float32, thresholds []float64, top int) answer {
	best := task.Top(scores)
	a := answer{Label: labels[best], Score: &scores[best], Scores: map[string]float32{}, Labels: task.Reached(labels, scores, thresholds)}
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[j], scores[i]) })
	if top > 0 {
		order = order[:min(top, len(order))]
	}
	for n, i := range order {
		a.Scores[labels[i]] = scores[i]
		if n < max(top, 1) {
			a.shown = append(a.shown, labels[i])
		}
	}
	if a.Labels != nil {
		a.shown = slices.DeleteFunc(slices.Clone(a.Labels), func(label string) bool { _, ok := a.Scores[label]; return !ok })
	}
	return a
}

func tagged(text string, found []task.Entity) answer {
	runes, list := []rune(text), []entity{}
	for _, e := range found {
		list = append(list, entity{e.Label, string(runes[e.Start:e.End]), e.Start, e.End, e.Score})
	}
	return answer{Entities: &list}
}

// found is the best span of a text that answers, an empty one where there is none, and all
// of them where top were asked for.
func found(text string, spans []task.Span, top int) answer {
	runes := []rune(text)
	one := func(s task.Span) answer {
		part := string(runes[s.Start:s.End])
		return answer{Answer: &part, Start: &s.Start, End: &s.End, Score: &s.Score}
	}
	if len(spans) == 0 {
		return one(task.Span{})
	}
	best := one(spans[0])
	for _, s := range spans {
		if top > 0 {
			best.Answers = append(best.Answers, one(s))
		}
	}
	return best
}

func filled(masks [][]infer.Candidate) answer {
	lists, shown := make([][]candidate, len(masks)), make([]string, len(masks))
	for i, words := range masks {
		var line []string
		for _, w := range words {
			lists[i] = append(lists[i], candidate{w.Token, w.ID, w.Score})
			line = append(line, fmt.Sprintf("%s %g", w.Token, w.Score))
		}
		shown[i] = strings.Join(line, " ")
	}
	a := answer{Candidates: lists, masks: shown}
	if len(lists) == 1 {
		a.Candidates = lists[0]
	}
	return a
}

// print writes an answer as JSON, or as one line for people.
func (a answer) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, a)
	}
	_, err := fmt.Fprintln(out, a.line())
	return err
}

func (a answer) line() string {
	var words []string
	switch {
	case a.Label != "":
		for _, label := range a.shown {
			words = append(words, fmt.Sprintf("%s %g", label, a.Scores[label]))
		}
	case a.Answers != nil:
		for _, one := range a.Answers {
			words = append(words, fmt.Sprintf("%q %g", *one.Answer, *one.Score))
		}
	case a.Answer != nil:
		return *a.Answer
	case a.Score != nil:
		return fmt.Sprint(*a.Score)
	case a.Entities != nil:
		for _, e := range *a.Entities {
			words = append(words, fmt.Sprintf("%s:%q", e.Label, e.Text))
		}
	case a.Candidates != nil:
		return strings.Join(a.masks, " | ")
	}
	for _, x := range a.Embedding {
		words = append(words, strconv.FormatFloat(float64(x), 'g', -1, 32))
	}
	return strings.Join(words, " ")
}

// paired refuses one text where a task takes two.
func paired(in input, what string) error {
	if in.Pair == nil {
		return fmt.Errorf("input %q is one text, and this model takes %s (a tab parts a pair; a JSON array may hold one)", in.Text, what)
	}
	return nil
}

// single refuses a pair where a task takes one text.
func single(in input, task string) error {
	if in.Pair != nil {
		return fmt.Errorf("input %q is a pair of texts, and this model, for the task %s, takes one (a tab parts a pair; a JSON string may hold one)", in.Text, task)
	}
	return nil
}
