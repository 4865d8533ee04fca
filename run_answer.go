package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// answer is what skiff run --json prints for each input; which fields there are depends on
// the task.
type answer struct {
	Input      input              `json:"input"`
	Embedding  []float32          `json:"embedding,omitempty"`
	Label      string             `json:"label,omitempty"`
	Score      *float32           `json:"score,omitempty"`
	Scores     map[string]float32 `json:"scores,omitempty"`
	Entities   *[]entity          `json:"entities,omitempty"`
	Answer     *string            `json:"answer,omitempty"`
	Start      *int               `json:"start,omitempty"`
	End        *int               `json:"end,omitempty"`
	Candidates any                `json:"candidates,omitempty"` // of one mask; a list of such for several
	IDs        []int32            `json:"ids,omitempty"`
	Hidden     [][]float32        `json:"last_hidden_state,omitempty"` // T rows of H
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

// topWords is how many words are offered for a mask.
const topWords = 5

func classified(labels []string, scores []float32) answer {
	best := task.Top(scores)
	a := answer{Label: labels[best], Score: &scores[best], Scores: map[string]float32{}}
	for i, label := range labels {
		a.Scores[label] = scores[i]
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

// found is the span of a text that answers; an empty one where there is none.
func found(text string, s task.Span) answer {
	part := string([]rune(text)[s.Start:s.End])
	return answer{Answer: &part, Start: &s.Start, End: &s.End, Score: &s.Score}
}

func filled(masks [][]infer.Candidate) answer {
	lists := make([][]candidate, len(masks))
	for i, words := range masks {
		for _, w := range words {
			lists[i] = append(lists[i], candidate{w.Token, w.ID, w.Score})
		}
	}
	if len(lists) == 1 {
		return answer{Candidates: lists[0]}
	}
	return answer{Candidates: lists}
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
		return fmt.Sprintf("%s %g", a.Label, *a.Score)
	case a.Answer != nil:
		return *a.Answer
	case a.Score != nil:
		return fmt.Sprint(*a.Score)
	case a.Entities != nil:
		for _, e := range *a.Entities {
			words = append(words, fmt.Sprintf("%s:%q", e.Label, e.Text))
		}
	case a.Candidates != nil:
		return fmt.Sprint(a.Candidates)
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
