package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantizer writes one quantize.
type quantizer struct {
	*build.Context
	codes, x, k8 reg.GPVirtual
}

// newQuantizer loads the parameters.
func newQuantizer(c *build.Context) *quantizer {
	q := &quantizer{Context: c, codes: c.GP64(), x: c.GP64(), k8: c.GP64()}
	c.MOVQ(q.address(c.Param("codes")), q.codes) // avo knows no move of an unsafe.Pointer
	c.Load(c.Param("x"), q.x)
	c.Load(c.Param("k8"), q.k8)
	return q
}

// address is where a parameter or a result lies.
func (q *quantizer) address(p gotypes.Component) operand.Mem {
	basic, err := p.Resolve()
	if err != nil {
		panic(err)
	}
	return basic.Addr
}

// scales returns the row's scale and gives the inverse and 1.5·2^23, each in a first lane.
func (q *quantizer) scales(most reg.GPVirtual) (inverse, magic reg.VecVirtual) {
	amax, top, inverse, magic := q.XMM(), q.XMM(), q.XMM(), q.XMM()
	q.VMOVD(most, amax)
	q.constant(top, 0x42fe0000) // 127
	q.VDIVSS(amax, top, inverse)
	q.VDIVSS(top, amax, amax)
	q.Store(amax, q.Return("scale"))
	q.constant(magic, 0x4b400000) // 1.5·2^23
	return inverse, magic
}

// foldHalves joins the lanes of the lower half of a register.
func (q *quantizer) foldHalves(z reg.VecVirtual, join func(a, b reg.Register)) reg.GPVirtual {
	upper, r := q.XMM(), q.GP32()
	q.VEXTRACTI128(operand.Imm(1), z.AsY(), upper)
	join(upper, z.AsX())
	for _, order := range []uint64{0x4e, 0xb1} {
		q.VPSHUFD(operand.Imm(order), z.AsX(), upper)
		join(upper, z.AsX())
	}
	q.VMOVD(z.AsX(), r)
	return r
}

// constant sets the first lane.
func (q *quantizer) constant(x reg.Register, bits uint32) {
	r := q.GP32()
	q.MOVL(operand.U32(bits), r)
	q.VMOVD(r, x)
}

// clear is a row of zeros, of k8 bytes.
func (q *quantizer) clear() {
	zero := q.GP64()
	q.XORQ(zero, zero)
	q.Label("clear")
	q.MOVQ(zero, operand.Mem{Base: q.codes})
	q.ADDQ(operand.Imm(8), q.codes)
	q.SUBQ(operand.Imm(8), q.k8)
	q.JNE(operand.LabelRef("clear"))
	q.MOVL(zero.As32(), q.address(q.Return("scale")))
	q.Store(zero.As32(), q.Return("sum"))
	q.VZEROUPPER()
	q.RET()
}
