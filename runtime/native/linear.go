package native

import (
	"sync"
	"unsafe"

	"skiff/runtime/kernel"
)

// int8Ops are a set's primitives for linears.
type int8Ops struct {
	codeBytes int // bytes of an activation's code: 1, or 2 where products are of 16 bits
	rows      int // rows of a tile
	cols      int // columns of a tile, a multiple of 16
	// quantize writes the k8 codes of a row, as kernel.NewLinear defines them, and returns
	// the row's scale and the sum of its codes. Outlier columns are zero in x already.
	// Neither pointer need be aligned; k8 is a multiple of 8 and the lanes of x behind it
	// may be anything.
	quantize func(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)
	// multiply is tile's.
	multiply func(t *tile)
	// pack lays rows of weights into the set's panels: see PackWeights.
	pack func(dst, codes []byte, first, k int)
}

// tile is up to int8Ops.rows rows by cols columns of a linear's output, epilogue included
// but for the activation:
//
//	acc = sum over k of code[r][k]·w[n][k]                    exact int32
//	acc = acc - zero[n]·sums[r]                               if zero is not nil, mod 2^32
//	v   = float32(acc)·(scales[r]·wscale[n])
//	v   = v + outX[o][r]·outW[o][n]                           for each outlier o, in order
//	out[r][n] = v + bias[n]
//
// Assembly reads it by field offset: generated and hand-written code must agree with it.
// Weights, wscale, bias, zero, outW and out are 64-byte aligned and so are their strides.
type tile struct {
	codes       unsafe.Pointer // [rows][k8] codes
	codeStride  uintptr        // bytes from row to row
	weights     unsafe.Pointer // the tile's first panel
	panelStride uintptr        // bytes of 16 columns: 16·k8
	k8          uintptr
	rows, cols  uintptr  // cols is a multiple of 16
	scales      *float32 // [rows]
	sums        *int32   // [rows]
	wscale      *float32 // [cols]
	bias        *float32 // [cols]
	zero        *int32   // [cols], or nil
	outX        *float32 // [outliers][int8Ops.rows]
	outW        *float32 // [outliers][cols]
	outWStride  uintptr  // bytes from outlier to outlier
	outliers    uintptr
	out         *float32 // [rows][cols]
	outStride   uintptr  // bytes from row to row
	// ahead is as many bytes of weights as the tile's own that are wanted next, for
	// prefetch; the tile's own if there are none.
	ahead unsafe.Pointer
}

// Places of linear's arguments, as kernel.NewLinear and NewLinearZero list them.
const (
	linX = iota
	linXStride
	linK8
	linW
	linN16
	linWScale
	linBias
	linOutIdx
	linOutW
	linOut
	linOutStride
	linZero
)

// maxRows is how many rows are quantised before they are multiplied: their codes stay in
// the second cache while panels come and go in the first.
const maxRows = 192

// linear is a linear kernel of a set.
type linear struct {
	int8Ops
	outliers int
	zeros    bool
	act      func(dst, src *float32, n int) // nil for none
	tiles    sync.Pool                      // of *linearCall, which no call shares
}

// bindLinear is false if the set lacks products or the activation.
func (s *Set) bindLinear(k *kernel.Kernel) (Kernel, bool) {
	f := k.Form()
	l := &linear{int8Ops: s.int8, outliers: f.Outliers, zeros: f.Zeros, act: s.float.act[f.Act]}
	if l.multiply == nil || l.act == nil && f.Act != kernel.ActNone {
		return Kernel{}, false
	}
	l.tiles.New = func() any { return &linearCall{linear: l} }
	return Kernel{Run: l.run, Scratch: l.scratch, Grain: 4 * l.rows}, true
}

// linearPlan is the layout of a linear's scratch for so many rows, in bytes from its start.
type linearPlan struct {
	stride int // bytes of a row of codes
	scales int // f32 [rows]
	sums   int // i32 [rows]
	outX   int // f32 [blocks][outliers][rows of a tile]
	row    int // f32 [k8]: a row without its outliers
	end    int
}

func (l *linear) plan(k8, rows int) linearPlan {
	p := linearPlan{stride: pad64(k8 * l.codeBytes)}
	p.scales = rows * p.stride
	p.sums = p.scales + pad64(4*rows)
	p.outX = p.sums + pad64(4*rows)
	p.row = p.outX + pad64(4*l.outliers*l.rows*l.blocks(rows))
	p.end = p.row + pad64(4*k8)
	return p
}

// blocks is how many tiles so many rows take.
func (l *linear) blocks(rows int) int { return (rows + l.rows - 1) / l.rows }

func (l *linear) scratch(args []uint32, units, _ int) int {
	return l.plan(int(args[linK8]), min(units, maxRows)).end
}

// run is Kernel.Run.
func (l *linear) run(mem, scratch []byte, lo, hi int, args []uint32) {
	c := l.tiles.Get().(*linearCall)
	c.mem, c.scratch, c.args = mem, scratch, args
	c.k8, c.n16 = int(args[linK8]), int(args[linN16])
	for ; lo < hi; lo += maxRows {
		c.rows(lo, min(hi-lo, maxRows))
	}
	c.mem, c.scratch, c.args, c.tile = nil, nil, nil, tile{}
	l.tiles.Put(c)
}

// linearCall is one call with its memory in view.
type linearCall struct {
	*linear
	mem, scratch []byte
	args         []uint32
	k8, n16      int
	linearPlan
	tile tile // of the products that run
}

// rows does n rows from the first: codes of all, then panel by panel the tiles of all.
func (c *linearCall) rows(first, n int) {
	c.linearPlan = c.plan(c.k8, n)
	blocks := c.blocks(n)
	for b := range blocks {
		c.quantizeBlock(first, b*n/blocks, (b+1)*n/blocks, b)
	}
	c.begin()
	for col := 0; col < c.n16; col += c.cols {
		c.panel(col)
		for b := range blocks {
			c.block(first, col, b*n/blocks, (b+1)*n/blocks, b)
		}
	}
}

// quantizeBlock sets the codes of block b, which is the rows [from, to) of those from first.
func (c *linearCall) quantizeBlock(first, from, to, b int) {
	columns := c.columns()
	for r := from; r < to; r++ {
		x := floats(c.mem, int(c.args[linX])+(first+r)*int(c.args[linXStride]), c.k8)
		if len(columns) > 0 {
			x = c.withoutOutliers(x, columns, b*c.outliers*c.linear.rows+r-from)
		}
		scale, sum := c.quantize(unsafe.Pointer(&c.scratch[r*c.stride]), &x[0], c.k8)
		*floatAt(c.scratch, c.scales+4*r) = scale
		*intAt(c.scratch, c.sums+4*r) = sum
	}
}

// columns are those of outliers.
func (c *linearCall) columns() []int32 {
	if c.outliers == 0 {
		return nil
	}
	return ints(c.mem, c.args[linOutIdx], c.outliers)
}

// withoutOutliers keeps what a row has in the columns, from outX[at], and returns a copy
// that has zeros there.
func (c *linearCall) withoutOutliers(x []float32, columns []int32, at int) []float32 {
	row := floats(c.scratch, c.row, c.k8)
	copy(row, x)
	for o, col := range columns {
		col := min(uint32(col), uint32(c.k8-1))
		*floatAt(c.scratch, c.outX+4*(at+o*c.linear.rows)) = x[col]
		row[col] = 0
	}
	return row
}

// begin sets what all tiles of the rows have in common.
func (c *linearCall) begin() {
	c.tile = tile{
		codeStride:  uintptr(c.stride),
		panelStride: uintptr(16 * c.k8),
		k8:          uintptr(c.k8),
		outWStride:  uintptr(4 * c.n16),
		outliers:    uintptr(c.outliers),
		outStride:   uintptr(c.args[linOutStride]),
	}
}

// panel sets what all tiles of the columns from col have in common.
func (c *linearCall) panel(col int) {
	t := &c.tile
	cols := min(c.cols, c.n16-col)
	t.cols = uintptr(cols)
	t.weights = unsafe.Pointer(&c.mem[int(c.args[linW])+col*c.k8])
	t.ahead = t.weights
	if col+cols+c.cols <= c.n16 {
		t.ahead = unsafe.Pointer(&c.mem[int(c.args[linW])+(col+cols)*c.k8])
	}
	t.wscale = floatAt(c.mem, int(c.args[linWScale])+4*col)
	t.bias = floatAt(c.mem, int(c.args[linBias])+4*col)
	if c.outliers > 0 {
		t.outW = floatAt(c.mem, int(c.args[linOutW])+4*col)
	}
	if c.zeros {
		t.zero = intAt(c.mem, int(c.args[linZero])+4*col)
	}
}

// block does the panel's tile of block b, which is the rows [from, to) of those from first.
func (c *linearCall) block(first, col, from, to, b int) {
	t := &c.tile
	t.rows = uintptr(to - from)
	t.codes = unsafe.Pointer(&c.scratch[from*c.stride])
	t.scales = floatAt(c.scratch, c.scales+4*from)
	t.sums = intAt(c.scratch, c.sums+4*from)
	if c.outliers > 0 {
		t.outX = floatAt(c.scratch, c.outX+4*b*c.outliers*c.linear.rows)
	}
	out := int(c.args[linOut]) + (first+from)*int(c.args[linOutStride]) + 4*col
	t.out = floatAt(c.mem, out)
	c.multiply(t)
	t.ahead = t.weights
	if c.act == nil {
		return
	}
	for range to - from {
		y := floatAt(c.mem, out)
		c.act(y, y, int(t.cols))
		out += int(c.args[linOutStride])
	}
}

// pad64 rounds a size up to a line of cache.
func pad64(n int) int { return (n + 63) &^ 63 }

// intAt is where an integer lies. The offset must be within mem.
func intAt(mem []byte, off int) *int32 { return (*int32)(unsafe.Pointer(&mem[off])) }
