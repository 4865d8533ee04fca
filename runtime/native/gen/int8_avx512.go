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
	g.byRows(rows, "wide", func(n int) { newTile512(g, n, 4, fmt.Sprintf("wide%d", n)).write() })
	c.Label("narrow")
	g.byRows(rows, "narrow", func(n int) { newTile512(g, n, 1, fmt.Sprintf("narrow%d", n)).writeAll() })
}

// byRows writes code for each number of rows and a choice between them.
func (g *tileGen) byRows(rows reg.GPVirtual, label string, write func(n int)) {
	for n := 1; n < tileRows; n++ {
		g.CMPQ(rows, operand.Imm(uint64(n)))
		g.JEQ(operand.LabelRef(fmt.Sprintf("%s%d", label, n)))
	}
	for n := tileRows; n > 0; n-- {
		g.Label(fmt.Sprintf("%s%d", label, n))
		write(n)
		g.VZEROUPPER()
		g.RET()
	}
}

// tile512 is the code of a tile for AVX-512.
type tile512 struct{ tileCode }

func newTile512(g *tileGen, rows, cols int, label string) *tile512 {
	return &tile512{tileCode{tileGen: g, rows: rows, cols: cols, bytes: 64, label: label}}
}

// write does the whole tile.
func (g *tile512) write() {
	g.begin()
	g.multiply(g.load("weights"))
	g.epilogue(g.load("out"))
}

// writeAll does one tile after another, column by column.
func (g *tile512) writeAll() {
	weights, out := g.load("weights"), g.load("out")
	g.column = g.GP64()
	g.XORQ(g.column, g.column)
	g.Label(g.label + "tile")
	g.begin()
	g.multiply(weights)
	g.epilogue(out)
	g.ADDQ(g.field("panelStride"), weights)
	g.ADDQ(operand.Imm(64), out)
	g.ADDQ(operand.Imm(64), g.column)
	columns := g.load("cols")
	g.SHLQ(operand.Imm(2), columns)
	g.CMPQ(g.column, columns)
	g.JLT(operand.LabelRef(g.label + "tile"))
}

// begin sets each sum to what makes up for the weights' 128.
func (g *tile512) begin() {
	g.acc = nil
	sums, zero := g.load("sums"), g.ZMM()
	g.VPXORD(zero, zero, zero)
	for r := range g.rows {
		acc := g.registers(g.cols)
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
		vectors := g.registers(g.cols)
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

// quantizeAVX512 has one pass for the largest and one for the codes.
func quantizeAVX512(c *build.Context) {
	name := "quantizeAVX512"
	function(c, name, "func(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)", quantizeReference(name, "a byte"))
	q := newQuantizer(c)
	most := q.largest()
	c.CMPL(most, operand.U32(27<<23))
	c.JLT(operand.LabelRef("tiny"))
	q.quantize(most)
	c.Label("tiny")
	q.clear()
}

// each writes a loop over the vectors of a row, and what comes for a half vector at its
// end. at is where the floats lie; they are zeros behind a half vector.
func (q *quantizer) each(label string, body func(at operand.Mem, half bool)) {
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
func (q *quantizer) largest() reg.GPVirtual {
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
	return q.fold(most, func(a, b reg.Register) { q.VPMAXSD(a, b, b) })
}

// allOnes is ones shifted right by so many bits in each lane.
func (q *quantizer) allOnes(shift uint64) reg.VecVirtual {
	z := q.ZMM()
	q.VPTERNLOGD(operand.Imm(0xff), z, z, z)
	q.VPSRLD(operand.Imm(shift), z, z)
	return z
}

// fold joins the lanes of a register.
func (q *quantizer) fold(z reg.VecVirtual, join func(a, b reg.Register)) reg.GPVirtual {
	upper := q.ZMM()
	q.VEXTRACTI64X4(operand.Imm(1), z, upper.AsY())
	join(upper.AsY(), z.AsY())
	return q.foldHalves(z, join)
}

// quantize does all but rows of zeros. Adding 1.5·2^23 leaves the code in the low bits.
func (q *quantizer) quantize(most reg.GPVirtual) {
	inverse, magic, sums := q.ZMM(), q.ZMM(), q.ZMM()
	low, large := q.scales(most)
	q.VBROADCASTSS(low, inverse)
	q.VBROADCASTSS(large, magic)
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
	sum := q.fold(sums, func(a, b reg.Register) { q.VPADDD(a, b, b) })
	q.IMUL3L(operand.U32(0x4b400000), q.k8.As32(), q.k8.As32())
	q.SUBL(q.k8.As32(), sum)
	q.Store(sum, q.Return("sum"))
	q.VZEROUPPER()
	q.RET()
}
