package infer

import (
	"context"
	"fmt"
)

// Embed returns one vector of Dim values per text, in order. Each text is given the
// bundle's default prompt, if it has one; Prompted chooses another. Texts longer than the
// bundle's limit are truncated, as the original model does. The vectors are the
// caller's; beyond them a call allocates nothing in the steady state.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	return m.embed(ctx, m.prompt, texts)
}

func (m *Model) embed(ctx context.Context, p prompt, texts []string) ([][]float32, error) {
	if err := m.wants(TaskEmbed); err != nil {
		return nil, err
	}
	flat := make([]float32, len(texts)*m.Dim())
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = flat[i*m.Dim() : (i+1)*m.Dim() : (i+1)*m.Dim()]
	}
	if err := m.run(ctx, p, texts, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Tokens is the number of tokens text has after truncation, special ones included.
func (m *Model) Tokens(text string) int { return len(m.IDs(nil, text)) }

// IDs appends to dst the token ids that the model runs for text.
func (m *Model) IDs(dst []int32, text string) []int32 { return m.ids(dst, m.prompt, text) }

func (m *Model) ids(dst []int32, p prompt, text string) []int32 {
	if p.text != "" {
		text = p.text + text
	}
	return m.tok.AppendIDs(dst, text, m.manifest.Meta.MaxTokensPerText)
}

// append adds the tokens of a text to the batch. What AppendIDs would leave out is an error.
func (m *Model) append(b *batch, p prompt, text string) error {
	if p.text != "" {
		text = p.text + text
	}
	if err := m.tok.Check(text); err != nil {
		return &InputError{"text", err}
	}
	b.ids, b.skip = m.ids(b.ids, prompt{}, text), p.tokens
	return nil
}

// Hidden returns the token ids of one text and the rows of the last block's output,
// [T][H].
func (m *Model) Hidden(ctx context.Context, text string) ([]int32, [][]float32, error) {
	return m.hidden(ctx, m.prompt, text)
}

func (m *Model) hidden(ctx context.Context, p prompt, text string) ([]int32, [][]float32, error) {
	var rows [][]float32
	last := len(m.prog.Taps) - 1
	tap := func(i int, data []byte) {
		if i != last {
			return
		}
		stride := int(m.prog.Taps[i].Stride)
		for ; len(data) >= stride; data = data[stride:] {
			row := make([]float32, m.width())
			readFloats(row, data)
			rows = append(rows, row)
		}
	}
	none := func(int, output) error { return nil }
	if err := m.answer(ctx, 1, m.adder(p, []string{text}), none, tap); err != nil {
		return nil, nil, err
	}
	return m.ids(nil, p, text), rows, nil
}

// width is the number of columns of the hidden states.
func (m *Model) width() int {
	if w := m.manifest.Meta.Width; w != 0 {
		return w
	}
	return m.Dim()
}

// Logits returns what the program makes of each text: one row, or one for each token or
// mask, before any score is made of it.
func (m *Model) Logits(ctx context.Context, texts []string) ([][][]float32, error) {
	out := make([][][]float32, len(texts))
	take := func(i int, rows output) (err error) {
		out[i], err = rows.all(m.Dim())
		return err
	}
	return out, m.answer(ctx, len(texts), m.adder(m.prompt, texts), take, nil)
}

// adder appends texts one by one after a prompt, and picks their masks where the program
// picks any.
func (m *Model) adder(p prompt, texts []string) func(int, *batch) error {
	return func(i int, b *batch) error {
		from := b.mark()
		if err := m.append(b, p, texts[i]); err != nil {
			return fmt.Errorf("text %d: %w", i, err)
		}
		if m.prog.MaxPicks == 0 {
			return nil
		}
		for row := from.ids; row < len(b.ids); row++ {
			if b.ids[row] == m.mask {
				b.picks = append(b.picks, int32(row))
			}
		}
		if n := len(b.picks) - from.picks; n > int(m.prog.MaxPicks) {
			return fmt.Errorf("text %d: %w", i, &InputError{"text", fmt.Errorf("%d masks, at most %d", n, m.prog.MaxPicks)})
		}
		return nil
	}
}

// run gives each text its one row of output.
func (m *Model) run(ctx context.Context, p prompt, texts []string, out [][]float32) error {
	add := func(i int, b *batch) error {
		if err := m.append(b, p, texts[i]); err != nil {
			return fmt.Errorf("text %d: %w", i, err)
		}
		return nil
	}
	take := func(i int, rows output) error { return rows.read(0, out[i]) }
	return m.answer(ctx, len(texts), add, take, nil)
}
