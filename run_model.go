package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"skiff/runtime/infer"
)

// modelRunner asks a loaded bundle.
type modelRunner struct {
	*infer.Model
	ask      asking
	prompted infer.Prompted // with the prompt that was asked for
}

// newModelRunner owns m.
func newModelRunner(ctx context.Context, m *infer.Model, ask asking) (runner, error) {
	p, err := m.Prompted(ask.prompt)
	if err != nil {
		err = fmt.Errorf("--prompt: %w", err)
	}
	if err = cmp.Or(ask.suits(m.Manifest().Task), err); err != nil {
		return nil, errors.Join(err, m.Close(context.WithoutCancel(ctx)))
	}
	return modelRunner{m, ask, p}, nil
}

func (r modelRunner) close(ctx context.Context) error { return r.Close(ctx) }

func (r modelRunner) hidden(ctx context.Context, in input) ([]int32, [][]float32, error) {
	if err := single(in, r.Manifest().Task); err != nil {
		return nil, nil, err
	}
	return r.prompted.Hidden(ctx, in.Text)
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
		found, err := r.Tag(ctx, texts, r.ask.aggregate())
		for i := range found {
			out[i] = tagged(texts[i], found[i])
		}
		return out, err
	case infer.TaskFillMask:
		found, err := r.FillMask(ctx, texts, r.ask.words())
		for i := range found {
			out[i] = filled(found[i])
		}
		return out, err
	}
	vectors, err := r.prompted.Embed(ctx, texts)
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
		out[i] = classified(r.Labels(), found[i].Scores, r.ask.thresholds(r.Manifest().Meta.Thresholds), r.ask.top)
	}
	return out, err
}

func (r modelRunner) find(ctx context.Context, batch []input) ([]answer, error) {
	out := make([]answer, len(batch))
	for i, in := range batch {
		if err := paired(in, "a question and a text"); err != nil {
			return nil, err
		}
		spans, err := r.Answers(ctx, in.Text, *in.Pair, r.ask.finding)
		if err != nil {
			return nil, flagged(err)
		}
		out[i] = found(*in.Pair, spans, r.ask.top)
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
