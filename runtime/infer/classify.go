package infer

import (
	"context"
	"fmt"

	"skiff/runtime/task"
)

// The tasks a bundle may be for.
const (
	TaskEmbed    = "embed"     // one vector a text
	TaskClassify = "classify"  // one score a label, for a text or a pair
	TaskRank     = "rank"      // one score for a pair: how well a text answers a query
	TaskTag      = "tag"       // one label a token
	TaskAnswer   = "answer"    // the place of an answer in a text
	TaskFillMask = "fill-mask" // words for a mask
)

// Text is an input: one text, or a pair of them.
type Text struct {
	First  string
	Second *string // nil for one text
}

// Classification is the answer for one input: the best label, and all of them in the
// order of the bundle's labels.
type Classification struct {
	Label  string
	Score  float32
	Scores []float32
	Labels []string // those that reach the bundle's thresholds; nil where it has none
}

// Labels are the bundle's labels, in the order of Classification.Scores.
func (m *Model) Labels() []string { return m.manifest.Meta.Labels }

// Classify scores the labels of each input.
func (m *Model) Classify(ctx context.Context, inputs []Text) ([]Classification, error) {
	if err := m.wants(TaskClassify); err != nil {
		return nil, err
	}
	rows, err := m.scores(ctx, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]Classification, len(rows))
	for i, scores := range rows {
		best := task.Top(scores)
		labels := m.manifest.Meta.Labels
		out[i] = Classification{labels[best], scores[best], scores, task.Reached(labels, scores, m.manifest.Meta.Thresholds)}
	}
	return out, nil
}

// Rank scores how well each document answers the query; higher is better.
func (m *Model) Rank(ctx context.Context, query string, documents []string) ([]float32, error) {
	if err := m.wants(TaskRank); err != nil {
		return nil, err
	}
	inputs := make([]Text, len(documents))
	for i := range documents {
		inputs[i] = Text{First: query, Second: &documents[i]}
	}
	rows, err := m.scores(ctx, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(rows))
	for i, scores := range rows {
		out[i] = scores[0]
	}
	return out, nil
}

// scores runs a model that has one row of logits per sequence.
func (m *Model) scores(ctx context.Context, inputs []Text) ([][]float32, error) {
	score, err := task.ParseFunction(m.manifest.Meta.Scores)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	out := make([][]float32, len(inputs))
	add := func(i int, b *batch) error {
		if err := m.encode(inputs[i], b); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		return nil
	}
	take := func(i int, rows output) error {
		out[i] = make([]float32, m.Dim())
		if err := rows.read(0, out[i]); err != nil {
			return err
		}
		score.Apply(out[i], out[i])
		return nil
	}
	return out, m.answer(ctx, len(inputs), add, take, nil)
}

// encode appends the tokens of an input, truncated as the original model does.
func (m *Model) encode(in Text, b *batch) error {
	if in.Second == nil {
		return m.append(b, m.prompt, in.First)
	}
	enc, err := m.tok.Encode(in.First, in.Second, true)
	if err != nil {
		return &InputError{"text", err}
	}
	b.ids = append(b.ids, enc.IDs...)
	b.types = m.appendTypes(b.types, enc.TypeIDs)
	return nil
}

// appendTypes leaves the types out of models that know only one.
func (m *Model) appendTypes(dst, types []int32) []int32 {
	for _, t := range types {
		if t >= int32(m.prog.Types) {
			t = 0
		}
		dst = append(dst, t)
	}
	return dst
}
