package infer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"skiff/runtime/engine"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// Pass is where the time of a number of sequences of one length goes: medians of several
// rounds. Without tokenisation.
type Pass struct {
	Tokens, Batch int           // of a sequence; sequences
	Time          time.Duration // of all, unmeasured within
	Between       float64       // part of the workers' time that is in no step, while each call of a kernel is timed
	Steps         []StepTime    // in the program's order
}

// StepTime is one step of the program.
type StepTime struct {
	Op     string // the kernel's operation: "linear"
	Kernel string // its whole name
	Tensor string // the weights it reads, if it is a linear
	K, N   int    // of a linear: depth and columns as the kernel has them, padded
	MACs   int64  // multiply-accumulates of a linear or an attention; 0: not counted
	Calls  int
	Time   time.Duration // of all workers together
}

// Profile times batch sequences of so many tokens each, rounds times after one that warms
// up, and as often with every kernel's call timed. Token ids are of no meaning: what a
// pass takes does not depend on them. Other calls wait meanwhile.
func (m *Model) Profile(ctx context.Context, tokens, batch, rounds int) (Pass, error) {
	if most := m.manifest.Meta.MaxTokensPerText; tokens < 1 || tokens > most {
		return Pass{}, &InputError{"tokens", fmt.Errorf("%d, want 1 to %d", tokens, most)}
	}
	if batch < 1 || rounds < 1 {
		return Pass{}, &InputError{"batch", fmt.Errorf("%d sequences, %d rounds", batch, rounds)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil {
		return Pass{}, ErrClosed
	}
	own := m.machine
	defer func() { m.machine = own }()
	pass := Pass{Tokens: tokens, Batch: batch}
	times, err := m.rounds(ctx, &pass, rounds, func() {})
	if err != nil {
		return Pass{}, err
	}
	meter := own.NewMeter()
	var spent [][]engine.Spent
	m.machine = own.Traced(meter.Add)
	traced, err := m.rounds(ctx, &pass, rounds, func() { spent = append(spent, meter.Take()) })
	if err != nil {
		return Pass{}, err
	}
	var between []float64
	for i, all := range traced {
		for _, s := range spent[i+1] {
			all -= s.Time / time.Duration(own.Workers())
		}
		between = append(between, max(float64(all)/float64(traced[i]), 0))
	}
	pass.Time, pass.Between = median(times), median(between)
	pass.Steps, err = m.steps(&pass, spent[1:])
	return pass, err
}

// rounds runs a pass once to warm up and then so often, calling after each time. It returns
// what the latter took.
func (m *Model) rounds(ctx context.Context, p *Pass, rounds int, after func()) ([]time.Duration, error) {
	var all []time.Duration
	add := func(i int, b *batch) error {
		from := b.mark()
		for t := range p.Tokens {
			b.ids = append(b.ids, int32((i*7919+t*31)%int(m.prog.Vocab)))
		}
		if m.prog.MaxPicks > 0 {
			b.picks = append(b.picks, int32(from.ids))
		}
		return nil
	}
	take := func(int, output) error { return nil }
	for range rounds + 1 {
		begin := time.Now()
		if err := m.forward(ctx, p.Batch, add, take, nil); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begin))
		after()
	}
	return all[1:], nil
}

func median[T float64 | time.Duration](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// steps names the steps and gives each the median of what it took.
func (m *Model) steps(p *Pass, spent [][]engine.Spent) ([]StepTime, error) {
	kernels, err := m.prog.Check()
	if err != nil {
		return nil, err
	}
	tensors := map[uint32]string{}
	for _, w := range m.prog.Weights {
		tensors[w.Offset] = w.Tensor
	}
	out := make([]StepTime, len(m.prog.Steps))
	for i := range out {
		s := &m.prog.Steps[i]
		k := kernels[s.Kernel]
		out[i] = StepTime{Op: k.Form().Op, Kernel: k.Name(), Calls: spent[0][i].Calls}
		out[i].work(k, s, p, tensors)
		var all []time.Duration
		for _, round := range spent {
			all = append(all, round[i].Time)
		}
		out[i].Time = median(all)
	}
	return out, nil
}

// work counts what a step multiplies.
func (t *StepTime) work(k *kernel.Kernel, s *program.Step, p *Pass, tensors map[uint32]string) {
	rows := int64(p.Batch) // of steps over sequences, and over picks, of which each has one
	if s.Over == program.Tokens {
		rows *= int64(p.Tokens)
	}
	form := k.Form()
	switch form.Op {
	case "linear":
		t.K, t.N = int(s.Args[k.Place("K8")]), int(s.Args[k.Place("N16")])
		t.Tensor = tensors[s.Args[k.Place("w")]]
		t.MACs = rows * int64(t.K) * int64(t.N)
	case "attention", "attend":
		t.MACs = 2 * rows * int64(p.Tokens) * int64(form.Heads*form.HeadSize)
	}
}
