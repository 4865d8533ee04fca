package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// int8AVX512 writes the primitives of linears for AVX-512 with VNNI.
func int8AVX512(c *build.Context) {
	multiplyAVX512(c)
	quantizeAVX512(c)
}

// rowsAVX512 is how many rows a tile of 64 columns has: 24 sums, 4 vectors of weights and
// the codes fill the registers.
const rowsAVX512 = 6

// multiplyAVX512 has code for 1 to 6 rows by 64 columns, and for as many by 16, of which a
// tile of fewer than 64 columns takes several.
func multiplyAVX512(c *build.Context) {
	name := "multiplyAVX512"
	function(c, name, "func(t *tile)", append(multiplyReference(name),
		"",
		"Panels are [16 columns][4 depths] of code+128, which VPDPBUSD takes as unsigned; sums begin",
		"with -128 times the sum of the row's codes, which makes up for that."))
	g := &tileGen{Context: c, t: c.GP64()}
	c.Load(c.Param("t"), g.t)
	rows, columns := g.load("rows"), g.load("cols")
	c.CMPQ(columns, operand.Imm(64))
	c.JNE(operand.LabelRef("narrow"))
	g.byRows(rows, "wide", func(n int) { (&tile512{tileGen: g, rows: n, cols: 4, label: fmt.Sprintf("wide%d", n)}).write() })
	c.Label("narrow")
	g.byRows(rows, "narrow", func(n int) { (&tile512{tileGen: g, rows: n, cols: 1, label: fmt.Sprintf("narrow%d", n)}).writeAll() })
}

// byRows writes code for each number of rows and a choice between them.
func (g *tileGen) byRows(rows reg.GPVirtual, label string, write func(n int)) {
	for n := 1; n < rowsAVX512; n++ {
		g.CMPQ(rows, operand.Imm(uint64(n)))
		g.JEQ(operand.LabelRef(fmt.Sprintf("%s%d", label, n)))
	}
	for n := rowsAVX512; n > 0; n-- {
		g.Label(fmt.Sprintf("%s%d", label, n))
		write(n)
		g.VZEROUPPER()
		g.RET()
	}
}

// tile512 is a tile of rows by vectors of columns.
type tile512 struct {
	*tileGen
	rows, cols int
	label      string
	acc        [][]reg.VecVirtual
	column     reg.GPVirtual // bytes of floats before the first column; nil for none
}

// write does the whole tile.
func (g *tile512) write() {
	g.begin()
	g.multiply(g.load("weights"))
	g.subtractZeros()
	g.scale()
	g.addOutliers()
	g.finish(g.load("out"))
}

// writeAll does one tile after another, column by column.
func (g *tile512) writeAll() {
	weights, out := g.load("weights"), g.load("out")
	g.column = g.GP64()
	g.XORQ(g.column, g.column)
	g.Label(g.label + "tile")
	g.begin()
	g.multiply(weights)
	g.subtractZeros()
	g.scale()
	g.addOutliers()
	g.finish(out)
	g.ADDQ(g.field("panelStride"), weights)
	g.ADDQ(operand.Imm(64), out)
	g.ADDQ(operand.Imm(64), g.column)
	columns := g.load("cols")
	g.SHLQ(operand.Imm(2), columns)
	g.CMPQ(g.column, columns)
	g.JLT(operand.LabelRef(g.label + "tile"))
}

// zmms is as many registers.
func (g *tile512) zmms(n int) []reg.VecVirtual {
	var out []reg.VecVirtual
	for range n {
		out = append(out, g.ZMM())
	}
	return out
}

// begin sets each sum to what makes up for the weights' 128.
func (g *tile512) begin() {
	g.acc = nil
	sums, zero := g.load("sums"), g.ZMM()
	g.VPXORD(zero, zero, zero)
	for r := range g.rows {
		acc := g.zmms(g.cols)
		g.VPBROADCASTD(operand.Mem{Base: sums, Disp: 4 * r}, acc[0])
		g.VPSLLD(operand.Imm(7), acc[0], acc[0])
		g.VPSUBD(acc[0], zero, acc[0])
		for _, a := range acc[1:] {
			g.VMOVDQA64(acc[0], a)
		}
		g.acc = append(g.acc, acc)
	}
}

// multiply adds the products, two steps of 4 depths at once.
func (g *tile512) multiply(weights reg.GPVirtual) {
	codes := g.newStride(g.load("codes"), g.load("codeStride"), g.rows)
	w := g.GP64()
	g.MOVQ(weights, w)
	panels := g.newStride(w, g.load("panelStride"), g.cols)
	k, ahead := g.load("k8"), g.load("ahead")
	g.Label(g.label + "step")
	for step := range 2 {
		g.prefetch(ahead, step)
		vectors := g.zmms(g.cols)
		for v, z := range vectors {
			g.VMOVDQU64(panels.at(v, 64*step), z)
		}
		for r := range g.rows {
			code := g.ZMM()
			g.VPBROADCASTD(codes.at(r, 4*step), code)
			for v, z := range vectors {
				vpdpbusd(g.Context, code, z, g.acc[r][v])
			}
		}
	}
	g.ADDQ(operand.U32(128), w)
	g.ADDQ(operand.Imm(8), codes.base)
	if g.cols > 1 {
		g.ADDQ(operand.U32(512), ahead)
	}
	g.SUBQ(operand.Imm(8), k)
	g.JNE(operand.LabelRef(g.label + "step"))
}

// prefetch touches the weights that are wanted next, as many as a step reads.
func (g *tile512) prefetch(ahead reg.GPVirtual, step int) {
	if g.cols == 1 {
		return
	}
	for v := range g.cols {
		g.PREFETCHT1(operand.Mem{Base: ahead, Disp: 64 * (step*g.cols + v)})
	}
}

// vpdpbusd adds to acc the products of signed codes and unsigned weights; avo has no name
// for it.
func vpdpbusd(c *build.Context, codes, weights operand.Op, acc reg.VecVirtual) {
	c.Instruction(&ir.Instruction{
		Opcode: "VPDPBUSD", Operands: []operand.Op{codes, weights, acc},
		Inputs: []operand.Op{codes, weights, acc}, Outputs: []operand.Op{acc}, ISA: []string{"AVX512VNNI"},
	})
}

// floats are vectors of the tile's columns: a field's, or what lies at a base.
func (g *tile512) floats(base reg.Register, v int) operand.Mem {
	m := operand.Mem{Base: base, Disp: 64 * v}
	if g.column != nil {
		return m.Idx(g.column, 1)
	}
	return m
}

// loadFloats loads all columns.
func (g *tile512) loadFloats(base reg.Register) []reg.VecVirtual {
	vectors := g.zmms(g.cols)
	for v, z := range vectors {
		g.VMOVUPS(g.floats(base, v), z)
	}
	return vectors
}

// subtractZeros subtracts zero[n]·sums[r].
func (g *tile512) subtractZeros() {
	zero := g.load("zero")
	g.TESTQ(zero, zero)
	g.JEQ(operand.LabelRef(g.label + "scale"))
	sums, vectors := g.load("sums"), g.loadFloats(zero)
	for r := range g.rows {
		sum, product := g.ZMM(), g.ZMM()
		g.VPBROADCASTD(operand.Mem{Base: sums, Disp: 4 * r}, sum)
		for v, z := range vectors {
			g.VPMULLD(z, sum, product)
			g.VPSUBD(product, g.acc[r][v], g.acc[r][v])
		}
	}
}

// scale makes floats of the sums.
func (g *tile512) scale() {
	g.Label(g.label + "scale")
	scales, vectors := g.load("scales"), g.loadFloats(g.load("wscale"))
	for r := range g.rows {
		scale, both := g.ZMM(), g.ZMM()
		g.VBROADCASTSS(operand.Mem{Base: scales, Disp: 4 * r}, scale)
		for v, z := range vectors {
			acc := g.acc[r][v]
			g.VCVTDQ2PS(acc, acc)
			g.VMULPS(z, scale, both)
			g.VMULPS(both, acc, acc)
		}
	}
}

// addOutliers adds one outlier after another.
func (g *tile512) addOutliers() {
	outliers := g.load("outliers")
	g.TESTQ(outliers, outliers)
	g.JEQ(operand.LabelRef(g.label + "bias"))
	x, w := g.load("outX"), g.load("outW")
	g.Label(g.label + "outlier")
	vectors := g.loadFloats(w)
	for r := range g.rows {
		value, product := g.ZMM(), g.ZMM()
		g.VBROADCASTSS(operand.Mem{Base: x, Disp: 4 * r}, value)
		for v, z := range vectors {
			g.VMULPS(z, value, product)
			g.VADDPS(product, g.acc[r][v], g.acc[r][v])
		}
	}
	g.ADDQ(operand.Imm(4*rowsAVX512), x)
	g.ADDQ(g.field("outWStride"), w)
	g.DECQ(outliers)
	g.JNE(operand.LabelRef(g.label + "outlier"))
	g.Label(g.label + "bias")
}

// finish adds the bias and stores.
func (g *tile512) finish(out reg.GPVirtual) {
	vectors := g.loadFloats(g.load("bias"))
	rows := g.newStride(out, g.load("outStride"), g.rows)
	for r := range g.rows {
		for v, z := range vectors {
			g.VADDPS(z, g.acc[r][v], g.acc[r][v])
			g.VMOVUPS(g.acc[r][v], rows.at(r, 64*v))
		}
	}
}

// quantizeAVX512 has one pass for the largest and one for the codes.
func quantizeAVX512(c *build.Context) {
	name := "quantizeAVX512"
	function(c, name, "func(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)", quantizeReference(name, "a byte"))
	q := &quantize512{Context: c, codes: c.GP64(), x: c.GP64(), k8: c.GP64()}
	loadPointer(c, "codes", q.codes)
	c.Load(c.Param("x"), q.x)
	c.Load(c.Param("k8"), q.k8)
	most := q.largest()
	c.CMPL(most, operand.U32(27<<23))
	c.JLT(operand.LabelRef("tiny"))
	q.quantize(most)
	c.Label("tiny")
	q.clear()
}

// quantize512 writes quantizeAVX512.
type quantize512 struct {
	*build.Context
	codes, x, k8 reg.GPVirtual
}

// each writes a loop over the vectors of a row, and what comes for a half vector at its
// end. at is where the floats lie; they are zeros behind a half vector.
func (q *quantize512) each(label string, body func(at operand.Mem, half bool)) {
	k, end := q.GP64(), q.GP64()
	q.XORQ(k, k)
	q.MOVQ(q.k8, end)
	q.SUBQ(operand.Imm(16), end)
	q.JLT(operand.LabelRef(label + "half"))
	q.Label(label)
	body(operand.Mem{Base: q.x, Index: k, Scale: 4}, false)
	q.ADDQ(operand.Imm(16), k)
	q.CMPQ(k, end)
	q.JLE(operand.LabelRef(label))
	q.Label(label + "half")
	q.CMPQ(k, q.k8)
	q.JEQ(operand.LabelRef(label + "done"))
	body(operand.Mem{Base: q.x, Index: k, Scale: 4}, true)
	q.Label(label + "done")
}

// largest is the bits of the largest magnitude.
func (q *quantize512) largest() reg.GPVirtual {
	magnitude, most := q.allOnes(1), q.ZMM()
	q.VPXORD(most, most, most)
	q.each("largest", func(at operand.Mem, half bool) {
		z := q.ZMM()
		if half {
			q.VMOVDQU32(at, z.AsY())
			q.VPANDD(magnitude, z, z)
		} else {
			q.VPANDD(at, magnitude, z)
		}
		q.VPMAXSD(z, most, most)
	})
	q.fold(most, func(a, b reg.Register) {
		if a.Size() == 32 {
			q.VPMAXSD(a, b, b)
		} else {
			q.VPMAXSD(a, b, b)
		}
	})
	r := q.GP32()
	q.VMOVD(most.AsX(), r)
	return r
}

// allOnes is ones shifted right by so many bits in each lane.
func (q *quantize512) allOnes(shift uint64) reg.VecVirtual {
	z := q.ZMM()
	q.VPTERNLOGD(operand.Imm(0xff), z, z, z)
	q.VPSRLD(operand.Imm(shift), z, z)
	return z
}

// fold joins the lanes of a register in its first.
func (q *quantize512) fold(z reg.VecVirtual, join func(a, b reg.Register)) {
	upper := q.ZMM()
	q.VEXTRACTI64X4(operand.Imm(1), z, upper.AsY())
	join(upper.AsY(), z.AsY())
	q.VEXTRACTI128(operand.Imm(1), z.AsY(), upper.AsX())
	join(upper.AsX(), z.AsX())
	for _, order := range []uint64{0x4e, 0xb1} {
		q.VPSHUFD(operand.Imm(order), z.AsX(), upper.AsX())
		join(upper.AsX(), z.AsX())
	}
}

// quantize does all but rows of zeros. Adding 1.5·2^23 leaves the code in the low bits.
func (q *quantize512) quantize(most reg.GPVirtual) {
	amax, top, inverse, magic := q.XMM(), q.XMM(), q.ZMM(), q.ZMM()
	q.VMOVD(most, amax)
	q.constant(top, 0x42fe0000) // 127
	q.VDIVSS(amax, top, inverse.AsX())
	q.VDIVSS(top, amax, amax)
	q.Store(amax, q.Return("scale"))
	q.VBROADCASTSS(inverse.AsX(), inverse)
	q.constant(magic.AsX(), 0x4b400000) // 1.5·2^23
	q.VBROADCASTSS(magic.AsX(), magic)
	sums := q.ZMM()
	q.VPXORD(sums, sums, sums)
	to := q.GP64()
	q.MOVQ(q.codes, to)
	q.each("quantize", func(at operand.Mem, half bool) {
		z := q.ZMM()
		if half { // its sum is of half a register
			q.VMULPS(at, inverse.AsY(), z.AsY())
			q.VADDPS(magic.AsY(), z.AsY(), z.AsY())
			q.VPMOVDB(z.AsY(), operand.Mem{Base: to})
			q.VPADDD(z, sums, sums)
			return
		}
		q.VMULPS(at, inverse, z)
		q.VADDPS(magic, z, z)
		q.VPMOVDB(z, operand.Mem{Base: to})
		q.VPADDD(z, sums, sums)
		q.ADDQ(operand.Imm(16), to)
	})
	q.fold(sums, func(a, b reg.Register) { q.VPADDD(a, b, b) })
	sum := q.GP32()
	q.VMOVD(sums.AsX(), sum)
	q.IMUL3L(operand.U32(0x4b400000), q.k8.As32(), q.k8.As32())
	q.SUBL(q.k8.As32(), sum)
	q.Store(sum, q.Return("sum"))
	q.VZEROUPPER()
	q.RET()
}

// constant sets the first lane.
func (q *quantize512) constant(x reg.Register, bits uint32) {
	r := q.GP32()
	q.MOVL(operand.U32(bits), r)
	q.VMOVD(r, x)
}

// clear is a row of zeros.
func (q *quantize512) clear() {
	zero := q.GP64()
	q.XORQ(zero, zero)
	q.Label("clear")
	q.MOVQ(zero, operand.Mem{Base: q.codes})
	q.ADDQ(operand.Imm(8), q.codes)
	q.SUBQ(operand.Imm(8), q.k8)
	q.JNE(operand.LabelRef("clear"))
	bits, err := q.Return("scale").Resolve()
	if err != nil {
		panic(err)
	}
	q.MOVL(zero.As32(), bits.Addr)
	q.Store(zero.As32(), q.Return("sum"))
	q.VZEROUPPER()
	q.RET()
}
