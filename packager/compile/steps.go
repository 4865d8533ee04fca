package compile

import (
	"fmt"

	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// maxPicks is how many masks a pass can fill.
const maxPicks = 16

// model lists the steps that make the answer.
func (c *compiler) model() {
	m, p := c.q.Source, c.prog
	tokens := int(p.MaxTokens)
	in := []*buffer{c.arena.words(tokens), c.arena.words(tokens), c.arena.words(tokens), c.arena.words(int(p.MaxSeqs) + 1)}
	c.ids, c.types, c.positions, c.starts = in[0], in[1], in[2], in[3]
	to := []*uint32{&p.IDs, &p.TypeIDs, &p.Positions, &p.Starts}
	if m.Task == graph.TaskFillMask {
		p.MaxPicks = min(maxPicks, p.MaxTokens)
		c.picked = c.arena.words(int(p.MaxPicks) + 1)
		in, to = append(in, c.picked), append(to, &p.Picked)
	}
	if skips(c.q.Ops) {
		c.skips = c.arena.words(int(p.MaxSeqs))
		in, to = append(in, c.skips), append(to, &p.Skips)
	}
	for i, b := range in {
		b.use(0) // inputs are written before the first stage
		c.fixups = append(c.fixups, fixup{to[i], b})
	}
	c.live = newLiveness(m, c.q.Ops)
	for i, op := range c.q.Ops {
		c.at = i
		c.pick(op)
		c.op(op)
		if c.err != nil {
			return
		}
		c.release(op)
	}
	c.flush()
	p.Rows = uint32(c.live.over(m.Answer))
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
	case *graph.Trigram:
		c.trigram(o)
	case *graph.Linear:
		c.linear(o)
	case *graph.Norm:
		c.norm(o)
	case *graph.Add:
		c.add(o)
	case *graph.Glu:
		c.glu(o)
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

// cols is the width of a value.
func (c *compiler) cols(id graph.ID) int { return c.q.Source.Values[id].Cols }

// enter starts a stage unless the present one has the same units. The states that the
// ended stage made get their taps: a barrier follows them.
func (c *compiler) enter(d kernel.Domain, over program.Over) {
	if c.domain != 0 && (c.domain != d || c.over != over) {
		c.flush()
		c.barrier()
	}
	c.domain, c.over = d, over
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

// pick copies the picked rows of token rows that the first operation of a head that runs
// over them alone reads.
func (c *compiler) pick(op graph.Op) {
	picks := c.live.over(op.Makes()) == program.Picks
	for _, id := range op.Reads() {
		if !picks && c.live.over(id) == program.Picks {
			c.fail("no kernel for %s in a head that runs over picked rows", op.Kind())
		}
		if !picks || c.live.over(id) == program.Picks || c.live.picked[id] != nil {
			continue
		}
		x := c.live.buffers[id]
		c.enter(kernel.Seqs, program.Picks)
		out := c.arena.rows(int(c.prog.MaxPicks), c.cols(id))
		k, err := kernel.NewPool(kernel.PoolCLS, c.cols(id))
		c.call(k, err, at(x), num(x.stride), at(c.picked), at(out), num(out.stride))
		c.live.picked[id] = out
	}
}

// read is where an operation over the rows of over finds the value id.
func (c *compiler) read(id graph.ID, over program.Over) *buffer {
	if over == program.Picks && c.live.over(id) == program.Tokens {
		return c.live.picked[id]
	}
	return c.live.buffers[id]
}

// norm is a norm of any kind, with or without a residual; or it was a part of an
// embedding and is done already.
func (c *compiler) norm(o *graph.Norm) {
	if c.live.buffers[o.Out] != nil {
		return
	}
	over, width := c.live.over(o.Out), len(o.W.Gain)
	c.enter(kernel.Rows, over)
	args := []arg{at(c.read(o.X, over))}
	old := o.X
	if o.Residual != 0 {
		args = append(args, at(c.read(o.Residual, over)))
		old = o.Residual
	}
	gain, bias := c.normWeights(o.W)
	k, err := normKernel(o.W, width, o.Residual != 0)
	c.call(k, err, append(args, gain, bias, at(c.inPlace(o, old)))...)
}

func normKernel(w *graph.NormWeights, width int, residual bool) (*kernel.Kernel, error) {
	switch {
	case w.Kind == graph.NoNorm:
		return kernel.NewNoNorm(width, residual)
	case residual:
		return kernel.NewAddNorm(width, w.Eps)
	}
	return kernel.NewNorm(width, w.Eps)
}

func (c *compiler) normWeights(n *graph.NormWeights) (gain, bias arg) {
	b := n.Bias
	if b == nil {
		b = make([]float32, len(n.Gain))
	}
	block := blockOf(n.Name)
	return c.weights.vector(block, n.Name+".gain", n.Gain), c.weights.vector(block, n.Name+".bias", b)
}

func (c *compiler) add(o *graph.Add) {
	over := c.live.over(o.Out)
	c.enter(kernel.Rows, over)
	x, y := c.read(o.X, over), c.read(o.Y, over)
	k, err := kernel.NewAdd(c.cols(o.Out))
	c.call(k, err, at(x), at(y), at(c.inPlace(o, o.X)))
}

func (c *compiler) glu(o *graph.Glu) {
	over := c.live.over(o.Out)
	c.enter(kernel.Rows, over)
	x := c.read(o.X, over)
	k, err := kernel.NewGLU(c.cols(o.Out), c.act(o.Act))
	c.call(k, err, at(x), at(c.make(o, o.Out)))
}

func (c *compiler) trigram(o *graph.Trigram) {
	c.enter(kernel.Seqs, program.Tokens)
	x := c.live.buffers[o.X]
	k, err := kernel.NewTrigram(c.cols(o.X))
	c.call(k, err, at(x), at(c.starts), at(c.make(o, o.Out)))
}

// act is the kernels' name for an activation.
func (c *compiler) act(a graph.Activation) kernel.Act {
	switch a {
	case 0:
		return kernel.ActNone
	case graph.Gelu:
		return kernel.ActGELU
	case graph.GeluTanh:
		return kernel.ActGELUTanh
	case graph.Relu:
		return kernel.ActReLU
	case graph.Silu:
		return kernel.ActSiLU
	case graph.Tanh:
		return kernel.ActTanh
	case graph.Sigmoid:
		return kernel.ActSigmoid
	}
	c.fail("no kernel for the activation %s", a)
	return 0
}

// linear is one layer, or the three of an attention at the first of them.
func (c *compiler) linear(o *graph.Linear) {
	att := c.live.reader[o.Out]
	q := c.q.QKV[att]
	if q == nil {
		q = c.q.Linears[o.W]
		att = nil
	}
	if att != nil && c.live.buffers[att.Q.X] != nil {
		return // made with the first
	}
	over, act := c.live.over(o.Out), c.act(o.Act)
	c.enter(kernel.Rows, over)
	w := c.weights.linear(q)
	from, to := c.read(o.X, over), c.makeCols(o, o.Out, q.Rows)
	if att != nil {
		c.live.buffers[att.Q.X] = to
		c.live.buffers[att.K.X], c.live.buffers[att.V.X] = to, to
	}
	within := act
	if act == kernel.ActSigmoid { // it does not keep zero pads zero
		within = kernel.ActNone
	}
	k, err := kernel.NewLinear(len(q.Outliers), within)
	if q.Zero != nil {
		c.checkZeros(q)
		k, err = kernel.NewLinearZero(len(q.Outliers), within)
	}
	c.call(k, err, append([]arg{
		at(from), num(from.stride), num((q.Cols + 7) &^ 7), w.panels, num(program.Pad16(q.Rows)),
		w.scale, w.bias, w.index, w.exact, at(to), num(to.stride),
	}, w.zero...)...)
	if within != act {
		k, err := kernel.NewActivation(q.Rows, act)
		c.call(k, err, at(to), at(to))
	}
}

// checkZeros refuses zero points with which the kernel's sums would not be exact.
func (c *compiler) checkZeros(q *quantize.Linear8) {
	for _, z := range q.Zero {
		if !kernel.ZeroFits(z, q.Cols) {
			c.fail("zero point %d of %s, whose rows have %d columns", z, q.Name, q.Cols)
		}
	}
}

func (c *compiler) normalize(o *graph.Normalize) {
	if c.live.over(o.X) != program.Seqs {
		c.fail("no kernel for the normalisation of token rows")
		return
	}
	c.enter(kernel.Seqs, program.Tokens)
	x := c.live.buffers[o.X]
	k, err := kernel.NewL2Norm(c.cols(o.X))
	c.call(k, err, at(x), at(c.inPlace(o, o.X)))
}
