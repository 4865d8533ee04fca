package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// int8AVX2 writes the primitives of linears for AVX2.
func int8AVX2(c *build.Context) {
	multiplyAVX2(c)
	quantizeAVX2(c)
}

// multiplyAVX2 has code for 1 to 6 rows by 16 columns.
func multiplyAVX2(c *build.Context) {
	name := "multiplyAVX2"
	function(c, name, "func(t *tile)", append(multiplyReference(name),
		"",
		"Panels are [16 columns][2 depths] of codes; they and the row's, of 16 bits, are multiplied in",
		"pairs, whose sum VPMADDWD makes exactly."))
	g := &tileGen{Context: c, t: c.GP64()}
	c.Load(c.Param("t"), g.t)
	g.byRows(g.load("rows"), "rows", func(n int) {
		(&tile256{tileCode{tileGen: g, rows: n, cols: 2, bytes: 32, label: fmt.Sprintf("rows%d", n)}}).write()
	})
}

// tile256 is the code of a tile for AVX2.
type tile256 struct{ tileCode }

// write does the whole tile.
func (g *tile256) write() {
	for range g.rows {
		acc := g.registers(g.cols)
		for _, a := range acc {
			g.VPXOR(a, a, a)
		}
		g.acc = append(g.acc, acc)
	}
	g.multiply()
	g.epilogue(g.load("out"))
}

// multiply adds the products, four steps of 2 depths at once.
func (g *tile256) multiply() {
	codes := g.newStride(g.load("codes"), g.load("codeStride"), g.rows)
	w, k := g.load("weights"), g.load("k8")
	g.Label(g.label + "step")
	for step := range 4 {
		vectors := g.registers(g.cols)
		for v, y := range vectors {
			g.VPMOVSXBW(operand.Mem{Base: w, Disp: 32*step + 16*v}, y)
		}
		for r := range g.rows {
			code := g.register()
			g.VPBROADCASTD(codes.at(r, 4*step), code)
			product := g.register()
			for v, y := range vectors {
				g.VPMADDWD(y, code, product)
				g.VPADDD(product, g.acc[r][v], g.acc[r][v])
			}
		}
	}
	g.ADDQ(operand.U32(128), w)
	g.ADDQ(operand.Imm(16), codes.base)
	g.SUBQ(operand.Imm(8), k)
	g.JNE(operand.LabelRef(g.label + "step"))
}

// quantizeAVX2 has one pass for the largest and one for the codes.
func quantizeAVX2(c *build.Context) {
	name := "quantizeAVX2"
	function(c, name, "func(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)", quantizeReference(name, "two bytes"))
	q := newQuantizer(c)
	most := q.largestAVX2()
	c.CMPL(most, operand.U32(27<<23))
	c.JLT(operand.LabelRef("tiny"))
	q.quantizeAVX2(most)
	c.Label("tiny")
	c.SHLQ(operand.Imm(1), q.k8)
	q.clear()
}

// eights writes a loop over the row's floats by 8.
func (q *quantizer) eights(label string, body func(at operand.Mem)) {
	k := q.GP64()
	q.XORQ(k, k)
	q.Label(label)
	body(operand.Mem{Base: q.x, Index: k, Scale: 4})
	q.ADDQ(operand.Imm(8), k)
	q.CMPQ(k, q.k8)
	q.JLT(operand.LabelRef(label))
}

// largestAVX2 is the bits of the largest magnitude.
func (q *quantizer) largestAVX2() reg.GPVirtual {
	magnitude, most := q.YMM(), q.YMM()
	q.VPCMPEQD(magnitude, magnitude, magnitude)
	q.VPSRLD(operand.Imm(1), magnitude, magnitude)
	q.VPXOR(most, most, most)
	q.eights("largest", func(at operand.Mem) {
		y := q.YMM()
		q.VPAND(at, magnitude, y)
		q.VPMAXSD(y, most, most)
	})
	return q.foldHalves(most, func(a, b reg.Register) { q.VPMAXSD(a, b, b) })
}

// quantizeAVX2 does all but rows of zeros. Adding 1.5·2^23 leaves the code in the low bits.
func (q *quantizer) quantizeAVX2(most reg.GPVirtual) {
	inverse, magic, sums := q.YMM(), q.YMM(), q.YMM()
	low, large := q.scales(most)
	q.VBROADCASTSS(low, inverse)
	q.VBROADCASTSS(large, magic)
	q.VPXOR(sums, sums, sums)
	q.eights("quantize", func(at operand.Mem) {
		y, upper := q.YMM(), q.XMM()
		q.VMULPS(at, inverse, y)
		q.VADDPS(magic, y, y)
		q.VPSUBD(magic, y, y)
		q.VPADDD(y, sums, sums)
		q.VEXTRACTI128(operand.Imm(1), y, upper)
		q.VPACKSSDW(upper, y.AsX(), upper)
		q.VMOVDQU(upper, operand.Mem{Base: q.codes})
		q.ADDQ(operand.Imm(16), q.codes)
	})
	sum := q.foldHalves(sums, func(a, b reg.Register) { q.VPADDD(a, b, b) })
	q.Store(sum, q.Return("sum"))
	q.VZEROUPPER()
	q.RET()
}
