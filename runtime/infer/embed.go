package infer

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// batch is the reused memory of one call. Texts that are tokenised but not run yet wait
// in ids; a pass is full when the next text would not fit.
type batch struct {
	ids    []int32
	types  []int32 // all zero: single texts are of type 0
	starts []int32
}

func (b *batch) reset() {
	b.ids, b.starts = b.ids[:0], append(b.starts[:0], 0)
}

// Embed returns one vector of Dim values per text, in order. Texts longer than the
// bundle's limit are truncated, as the original model does. The vectors are the
// caller's; beyond them a call allocates nothing in the steady state.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
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

// IDs appends to dst the token ids that Embed runs for text.
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
			row := make([]float32, m.Dim())
			readFloats(row, data)
			rows = append(rows, row)
		}
	}
	if err := m.run(ctx, []string{text}, [][]float32{make([]float32, m.Dim())}, tap); err != nil {
		return nil, nil, err
	}
	return m.IDs(nil, text), rows, nil
}

// run embeds texts into out, pass by pass. The caller holds mu.
func (m *Model) run(ctx context.Context, texts []string, out [][]float32, tap func(int, []byte)) error {
	if m.machine == nil {
		return ErrClosed
	}
	b := &m.batch
	b.reset()
	done := 0
	for i, text := range texts {
		before := len(b.ids)
		b.ids = m.IDs(b.ids, text)
		full := len(b.ids) > int(m.prog.MaxTokens) || len(b.starts) > int(m.prog.MaxSeqs)
		if full {
			if err := m.pass(ctx, b.ids[:before], out[done:i], tap); err != nil {
				return err
			}
			n := copy(b.ids, b.ids[before:])
			b.ids, b.starts, done = b.ids[:n], append(b.starts[:0], 0), i
		}
		b.starts = append(b.starts, int32(len(b.ids)))
	}
	if done == len(texts) {
		return nil
	}
	return m.pass(ctx, b.ids, out[done:], tap)
}

// pass runs the sequences that b.starts cuts ids into and reads their vectors.
func (m *Model) pass(ctx context.Context, ids []int32, out [][]float32, tap func(int, []byte)) error {
	for len(m.batch.types) < len(ids) {
		m.batch.types = append(m.batch.types, 0)
	}
	in := engine.Input{IDs: ids, Types: m.batch.types[:len(ids)], Starts: m.batch.starts}
	rows, err := m.machine.Run(ctx, in, tap)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	stride := 4 * program.Pad16(m.Dim())
	for i, v := range out {
		if !readFloats(v, rows[i*stride:]) {
			return ErrNotFinite
		}
	}
	return nil
}

// readFloats fills dst from little-endian data and says whether all values are finite.
func readFloats(dst []float32, data []byte) bool {
	finite := true
	for i := range dst {
		bits := binary.LittleEndian.Uint32(data[4*i:])
		finite = finite && bits&0x7f800000 != 0x7f800000
		dst[i] = math.Float32frombits(bits)
	}
	return finite
}
