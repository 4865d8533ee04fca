package compile

import (
	"skiff/packager/graph"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// skips reports whether a pooling leaves prompts out.
func skips(ops []graph.Op) bool {
	for _, op := range ops {
		if p, ok := op.(*graph.Pool); ok && p.AfterPrompt {
			return true
		}
	}
	return false
}

// pool is one row per sequence, of one part or of several side by side. A pool writes
// whole chunks of 16 columns, so parts of another width are put together afterwards.
func (c *compiler) pool(o *graph.Pool) {
	c.enter(kernel.Seqs, program.Tokens)
	width, n := c.cols(o.X), len(o.How)
	if n == 1 && o.How[0] == graph.PoolMean && !o.AfterPrompt {
		x := c.live.buffers[o.X]
		k, err := kernel.NewMeanPool(width)
		c.call(k, err, at(x), num(x.stride), at(c.starts), at(c.make(o, o.Out)))
		return
	}
	out := c.make(o, o.Out)
	parts, part := out, program.Pad16(width)
	if n > 1 && width != part {
		parts = c.arena.rows(int(c.prog.MaxSeqs), n*part)
	}
	for i, how := range o.How {
		c.part(o, how, parts, 4*i*part)
	}
	if parts != out {
		k, err := kernel.NewConcat(n, width)
		c.call(k, err, at(parts), at(out))
	}
}

// part pools into the columns from so many bytes on.
func (c *compiler) part(o *graph.Pool, how graph.Pooling, to *buffer, bytes int) {
	x, width := c.live.buffers[o.X], c.cols(o.X)
	newPool, extra := kernel.NewPool, []arg(nil)
	if o.AfterPrompt {
		newPool, extra = kernel.NewPoolAfter, []arg{at(c.skips)}
	}
	kind, ok := map[graph.Pooling]kernel.Pool{
		graph.PoolMean: kernel.PoolMean, graph.PoolCLS: kernel.PoolCLS, graph.PoolMax: kernel.PoolMax,
		graph.PoolLast: kernel.PoolLast, graph.PoolWeighted: kernel.PoolWeighted, graph.PoolMeanSqrt: kernel.PoolMeanSqrt,
	}[how]
	if !ok {
		c.fail("no kernel for %s", o.Kind())
		return
	}
	k, err := newPool(kind, width)
	c.call(k, err, append([]arg{at(x), num(x.stride), at(c.starts), within(to, bytes), num(to.stride)}, extra...)...)
}
