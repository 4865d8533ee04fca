package kernel

import (
	"cmp"
	"fmt"
	"math"
)

// Places of linear's arguments.
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
	linZero // of the form with zero points alone
)

// NewLinear returns y = act(x·Wᵀ + bias) with int8 weights, one scale per output column,
// activations quantised to int8 per row, and a number of outlier input columns (0 to 4)
// that are left out of the int8 row and added in float32.
//
//	amax  = max |x[k]|, outlier columns as 0; below 2^-100: codes 0, scale 0, else
//	scale = amax/127, code[k] = clamp(rne(x[k]·(127/amax)), ±127)
//	acc   = sum code[k]·w[n][k]                             exact int32
//	v     = float32(acc)·(scale·wscale[n])
//	v     = v + x[col]·outW[o][n]                           for each outlier, in order
//	y     = act(v + bias[n])
//
// Arguments: x f32 rows, xStride bytes, K8 (K rounded up to 8); w panels (PackWeights);
// N16 (N rounded up to 16); wscale, bias f32 [N16]; outIdx i32 [o], outW f32 [o][N16];
// out f32 rows, outStride bytes. Lanes of x from K to K8 must be 0. Columns from N to
// N16 are +0 when their weights, scale, bias and outW are zero. Lanes of out past N16
// are not written.
func NewLinear(outliers int, act Act) (*Kernel, error) {
	return newLinear(linearForm{outliers: outliers, act: act})
}

// NewLinearZero is NewLinear for weights with a zero point per output column: the weight
// that code w stands for is (w - zero[n])·wscale[n].
//
//	rowsum = sum code[k]                                    exact int32
//	v      = float32(acc - zero[n]·rowsum)·(scale·wscale[n])
//
// The difference is taken mod 2^32. It is exact, and then the sum of code[k]·(w[n][k] -
// zero[n]), while ZeroFits holds. One argument follows NewLinear's: zero i32 [N16].
func NewLinearZero(outliers int, act Act) (*Kernel, error) {
	return newLinear(linearForm{outliers: outliers, act: act, zeros: true})
}

// ZeroFits says whether a linear of depth k is exact with this zero point: every one from
// -128 to 127 is, at any depth.
func ZeroFits(zero int32, k int) bool {
	furthest := max(math.MaxInt8-int64(zero), int64(zero)-math.MinInt8)
	return int64(k)*127*furthest <= math.MaxInt32
}

// linearForm is what a linear's name fixes.
type linearForm struct {
	outliers int
	act      Act
	zeros    bool // one zero point a column
}

func (f linearForm) name() string {
	params := "o" + itoa(f.outliers) + "," + f.act.String()
	if f.zeros {
		return canonical("linear", linearZeroDigests(f.act), params+",zero")
	}
	return canonical("linear", linearDigests(f.act), params)
}

func newLinear(f linearForm) (*Kernel, error) {
	if err := cmp.Or(checkRange("o", f.outliers, 0, maxOutliers), f.act.check(linearDigests)); err != nil {
		return nil, err
	}
	perColumn := func(n int) func(call) uint64 {
		return func(c call) uint64 { return 4 * uint64(n) * c.at(linN16) }
	}
	args := []Arg{
		readArg("x", func(c call) uint64 { return c.tokens * c.at(linXStride) }), scalarArg("xStride"), scalarArg("K8"),
		readArg("w", func(c call) uint64 { return c.at(linN16) * c.at(linK8) }), scalarArg("N16"),
		readArg("wscale", perColumn(1)), readArg("bias", perColumn(1)),
		readArg("outIdx", fixed(4*f.outliers)), readArg("outW", perColumn(f.outliers)),
		writeArg("out", func(c call) uint64 { return c.tokens * c.at(linOutStride) }), scalarArg("outStride"),
	}
	if f.zeros {
		args = append(args, readArg("zero", perColumn(1)))
	}
	return &Kernel{
		name:    f.name(),
		args:    args,
		domain:  Rows,
		grain:   tileRows,
		check:   checkLinear,
		scratch: func(c call) uint64 { return uint64(f.plan(int(c.at(linK8)), int(c.at(linN16))).end) },
		cost:    func(c call) uint64 { return c.at(linK8) * c.at(linN16) },
		body:    func() []byte { return linearBody(f) },
		run: func(mem []byte, lo, hi, scratch int, args []uint32) {
			runLinear(mem, lo, hi, scratch, args, f)
		},
	}, nil
}

func checkLinear(c call) error {
	k, n := c.at(linK8), c.at(linN16)
	if k == 0 || k%8 != 0 || k > maxDepth {
		return fmt.Errorf("argument K8: %d: want a multiple of 8 from 8 to %d", k, maxDepth)
	}
	if n == 0 || n%16 != 0 || n > maxColumns {
		return fmt.Errorf("argument N16: %d: want a multiple of 16 from 16 to %d", n, maxColumns)
	}
	return cmp.Or(checkStride("xStride", c.at(linXStride), 4*pad16(k)), checkStride("outStride", c.at(linOutStride), 4*n))
}

// linearPlan is the layout of a linear's scratch, in bytes from its start.
type linearPlan struct {
	row    int // f32 [K8]: a row without its outliers
	scales int // f32 [6]: row scales of a block; then, for zero points, i32 [6]: row sums
	acc    int // i32 [6][N16]: sums of a block
	panel  int // i16 [K8/2][6][4][2]: codes of a block, each pair of depths four times
	end    int
}

// rowSums is how far behind the row scales the row sums stand.
const rowSums = 4 * tileRows

// rowBytes is what a block keeps of its rows: scales and, for zero points, sums.
func (f linearForm) rowBytes() int {
	if f.zeros {
		return 2 * rowSums
	}
	return rowSums
}

// plan is shared by the WebAssembly and the reference, which keeps its pairs of
// rows (i64 [K8]) in panel.
func (f linearForm) plan(k8, n16 int) linearPlan {
	p := linearPlan{}
	p.scales = 4 * k8
	p.acc = pad(p.scales+f.rowBytes(), 64)
	p.panel = p.acc + 4*tileRows*n16
	p.end = p.panel + k8/2*panelStep
	return p
}

// The tile: 6 rows by 8 columns of the output.
const (
	tileRows  = 6
	tileCols  = 8
	panelStep = 16 * tileRows // bytes per step of depth in a row panel
)

// linearCall is one call of the reference with its memory in view.
type linearCall struct {
	mem          []byte
	args         []uint32
	k8, n16      int
	wscale, bias []float32
	outIdx       []int32
	outW         []float32
	zero         []int32 // nil for none
	act          Act
}

func runLinear(mem []byte, lo, hi, scratch int, args []uint32, f linearForm) {
	l := linearCall{mem: mem, args: args, act: f.act, k8: int(args[linK8]), n16: int(args[linN16])}
	l.wscale = view[float32](mem, int(args[linWScale]), l.n16)
	l.bias = view[float32](mem, int(args[linBias]), l.n16)
	if f.outliers > 0 {
		l.outIdx = view[int32](mem, int(args[linOutIdx]), f.outliers)
		l.outW = view[float32](mem, int(args[linOutW]), f.outliers*l.n16)
	}
	if f.zeros {
		l.zero = view[int32](mem, int(args[linZero]), l.n16)
	}
	plan := f.plan(l.k8, l.n16)
	row := view[float32](mem, scratch+plan.row, l.k8)
	pairs := view[int64](mem, scratch+plan.panel, l.k8)
	for r := lo; r < hi; r += 2 {
		clear(pairs)
		var scale [2]float32
		n := min(2, hi-r)
		for i := range n {
			copy(row, l.x(r+i))
			for _, col := range l.outIdx {
				row[min(uint32(col), uint32(l.k8-1))] = 0
			}
			scale[i] = quantizeRow(pairs, row, 32*i)
		}
		l.multiply(r, n, pairs, scale)
	}
}

// x is an input row.
func (l *linearCall) x(r int) []float32 {
	return view[float32](l.mem, int(l.args[linX])+r*int(l.args[linXStride]), l.k8)
}

// quantizeRow adds the codes of a row, shifted left, to pairs and returns the row's scale.
func quantizeRow(pairs []int64, row []float32, shift int) float32 {
	var most int32
	for _, x := range row {
		most = max(most, int32(math.Float32bits(x)&math.MaxInt32))
	}
	amax := math.Float32frombits(uint32(most))
	if most < tinyBits {
		return 0
	}
	inv := 127 / amax
	pairs = pairs[:len(row)]
	for k, x := range row {
		code := int32(math.Float32bits(float32(x*inv)+roundMagic)) - roundBits
		pairs[k] += int64(max(-127, min(127, code))) << shift
	}
	return amax / 127
}

// tinyBits are the bits of 2^-100, below which a row counts as zero.
const tinyBits = 27 << 23

// multiply does n (1 or 2) rows from r. One 64-bit product of a weight and a pair of
// codes, the second row's in the upper half, is two exact products: their sums never
// leave 32 bits, and what the lower borrows from the upper is given back at the end.
func (l *linearCall) multiply(r, n int, pairs []int64, scale [2]float32) {
	panelBytes := l.k8 * tileCols
	var acc [4]int64
	var sums [2]int32
	if l.zero != nil {
		sums = sumPairs(pairs)
	}
	for col := 0; col < l.n16; col += len(acc) {
		start := int(l.args[linW]) + col/tileCols*panelBytes
		sumPanel(&acc, l.mem[start:start+panelBytes], pairs, col%tileCols*2)
		for j, s := range acc {
			rows := halves(s)
			for i := range n {
				l.finish(r+i, col+j, rows[i], sums[i], scale[i])
			}
		}
	}
}

// sumPanel sets acc to the products of pairs with the 4 columns at byte off of each
// step of a panel.
func sumPanel(acc *[4]int64, panel []byte, pairs []int64, off int) {
	var c0, c1, c2, c3 int64
	for len(panel) >= 16 && len(pairs) >= 2 {
		w := (*[8]byte)(panel[off&8:])
		a, b := pairs[0], pairs[1]
		c0 += a*int64(int8(w[0])) + b*int64(int8(w[1]))
		c1 += a*int64(int8(w[2])) + b*int64(int8(w[3]))
		c2 += a*int64(int8(w[4])) + b*int64(int8(w[5]))
		c3 += a*int64(int8(w[6])) + b*int64(int8(w[7]))
		panel, pairs = panel[16:], pairs[2:]
	}
	*acc = [4]int64{c0, c1, c2, c3}
}

// halves are the two sums that one of pairs is.
func halves(s int64) [2]int32 {
	low := int32(s)
	return [2]int32{low, int32((s - int64(low)) >> 32)}
}

// sumPairs are the sums of the codes of both rows.
func sumPairs(pairs []int64) [2]int32 {
	var s int64
	for _, p := range pairs {
		s += p
	}
	return halves(s)
}

// finish writes output n of row r from its exact sum and that of its codes.
func (l *linearCall) finish(r, n int, acc, sum int32, scale float32) {
	if l.zero != nil {
		acc -= l.zero[n] * sum
	}
	v := float32(float32(acc) * float32(scale*l.wscale[n]))
	if len(l.outIdx) > 0 {
		x := l.x(r)
		for o, col := range l.outIdx {
			v += float32(x[min(uint32(col), uint32(l.k8-1))] * l.outW[o*l.n16+n])
		}
	}
	out := view[float32](l.mem, int(l.args[linOut])+r*int(l.args[linOutStride])+4*n, 1)
	out[0] = l.act.apply(v + l.bias[n])
}
