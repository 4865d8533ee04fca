package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The constants are those of package kernel's math.go.
const (
	roundMagic = 12582912.0
	log2e      = 1.44269504
	ln2Hi      = 0.693359375
	ln2Lo      = -2.12194440e-4
	expLow     = -87.0
	expHigh    = 88.0
	expBias    = 127
	exp0       = 0.499999934316
	exp1       = 0.166665203938
	exp2       = 0.0416683908811
	exp3       = 0.00836874559594
	exp4       = 0.00138145356031
	erfClamp   = 3.85
	erfP0      = 1.1283791
	erfP1      = 0.18994756
	erfP2      = 0.052744333
	erfP3      = 0.003761425
	erfP4      = 0.00028756706
	erfP5      = 2.0906418e-06
	erfQ1      = 0.50166875
	erfQ2      = 0.11397115
	erfQ3      = 0.014958211
	erfQ4      = 0.001166694
	erfQ5      = 3.8650163e-05
	sqrtHalf   = 0.70710678
	tanhClamp  = 7.9764023
	tanhP0     = 1.340216100e-1
	tanhP1     = 3.520756727e-3
	tanhP2     = 2.102733560e-5
	tanhP3     = 1.394553628e-8
	tanhQ1     = 4.673548340e-1
	tanhQ2     = 2.597254514e-2
	tanhQ3     = 3.326951409e-4
	tanhQ4     = 8.015776984e-7
	geluLinear = 0.7978845608
	geluCubic  = 0.7978845608 * 0.044715
)

// unary writes a function over n floats, n a multiple of 16: several registers at a time
// (so many of the wide), then one. Constants are laid before of is called.
func (v *vector) unary(name, reference string, wide int, prepare func() func(x reg.VecVirtual) reg.VecVirtual) {
	v.function(name, "dst, src *float32, n int", "for i := range n { dst[i] = "+reference+" }")
	dst, src, n := v.param("dst"), v.param("src"), v.param("n")
	of := prepare()
	several := 2
	if v.wide() {
		several = wide
	}
	for _, chains := range []int{several, 1} {
		loop, done := v.label(name), v.label("done")
		step := operand.U32(v.lanes * chains)
		v.Label(loop)
		v.CMPQ(n, step)
		v.JLT(operand.LabelRef(done))
		v.chains(chains, func(i int) {
			v.VMOVUPS(of(v.load(at(src, i*v.bytes()))), at(dst, i*v.bytes()))
		})
		v.ADDQ(operand.U32(v.bytes()*chains), dst)
		v.ADDQ(operand.U32(v.bytes()*chains), src)
		v.SUBQ(step, n)
		v.JMP(operand.LabelRef(loop))
		v.Label(done)
	}
	v.ret()
}

// activations are the primitives act.
func (v *vector) activations() {
	v.unary("gelu", "0.5·src[i] · (1 + erf(src[i]·sqrtHalf))", 4, v.gelu)
	v.unary("relu", "src[i] < 0 ? 0 : src[i]", 4, func() func(reg.VecVirtual) reg.VecVirtual {
		zero := v.zero(v.register())
		return func(x reg.VecVirtual) reg.VecVirtual {
			v.VMAXPS(x, zero, x) // 0 > x ? 0 : x
			return x
		}
	})
	v.unary("geluTanh", "0.5·src[i] · (1 + tanh(src[i]·(geluCubic·(src[i]·src[i]) + geluLinear)))", 3, v.geluTanh)
	v.unary("silu", "src[i] · sigmoid(src[i])", 3, func() func(reg.VecVirtual) reg.VecVirtual {
		sigmoid := v.sigmoid()
		return func(x reg.VecVirtual) reg.VecVirtual { return v.mul(sigmoid(x), x) }
	})
	v.unary("tanh", "tanh(src[i])", 4, v.tanh)
	v.unary("sigmoid", "src[i] < 0 ? e/(1+e) : 1/(1+e), e = exp(-|src[i]|)", 3, v.sigmoid)
}

// exp is the code of exp(x), which leaves x as it is.
func (v *vector) exp() func(x reg.VecVirtual) reg.VecVirtual {
	high := v.held(expHigh)
	c := append(v.constants(roundMagic, ln2Hi, ln2Lo, 1), v.distant(log2e)...)
	poly := v.constants(exp4, exp3, exp2, exp1, exp0)
	bias := v.bitsAt(expBias)
	return func(x reg.VecVirtual) reg.VecVirtual {
		keep := v.notBelow(x, expLow)
		r := v.register()
		v.VMINPS(x, high, r) // high < x ? high : x
		t := v.add(v.mul(r, c[4]), c[0])
		n := v.sub(t, c[0])
		v.VPADDD(bias, t, t)
		v.VPSLLD(operand.U8(23), t, t)
		r = v.sub(r, v.mul(n, c[1]))
		r = v.sub(r, v.mul(n, c[2]))
		y := v.horner(r, poly...)
		y = v.add(v.add(v.mul(y, v.mul(r, r)), r), c[3])
		return keep(v.mul(y, t))
	}
}

// notBelow is the code that makes +0 of what belongs to an x below low.
func (v *vector) notBelow(x reg.VecVirtual, low float32) func(y reg.VecVirtual) reg.VecVirtual {
	if v.wide() {
		k := v.K()
		v.VCMPPS(operand.U8(5), v.bitsAt(math.Float32bits(low)), x, k) // not less than
		return func(y reg.VecVirtual) reg.VecVirtual {
			v.VMOVAPS_Z(y, k, y)
			return y
		}
	}
	less := v.YMM()
	v.VCMPPS(operand.U8(1), v.bitsAt(math.Float32bits(low)), x, less)
	return func(y reg.VecVirtual) reg.VecVirtual {
		v.VANDNPS(y, less, y)
		return y
	}
}

// clamped is x within ±bound: bound < x ? bound : x, and likewise below.
func (v *vector) clamped(x, bound, negative reg.VecVirtual) {
	v.VMINPS(x, bound, x)
	v.VMAXPS(x, negative, x)
}

func (v *vector) gelu() func(x reg.VecVirtual) reg.VecVirtual {
	bound, negative := v.held(erfClamp), v.held(-erfClamp)
	c := v.constants(sqrtHalf, 0.5, 1)
	p := append(v.constants(erfP5, erfP4, erfP3), v.distant(erfP2, erfP1, erfP0)...)
	q := append(append(v.constants(erfQ5, erfQ4, erfQ3), v.distant(erfQ2, erfQ1)...), c[2])
	return func(x reg.VecVirtual) reg.VecVirtual {
		z := v.mul(x, c[0])
		v.clamped(z, bound, negative)
		y := v.mul(z, z)
		erf := v.div(v.mul(v.horner(y, p...), z), v.horner(y, q...))
		v.VADDPS(c[2], erf, erf)
		v.VMULPS(c[1], x, x)
		v.VMULPS(erf, x, x)
		return x
	}
}

// tanh overwrites x.
func (v *vector) tanh() func(x reg.VecVirtual) reg.VecVirtual {
	bound, negative := v.held(tanhClamp), v.held(-tanhClamp)
	p := append(v.constants(tanhP3, tanhP2), v.distant(tanhP1, tanhP0)...)
	q := append(v.constants(tanhQ4, tanhQ3), v.distant(tanhQ2, tanhQ1, 1)...)
	return func(x reg.VecVirtual) reg.VecVirtual {
		v.clamped(x, bound, negative)
		y := v.mul(x, x)
		top := v.add(v.mul(v.horner(y, p...), v.mul(y, x)), x)
		return v.div(top, v.horner(y, q...))
	}
}

func (v *vector) geluTanh() func(x reg.VecVirtual) reg.VecVirtual {
	tanh := v.tanh()
	c := v.constants(geluCubic, geluLinear, 0.5, 1)
	return func(x reg.VecVirtual) reg.VecVirtual {
		y := v.add(v.mul(v.mul(x, x), c[0]), c[1])
		v.VMULPS(x, y, y)
		e := tanh(y)
		v.VADDPS(c[3], e, e)
		v.VMULPS(c[2], x, x)
		v.VMULPS(e, x, x)
		return x
	}
}

// sigmoid leaves x as it is.
func (v *vector) sigmoid() func(x reg.VecVirtual) reg.VecVirtual {
	exp := v.exp()
	sign, one := v.bitsAt(1<<31), v.held(1)
	return func(x reg.VecVirtual) reg.VecVirtual {
		e := v.register()
		v.VORPS(sign, x, e)
		e = exp(e)
		below := v.add(e, one)
		// Of -0, too, e is 1.
		top := v.register()
		if v.wide() {
			k := v.K()
			v.VPMOVD2M(x, k)
			v.VBLENDMPS(e, one, k, top)
		} else {
			v.VBLENDVPS(x, e, one, top)
		}
		return v.div(top, below)
	}
}
