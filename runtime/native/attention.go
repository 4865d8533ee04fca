package native

import "skiff/runtime/kernel"

// attention is one kernel bound: a heads of size d.
//
// Of each head of each sequence the keys are packed as columns and the values as rows of
// panels; then a few queries at a time go through scores, softmax and mix, so that their
// scores stay in the first cache.
type attention struct {
	*floatOps
	a, d  int
	scale float32
}

func (o *floatOps) bindAttention(f kernel.Form) (Kernel, bool) {
	if o.packKeys == nil || o.packValues == nil || o.product == nil || o.softmax == nil {
		return Kernel{}, false
	}
	k := attention{floatOps: o, a: f.Heads, d: f.HeadSize, scale: f.Scale}
	scratch := func(_ []uint32, _, tokens int) int { return k.plan(max(tokens, 1)).end }
	return Kernel{Run: k.run, Scratch: scratch, Grain: 1}, true
}

// attentionPlan is the layout of the scratch for a sequence, in bytes from its start,
// where the keys lie: f32 [panels of T][D][panel].
type attentionPlan struct {
	keyPanels, valuePanels int
	values                 int // f32 [panels of D][T][panel]
	scores, scoreStride    int // f32 [rows of a tile][T in whole panels], and a cache line
	mixed, mixedStride     int // f32 [rows of a tile][D in whole panels]
	scale, inverse         int // f32 [rows of a tile]
	end                    int
}

func (k *attention) plan(t int) attentionPlan {
	p := attentionPlan{keyPanels: (t + k.panel - 1) / k.panel, valuePanels: (k.d + k.panel - 1) / k.panel}
	rows := k.tiles[0]
	p.values = 4 * p.keyPanels * k.panel * k.d
	p.scores = align(p.values + 4*p.valuePanels*k.panel*t)
	// An odd number of cache lines, lest the rows fall upon the same ones.
	p.scoreStride = align(4*p.keyPanels*k.panel) | 64
	p.mixed = p.scores + rows*p.scoreStride
	p.mixedStride = 4 * p.valuePanels * k.panel
	p.scale = align(p.mixed + rows*p.mixedStride)
	p.inverse = align(p.scale + 4*rows)
	p.end = align(p.inverse + 4*rows)
	return p
}

// align rounds bytes up to whole cache lines.
func align(n int) int { return (n + 63) &^ 63 }

// attentionCall is where a call's rows lie: the head's columns of the sequence's first row.
type attentionCall struct {
	q, k, v, out int // bytes into memory
	stride       int // bytes from row to row of q, k and v
	outStride    int
	n            int // tokens of the sequence
}

// run has the arguments qkv, qkvStride, starts, out, outStride.
func (k *attention) run(mem, scratch []byte, lo, hi int, args []uint32) {
	h, w := k.a*k.d, pad16(k.a*k.d)
	c := attentionCall{stride: int(args[1]), outStride: int(args[4])}
	for unit := lo; unit < hi; unit++ {
		span := ints(mem, args[2]+uint32(4*(unit/k.a)), 2)
		first, head := int(span[0]), unit%k.a
		c.n = int(span[1]) - first
		if c.n <= 0 {
			continue
		}
		c.q = int(args[0]) + first*c.stride + 4*head*k.d
		c.k, c.v = c.q+4*h, c.q+8*h
		c.out = int(args[3]) + first*c.outStride + 4*head*k.d
		k.sequence(mem, scratch, &c)
		if head == k.a-1 && h < w {
			for i := range c.n {
				clear(floats(mem, c.out+i*c.outStride+4*k.d, w-h))
			}
		}
	}
}

// sequence does one head of one sequence.
func (k *attention) sequence(mem, scratch []byte, c *attentionCall) {
	p := k.plan(c.n)
	k.packKeys(floatAt(scratch, 0), floatAt(mem, c.k), uintptr(c.stride), c.n, k.d)
	k.packValues(floatAt(scratch, p.values), floatAt(mem, c.v), uintptr(c.stride), c.n, k.d)
	scale := floats(scratch, p.scale, k.tiles[0])
	for i := range scale {
		scale[i] = k.scale
	}
	for done := 0; done < c.n; {
		first, rows := k.step(done, c.n)
		k.block(mem, scratch, c, &p, first, rows)
		done = first + rows
	}
}

// block does the queries of a tile.
func (k *attention) block(mem, scratch []byte, c *attentionCall, p *attentionPlan, first, rows int) {
	scores, inverse := floatAt(scratch, p.scores), floatAt(scratch, p.inverse)
	q := floatAt(mem, c.q+first*c.stride)
	k.product(scores, uintptr(p.scoreStride), q, uintptr(c.stride), floatAt(scratch, 0), k.d, rows, p.keyPanels, floatAt(scratch, p.scale))
	k.softmax(scores, uintptr(p.scoreStride), rows, c.n, inverse)
	out, outStride := floatAt(mem, c.out+first*c.outStride), c.outStride
	whole := k.d == p.valuePanels*k.panel
	if !whole { // the next head's columns are somebody else's
		out, outStride = floatAt(scratch, p.mixed), p.mixedStride
	}
	k.product(out, uintptr(outStride), scores, uintptr(p.scoreStride), floatAt(scratch, p.values), c.n, rows, p.valuePanels, inverse)
	if whole {
		return
	}
	for i := range rows {
		copy(floats(mem, c.out+(first+i)*c.outStride, k.d), floats(scratch, p.mixed+i*p.mixedStride, k.d))
	}
}

// step is the next tile of n rows of which so many are done: where it begins and how many
// it is. It may do some once more: the same bits, and sooner than with smaller tiles.
func (o *floatOps) step(done, n int) (first, rows int) {
	for i := len(o.tiles) - 1; i >= 0; i-- {
		if t := o.tiles[i]; t >= n-done && t <= n {
			return n - t, t
		}
	}
	for _, t := range o.tiles {
		if t <= n-done {
			return done, t
		}
	}
	return done, 1
}
