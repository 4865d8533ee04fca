package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"skiff/formats/tokenizer"
	"skiff/packager"
	"skiff/packager/graph"
	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// reference runs a MODEL in float32: what it means, before anything is quantised.
type reference struct {
	model *graph.Model
	ref   *graph.Reference
	tok   *tokenizer.Tokenizer
	task  packager.Task // its name is "" for a model that has hidden states only
	ask   asking

	prompt string // before every text
}

func newReference(m *graph.Model, ask asking) (*reference, error) {
	tok, err := tokenizer.Parse(m.TokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	// As in a bundle: cut to the model's own limit, never padded.
	if tok, err = tokenizer.Parse(tok.Canonical(m.MaxTokens)); err != nil {
		return nil, fmt.Errorf("canonical tokenizer: %w", err)
	}
	r := &reference{model: m, ref: m.Reference(), tok: tok, ask: ask, prompt: m.Prefix}
	if m.Task != graph.TaskEncode {
		if r.task, err = packager.TaskOf(m, tok); err != nil {
			return nil, err
		}
	}
	if err := ask.suits(r.task.Name); err != nil {
		return nil, err
	}
	if text, ok := m.Prompts[ask.prompt]; ok {
		r.prompt = text
	} else if ask.prompt != "" {
		return nil, fmt.Errorf("--prompt: %w", infer.NoPrompt(ask.prompt, slices.Sorted(maps.Keys(m.Prompts))))
	}
	return r, nil
}

func (r *reference) close(context.Context) error { return nil }

// encode is an input as the model takes it.
func (r *reference) encode(in input) (tokenizer.Encoding, error) {
	if in.Pair != nil {
		return r.tok.Encode(in.Text, in.Pair, true)
	}
	var e tokenizer.Encoding
	if err := r.tok.Check(r.prompt + in.Text); err != nil {
		return e, err
	}
	e.IDs = r.tok.AppendIDs(nil, r.prompt+in.Text, r.model.MaxTokens)
	return e, nil
}

func (r *reference) answers(ctx context.Context, batch []input) ([]answer, error) {
	out := make([]answer, len(batch))
	for i, in := range batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if out[i], err = r.answer(in); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *reference) answer(in input) (answer, error) {
	if r.task.Name == "" {
		return answer{}, nil
	}
	if r.task.Name == infer.TaskAnswer {
		return r.find(in)
	}
	if r.task.Name != infer.TaskClassify && r.task.Name != infer.TaskRank {
		if err := single(in, r.task.Name); err != nil {
			return answer{}, err
		}
	}
	if r.task.Name == infer.TaskTag {
		return r.tag(in.Text)
	}
	if r.task.Name == infer.TaskEmbed {
		vector, err := r.ref.EmbedWith(r.prompt, in.Text)
		return answer{Embedding: vector}, err
	}
	e, err := r.encode(in)
	if err != nil {
		return answer{}, err
	}
	rows, err := r.run(e)
	if err != nil {
		return answer{}, err
	}
	switch r.task.Name {
	case infer.TaskClassify:
		r.task.Scores.Apply(rows[0], rows[0])
		return classified(r.task.Labels, rows[0], r.ask.thresholds(r.task.Thresholds), r.ask.top), nil
	case infer.TaskRank:
		r.task.Scores.Apply(rows[0], rows[0])
		return answer{Score: &rows[0][0]}, nil
	}
	return r.fill(e.IDs, rows), nil
}

// types are those of a pair, for a model that tells its texts apart.
func (r *reference) types(e tokenizer.Encoding) []int32 {
	if r.model.Types < 2 {
		return nil
	}
	return e.TypeIDs
}

// run gives the rows of the model's answer.
func (r *reference) run(e tokenizer.Encoding) ([][]float32, error) {
	values, err := r.ref.Run(e.IDs, r.types(e), nil, r.model.Answer)
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(values[0], r.model.Dim())), nil
}

func (r *reference) tag(text string) (answer, error) {
	e, err := r.tok.Encode(text, nil, true)
	if err != nil {
		return answer{}, err
	}
	rows, err := r.run(e)
	if err != nil {
		return answer{}, err
	}
	tagger := task.Tagger{Labels: r.task.Labels, Aggregate: r.ask.aggregate(), Prefixed: r.tok.MarksContinuation()}
	return tagged(text, tagger.Entities(text, infer.Tokens(r.tok, &e), rows)), nil
}

func (r *reference) find(in input) (answer, error) {
	if err := paired(in, "a question and a text"); err != nil {
		return answer{}, err
	}
	windows, err := r.ask.finding.Windows(r.tok, in.Text, *in.Pair, r.model.MaxTokens)
	if err != nil {
		return answer{}, flagged(err)
	}
	logits := make([][][]float32, len(windows))
	for i := range windows {
		if logits[i], err = r.run(windows[i]); err != nil {
			return answer{}, err
		}
	}
	return found(*in.Pair, r.ask.finding.Best(r.tok, *in.Pair, windows, logits), r.ask.top), nil
}

func (r *reference) fill(ids []int32, rows [][]float32) answer {
	mask, _ := r.tok.ID(r.task.Mask)
	var masks [][]infer.Candidate
	for i, id := range ids {
		if id == mask {
			masks = append(masks, infer.Candidates(r.tok, rows[i], r.ask.words()))
		}
	}
	return filled(masks)
}

func (r *reference) hidden(_ context.Context, in input) ([]int32, [][]float32, error) {
	e, err := r.encode(in)
	if err != nil {
		return nil, nil, err
	}
	values, err := r.ref.Run(e.IDs, r.types(e), nil, r.model.Last)
	if err != nil {
		return nil, nil, err
	}
	return e.IDs, slices.Collect(slices.Chunk(values[0], r.model.Hidden)), nil
}
