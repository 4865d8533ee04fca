package match

import (
	"slices"

	"skiff/packager/graph"
)

// plan is where the layers of a model's operations lie.
type plan struct {
	ops     []graph.Op
	cut     []bool // by operation: everything later goes through its value
	attends []int  // the attentions
	readers map[graph.ID][]graph.Op
}

func newPlan(m *graph.Model) *plan {
	p := &plan{ops: m.Ops, cut: make([]bool, len(m.Ops)), readers: map[graph.ID][]graph.Op{}}
	last := map[graph.ID]int{}
	for i, op := range m.Ops {
		for _, id := range op.Reads() {
			last[id] = i
			p.readers[id] = append(p.readers[id], op)
		}
		if op.Kind() == "attention" {
			p.attends = append(p.attends, i)
		}
	}
	reach := 0
	for i, op := range m.Ops {
		p.cut[i] = reach <= i
		reach = max(reach, last[op.Makes()])
	}
	return p
}

// states are the values between the layers: the last that everything later goes
// through, before each attention; and what the last layer adds up to.
func (p *plan) states() []graph.ID {
	var states []graph.ID
	after := -1
	for _, at := range p.attends {
		best := -1
		for i := after + 1; i < at; i++ {
			if p.cut[i] {
				best = i
			}
		}
		if best < 0 {
			return nil
		}
		states = append(states, p.ops[best].Makes())
		after = at
	}
	if len(p.attends) == 0 {
		return nil
	}
	best := -1
	for i := p.attends[len(p.attends)-1] + 1; i < len(p.ops); i++ {
		switch o := p.ops[i].(type) {
		case *graph.Norm:
			if o.Residual != 0 && p.cut[i] {
				best = i
			}
		case *graph.Add:
			if p.cut[i] {
				best = i
			}
		}
	}
	if best < 0 {
		return nil
	}
	return append(states, p.ops[best].Makes())
}

// last is what the heads read: the last state, or the norm behind it in a model whose
// layers normalise what they read.
func (p *plan) last(m *graph.Model, states []graph.ID) graph.ID {
	final := states[len(states)-1]
	if _, added := p.maker(final).(*graph.Add); !added {
		return final
	}
	if next := p.readers[final]; len(next) == 1 {
		if n, ok := next[0].(*graph.Norm); ok && n.Residual == 0 {
			return n.Out
		}
	}
	return final
}

// maker is the operation that makes id.
func (p *plan) maker(id graph.ID) graph.Op {
	return p.ops[slices.IndexFunc(p.ops, func(op graph.Op) bool { return op.Makes() == id })]
}
