package infer

import (
	"context"
	"fmt"

	"skiff/formats/tokenizer"
	"skiff/runtime/task"
)

// Tag finds the entities of each text. Places are code points of the text.
func (m *Model) Tag(ctx context.Context, texts []string, a task.Aggregation) ([][]task.Entity, error) {
	if err := m.wants(TaskTag); err != nil {
		return nil, err
	}
	encodings := make([]tokenizer.Encoding, len(texts))
	for i, text := range texts {
		var err error
		if encodings[i], err = m.tok.Encode(text, nil, true); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, &InputError{"text", err})
		}
	}
	logits, err := m.tokenRows(ctx, encodings)
	if err != nil {
		return nil, err
	}
	tagger := task.Tagger{Labels: m.manifest.Meta.Labels, Aggregate: a, Prefixed: m.tok.MarksContinuation()}
	out := make([][]task.Entity, len(texts))
	for i := range texts {
		out[i] = tagger.Entities(texts[i], Tokens(m.tok, &encodings[i]), logits[i])
	}
	return out, nil
}

// tokenRows runs a model that has one row of logits per token.
func (m *Model) tokenRows(ctx context.Context, encodings []tokenizer.Encoding) ([][][]float32, error) {
	out := make([][][]float32, len(encodings))
	add := func(i int, b *batch) error {
		b.ids = append(b.ids, encodings[i].IDs...)
		b.types = m.appendTypes(b.types, encodings[i].TypeIDs)
		return nil
	}
	take := func(i int, rows output) (err error) {
		out[i], err = rows.all(m.Dim())
		return err
	}
	return out, m.answer(ctx, len(encodings), add, take, nil)
}

// Tokens is what decoding needs of the encoding of one text.
func Tokens(tok *tokenizer.Tokenizer, e *tokenizer.Encoding) []task.Token {
	out := make([]task.Token, len(e.IDs))
	unknown := tok.UnknownID()
	for i := range out {
		out[i] = task.Token{
			Text: e.Tokens[i], Start: e.Offsets[i][0], End: e.Offsets[i][1], Unknown: e.IDs[i] == unknown,
			Word: int(e.Words[i]), Sequence: int(e.Sequences[i]),
		}
	}
	return out
}

// Candidate is a word for a mask.
type Candidate struct {
	ID    int32
	Token string
	Score float32
}

// FillMask lists the k best words for each mask of each text, best first. Logits are held
// for one mask at a time, and for those of a pass.
func (m *Model) FillMask(ctx context.Context, texts []string, k int) ([][][]Candidate, error) {
	if err := m.wants(TaskFillMask); err != nil {
		return nil, err
	}
	out := make([][][]Candidate, len(texts))
	row := make([]float32, m.Dim())
	take := func(i int, rows output) error {
		for mask := range rows.rows() {
			if err := rows.read(mask, row); err != nil {
				return err
			}
			out[i] = append(out[i], Candidates(m.tok, row, k))
		}
		return nil
	}
	if err := m.answer(ctx, len(texts), m.adder(m.prompt, texts), take, nil); err != nil {
		return nil, err
	}
	return out, nil
}

// Candidates names the k best words of the logits of one mask.
func Candidates(tok *tokenizer.Tokenizer, logits []float32, k int) []Candidate {
	var out []Candidate
	for _, c := range task.Best(logits, k) {
		token, _ := tok.Token(int32(c.ID))
		out = append(out, Candidate{ID: int32(c.ID), Token: token, Score: c.Score})
	}
	return out
}
