package program

import (
	"fmt"

	"skiff/runtime/kernel"
)

// Stage is a run of steps with no barrier between them: a worker takes a range of
// units through all of them before it takes the next range.
type Stage struct {
	First, End int // steps [First, End)
}

// Stages cuts the steps at their barriers.
func (p *Program) Stages() []Stage {
	var out []Stage
	for i, s := range p.Steps {
		if i == 0 || s.Barrier {
			out = append(out, Stage{First: i})
		}
		out[len(out)-1].End = i + 1
	}
	return out
}

// Check proves the program: every kernel known, every weight, input, output and
// argument inside the region where it belongs, every step with the scratch it needs.
// A program that passes cannot read or write outside [Base, MemoryBytes(workers)) and
// cannot change a weight. It returns the kernels in the order of p.Kernels; errors wrap
// ErrInvalid or kernel.ErrName.
func (p *Program) Check() ([]*kernel.Kernel, error) {
	if err := p.checkSizes(); err != nil {
		return nil, err
	}
	if err := p.checkWeights(); err != nil {
		return nil, err
	}
	if err := p.checkEnds(); err != nil {
		return nil, err
	}
	kernels := make([]*kernel.Kernel, len(p.Kernels))
	for i, name := range p.Kernels {
		k, err := kernel.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("kernel %d: %w", i, err)
		}
		kernels[i] = k
	}
	for i, s := range p.Steps {
		if int(s.Kernel) >= len(kernels) {
			return nil, invalid("step %d: kernel %d of %d", i, s.Kernel, len(kernels))
		}
		if err := p.checkStep(kernels[s.Kernel], s); err != nil {
			return nil, invalid("step %d: %v", i, err)
		}
	}
	return kernels, p.checkOrder(kernels)
}

func (p *Program) checkSizes() error {
	switch {
	case p.MaxTokens == 0 || p.MaxTokens > 1<<16:
		return invalid("%d tokens a pass", p.MaxTokens)
	case p.MaxSeqs == 0 || p.MaxSeqs > p.MaxTokens:
		return invalid("%d sequences for %d tokens", p.MaxSeqs, p.MaxTokens)
	case p.MaxLength == 0 || p.MaxLength > p.MaxTokens:
		return invalid("sequences of %d tokens for %d tokens", p.MaxLength, p.MaxTokens)
	case p.MaxPicks > p.MaxTokens || p.Rows > uint32(Picks) || p.Rows == uint32(Picks) && p.MaxPicks == 0:
		return invalid("%d picks of %d tokens, output rows %d", p.MaxPicks, p.MaxTokens, p.Rows)
	case p.Pads > p.Vocab:
		return invalid("padding of id %d in a vocabulary of %d", p.Pads-1, p.Vocab)
	case p.Vocab == 0 || p.Types == 0 || p.Hidden == 0 || p.Hidden > 1<<20:
		return invalid("vocabulary %d, types %d, hidden size %d", p.Vocab, p.Types, p.Hidden)
	case p.WeightsEnd < Base || p.ArenaEnd < p.WeightsEnd || p.ArenaEnd > 1<<31 || p.Scratch > 1<<28:
		return invalid("memory map %d, %d, scratch %d", p.WeightsEnd, p.ArenaEnd, p.Scratch)
	case (p.WeightsEnd|p.ArenaEnd|p.Scratch)%Align != 0:
		return invalid("memory map not aligned to %d", Align)
	case len(p.Steps) == 0:
		return invalid("no steps")
	}
	return nil
}

// checkWeights wants the weights in ascending order, apart, below the arena.
func (p *Program) checkWeights() error {
	end := uint64(Base)
	for _, w := range p.Weights {
		if uint64(w.Offset) < end || w.Offset%Align != 0 || uint64(w.Offset)+w.Bytes() > uint64(p.WeightsEnd) {
			return invalid("weight %s: %d bytes at offset %d", w.Tensor, w.Bytes(), w.Offset)
		}
		if w.Layout == 0 || w.Layout > Ints || w.Rows == 0 || w.Cols == 0 {
			return invalid("weight %s: layout %d of %d x %d", w.Tensor, w.Layout, w.Rows, w.Cols)
		}
		end = uint64(w.Offset) + w.Bytes()
	}
	return nil
}

// checkEnds wants inputs, output and taps inside the arena.
func (p *Program) checkEnds() error {
	tokens, seqs := uint64(p.MaxTokens), uint64(p.MaxSeqs)
	outputs := p.Most(Over(p.Rows))
	for _, b := range []struct {
		name  string
		off   uint32
		bytes uint64
	}{
		{"ids", p.IDs, 4 * tokens}, {"type ids", p.TypeIDs, 4 * tokens}, {"positions", p.Positions, 4 * tokens},
		{"starts", p.Starts, 4 * (seqs + 1)}, {"output", p.Output, 4 * uint64(outputs) * Pad16(uint64(p.Hidden))},
		{"picks", p.Picked, 4 * (uint64(p.MaxPicks) + 1)}, {"skips", p.Skips, 4 * seqs},
	} {
		if b.off == 0 && (b.name == "picks" && p.MaxPicks == 0 || b.name == "skips") {
			continue
		}
		if !p.inArena(b.off, b.bytes) {
			return invalid("%s: %d bytes at offset %d, outside the arena", b.name, b.bytes, b.off)
		}
	}
	for _, t := range p.Taps {
		last := int(t.Step) == len(p.Steps)-1
		if int(t.Step) >= len(p.Steps) || !last && !p.Steps[t.Step+1].Barrier {
			return invalid("tap %s: no barrier after step %d", t.Name, t.Step)
		}
		if t.Stride%Align != 0 || !p.inArena(t.Offset, tokens*uint64(t.Stride)) {
			return invalid("tap %s: rows of %d bytes at offset %d", t.Name, t.Stride, t.Offset)
		}
	}
	return nil
}

func (p *Program) inArena(off uint32, bytes uint64) bool {
	return off >= p.WeightsEnd && off%Align == 0 && uint64(off)+bytes <= uint64(p.ArenaEnd)
}

func (p *Program) checkStep(k *kernel.Kernel, s Step) error {
	rows, seqs := p.MaxTokens, p.MaxSeqs
	if s.Over != Tokens {
		if seqs = p.Most(s.Over); seqs == 0 {
			return fmt.Errorf("%s: over picks, of which the program has none", k.Name())
		}
		// A pool reads token rows and writes one row each; what follows it has these rows only.
		if k.Domain() == kernel.Rows {
			rows = seqs
		}
	}
	extents, err := k.Extents(s.Args, int(rows), int(seqs))
	if err != nil {
		return err
	}
	for _, e := range extents {
		if e.Off < Base || uint64(e.Off)+e.Len > uint64(p.ArenaEnd) {
			return fmt.Errorf("%s: argument %s outside memory", k.Name(), k.Args()[e.Arg].Name)
		}
		if e.Write && !p.inArena(e.Off, e.Len) {
			return fmt.Errorf("%s: argument %s writes outside the arena", k.Name(), k.Args()[e.Arg].Name)
		}
	}
	if need := k.ScratchBytes(s.Args, int(p.MaxLength)); need > uint64(p.Scratch) {
		return fmt.Errorf("%s: needs %d bytes of scratch, the program plans %d", k.Name(), need, p.Scratch)
	}
	return nil
}

// checkOrder wants the steps of a stage to share a domain: a worker's range must mean
// the same rows to all of them.
func (p *Program) checkOrder(kernels []*kernel.Kernel) error {
	for _, st := range p.Stages() {
		first := p.Steps[st.First]
		for i := st.First; i < st.End; i++ {
			s := p.Steps[i]
			if kernels[s.Kernel].Domain() != kernels[first.Kernel].Domain() || s.Over != first.Over {
				return invalid("step %d: another domain without a barrier", i)
			}
		}
	}
	return nil
}
