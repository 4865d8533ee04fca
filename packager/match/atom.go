package match

import (
	"fmt"
	"strings"

	"skiff/packager/graph"
)

// kind is what makes an atom.
type kind uint8

// The first are operations of packager/graph, the others parts of them.
const (
	embedKind kind = iota + 1
	trigramKind
	linearKind
	normKind
	addKind
	gluKind
	attentionKind
	poolKind
	normalizeKind

	lookupKind // one lookup of an embedding
	funcKind   // a function of one or two numbers at a time
	reduceKind // one number a row
	scoreKind  // queries times keys
	tableKind  // queries or keys times known rows
	probsKind  // softmax of scores
	softKind   // softmax of anything else

	tableRowsKind // rows of a table of relative positions
)

// atom is a value that the graph computes. Atoms are never written after they were
// made, and one is made once however often the graph computes it.
type atom struct {
	n    int // in the order in which they were made
	deep int // operations in a row before it, at most
	kind kind
	size int  // numbers
	rows bool // one row a token
	cols int  // of a row

	x []*atom // what an operation reads

	table   *lookup
	lookups []*lookup // of an embedding
	w       *weights
	act     graph.Activation
	norm    *norm
	attend  *attention
	score   *score
	how     graph.Poolings

	op   string // of a function or reduction
	args []*tens
	at   string // the node that made it, for messages
}

// norm is a norm's weights.
type norm struct {
	kind       graph.NormKind
	gain, bias []float32 // bias nil for zeros
	eps        float32
}

// operation reports whether a is a value of packager/graph.
func (a *atom) operation() bool { return a.kind <= normalizeKind || a.kind == tableRowsKind }

// store makes every atom once.
type store struct {
	tokens int
	made   map[string]*atom
	node   string // the node at hand
}

// make returns the atom of this key, which is a where there is none yet.
func (s *store) make(key string, a atom) *atom {
	if old := s.made[key]; old != nil {
		return old
	}
	a.n, a.at = len(s.made)+1, s.node
	s.made[key] = &a
	return &a
}

// row is an operation that makes rows of cols numbers from x.
func (s *store) row(key string, a atom, x ...*atom) *atom {
	a.x = x
	a.size = a.cols
	if a.rows {
		a.size *= s.tokens
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%s:%d", a.kind, key, a.cols)
	for _, v := range x {
		fmt.Fprintf(&b, ",%d", v.n)
		a.deep = max(a.deep, v.deep+1)
	}
	return s.make(b.String(), a)
}

// linear is x times w.
func (s *store) linear(x *atom, w *weights, act graph.Activation) *atom {
	return s.row(fmt.Sprintf("%s/%d", w.key(), act), atom{kind: linearKind, rows: x.rows, cols: w.out(), w: w, act: act}, x)
}

// normed is a norm of the sum of x.
func (s *store) normed(n *norm, x ...*atom) *atom {
	key := fmt.Sprintf("%d/%s/%s/%g", n.kind, digestFloats(n.gain), digestFloats(n.bias), n.eps)
	return s.row(key, atom{kind: normKind, rows: x[0].rows, cols: x[0].cols, norm: n}, x...)
}

// before reports whether a is the residual of a sum with b: what fewer operations
// were needed for.
func (a *atom) before(b *atom) bool { return a.deep < b.deep || a.deep == b.deep && a.n < b.n }

// sum is x + y; the residual goes first.
func (s *store) sum(x, y *atom) *atom {
	if y.before(x) {
		x, y = y, x
	}
	return s.row("", atom{kind: addKind, rows: x.rows, cols: x.cols}, x, y)
}

// glu is the gated unit of x.
func (s *store) glu(x *atom, act graph.Activation) *atom {
	return s.row(fmt.Sprint(act), atom{kind: gluKind, rows: x.rows, cols: x.cols / 2, act: act}, x)
}

// pool is one row of x, pooled in one way or in several side by side.
func (s *store) pool(x *atom, how ...graph.Pooling) *atom {
	return s.row(fmt.Sprint(how), atom{kind: poolKind, cols: len(how) * x.cols, how: how}, x)
}

// normalized is x over its length.
func (s *store) normalized(x *atom) *atom {
	return s.row("", atom{kind: normalizeKind, rows: x.rows, cols: x.cols}, x)
}

// trigram is x between its neighbours.
func (s *store) trigram(x *atom) *atom {
	return s.row("", atom{kind: trigramKind, rows: true, cols: 3 * x.cols}, x)
}

// embed is the sum of lookups.
func (s *store) embed(lookups []*lookup) *atom {
	var keys []string
	for _, l := range lookups {
		keys = append(keys, l.key())
	}
	return s.row(strings.Join(keys, "+"), atom{kind: embedKind, rows: true, cols: lookups[0].cols(), lookups: lookups})
}

// lookup is one lookup, not yet an operation.
func (s *store) lookup(l *lookup) *atom {
	return s.row(l.key(), atom{kind: lookupKind, rows: true, cols: l.cols(), table: l})
}

// function is op of args, number by number; its shape is that of the first.
func (s *store) function(op string, shape []int, args ...*tens) *tens {
	return whole(s.make(keyOf(funcKind, op, args), atom{kind: funcKind, size: count(shape), cols: last(shape), op: op, args: args}), shape)
}

// reduction is op of every row of arg.
func (s *store) reduction(op string, arg *tens, shape []int) *tens {
	return whole(s.make(keyOf(reduceKind, op, []*tens{arg}), atom{kind: reduceKind, size: count(shape), cols: 1, op: op, args: []*tens{arg}}), shape)
}

// soft is the softmax of every row of arg.
func (s *store) soft(arg *tens) *tens {
	return whole(s.make(keyOf(softKind, "", []*tens{arg}), atom{kind: softKind, size: count(arg.shape), cols: last(arg.shape), args: []*tens{arg}}), arg.shape)
}

func keyOf(k kind, op string, args []*tens) string {
	keys := []string{fmt.Sprint(k), op}
	for _, a := range args {
		keys = append(keys, a.key())
	}
	return strings.Join(keys, ";")
}

// digestFloats tells vectors apart.
func digestFloats(v []float32) string {
	if v == nil {
		return "-"
	}
	h := uint64(14695981039346656037)
	for _, x := range v {
		h = mix(h, uint64(floatBits(x)))
	}
	return fmt.Sprintf("%d.%x", len(v), h)
}
