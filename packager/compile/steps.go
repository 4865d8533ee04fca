package compile

import (
	"fmt"
	"math"

	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// buffers are the activations of an encoder.
type buffers struct {
	ids, types, positions, starts *buffer
	x                             *buffer // residual stream [M][H]
	qkv                           *buffer // [M][3H]
	context                       *buffer // attention's answer [M][H]
	y                             *buffer // a branch before its residual [M][H]
	inner                         *buffer // feed-forward [M][F]
	out                           *buffer // [B][H]
}

func (c *compiler) buffers() buffers {
	m, p := c.q.Source, c.prog
	rows, seqs := int(p.MaxTokens), int(p.MaxSeqs)
	a := &c.arena
	b := buffers{
		ids: a.words(rows), types: a.words(rows), positions: a.words(rows), starts: a.words(seqs + 1),
		x: a.rows(rows, m.Hidden), qkv: a.rows(rows, 3*m.Hidden), context: a.rows(rows, m.Hidden),
		y: a.rows(rows, m.Hidden), inner: a.rows(rows, m.Inner), out: a.rows(seqs, m.Hidden),
	}
	// Inputs are written before the first stage and the output is read after the last.
	for _, in := range []*buffer{b.ids, b.types, b.positions, b.starts} {
		in.use(0)
	}
	return b
}

// model lists the steps of an encoder with pooling.
func (c *compiler) model() {
	m := c.q.Source
	b := c.buffers()
	c.embed(b)
	for i := range c.q.Blocks {
		if i == 0 {
			c.linear(blockName(i), "qkv", c.q.Blocks[i].QKV, graph.Activation(0), b.x, b.qkv)
			c.tap("embed", b.x)
		}
		c.block(i, b)
		if i+1 < len(c.q.Blocks) {
			c.linear(blockName(i+1), "qkv", c.q.Blocks[i+1].QKV, graph.Activation(0), b.x, b.qkv)
		}
		c.tap(blockName(i), b.x)
	}
	c.barrier()
	if m.Pool != graph.PoolMean {
		c.fail("pooling %s", m.Pool)
	}
	pool, err := kernel.NewMeanPool(m.Hidden)
	c.call(pool, err, at(b.x), num(b.x.stride), at(b.starts), at(b.out))
	if m.Normalize {
		norm, err := kernel.NewL2Norm(m.Hidden)
		c.call(norm, err, at(b.out), at(b.out))
	}
	for _, f := range []struct {
		to  *uint32
		buf *buffer
	}{{&c.prog.IDs, b.ids}, {&c.prog.TypeIDs, b.types}, {&c.prog.Positions, b.positions}, {&c.prog.Starts, b.starts}, {&c.prog.Output, b.out}} {
		c.fixups = append(c.fixups, fixup{f.to, f.buf})
	}
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("unsupported: "+format, args...)
	}
}

func blockName(i int) string { return fmt.Sprintf("blocks.%d", i) }

func (c *compiler) embed(b buffers) {
	m := c.q.Source
	places := min(c.q.Position.Rows, m.MaxTokens) // rows past the longest text are never read
	word, wordScale := c.weights.table("embed", "embed.word", c.q.Word)
	pos, posScale := c.weights.table("embed", "embed.position", firstRows(c.q.Position, places))
	kind, kindScale := c.weights.table("embed", "embed.type", c.q.Type)
	gain, bias := c.norm("embed", "embed.norm", m.Embed.Norm)
	k, err := kernel.NewEmbed(m.Hidden, m.Embed.Norm.Eps)
	c.call(k, err, at(b.ids), at(b.types), at(b.positions),
		word, wordScale, pos, posScale, kind, kindScale, gain, bias, at(b.x),
		num(c.q.Word.Rows), num(places), num(c.q.Type.Rows))
}

func firstRows(m quantize.Matrix, n int) quantize.Matrix {
	m.Rows, m.Codes, m.Scale = n, m.Codes[:n*m.Cols], m.Scale[:n]
	return m
}

// block lists attention and feed-forward of one block; qkv holds its input already.
func (c *compiler) block(i int, b buffers) {
	m, q, src := c.q.Source, &c.q.Blocks[i], &c.q.Source.Blocks[i]
	name := blockName(i)
	c.barrier()
	scale := float32(1 / math.Sqrt(float64(m.HeadSize())))
	k, err := kernel.NewAttention(m.Heads, m.HeadSize(), scale)
	c.call(k, err, at(b.qkv), num(b.qkv.stride), at(b.starts), at(b.context), num(b.context.stride))
	c.barrier()
	c.linear(name, "out", q.Out, graph.Activation(0), b.context, b.y)
	c.addNorm(name, "attn_norm", src.AttnNorm, b)
	c.linear(name, "ffn_in", q.FFNIn, src.Act, b.x, b.inner)
	c.linear(name, "ffn_out", q.FFNOut, graph.Activation(0), b.inner, b.y)
	c.addNorm(name, "ffn_norm", src.FFNNorm, b)
}

// addNorm is x = norm(y + x).
func (c *compiler) addNorm(block, name string, n graph.Norm, b buffers) {
	gain, bias := c.norm(block, block+"."+name, n)
	k, err := kernel.NewAddNorm(c.q.Source.Hidden, n.Eps)
	c.call(k, err, at(b.y), at(b.x), gain, bias, at(b.x))
}

func (c *compiler) norm(block, name string, n graph.Norm) (gain, bias arg) {
	return c.weights.vector(block, name+".gain", n.Gain), c.weights.vector(block, name+".bias", n.Bias)
}

func (c *compiler) linear(block, name string, q quantize.Linear8, act graph.Activation, from, to *buffer) {
	kernelAct := kernel.ActNone
	switch act {
	case 0:
	case graph.Gelu:
		kernelAct = kernel.ActGELU
	default:
		c.fail("activation %s in %s.%s", act, block, name)
		return
	}
	w := c.weights.linear(block, block+"."+name, q)
	k, err := kernel.NewLinear(len(q.Outliers), kernelAct)
	c.call(k, err, at(from), num(from.stride), num((q.Cols+7)&^7), w.panels, num(program.Pad16(q.Rows)),
		w.scale, w.bias, w.index, w.exact, at(to), num(to.stride))
}
