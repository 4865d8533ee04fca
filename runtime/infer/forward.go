package infer

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// maxIdle is how many batches are kept for callers to come.
const maxIdle = 4

// batch is the reused memory of one call: sequences that are tokenised and not run yet. It
// never holds more than a pass and the sequence that did not fit in it.
type batch struct {
	ids    []int32
	types  []int32
	starts []int32 // of each sequence, then the end
	picks  []int32 // rows of tokens that the model answers for one by one
	rows   []int   // output rows of each sequence
	skip   int     // tokens at the start of each sequence that pools leave out
}

func (b *batch) reset() {
	b.ids, b.types, b.picks, b.rows = b.ids[:0], b.types[:0], b.picks[:0], b.rows[:0]
	b.starts = append(b.starts[:0], 0)
	b.skip = 0
}

// mark is how much of a batch is filled.
type mark struct{ ids, picks int }

func (b *batch) mark() mark { return mark{len(b.ids), len(b.picks)} }

// end closes the sequence that was appended since from. Types that were not appended are
// of the first kind.
func (b *batch) end(from mark, over program.Over) {
	for len(b.types) < len(b.ids) {
		b.types = append(b.types, 0)
	}
	rows := 1
	switch over {
	case program.Tokens:
		rows = len(b.ids) - from.ids
	case program.Picks:
		rows = len(b.picks) - from.picks
	}
	b.rows = append(b.rows, rows)
	b.starts = append(b.starts, int32(len(b.ids)))
}

// keep drops what was run and leaves the sequence after it at the front.
func (b *batch) keep(from mark) {
	n := copy(b.ids, b.ids[from.ids:])
	b.ids = b.ids[:n]
	b.types = b.types[:copy(b.types, b.types[min(from.ids, len(b.types)):])]
	n = copy(b.picks, b.picks[from.picks:])
	b.picks = b.picks[:n]
	for i := range b.picks {
		b.picks[i] -= int32(from.ids)
	}
	b.rows, b.starts = b.rows[:0], append(b.starts[:0], 0)
}

// answer is forward for any number of concurrent callers: texts become tokens beside the
// passes of others, and the machine is taken for one pass at a time, so that a call on one
// text waits for a pass of a call on many, not for all of them.
func (m *Model) answer(ctx context.Context, n int, add func(i int, b *batch) error, take func(i int, rows output) error, tap func(int, []byte)) error {
	b := m.lendBatch()
	defer m.returnBatch(b)
	if m.mu.TryLock() { // else it is awake
		if m.machine != nil {
			m.machine.Wake()
		}
		m.mu.Unlock()
	}
	return m.passes(ctx, b, false, n, add, take, tap)
}

// forward runs n sequences, pass by pass. add appends sequence i to the batch: its ids,
// its types where they are not 0, its picks as rows of the batch. take is given the output
// rows of sequence i, lent. The caller holds mu.
func (m *Model) forward(ctx context.Context, n int, add func(i int, b *batch) error, take func(i int, rows output) error, tap func(int, []byte)) error {
	return m.passes(ctx, &m.batch, true, n, add, take, tap)
}

// passes fills b and runs it as often as it is full. held says that the caller holds mu.
func (m *Model) passes(ctx context.Context, b *batch, held bool, n int, add func(i int, b *batch) error, take func(i int, rows output) error, tap func(int, []byte)) error {
	p := m.prog
	b.reset()
	first := 0
	for i := range n {
		before := b.mark()
		if err := add(i, b); err != nil {
			return err
		}
		full := len(b.ids) > int(p.MaxTokens) || len(b.starts) > int(p.MaxSeqs) || len(b.picks) > int(p.MaxPicks)
		if full && i > first {
			if err := m.pass(ctx, b, held, before, first, take, tap); err != nil {
				return err
			}
			b.keep(before)
			before, first = mark{}, i
		}
		b.end(before, program.Over(p.Rows))
	}
	if first == n {
		return nil
	}
	return m.pass(ctx, b, held, b.mark(), first, take, tap)
}

// pass runs the sequences up to end and hands their output rows out; the first of them is
// sequence number first.
func (m *Model) pass(ctx context.Context, b *batch, held bool, end mark, first int, take func(int, output) error, tap func(int, []byte)) error {
	if !held {
		select {
		case <-m.turn:
		case <-ctx.Done():
			return fmt.Errorf("wait for others: %w", ctx.Err())
		}
		defer func() { m.turn <- struct{}{} }()
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	if m.machine == nil {
		return ErrClosed
	}
	in := engine.Input{IDs: b.ids[:end.ids], Types: b.types[:end.ids], Starts: b.starts, Picks: b.picks[:end.picks], Skip: b.skip}
	data, err := m.machine.Run(ctx, in, tap)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	stride := 4 * program.Pad16(int(m.prog.Hidden))
	for i, rows := range b.rows {
		if err := take(first+i, output{data: data[:rows*stride], stride: stride}); err != nil {
			return err
		}
		data = data[rows*stride:]
	}
	return nil
}

// lendBatch takes a batch that nobody uses, or makes one.
func (m *Model) lendBatch() *batch {
	m.lending.Lock()
	defer m.lending.Unlock()
	if n := len(m.idle); n > 0 {
		b := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return b
	}
	return &batch{}
}

// returnBatch keeps it for the next caller, where there are not enough already.
func (m *Model) returnBatch(b *batch) {
	m.lending.Lock()
	defer m.lending.Unlock()
	if len(m.idle) < maxIdle {
		m.idle = append(m.idle, b)
	}
}

// output is the rows that one sequence got.
type output struct {
	data   []byte
	stride int
}

// rows is how many rows there are.
func (o output) rows() int { return len(o.data) / o.stride }

// read copies row i to dst, whose length is the number of columns.
func (o output) read(i int, dst []float32) error {
	if !readFloats(dst, o.data[i*o.stride:]) {
		return ErrNotFinite
	}
	return nil
}

// all copies every row of cols columns.
func (o output) all(cols int) ([][]float32, error) {
	flat := make([]float32, o.rows()*cols)
	out := make([][]float32, o.rows())
	for i := range out {
		out[i] = flat[i*cols : (i+1)*cols]
		if err := o.read(i, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
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
