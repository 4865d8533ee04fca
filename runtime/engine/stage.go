package engine

import (
	"context"
	"encoding/binary"
	"fmt"

	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// stage is a run of steps between barriers.
type stage struct {
	program.Stage
	domain *kernel.Kernel // the kernel whose domain the stage runs over
	linear []bool         // of each step
	taps   []int          // taps to give after the stage
}

func cutStages(p *program.Program, kernels []*kernel.Kernel) []stage {
	var out []stage
	for _, s := range p.Stages() {
		st := stage{Stage: s, domain: kernels[p.Steps[s.First].Kernel]}
		for i := s.First; i < s.End; i++ {
			st.linear = append(st.linear, kernels[p.Steps[i].Kernel].Form().Op == "linear")
		}
		for i, t := range p.Taps {
			if int(t.Step) >= s.First && int(t.Step) < s.End {
				st.taps = append(st.taps, i)
			}
		}
		out = append(out, st)
	}
	return out
}

// Input is one pass: token ids and type ids of all sequences one after another, and
// where each starts, with the end last. Starts[0] is 0. Picks are ascending rows, where
// the program picks any.
type Input struct {
	IDs, Types []int32
	Starts     []int32
	Picks      []int32
	Skip       int // tokens that begin every sequence and that pools leave out, where the program has such
}

// count is how many of what o names the pass has.
func (in *Input) count(o program.Over) int {
	switch o {
	case program.Seqs:
		return len(in.Starts) - 1
	case program.Picks:
		return len(in.Picks)
	}
	return len(in.IDs)
}

// rows is what a stage meets of the pass. A pool over picks reads token rows; what
// follows it has a row for each.
func (in *Input) rows(o program.Over, d kernel.Domain) (rows, seqs int) {
	if o == program.Tokens {
		return len(in.IDs), len(in.Starts) - 1
	}
	seqs = in.count(o)
	if d == kernel.Rows {
		return seqs, seqs
	}
	return len(in.IDs), seqs
}

// Run executes the program over one pass and returns the output rows, [rows][Pad16(H)]
// float32 little-endian, one per sequence, token or pick as the program says, which stay valid until the next Run. tap, if not nil, is
// given the rows of each of the program's taps, lent. An error leaves the machine
// usable. No memory is allocated.
func (m *Machine) Run(ctx context.Context, in Input, tap func(i int, rows []byte)) ([]byte, error) {
	if err := m.load(in); err != nil {
		return nil, err
	}
	tokens := len(in.IDs)
	m.pool.used = false
	for i := range m.stages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st := &m.stages[i]
		rows, seqs := in.rows(m.prog.Steps[st.First].Over, st.domain.Domain())
		if seqs == 0 {
			continue // nothing was picked
		}
		if err := m.runStage(ctx, st, rows, seqs); err != nil {
			return nil, err
		}
		if tap == nil {
			continue
		}
		for _, t := range st.taps {
			at := m.prog.Taps[t]
			tap(t, m.mem[at.Offset:at.Offset+uint32(tokens)*at.Stride])
		}
	}
	stride := 4 * program.Pad16(m.prog.Hidden)
	rows := in.count(program.Over(m.prog.Rows))
	return m.mem[m.prog.Output : m.prog.Output+uint32(rows)*stride], nil
}

// load checks a pass and writes it into memory.
func (m *Machine) load(in Input) error {
	p := m.prog
	tokens, seqs := len(in.IDs), len(in.Starts)-1
	if tokens == 0 || tokens > int(p.MaxTokens) || seqs < 1 || seqs > int(p.MaxSeqs) || len(in.Types) != tokens {
		return fmt.Errorf("pass of %d tokens, %d types, %d sequences: want up to %d and %d", tokens, len(in.Types), seqs, p.MaxTokens, p.MaxSeqs)
	}
	if in.Skip < 0 || in.Skip > int(p.MaxLength) || in.Skip > 0 && p.Skips == 0 {
		return fmt.Errorf("skip of %d tokens: want up to %d, and a program that skips any", in.Skip, p.MaxLength)
	}
	if in.Starts[0] != 0 || int(in.Starts[seqs]) != tokens {
		return fmt.Errorf("sequences from %d to %d for %d tokens", in.Starts[0], in.Starts[seqs], tokens)
	}
	for i := range tokens {
		if uint32(in.IDs[i]) >= p.Vocab || uint32(in.Types[i]) >= p.Types {
			return fmt.Errorf("token %d: id %d of %d, type %d of %d", i, in.IDs[i], p.Vocab, in.Types[i], p.Types)
		}
		m.put(p.IDs, i, in.IDs[i])
		m.put(p.TypeIDs, i, in.Types[i])
	}
	for s := range seqs {
		length := in.Starts[s+1] - in.Starts[s]
		if length < 0 || length > int32(p.MaxLength) || int(in.Starts[s+1]) > tokens {
			return fmt.Errorf("sequence %d: %d tokens: want up to %d", s, length, p.MaxLength)
		}
		m.number(in.IDs[:in.Starts[s+1]], int(in.Starts[s]))
		m.put(p.Starts, s, in.Starts[s])
		if p.Skips != 0 {
			m.put(p.Skips, s, int32(in.Skip)) // a shorter sequence is all prompt
		}
	}
	m.put(p.Starts, seqs, in.Starts[seqs])
	return m.loadPicks(in)
}

// number writes the places of the tokens from first on, which are one sequence.
func (m *Machine) number(ids []int32, first int) {
	pads, place := m.prog.Pads, int32(0)
	if pads != 0 {
		place = 1
	}
	for t := first; t < len(ids); t++ {
		if pads != 0 && uint32(ids[t]) == pads-1 {
			m.put(m.prog.Positions, t, 0)
			continue
		}
		m.put(m.prog.Positions, t, place)
		place++
	}
}

// loadPicks writes the picked rows as a list of starts: a pool over it takes the row that
// each begins with.
func (m *Machine) loadPicks(in Input) error {
	if len(in.Picks) > int(m.prog.MaxPicks) {
		return fmt.Errorf("%d picks: want up to %d", len(in.Picks), m.prog.MaxPicks)
	}
	for i, row := range in.Picks {
		if row < 0 || int(row) >= len(in.IDs) || i > 0 && row <= in.Picks[i-1] {
			return fmt.Errorf("pick %d: row %d of %d", i, row, len(in.IDs))
		}
		m.put(m.prog.Picked, i, row)
	}
	if len(in.Picks) > 0 {
		m.put(m.prog.Picked, len(in.Picks), int32(len(in.IDs)))
	}
	return nil
}

func (m *Machine) put(base uint32, i int, v int32) {
	binary.LittleEndian.PutUint32(m.mem[int(base)+4*i:], uint32(v))
}
