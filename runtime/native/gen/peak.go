package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peaks writes loops of products that wait for nothing but their own sums: the most that a
// core can multiply.
func peaks(c *build.Context) {
	peak(c, "peakPMADDWD", 14, c.XMM, func(x, acc reg.VecVirtual) { c.PMADDWL(x, acc) })
	peak(c, "peakVPMADDWD", 14, c.YMM, func(x, acc reg.VecVirtual) { c.VPMADDWD(x, acc, acc) })
	peak(c, "peakVPDPBUSD", 24, c.ZMM, func(x, acc reg.VecVirtual) { vpdpbusd(c, x, x, acc) })
}

// peak writes a loop over so many registers.
func peak(c *build.Context, name string, registers int, register func() reg.VecVirtual, product func(x, acc reg.VecVirtual)) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rounds uint64)")
	c.Doc(name+" multiplies so often:", "",
		"	for range rounds {",
		"		for i := range acc {",
		"			acc[i] = product(acc[i], x)",
		"		}",
		"	}")
	n := c.Load(c.Param("rounds"), c.GP64())
	clear := func(r reg.VecVirtual) {
		if r.Size() == 16 {
			c.PXOR(r, r)
		} else {
			c.VPXOR(r.AsY(), r.AsY(), r.AsY())
		}
	}
	x := register()
	clear(x)
	var acc []reg.VecVirtual
	for range registers {
		a := register()
		if a.Size() == 64 { // the last 16 have no short encoding
			c.VPXORD(a, a, a)
		} else {
			clear(a)
		}
		acc = append(acc, a)
	}
	c.Label("round")
	for _, a := range acc {
		product(x, a)
	}
	c.DECQ(n)
	c.JNE(operand.LabelRef("round"))
	if x.Size() > 16 {
		c.VZEROUPPER()
	}
	c.RET()
}
