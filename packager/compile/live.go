package compile

import (
	"fmt"
	"strings"

	"skiff/packager/graph"
	"skiff/runtime/program"
)

// liveness knows where each value lies and when its buffer may be used again.
//
// A buffer goes from value to value only among values of the same sort and
// width: within a stage a worker runs through several steps with its own rows
// while others are elsewhere, which is safe as long as rows keep their place.
type liveness struct {
	m       *graph.Model
	last    map[graph.ID]int              // index of the last operation that reads it
	reader  map[graph.ID]*graph.Attention // the attention that reads it
	norms   map[graph.ID]*graph.Norm      // the only reader, where it is a norm without residual
	state   map[graph.ID]string           // values whose bits a proof digests, and their names
	buffers map[graph.ID]*buffer
	picked  map[graph.ID]*buffer // the picked rows of token values
	head    map[graph.ID]bool    // values that are made of picked rows
	shape   map[*buffer]shape
	idle    []*buffer // in the order in which they were made
	pending []stateTap
	waiting []graph.ID // free as soon as their stage ends
}

// shape is what buffers have in common that may take each other's place.
type shape struct {
	kind string
	cols int
	over program.Over
}

type stateTap struct {
	name string
	id   graph.ID
}

func newLiveness(m *graph.Model, ops []graph.Op) *liveness {
	l := &liveness{
		m: m, last: map[graph.ID]int{}, reader: map[graph.ID]*graph.Attention{}, norms: map[graph.ID]*graph.Norm{},
		state: map[graph.ID]string{}, buffers: map[graph.ID]*buffer{}, shape: map[*buffer]shape{},
		picked: map[graph.ID]*buffer{}, head: map[graph.ID]bool{},
	}
	if m.Task == graph.TaskFillMask {
		l.findHead(ops)
	}
	readers := map[graph.ID]int{}
	for i, op := range ops {
		for _, id := range op.Reads() {
			l.last[id] = i
			readers[id]++
			switch o := op.(type) {
			case *graph.Attention:
				l.reader[id] = o
			case *graph.Norm:
				if o.Residual == 0 {
					l.norms[id] = o
				}
			}
		}
	}
	for id := range l.norms {
		if readers[id] != 1 {
			delete(l.norms, id)
		}
	}
	l.last[m.Answer] = len(ops)
	for i, id := range m.States {
		l.state[id] = fmt.Sprintf("blocks.%d", i-1)
	}
	l.state[m.States[0]] = "embed"
	return l
}

// findHead marks what is made after the last hidden state and row by row.
func (l *liveness) findHead(ops []graph.Op) {
	after := false
	for _, op := range ops {
		switch op.(type) {
		case *graph.Linear, *graph.Norm, *graph.Add, *graph.Glu:
			l.head[op.Makes()] = after
		}
		after = after || op.Makes() == l.m.Last
	}
}

// over is what the rows of a value are.
func (l *liveness) over(id graph.ID) program.Over {
	switch {
	case l.m.Values[id].Pooled:
		return program.Seqs
	case l.head[id]:
		return program.Picks
	}
	return program.Tokens
}

// onlyNorm is the norm without residual that alone reads id; nil where there is none.
func (l *liveness) onlyNorm(id graph.ID) *graph.Norm { return l.norms[id] }

// shapeOf tells residual streams, branches and attention's answers apart.
func shapeOf(op graph.Op, cols int, over program.Over) shape {
	kind := "stream"
	switch op.(type) {
	case *graph.Linear:
		kind = "branch"
	case *graph.Attention:
		kind = "context"
	}
	return shape{kind, cols, over}
}

// make gives the value id, which op makes, a buffer.
func (c *compiler) make(op graph.Op, id graph.ID) *buffer {
	return c.makeCols(op, id, c.q.Source.Values[id].Cols)
}

// makeCols is make for a buffer of other width than the value.
func (c *compiler) makeCols(op graph.Op, id graph.ID, cols int) *buffer {
	l := c.live
	s := shapeOf(op, cols, l.over(id))
	var b *buffer
	for i, free := range l.idle {
		if l.shape[free] == s {
			b = free
			l.idle = append(l.idle[:i:i], l.idle[i+1:]...)
			break
		}
	}
	if b == nil {
		b = c.arena.rows(int(c.prog.Most(s.over)), cols)
		l.shape[b] = s
	}
	l.place(id, b)
	return b
}

// inPlace gives what op makes the buffer of old where nothing needs that any more.
func (c *compiler) inPlace(op graph.Op, old graph.ID) *buffer {
	l := c.live
	if l.last[old] != c.at || l.isPending(old) || l.over(old) != l.over(op.Makes()) {
		return c.make(op, op.Makes())
	}
	b := l.buffers[old]
	delete(l.buffers, old)
	l.place(op.Makes(), b)
	return b
}

func (l *liveness) place(id graph.ID, b *buffer) {
	l.buffers[id] = b
	if name, ok := l.state[id]; ok {
		l.pending = append(l.pending, stateTap{name, id})
	}
}

func (l *liveness) isPending(id graph.ID) bool {
	for _, t := range l.pending {
		if t.id == id {
			return true
		}
	}
	return false
}

// release gives back the buffers that op was the last to read. A state whose
// stage has not ended keeps its buffer until then: it is still to be tapped.
func (c *compiler) release(op graph.Op) {
	l := c.live
	for _, id := range op.Reads() {
		if l.last[id] != c.at || l.buffers[id] == nil {
			continue
		}
		if l.isPending(id) {
			l.waiting = append(l.waiting, id)
			continue
		}
		l.free(id)
	}
}

// free gives back a buffer once, even where several values lie in it.
func (l *liveness) free(id graph.ID) {
	b := l.buffers[id]
	delete(l.buffers, id)
	for _, other := range l.buffers {
		if other == b {
			return
		}
	}
	l.idle = append(l.idle, b)
}

// blockOf is the block that a weight's name puts it in: "blocks.3" of "blocks.3.out".
func blockOf(name string) string {
	if i := strings.LastIndex(name, "."); i >= 0 {
		return name[:i]
	}
	return name
}
