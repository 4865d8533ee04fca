package match

import (
	"fmt"
	"slices"

	"skiff/packager/graph"
)

// emitter makes a graph.Model of atoms: what the wanted ones read comes first, so that
// the order depends on the computation alone.
type emitter struct {
	m       *graph.Model
	tokens  int // of the text that was walked with
	limit   int // the longest text that is known of; 0 for no end
	ids     map[*atom]graph.ID
	tables  map[string]*graph.Table
	layers  map[string]*graph.LinearWeights
	norms   map[string]*graph.NormWeights
	int8    map[*graph.Int8]bool
	sums    map[[2]*atom]*atom   // that are wanted by themselves
	pickers map[[3]int][]float32 // of layers that take some columns of their input
	err     error
}

// survey finds the sums among what wanted atoms need. Where one is normalised and read
// by others too, the norms of the model are before its layers, not behind them: then
// no norm has a residual.
func (e *emitter) survey(wanted ...*atom) {
	e.sums = map[[2]*atom]*atom{}
	seen := map[*atom]bool{}
	var norms []*atom
	var visit func(a *atom)
	visit = func(a *atom) {
		if seen[a] {
			return
		}
		seen[a] = true
		for _, x := range a.x {
			visit(x)
		}
		switch {
		case a.kind == addKind:
			e.sums[[2]*atom{a.x[0], a.x[1]}] = a
		case a.kind == normKind && len(a.x) == 2:
			norms = append(norms, a)
		}
	}
	for _, a := range wanted {
		visit(a)
	}
	if !slices.ContainsFunc(norms, func(a *atom) bool { return e.sums[pair(a)] != nil }) {
		e.sums = nil
	}
}

// pair is what a norm with a residual adds up, as a sum has it.
func pair(a *atom) [2]*atom {
	if a.x[0].before(a.x[1]) {
		return [2]*atom{a.x[0], a.x[1]}
	}
	return [2]*atom{a.x[1], a.x[0]}
}

// summed is the sum that a norm is of, where norms have no residual.
func (e *emitter) summed(a *atom) graph.ID {
	key := pair(a)
	if s := e.sums[key]; s != nil {
		return e.emit(s)
	}
	s := &atom{kind: addKind, x: key[:], rows: a.rows, cols: a.cols}
	e.sums[key] = s
	return e.emit(s)
}

func newEmitter(m *graph.Model, tokens int) *emitter {
	return &emitter{
		m: m, tokens: tokens, ids: map[*atom]graph.ID{}, tables: map[string]*graph.Table{}, layers: map[string]*graph.LinearWeights{},
		norms: map[string]*graph.NormWeights{}, int8: map[*graph.Int8]bool{},
		pickers: map[[3]int][]float32{},
	}
}

// emit appends a and what it needs.
func (e *emitter) emit(a *atom) graph.ID {
	if id, ok := e.ids[a]; ok || e.err != nil {
		return id
	}
	in := make([]graph.ID, len(a.x))
	if a.kind == normKind && len(a.x) == 2 && e.sums != nil {
		in = []graph.ID{e.summed(a)}
	} else {
		for i, x := range a.x {
			in[i] = e.emit(x)
		}
	}
	if e.err != nil {
		return 0
	}
	id := e.operation(a, in)
	e.ids[a] = id
	return id
}

func (e *emitter) operation(a *atom, in []graph.ID) graph.ID {
	m := e.m
	switch a.kind {
	case embedKind:
		var lookups []graph.Lookup
		for _, l := range a.lookups {
			lookups = append(lookups, e.lookup(l))
		}
		if e.err != nil {
			return 0
		}
		return m.Embed(lookups...)
	case trigramKind:
		return m.Trigram(in[0])
	case linearKind:
		w := e.layer(a.w)
		if e.err != nil {
			return 0
		}
		return m.Linear(in[0], w, a.act)
	case normKind:
		residual := graph.ID(0)
		if len(in) > 1 {
			residual = in[1]
		}
		return m.Norm(in[0], residual, e.norm(a.norm))
	case addKind:
		return m.Add(in[0], in[1])
	case gluKind:
		return m.Glu(in[0], a.act)
	case attentionKind:
		return e.attention(a, in)
	case poolKind:
		return m.Pool(in[0], a.how...)
	case normalizeKind:
		return m.Normalize(in[0])
	}
	e.fail(fmt.Errorf("%s is no operation", a.describe()))
	return 0
}

func (e *emitter) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *emitter) lookup(l *lookup) graph.Lookup {
	g := graph.Lookup{By: l.by, Offset: l.first, Pad: l.pad, PadID: l.padID}
	if l.one {
		g.Offset = 0
		g.Table = e.table(l.table, l.first, 1)
	} else {
		g.Table = e.table(l.table, 0, l.table.dims()[0])
	}
	rows := g.Table.Rows - g.Offset
	switch l.by {
	case graph.ByID:
		e.m.Vocab = least(e.m.Vocab, rows)
	case graph.ByType:
		e.m.Types = least(e.m.Types, rows)
	case graph.ByPosition:
		e.m.MaxPositions = least(e.m.MaxPositions, rows)
	}
	return g
}

// least is the smaller of a bound, 0 for none, and n.
func least(bound, n int) int {
	if bound == 0 {
		return n
	}
	return min(bound, n)
}

func (e *emitter) norm(n *norm) *graph.NormWeights {
	key := fmt.Sprintf("%d/%s/%s/%g", n.kind, digestFloats(n.gain), digestFloats(n.bias), n.eps)
	if w := e.norms[key]; w != nil {
		return w
	}
	w := &graph.NormWeights{Kind: n.kind, Gain: n.gain, Bias: n.bias, Eps: n.eps}
	e.norms[key] = w
	if n.kind == graph.LayerNorm && e.m.Eps == 0 {
		e.m.Eps = n.eps
	}
	return w
}

func (e *emitter) attention(a *atom, in []graph.ID) graph.ID {
	at := a.attend
	g := graph.Attention{
		Q: graph.Slice{X: in[0], First: at.q.first}, K: graph.Slice{X: in[1], First: at.k.first}, V: graph.Slice{X: in[2], First: at.v.first},
		Heads: at.q.a, HeadSize: at.q.d, Scale: at.scale, Window: at.window,
	}
	switch {
	case at.q.turn != nil && (at.bias != nil || at.far != nil) || at.bias != nil && at.far != nil:
		e.fail(fmt.Errorf("%s: two kinds of relative positions", a.describe()))
	case at.q.turn != nil:
		g.Relative = &graph.Rotary{Theta: at.q.turn.theta, Steps: at.q.turn.steps}
	case at.bias != nil:
		b := at.bias
		if b.distance >= e.tokens {
			e.limit = least(e.limit, e.tokens)
		}
		g.Relative = &graph.Bias{Table: e.table(b.table, 0, b.table.dims()[0]), Buckets: b.buckets, MaxDistance: b.distance}
	case at.far != nil:
		if at.far.span >= e.tokens || at.far.farMost > e.tokens {
			e.limit = least(e.limit, e.tokens)
		}
		g.Relative = e.distances(at.far)
	}
	if e.err != nil {
		return 0
	}
	return e.m.Attend(g)
}

// table is rows of a matrix as a table of its own.
func (e *emitter) table(m *matrix, first, rows int) *graph.Table {
	key := fmt.Sprintf("%s[%d:%d]", m.key(), first, rows)
	if t := e.tables[key]; t != nil {
		return t
	}
	data, int8s, err := fillRows(m)
	if err != nil {
		e.fail(err)
		return &graph.Table{}
	}
	cols := m.dims()[1]
	t := &graph.Table{Rows: rows, Cols: cols, Data: data[first*cols:][:rows*cols], Int8: int8s.slice(first, rows, cols)}
	for _, other := range e.tables {
		if other.Rows == t.Rows && other.Cols == t.Cols && sameFloats(other.Data, t.Data) && (other.Int8 == nil) == (t.Int8 == nil) {
			t = other
			break
		}
	}
	if t.Int8 != nil {
		e.int8[t.Int8] = true
	}
	e.tables[key] = t
	return t
}

// layer is the weights of a linear layer.
func (e *emitter) layer(w *weights) *graph.LinearWeights {
	key := w.key()
	if l := e.layers[key]; l != nil {
		return l
	}
	l, err := fillLayer(w)
	if err != nil {
		e.fail(err)
		return nil
	}
	for _, t := range e.tables {
		if t.Rows == l.Out && t.Cols == l.In && sameFloats(t.Data, l.Weight) && (t.Int8 == nil) == (l.Int8 == nil) {
			l.Weight, l.Int8 = t.Data, t.Int8 // tied
		}
	}
	for _, other := range e.layers {
		if other.In == l.In && other.Out == l.Out && sameFloats(other.Bias, l.Bias) && sameFloats(other.Weight, l.Weight) && (other.Int8 == nil) == (l.Int8 == nil) {
			l = other
			break
		}
	}
	if l.Int8 != nil {
		e.int8[l.Int8] = true
	}
	e.layers[key] = l
	return l
}

// sameFloats reports whether two vectors are the same.
func sameFloats(a, b []float32) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for i := range a {
		if floatBits(a[i]) != floatBits(b[i]) {
			return false
		}
	}
	return true
}
