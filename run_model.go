package main

import (
	"context"

	"skiff/runtime/infer"
	"skiff/runtime/task"
)

// modelRunner asks a loaded bundle.
type modelRunner struct{ *infer.Model }

func (r modelRunner) close(ctx context.Context) error { return r.Close(ctx) }

func (r modelRunner) hidden(ctx context.Context, in input) ([]int32, [][]float32, error) {
	if err := single(in, r.Manifest().Task); err != nil {
		return nil, nil, err
	}
	return r.Hidden(ctx, in.Text)
}

func (r modelRunner) answers(ctx context.Context, batch []input) ([]answer, error) {
	switch name := r.Manifest().Task; name {
	case infer.TaskClassify:
		return r.classify(ctx, batch)
	case infer.TaskRank:
		return r.rank(ctx, batch)
	case infer.TaskAnswer:
		return r.find(ctx, batch)
	default:
		texts := make([]string, len(batch))
		for i, in := range batch {
			if err := single(in, name); err != nil {
				return nil, err
			}
			texts[i] = in.Text
		}
		return r.ofTexts(ctx, name, texts)
	}
}

func (r modelRunner) ofTexts(ctx context.Context, name string, texts []string) ([]answer, error) {
	out := make([]answer, len(texts))
	switch name {
	case infer.TaskTag:
		found, err := r.Tag(ctx, texts, task.AggregateSimple)
		for i := range found {
			out[i] = tagged(texts[i], found[i])
		}
		return out, err
	case infer.TaskFillMask:
		found, err := r.FillMask(ctx, texts, topWords)
		for i := range found {
			out[i] = filled(found[i])
		}
		return out, err
	}
	vectors, err := r.Embed(ctx, texts)
	for i := range vectors {
		out[i].Embedding = vectors[i]
	}
	return out, err
}

func (r modelRunner) classify(ctx context.Context, batch []input) ([]answer, error) {
	texts := make([]infer.Text, len(batch))
	for i, in := range batch {
		texts[i] = infer.Text{First: in.Text, Second: in.Pair}
	}
	found, err := r.Classify(ctx, texts)
	out := make([]answer, len(batch))
	for i := range found {
		out[i] = classified(r.Labels(), found[i].Scores)
	}
	return out, err
}

func (r modelRunner) find(ctx context.Context, batch []input) ([]answer, error) {
	out := make([]answer, len(batch))
	for i, in := range batch {
		if err := paired(in, "a question and a text"); err != nil {
			return nil, err
		}
		span, _, err := r.Answer(ctx, in.Text, *in.Pair)
		if err != nil {
			return nil, err
		}
		out[i] = found(*in.Pair, span)
	}
	return out, nil
}

func (r modelRunner) rank(ctx context.Context, batch []input) ([]answer, error) {
	out := make([]answer, len(batch))
	for i, in := range batch {
		if err := paired(in, "two texts"); err != nil {
			return nil, err
		}
		scores, err := r.Rank(ctx, in.Text, []string{*in.Pair})
		if err != nil {
			return nil, err
		}
		out[i].Score = &scores[0]
	}
	return out, nil
}
