package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"skiff/agent/serve"
	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// tagBatch is how many texts are tagged in one call: the logits of all their tokens are held at once.
const tagBatch = 32

// prompted names errors as the API does.
type prompted struct{ infer.Prompted }

func (p prompted) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, err := p.Prompted.Embed(ctx, texts)
	return vectors, client(err, "input")
}

// Embed gives one vector per text. It hides infer's own.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, err := m.Model.Embed(ctx, texts)
	return vectors, client(err, "input")
}

// Prompted is the model with one of its prompts. It hides infer's own.
func (m *Model) Prompted(name string) (serve.Embedder, error) {
	p, err := m.Model.Prompted(name)
	if err != nil {
		return nil, &serve.InputError{Param: "prompt_name", Err: err}
	}
	return prompted{p}, nil
}

// client names an input that can never be answered as the API does; text is its parameter for what is asked.
func client(err error, text string) error {
	bad, ok := errors.AsType[*infer.InputError](err)
	if !ok {
		return err
	}
	switch bad.Field {
	case "text":
		return &serve.InputError{Param: text, Err: bad.Err}
	case "stride":
		return &serve.InputError{Param: "doc_stride", Err: bad.Err}
	}
	return &serve.InputError{Param: bad.Field, Err: bad.Err}
}

// Classify scores the labels of each input. It hides infer's own.
func (m *Model) Classify(ctx context.Context, inputs []serve.Text, threshold *float64) ([]serve.Classification, error) {
	texts := make([]infer.Text, len(inputs))
	for i, in := range inputs {
		texts[i] = infer.Text(in)
	}
	found, err := m.Model.Classify(ctx, texts)
	if err != nil {
		return nil, client(err, "input")
	}
	labels := m.Labels()
	out := make([]serve.Classification, len(found))
	for i, c := range found {
		out[i] = serve.Classification{Label: c.Label, Score: c.Score, Labels: c.Labels, Scores: make(map[string]float32, len(labels))}
		if threshold != nil {
			out[i].Labels = task.Reached(labels, c.Scores, []float64{*threshold})
		}
		for j, label := range labels {
			out[i].Scores[label] = c.Scores[j]
		}
	}
	return out, nil
}

// Tag finds the entities of each text. It hides infer's own.
func (m *Model) Tag(ctx context.Context, texts []string, aggregation string) ([][]serve.Entity, error) {
	a, err := task.ParseAggregation(aggregation)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", serve.ErrInput, err)
	}
	out := make([][]serve.Entity, 0, len(texts))
	for batch := range slices.Chunk(texts, tagBatch) {
		found, err := m.Model.Tag(ctx, batch, a)
		if err != nil {
			return nil, client(err, "input")
		}
		for i, entities := range found {
			out = append(out, placed(batch[i], entities))
		}
	}
	return out, nil
}

// Rank scores how well each document answers the query. It hides infer's own.
func (m *Model) Rank(ctx context.Context, query string, documents []string) ([]float32, error) {
	scores, err := m.Model.Rank(ctx, query, documents)
	return scores, client(err, "documents")
}

// Find finds the answers to a question in a text.
func (m *Model) Find(ctx context.Context, question, text string, how serve.Search) ([]serve.Answer, error) {
	spans, err := m.Answers(ctx, question, text, infer.Finding{
		Answers: how.Top, MaxAnswer: how.MaxAnswer, Window: how.Window, Stride: how.Stride, Impossible: how.Impossible,
	})
	if err != nil {
		return nil, client(err, "context")
	}
	runes, out := []rune(text), make([]serve.Answer, len(spans))
	for i, s := range spans {
		out[i] = serve.Answer{Text: string(runes[s.Start:s.End]), Start: s.Start, End: s.End, Score: s.Score}
	}
	return out, nil
}

// placed gives entities the part of the text that they are.
func placed(text string, entities []task.Entity) []serve.Entity {
	runes := []rune(text)
	out := make([]serve.Entity, len(entities))
	for i, e := range entities {
		out[i] = serve.Entity{Label: e.Label, Text: string(runes[e.Start:e.End]), Start: e.Start, End: e.End, Score: e.Score}
	}
	return out
}

// FillMask lists the k best words for each mask of each text; a text without one gets none. It hides infer's own, which holds the
// logits of a whole call, a vocabulary for every mask: here a call has at most serve.MaxMasks.
func (m *Model) FillMask(ctx context.Context, texts []string, k int) ([][][]serve.Candidate, error) {
	out := make([][][]serve.Candidate, len(texts))
	var batch []string
	var at []int // places of the batch in texts
	masks := 0
	for i, text := range texts {
		n := m.masks(text)
		if n > serve.MaxMasks {
			return nil, fmt.Errorf("%w: text %d has %d masks, at most %d", serve.ErrInput, i, n, serve.MaxMasks)
		}
		if n == 0 {
			continue
		}
		if masks+n > serve.MaxMasks {
			if err := m.fill(ctx, batch, at, k, out); err != nil {
				return nil, err
			}
			batch, at, masks = batch[:0], at[:0], 0
		}
		batch, at, masks = append(batch, text), append(at, i), masks+n
	}
	return out, m.fill(ctx, batch, at, k, out)
}

// masks counts what is to be filled in text.
func (m *Model) masks(text string) (n int) {
	mask, ok := m.Tokenizer().ID(m.Manifest().Meta.MaskToken)
	for _, id := range m.IDs(nil, text) {
		if ok && id == mask {
			n++
		}
	}
	return n
}

// fill puts the words for the batch, which may be empty, to their places in out.
func (m *Model) fill(ctx context.Context, batch []string, at []int, k int, out [][][]serve.Candidate) error {
	found, err := m.Model.FillMask(ctx, batch, k)
	if err != nil {
		return client(err, "input")
	}
	for i, masks := range found {
		for _, words := range masks {
			list := make([]serve.Candidate, len(words))
			for j, c := range words {
				list[j] = serve.Candidate{Token: c.Token, ID: c.ID, Score: c.Score}
			}
			out[at[i]] = append(out[at[i]], list)
		}
	}
	return nil
}
