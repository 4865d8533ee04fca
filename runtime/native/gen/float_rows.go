package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// each writes a loop over n floats, n a multiple of 16. It moves the pointers of float32
// to their ends and turns n into an index in bytes from there.
func (v *vector) each(name string, n reg.GPVirtual, pointers []reg.GPVirtual, body func(i reg.GPVirtual)) {
	loop := v.label(name)
	v.SHLQ(operand.U8(2), n)
	for _, p := range pointers {
		v.ADDQ(n, p)
	}
	v.NEGQ(n)
	v.Label(loop)
	body(n)
	v.ADDQ(operand.U32(v.bytes()), n)
	v.JNZ(operand.LabelRef(loop))
}

// elementwise are add, mul, divide, affine, setCodes and addCodes.
func (v *vector) elementwise() {
	v.binary("add", "x[i] + y[i]", v.VADDPS)
	v.binary("mul", "x[i] * y[i]", v.VMULPS)
	v.divide()
	v.affine()
	v.codes("setCodes", "dst[i] = float32(codes[i]-zero) * scale", false)
	v.codes("addCodes", "dst[i] = dst[i] + float32(codes[i]-zero)*scale", true)
}

func (v *vector) binary(name, reference string, op func(...operand.Op)) {
	v.function(name, "dst, x, y *float32, n int", "for i := range n { dst[i] = "+reference+" }")
	dst, x, y, n := v.param("dst"), v.param("x"), v.param("y"), v.param("n")
	v.each(name, n, []reg.GPVirtual{dst, x, y}, func(i reg.GPVirtual) {
		r := v.load(indexed(x, i, 1, 0))
		op(indexed(y, i, 1, 0), r, r)
		v.VMOVUPS(r, indexed(dst, i, 1, 0))
	})
	v.ret()
}

func (v *vector) divide() {
	v.function("divide", "dst, x *float32, by float32, n int", "for i := range n { dst[i] = x[i] / by }")
	dst, x, n := v.param("dst"), v.param("x"), v.param("n")
	by := v.register()
	v.VBROADCASTSS(v.stack("by"), by)
	v.each("divide", n, []reg.GPVirtual{dst, x}, func(i reg.GPVirtual) {
		r := v.load(indexed(x, i, 1, 0))
		v.VDIVPS(by, r, r)
		v.VMOVUPS(r, indexed(dst, i, 1, 0))
	})
	v.ret()
}

// stack is a parameter where it lies.
func (v *vector) stack(name string) operand.Mem {
	b, err := v.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (v *vector) affine() {
	v.function("affine", "dst, x, gain, bias *float32, n int", "for i := range n { dst[i] = x[i]*gain[i] + bias[i] }")
	dst, x, gain, bias, n := v.param("dst"), v.param("x"), v.param("gain"), v.param("bias"), v.param("n")
	v.each("affine", n, []reg.GPVirtual{dst, x, gain, bias}, func(i reg.GPVirtual) {
		r := v.load(indexed(x, i, 1, 0))
		v.VMULPS(indexed(gain, i, 1, 0), r, r)
		v.VADDPS(indexed(bias, i, 1, 0), r, r)
		v.VMOVUPS(r, indexed(dst, i, 1, 0))
	})
	v.ret()
}

func (v *vector) codes(name, reference string, add bool) {
	v.function(name, "dst *float32, codes *int8, zero int32, scale float32, n int", "for i := range n { "+reference+" }")
	dst, codes, n := v.param("dst"), v.param("codes"), v.param("n")
	point, scale := v.GP32(), v.register()
	v.Load(v.Param("zero"), point)
	zero := v.spread(point)
	v.VBROADCASTSS(v.stack("scale"), scale)
	v.ADDQ(n, codes)
	v.each(name, n, []reg.GPVirtual{dst}, func(i reg.GPVirtual) {
		// The index counts four bytes to a code.
		at, r := v.GP64(), v.register()
		v.MOVQ(i, at)
		v.SARQ(operand.U8(2), at)
		v.VPMOVSXBD(indexed(codes, at, 1, 0), r)
		v.VPSUBD(zero, r, r)
		v.VCVTDQ2PS(r, r)
		v.VMULPS(scale, r, r)
		if add {
			v.VADDPS(indexed(dst, i, 1, 0), r, r)
		}
		v.VMOVUPS(r, indexed(dst, i, 1, 0))
	})
	v.ret()
}

// normRows are the rows that norm does at a time, so that their sums do not wait for one
// another.
func (v *vector) normRows() int { return v.lanes / 4 }

// normed is norm under construction: pointers to rows and the sums of some of them.
type normed struct {
	*vector
	out, x, residual, gamma, beta reg.GPVirtual
	stride, stride3               reg.GPVirtual
	whole                         reg.GPVirtual // bytes of whole chunks of 16 columns
	rest                          reg.GPVirtual // columns past them
	columns, eps                  reg.VecVirtual
	one                           reg.VecVirtual
	masks                         []mask // of the registers of the chunk past them
}

func (v *vector) norm() {
	v.function("norm", "out, x, residual, gamma, beta *float32, rows, h int, eps float32",
		"for each row: x = x + residual, if that is not nil; p[l] = p[l] + x[16i+l]",
		"mean = fold(p)/float32(h); d = x-mean, +0 from h on; p[l] = p[l] + d[16i+l]·d[16i+l]",
		"r = 1/sqrt(fold(p)/float32(h) + eps); out = (d·r)·gamma + beta, +0 from h on")
	n := &normed{
		vector: v, out: v.param("out"), x: v.param("x"), residual: v.param("residual"),
		gamma: v.param("gamma"), beta: v.param("beta"), stride: v.GP64(), stride3: v.GP64(), whole: v.param("h"), rest: v.GP64(),
	}
	n.prepare()
	rows := v.param("rows")
	group := v.normRows()
	one, done := v.label("row"), v.label("done")
	many := v.label("rows")
	v.Label(many)
	v.CMPQ(rows, operand.U32(group))
	v.JLT(operand.LabelRef(one))
	n.rows(group)
	v.SUBQ(operand.U32(group), rows)
	v.JMP(operand.LabelRef(many))
	v.Label(one)
	v.TESTQ(rows, rows)
	v.JZ(operand.LabelRef(done))
	n.rows(1)
	v.DECQ(rows)
	v.JMP(operand.LabelRef(one))
	v.Label(done)
	v.ret()
}

// prepare sets strides, masks and constants from h, which stands in whole.
func (n *normed) prepare() {
	n.MOVQ(n.whole, n.rest)
	n.ANDQ(operand.U32(15), n.rest)
	for i := range 16 / n.lanes {
		n.masks = append(n.masks, n.first(n.rest, i*n.lanes))
	}
	n.columns, n.eps, n.one = n.XMM(), n.XMM(), n.XMM()
	n.VXORPS(n.columns, n.columns, n.columns)
	n.VCVTSI2SSQ(n.whole, n.columns, n.columns)
	n.VMOVSS(n.stack("eps"), n.eps)
	n.VMOVSS(n.bitsAt(0x3f800000), n.one)
	n.LEAQ(at(n.whole, 15), n.stride)
	n.ANDQ(operand.I8(-16), n.stride)
	n.SHLQ(operand.U8(2), n.stride)
	n.LEAQ(indexed(n.stride, n.stride, 2, 0), n.stride3)
	n.ANDQ(operand.I8(-16), n.whole)
	n.SHLQ(operand.U8(2), n.whole)
}

// row is memory of row g (up to 3) behind a moving pointer.
func (n *normed) row(p reg.Register, g, off int) operand.Mem {
	switch g {
	case 0:
		return at(p, off)
	case 3:
		return indexed(p, n.stride3, 1, off)
	}
	return indexed(p, n.stride, uint8(g), off)
}

// chunks writes a loop of bytes over pointers, 16 columns a round, which are put back.
func (n *normed) chunks(bytes reg.GPVirtual, pointers []reg.GPVirtual, body func()) {
	i, loop, none := n.GP64(), n.label("chunk"), n.label("none")
	n.MOVQ(bytes, i)
	n.TESTQ(i, i)
	n.JZ(operand.LabelRef(none))
	n.Label(loop)
	body()
	for _, p := range pointers {
		n.ADDQ(operand.U32(64), p)
	}
	n.SUBQ(operand.U32(64), i)
	n.JNZ(operand.LabelRef(loop))
	n.Label(none)
}

// rows does so many rows and moves the pointers on.
func (n *normed) rows(group int) {
	sums := n.sum(group)
	means := n.each16(group, sums, func(x reg.VecVirtual) { n.VDIVSS(n.columns, x, x) })
	sums = n.deviations(group, means)
	inverse := n.each16(group, sums, func(x reg.VecVirtual) {
		n.VDIVSS(n.columns, x, x)
		n.VADDSS(n.eps, x, x)
		n.VSQRTSS(x, x, x)
		n.VDIVSS(x, n.one, x)
	})
	n.finish(group, inverse)
	skip := n.label("skip")
	for range group {
		n.ADDQ(n.stride, n.out)
		n.ADDQ(n.stride, n.x)
	}
	n.TESTQ(n.residual, n.residual)
	n.JZ(operand.LabelRef(skip))
	for range group {
		n.ADDQ(n.stride, n.residual)
	}
	n.Label(skip)
}

// newSums are the partial sums of some rows, +0.
func (n *normed) newSums(group int) [][]reg.VecVirtual {
	out := make([][]reg.VecVirtual, group)
	for g := range out {
		out[g] = n.registers(16 / n.lanes)
		for _, r := range out[g] {
			n.zero(r)
		}
	}
	return out
}

// each16 folds the sums of each row and puts what becomes of it in every lane.
func (n *normed) each16(group int, sums [][]reg.VecVirtual, of func(x reg.VecVirtual)) []reg.VecVirtual {
	out := n.registers(group)
	for g := range out {
		x := n.fold(sums[g])
		of(x)
		n.VBROADCASTSS(x, out[g])
	}
	return out
}

// sum copies rows to out, with the residual if there is one, and adds them up.
func (n *normed) sum(group int) [][]reg.VecVirtual {
	sums := n.newSums(group)
	body := func(residual bool) func() {
		return func() {
			for g := range group {
				for i, s := range sums[g] {
					r := n.load(n.row(n.x, g, i*n.bytes()))
					if residual {
						n.VADDPS(n.row(n.residual, g, i*n.bytes()), r, r)
					}
					n.VMOVUPS(r, n.row(n.out, g, i*n.bytes()))
					n.VADDPS(r, s, s)
				}
			}
		}
	}
	alone, done := n.label("alone"), n.label("summed")
	n.TESTQ(n.residual, n.residual)
	n.JZ(operand.LabelRef(alone))
	n.chunks(n.stride, []reg.GPVirtual{n.out, n.x, n.residual}, body(true))
	n.SUBQ(n.stride, n.residual)
	n.JMP(operand.LabelRef(done))
	n.Label(alone)
	n.chunks(n.stride, []reg.GPVirtual{n.out, n.x}, body(false))
	n.Label(done)
	n.SUBQ(n.stride, n.out)
	n.SUBQ(n.stride, n.x)
	return sums
}

// deviations leaves d in out and adds up their squares.
func (n *normed) deviations(group int, means []reg.VecVirtual) [][]reg.VecVirtual {
	sums := n.newSums(group)
	body := func(last bool) {
		for g := range group {
			for i, s := range sums[g] {
				at := n.row(n.out, g, i*n.bytes())
				d := n.load(at)
				n.VSUBPS(means[g], d, d)
				if last {
					n.clear(d, n.masks[i])
				}
				n.VMOVUPS(d, at)
				n.VMULPS(d, d, d)
				n.VADDPS(d, s, s)
			}
		}
	}
	n.chunks(n.whole, []reg.GPVirtual{n.out}, func() { body(false) })
	n.last(func() { body(true) })
	n.SUBQ(n.whole, n.out)
	return sums
}

// last does what is past the whole chunks, if anything.
func (n *normed) last(body func()) {
	none := n.label("whole")
	n.TESTQ(n.rest, n.rest)
	n.JZ(operand.LabelRef(none))
	body()
	n.Label(none)
}

func (n *normed) finish(group int, inverse []reg.VecVirtual) {
	body := func(last bool) {
		for i := range 16 / n.lanes {
			off := i * n.bytes()
			gamma, beta := n.load(at(n.gamma, off)), n.load(at(n.beta, off))
			for g := range group {
				y := n.load(n.row(n.out, g, off))
				n.VMULPS(inverse[g], y, y)
				n.VMULPS(gamma, y, y)
				n.VADDPS(beta, y, y)
				if last {
					n.clear(y, n.masks[i])
				}
				n.VMOVUPS(y, n.row(n.out, g, off))
			}
		}
	}
	moving := []reg.GPVirtual{n.out, n.gamma, n.beta}
	n.chunks(n.whole, moving, func() { body(false) })
	n.last(func() { body(true) })
	for _, p := range moving {
		n.SUBQ(n.whole, p)
	}
}
