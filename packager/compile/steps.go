package compile

import (
	"fmt"

	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// model lists the steps that make the answer.
func (c *compiler) model() {
	m, p := c.q.Source, c.prog
	in := []*buffer{c.arena.words(int(p.MaxTokens)), c.arena.words(int(p.MaxTokens)), c.arena.words(int(p.MaxTokens)), c.arena.words(int(p.MaxSeqs) + 1)}
	for _, b := range in {
		b.use(0) // inputs are written before the first stage
	}
	c.ids, c.types, c.positions, c.starts = in[0], in[1], in[2], in[3]
	if !m.Values[m.Answer].Pooled {
		c.fail("an answer of one row a token, for the task %s", m.Task)
		return
	}
	c.live = newLiveness(m, c.q.Ops)
	for i, op := range c.q.Ops {
		c.at = i
		c.op(op)
		if c.err != nil {
			return
		}
		c.release(op)
	}
	c.flush()
	for i, to := range []*uint32{&p.IDs, &p.TypeIDs, &p.Positions, &p.Starts} {
		c.fixups = append(c.fixups, fixup{to, in[i]})
	}
	c.fixups = append(c.fixups, fixup{&p.Output, c.live.buffers[m.Answer]})
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("unsupported: "+format, args...)
	}
}

// op lists the steps of one operation.
func (c *compiler) op(op graph.Op) {
	switch o := op.(type) {
	case *graph.Embed:
		c.embed(o)
	case *graph.Linear:
		c.linear(o)
	case *graph.Norm:
		c.norm(o)
	case *graph.Attention:
		c.attention(o)
	case *graph.Pool:
		c.pool(o)
	case *graph.Normalize:
		c.normalize(o)
	default:
		c.fail("no kernel for %s", op.Kind())
	}
}

// enter starts a stage unless the present one has units of the same domain. The
// states that the ended stage made get their taps: a barrier follows them.
func (c *compiler) enter(d kernel.Domain) {
	if c.domain != 0 && c.domain != d {
		c.flush()
		c.barrier()
	}
	c.domain = d
}

// flush taps the states of this stage and gives back buffers that waited for it.
func (c *compiler) flush() {
	for _, t := range c.live.pending {
		c.tap(t.name, c.live.buffers[t.id])
	}
	c.live.pending = nil
	for _, id := range c.live.waiting {
		c.live.free(id)
	}
	c.live.waiting = nil
}

// embed is the sum of up to three tables together with the norm that follows.
func (c *compiler) embed(o *graph.Embed) {
	norm := c.live.onlyNorm(o.Out)
	if norm == nil || norm.W.Kind != graph.LayerNorm {
		c.fail("no kernel for an embedding that no layer norm follows")
		return
	}
	tables := map[graph.Index]quantize.Matrix{}
	names := map[graph.Index]string{graph.ByID: "embed.word", graph.ByType: "embed.type", graph.ByPosition: "embed.position"}
	for _, l := range o.Lookups {
		if _, twice := tables[l.By]; twice || l.By == graph.ByID && l.Offset != 0 {
			c.fail("no kernel for an embedding with two tables by %v, or one by id from row %d", l.By, l.Offset)
			return
		}
		t := rowsFrom(c.q.Tables[l.Table], l.Offset)
		if l.By == graph.ByPosition {
			t = firstRows(t, min(t.Rows, c.q.Source.MaxTokens)) // rows past the longest text are never read
		}
		tables[l.By], names[l.By] = t, l.Table.Name
	}
	width := c.q.Source.Values[o.Out].Cols
	if _, ok := tables[graph.ByID]; !ok {
		c.fail("no kernel for an embedding without ids")
		return
	}
	table := func(by graph.Index) (codes, scale arg, rows int) {
		t, ok := tables[by]
		if !ok { // the kernel adds three tables; this one adds nothing
			t = quantize.Matrix{Rows: 1, Cols: width, Codes: make([]int8, width), Scale: make([]float32, 1)}
		}
		codes, scale = c.weights.table(blockOf(names[by]), names[by], t)
		return codes, scale, t.Rows
	}
	c.enter(kernel.Rows)
	word, wordScale, words := table(graph.ByID)
	pos, posScale, places := table(graph.ByPosition)
	kind, kindScale, kinds := table(graph.ByType)
	gain, bias := c.normWeights(norm.W)
	k, err := kernel.NewEmbed(width, norm.W.Eps)
	c.call(k, err, at(c.ids), at(c.types), at(c.positions),
		word, wordScale, pos, posScale, kind, kindScale, gain, bias, at(c.make(norm, norm.Out)),
		num(words), num(places), num(kinds))
}

// rowsFrom and firstRows cut a table.
func rowsFrom(m quantize.Matrix, n int) quantize.Matrix {
	m.Rows, m.Codes, m.Scale = m.Rows-n, m.Codes[n*m.Cols:], m.Scale[n:]
	return m
}

func firstRows(m quantize.Matrix, n int) quantize.Matrix {
	m.Rows, m.Codes, m.Scale = n, m.Codes[:n*m.Cols], m.Scale[:n]
	return m
}

// attention wants query, key and value side by side in one buffer.
func (c *compiler) attention(o *graph.Attention) {
	width := o.Heads * o.HeadSize
	if o.Relative != nil || o.Window != 0 {
		c.fail("no kernel for attention with %T and window %d", o.Relative, o.Window)
		return
	}
	packed := o.Q.First == 0 && o.K == graph.Slice{X: o.Q.X, First: width} && o.V == graph.Slice{X: o.Q.X, First: 2 * width}
	qkv := c.live.buffers[o.Q.X]
	if c.q.QKV[o] == nil && !packed {
		c.fail("no kernel for attention whose query, key and value are not of one layer")
		return
	}
	c.enter(kernel.Heads)
	k, err := kernel.NewAttention(o.Heads, o.HeadSize, float32(o.Scale))
	out := c.make(o, o.Out)
	c.call(k, err, at(qkv), num(qkv.stride), at(c.starts), at(out), num(out.stride))
}

// norm is addnorm, or a part of an embedding that is done already.
func (c *compiler) norm(o *graph.Norm) {
	if c.live.buffers[o.Out] != nil {
		return
	}
	if o.Residual == 0 || o.W.Kind != graph.LayerNorm || c.q.Source.Values[o.X].Pooled {
		c.fail("no kernel for %s: a %v by itself, or of pooled rows", o.W.Name, o.W.Kind)
		return
	}
	c.enter(kernel.Rows)
	gain, bias := c.normWeights(o.W)
	k, err := kernel.NewAddNorm(len(o.W.Gain), o.W.Eps)
	x, residual := c.live.buffers[o.X], c.live.buffers[o.Residual]
	c.call(k, err, at(x), at(residual), gain, bias, at(c.inPlace(o, o.Residual)))
}

func (c *compiler) normWeights(n *graph.NormWeights) (gain, bias arg) {
	b := n.Bias
	if b == nil {
		b = make([]float32, len(n.Gain))
	}
	block := blockOf(n.Name)
	return c.weights.vector(block, n.Name+".gain", n.Gain), c.weights.vector(block, n.Name+".bias", b)
}

// linear is one layer, or the three of an attention at the first of them.
func (c *compiler) linear(o *graph.Linear) {
	if c.q.Source.Values[o.Out].Pooled {
		c.fail("no kernel for %s, a linear layer of pooled rows", o.W.Name)
		return
	}
	att := c.live.reader[o.Out]
	q := c.q.QKV[att]
	if q == nil {
		q = c.q.Linears[o.W]
		att = nil
	}
	if att != nil && c.live.buffers[att.Q.X] != nil {
		return // made with the first
	}
	act := kernel.ActNone
	switch o.Act {
	case 0:
	case graph.Gelu:
		act = kernel.ActGELU
	default:
		c.fail("no kernel for the activation %s in %s", o.Act, o.W.Name)
		return
	}
	c.enter(kernel.Rows)
	w := c.weights.linear(blockOf(q.Name), q.Name, *q)
	from, to := c.live.buffers[o.X], c.makeCols(o, o.Out, q.Rows)
	if att != nil {
		c.live.buffers[att.Q.X] = to
		c.live.buffers[att.K.X], c.live.buffers[att.V.X] = to, to
	}
	k, err := kernel.NewLinear(len(q.Outliers), act)
	c.call(k, err, at(from), num(from.stride), num((q.Cols+7)&^7), w.panels, num(program.Pad16(q.Rows)),
		w.scale, w.bias, w.index, w.exact, at(to), num(to.stride))
}

func (c *compiler) pool(o *graph.Pool) {
	if o.How != graph.PoolMean {
		c.fail("no kernel for %s", o.Kind())
		return
	}
	c.enter(kernel.Seqs)
	x := c.live.buffers[o.X]
	k, err := kernel.NewMeanPool(c.q.Source.Values[o.X].Cols)
	c.call(k, err, at(x), num(x.stride), at(c.starts), at(c.make(o, o.Out)))
}

func (c *compiler) normalize(o *graph.Normalize) {
	v := c.q.Source.Values[o.X]
	if !v.Pooled {
		c.fail("no kernel for the normalisation of token rows")
		return
	}
	c.enter(kernel.Seqs)
	x := c.live.buffers[o.X]
	k, err := kernel.NewL2Norm(v.Cols)
	c.call(k, err, at(x), at(c.inPlace(o, o.X)))
}
