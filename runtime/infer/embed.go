package infer

import "context"

// Embed returns one vector of Dim values per text, in order. Texts longer than the
// bundle's limit are truncated, as the original model does. The vectors are the
// caller's; beyond them a call allocates nothing in the steady state.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if err := m.wants(TaskEmbed); err != nil {
		return nil, err
	}
	flat := make([]float32, len(texts)*m.Dim())
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = flat[i*m.Dim() : (i+1)*m.Dim() : (i+1)*m.Dim()]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.run(ctx, texts, out, nil); err != nil {
		return nil, err
	}
	return out, nil
}

// Tokens is the number of tokens text has after truncation, special ones included.
func (m *Model) Tokens(text string) int { return len(m.IDs(nil, text)) }

// IDs appends to dst the token ids that the model runs for text.
func (m *Model) IDs(dst []int32, text string) []int32 {
	if p := m.manifest.Meta.Prefix; p != "" {
		text = p + text
	}
	return m.tok.AppendIDs(dst, text, m.manifest.Meta.MaxTokensPerText)
}

// Hidden returns the token ids of one text and the rows of the last block's output,
// [T][H].
func (m *Model) Hidden(ctx context.Context, text string) ([]int32, [][]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows [][]float32
	last := len(m.prog.Taps) - 1
	tap := func(i int, data []byte) {
		if i != last {
			return
		}
		stride := int(m.prog.Taps[i].Stride)
		for ; len(data) >= stride; data = data[stride:] {
			row := make([]float32, m.manifest.Meta.Hidden)
			readFloats(row, data)
			rows = append(rows, row)
		}
	}
	if err := m.run(ctx, []string{text}, [][]float32{make([]float32, m.Dim())}, tap); err != nil {
		return nil, nil, err
	}
	return m.IDs(nil, text), rows, nil
}

// run gives each text its one row of output. The caller holds mu.
func (m *Model) run(ctx context.Context, texts []string, out [][]float32, tap func(int, []byte)) error {
	add := func(i int, b *batch) { b.ids = m.IDs(b.ids, texts[i]) }
	take := func(i int, rows output) error { return rows.read(0, out[i]) }
	return m.forward(ctx, len(texts), add, take, tap)
}
