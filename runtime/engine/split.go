package engine

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Times are guesses of what kernels take: they say how a stage is cut, never what it
// answers.
const (
	callTime  = time.Millisecond      // at most, of one call: a cancelled pass stops within it, and a collection waits for it
	splitTime = 10 * time.Microsecond // of a stage that is not worth a second worker
	pieceTime = 50 * time.Microsecond // of what a worker claims where units differ, as sequences do in length
)

// speed is how many multiply-accumulates a microsecond is good for on a CPU of these years:
// of linears, and of everything else; and what a worker should claim of linears at a time, where
// there is as much: assembly reads a panel of weights once for all rows of a call.
type speed struct {
	linear, other int
	piece         time.Duration
}

func speedOf(k Kind) speed {
	switch k {
	case Native:
		return speed{linear: 250_000, other: 50_000, piece: 300 * time.Microsecond}
	case Wasm:
		return speed{linear: 45_000, other: 15_000, piece: 100 * time.Microsecond}
	case Go:
		return speed{linear: 4_000, other: 2_000, piece: 100 * time.Microsecond}
	}
	return speed{linear: 200, other: 200, piece: 100 * time.Microsecond}
}

// cut is how the units of a stage are handed out: a share for each worker, as equal as can
// be, and each share in parts of whole blocks but for the last.
type cut struct {
	units  int
	shares int
	parts  int // of a share
	block  int // units that run best together
}

// pieces is how many parts there are in all.
func (c cut) pieces() int { return c.shares * c.parts }

// piece is the units [lo, hi) of part i: the first of every share, then the second, so that
// workers that take them in turn end together, whoever takes which. It may be empty.
func (c cut) piece(i int) (lo, hi int) {
	share, part := i%c.shares, i/c.shares
	first, end := share*c.units/c.shares, (share+1)*c.units/c.shares
	blocks := (end - first + c.block - 1) / c.block
	lo = first + part*blocks/c.parts*c.block
	return lo, min(first+(part+1)*blocks/c.parts*c.block, end)
}

// cut cuts a stage so that no call takes much longer than callTime or has more units than
// its scratch is for, and so that all workers end together.
func (m *Machine) cut(st *stage, units, tokens, seqs int) cut {
	block, whole, longest := m.measure(st, tokens, seqs)
	most := max(int(callTime/max(longest, 1))/block, 1)
	if m.choice.kind == Native {
		most = min(most, nativeUnits/block)
	}
	total := time.Duration(units) * whole
	c := cut{units: units, block: block}
	c.shares = max(min(m.active, units, int(total/splitTime)), 1)
	blocks := ((units+c.shares-1)/c.shares + block - 1) / block // of the largest share
	c.parts = (blocks + most - 1) / most
	if c.shares > 1 {
		piece := pieceTime
		if slices.Contains(st.linear, true) {
			piece = speedOf(m.choice.kind).piece
		}
		c.parts = max(c.parts, min(blocks, int(total/piece)/c.shares))
	}
	return c
}

// measure is the units of a stage's block, what one unit takes of all its steps, and what
// it takes of the longest.
func (m *Machine) measure(st *stage, tokens, seqs int) (block int, whole, longest time.Duration) {
	for i := st.First; i < st.End; i++ {
		s := &m.prog.Steps[i]
		k, kind, grain := m.kernels[s.Kernel], m.choice.kind, 0
		if kind == Native && m.choice.bound[s.Kernel].Run == nil {
			kind = m.choice.rest
		} else if kind == Native {
			grain = m.choice.bound[s.Kernel].Grain
		}
		if grain <= 0 {
			grain = k.Grain()
		}
		rate := speedOf(kind).other
		if st.linear[i-st.First] {
			rate = speedOf(kind).linear
		}
		t := time.Duration(k.Cost(s.Args, tokens, seqs)) * time.Microsecond / time.Duration(rate)
		whole += t
		if t > longest || block == 0 {
			block, longest = min(grain, nativeUnits), t
		}
	}
	return block, whole, longest
}

// runStage does a stage over a pass of so many rows and sequences.
func (m *Machine) runStage(ctx context.Context, st *stage, rows, seqs int) error {
	c := m.cut(st, st.domain.Units(rows, seqs), rows, seqs)
	if c.shares > 1 {
		return m.pool.run(m.workers[0], m.active-1, job{ctx: ctx, machine: m, stage: st, cut: c})
	}
	for i := range c.pieces() {
		lo, hi := c.piece(i)
		if err := m.workers[0].runRange(ctx, m, st, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// runRange does the units [lo, hi) of a stage, step by step, unless ctx has ended. It is the
// one place where kernels are called.
func (w *worker) runRange(ctx context.Context, m *Machine, st *stage, lo, hi int) error {
	for i := st.First; i < st.End && lo < hi; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &m.prog.Steps[i]
		var began time.Time
		if m.trace != nil {
			began = time.Now()
		}
		if err := w.call(ctx, int(s.Kernel), uint32(lo), uint32(hi), w.scratch, s.Args); err != nil {
			return fmt.Errorf("step %d, %s: %w", i, m.prog.Kernels[s.Kernel], err)
		}
		if m.trace != nil {
			m.trace(w.index, i, lo, hi, time.Since(began))
		}
	}
	return nil
}
