package infer

import (
	"context"
	"errors"

	"skiff/formats/tokenizer"
	"skiff/runtime/task"
)

// Finding says how the answer to a question is looked for. The zero value is what the
// question answering pipeline of transformers does.
type Finding struct {
	Answers    int  // the most that are wanted; 0: 1
	MaxAnswer  int  // tokens of an answer; 0: 15
	Window     int  // tokens that are read at once; 0: 384, and never more than the model takes
	Stride     int  // tokens that two windows share; 0: half a window, at most 128
	Impossible bool // "there is no answer" may be the answer: an empty span
}

const (
	maxWindow = 384
	maxStride = 128
)

// reader is the part of it that needs no model.
func (f Finding) reader() task.Reader {
	return task.Reader{MaxTokens: f.MaxAnswer, Answers: f.Answers, Impossible: f.Impossible}
}

// Windows cuts a text to be searched for an answer as a model of max tokens reads it. An
// error is an *InputError.
func (f Finding) Windows(tok *tokenizer.Tokenizer, question, text string, max int) ([]tokenizer.Encoding, error) {
	if f.Window == 0 {
		f.Window = maxWindow
	}
	max = min(max, f.Window)
	// What is left for the text: at least a token of it must be read.
	room := max - tok.SpecialCount(true) - len(tok.AppendIDs(nil, question, 0)) + tok.SpecialCount(false)
	switch {
	case room < 1:
		return nil, &InputError{"question", errors.New("with the special tokens it fills what is read at once and leaves no room for the text: shorten it")}
	case f.Stride >= room && len(tok.AppendIDs(nil, text, 0))-tok.SpecialCount(false) > room: // else there is one window
		return nil, &InputError{"stride", errors.New("two windows would share all that is left for the text beside the question: make it smaller")}
	case f.Stride == 0: // a long question leaves little room: windows must still move on
		if f.Stride = min(max/2, maxStride); f.Stride >= room {
			f.Stride = room / 2
		}
	}
	out, err := tok.Windows(question, text, max, f.Stride)
	if err != nil {
		return nil, &InputError{"text", err}
	}
	return out, nil
}

// Answers finds the answers to a question in a text, best first; none where there is none.
// A text that does not fit is read in windows that overlap.
func (m *Model) Answers(ctx context.Context, question, text string, f Finding) ([]task.Span, error) {
	if err := m.wants(TaskAnswer); err != nil {
		return nil, err
	}
	encodings, err := f.Windows(m.tok, question, text, m.manifest.Meta.MaxTokensPerText)
	if err != nil {
		return nil, err
	}
	logits, err := m.tokenRows(ctx, encodings)
	if err != nil {
		return nil, err
	}
	return f.Best(m.tok, text, encodings, logits), nil
}

// Best are the best spans of text, best first; logits are [window][T][start, end].
func (f Finding) Best(tok *tokenizer.Tokenizer, text string, encodings []tokenizer.Encoding, logits [][][]float32) []task.Span {
	windows := make([]task.Window, len(encodings))
	for i := range encodings {
		windows[i].Tokens = Tokens(tok, &encodings[i])
		for _, row := range logits[i] {
			windows[i].Start, windows[i].End = append(windows[i].Start, row[0]), append(windows[i].End, row[1])
		}
	}
	return f.reader().Find(text, windows)
}
