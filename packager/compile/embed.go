package compile

import (
	"slices"

	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// maxLookups is how many tables one kernel adds up.
const maxLookups = 3

// embed is the sum of up to three tables; where these are BERT's, together with the norm
// that follows.
func (c *compiler) embed(o *graph.Embed) {
	if len(o.Lookups) > maxLookups {
		c.fail("no kernel for an embedding of %d tables", len(o.Lookups))
		return
	}
	tables := make([]table, len(o.Lookups))
	for i, l := range o.Lookups {
		tables[i] = c.table(l)
	}
	c.enter(kernel.Rows, program.Tokens)
	offset := slices.ContainsFunc(tables, func(t table) bool { return t.Zero != nil })
	if norm := c.live.onlyNorm(o.Out); norm != nil && norm.W.Kind == graph.LayerNorm && isBERT(o) && !offset {
		c.embedNorm(tables, norm)
		return
	}
	c.lookup(o, tables, offset)
}

// lookup is a sum of tables without what follows. Where one has zero points, all have.
func (c *compiler) lookup(o *graph.Embed, tables []table, offset bool) {
	var args, zeros []arg
	for _, t := range tables {
		codes, scale := c.weights.table(blockOf(t.name), t.name, t.Matrix)
		args = append(args, at(t.index), codes, scale, num(t.Rows))
		if offset {
			zeros = append(zeros, c.weights.zeros(blockOf(t.name), t.name, t.Matrix))
		}
	}
	args = append(args, at(c.make(o, o.Out)))
	k, err := kernel.NewLookup(len(tables), c.cols(o.Out))
	if offset {
		k, err = kernel.NewLookupZero(len(tables), c.cols(o.Out))
	}
	c.call(k, err, append(args, zeros...)...)
}

// isBERT tells the embedding that has a kernel with its norm: a word, its type, its place.
func isBERT(o *graph.Embed) bool {
	l := o.Lookups
	return len(l) == maxLookups && l[0].By == graph.ByID && l[1].By == graph.ByType && l[2].By == graph.ByPosition
}

// embedNorm is the kernel of word, type and position with a norm, in this order.
func (c *compiler) embedNorm(tables []table, norm *graph.Norm) {
	word, kind, place := tables[0], tables[1], tables[2]
	args := []arg{at(c.ids), at(c.types), at(c.positions)}
	for _, t := range []table{word, place, kind} {
		codes, scale := c.weights.table(blockOf(t.name), t.name, t.Matrix)
		args = append(args, codes, scale)
	}
	gain, bias := c.normWeights(norm.W)
	k, err := kernel.NewEmbed(word.Cols, norm.W.Eps)
	c.call(k, err, append(args, gain, bias, at(c.make(norm, norm.Out)), num(word.Rows), num(place.Rows), num(kind.Rows))...)
}

// table is a lookup's table, cut to the rows that it can reach.
type table struct {
	quantize.Matrix
	name  string
	index *buffer
}

func (c *compiler) table(l graph.Lookup) table {
	t := table{Matrix: c.q.Tables[l.Table], name: l.Table.Name}
	first, reach := l.Offset, c.q.Source.MaxTokens
	if l.Pad { // the row of padding stands before those of places
		first, reach = first-1, reach+1
	}
	t.Matrix = rowsFrom(t.Matrix, first)
	switch l.By {
	case graph.ByID:
		t.index = c.ids
	case graph.ByType:
		t.index = c.types
	default:
		t.index = c.positions
		t.Matrix = firstRows(t.Matrix, min(t.Rows, reach)) // rows past the longest text are never read
		c.number(l)
	}
	if other, ok := c.cut[t.name]; ok && other != [2]int{first, t.Rows} {
		c.fail("two lookups of different rows of the table %s", t.name)
	}
	c.cut[t.name] = [2]int{first, t.Rows}
	return t
}

// number says how the program numbers tokens, which is one way for all tables.
func (c *compiler) number(l graph.Lookup) {
	var pads uint32
	if l.Pad {
		if l.PadID < 0 || uint32(l.PadID) >= c.prog.Vocab {
			c.fail("padding of id %d in a vocabulary of %d", l.PadID, c.prog.Vocab)
		}
		pads = uint32(l.PadID) + 1
	}
	if c.numbered && c.prog.Pads != pads {
		c.fail("two ways to number tokens, the other by %s", l.Table.Name)
	}
	c.numbered, c.prog.Pads = true, pads
}

// rowsFrom and firstRows cut a table.
func rowsFrom(m quantize.Matrix, n int) quantize.Matrix {
	m.Rows, m.Codes, m.Scale = m.Rows-n, m.Codes[n*m.Cols:], m.Scale[n:]
	if m.Zero != nil {
		m.Zero = m.Zero[n:]
	}
	return m
}

func firstRows(m quantize.Matrix, n int) quantize.Matrix {
	m.Rows, m.Codes, m.Scale = n, m.Codes[:n*m.Cols], m.Scale[:n]
	if m.Zero != nil {
		m.Zero = m.Zero[:n]
	}
	return m
}
