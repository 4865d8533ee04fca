package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileRows is how many rows a tile has at most. With AVX-512 it has 64 columns: 24 sums, 4
// vectors of weights and the codes fill the registers. With AVX2 it has 16: 12 sums, 2
// vectors of weights, codes and a product.
const tileRows = 6

// tileCode is the code of a tile of rows by vectors of columns.
type tileCode struct {
	*tileGen
	rows, cols int
	bytes      int // of a register: 64 or 32
	label      string
	acc        [][]reg.VecVirtual
	column     reg.GPVirtual // bytes of floats before the first column; nil for none
}

// register is one of the tile's width.
func (g *tileCode) register() reg.VecVirtual {
	if g.bytes == 64 {
		return g.ZMM()
	}
	return g.YMM()
}

// registers is as many.
func (g *tileCode) registers(n int) []reg.VecVirtual {
	var out []reg.VecVirtual
	for range n {
		out = append(out, g.register())
	}
	return out
}

// epilogue is all that follows the products.
func (g *tileCode) epilogue(out reg.GPVirtual) {
	g.subtractZeros()
	g.scale()
	g.addOutliers()
	g.finish(out)
}

// floats are vectors of the tile's columns: a field's, or what lies at a base.
func (g *tileCode) floats(base reg.Register, v int) operand.Mem {
	m := operand.Mem{Base: base, Disp: g.bytes * v}
	if g.column != nil {
		return m.Idx(g.column, 1)
	}
	return m
}

// loadFloats loads all columns.
func (g *tileCode) loadFloats(base reg.Register) []reg.VecVirtual {
	vectors := g.registers(g.cols)
	for v, z := range vectors {
		g.VMOVUPS(g.floats(base, v), z)
	}
	return vectors
}

// subtractZeros subtracts zero[n]·sums[r].
func (g *tileCode) subtractZeros() {
	zero := g.load("zero")
	g.TESTQ(zero, zero)
	g.JEQ(operand.LabelRef(g.label + "scale"))
	sums, vectors := g.load("sums"), g.loadFloats(zero)
	for r := range g.rows {
		sum, product := g.register(), g.register()
		g.VPBROADCASTD(operand.Mem{Base: sums, Disp: 4 * r}, sum)
		for v, z := range vectors {
			g.VPMULLD(z, sum, product)
			g.VPSUBD(product, g.acc[r][v], g.acc[r][v])
		}
	}
}

// scale makes floats of the sums.
func (g *tileCode) scale() {
	g.Label(g.label + "scale")
	scales, vectors := g.load("scales"), g.loadFloats(g.load("wscale"))
	for r := range g.rows {
		scale, both := g.register(), g.register()
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
func (g *tileCode) addOutliers() {
	outliers := g.load("outliers")
	g.TESTQ(outliers, outliers)
	g.JEQ(operand.LabelRef(g.label + "bias"))
	x, w := g.load("outX"), g.load("outW")
	g.Label(g.label + "outlier")
	vectors := g.loadFloats(w)
	for r := range g.rows {
		value, product := g.register(), g.register()
		g.VBROADCASTSS(operand.Mem{Base: x, Disp: 4 * r}, value)
		for v, z := range vectors {
			g.VMULPS(z, value, product)
			g.VADDPS(product, g.acc[r][v], g.acc[r][v])
		}
	}
	g.ADDQ(operand.Imm(4*tileRows), x)
	g.ADDQ(g.field("outWStride"), w)
	g.DECQ(outliers)
	g.JNE(operand.LabelRef(g.label + "outlier"))
	g.Label(g.label + "bias")
}

// finish adds the bias and stores.
func (g *tileCode) finish(out reg.GPVirtual) {
	vectors := g.loadFloats(g.load("bias"))
	rows := g.newStride(out, g.load("outStride"), g.rows)
	for r := range g.rows {
		for v, z := range vectors {
			g.VADDPS(z, g.acc[r][v], g.acc[r][v])
			g.VMOVUPS(g.acc[r][v], rows.at(r, g.bytes*v))
		}
	}
}
