package kernel

import "skiff/runtime/emit"

// horner is p[n] + y·(p[n-1] + y·(...)) with the first coefficient the highest: the same
// order as the reference.
func horner(y vecVar, p ...vecVar) emit.V128 {
	x := p[0].Get()
	for _, c := range p[1:] {
		x = x.MulF32(y.Get()).AddF32(c.Get())
	}
	return x
}

// constants holds float constants in locals, highest degree first for horner.
func (a *asm) constants(values ...float32) []vecVar {
	out := a.vecs(len(values))
	for i, v := range values {
		out[i].Set(emit.AllF32(v))
	}
	return out
}

// expAsm is exp of the reference: its constants, held, and temporaries.
type expAsm struct {
	*asm
	low, high, scale, magic, hi, lo, one, bias, two23 vecVar
	poly                                              []vecVar
	x, t, n, r                                        vecVar
}

func newExp(a *asm) *expAsm {
	c := a.constants(expLow, expHigh, log2e, roundMagic, ln2Hi, ln2Lo, 1)
	t := a.vecs(4)
	return &expAsm{
		asm: a, low: c[0], high: c[1], scale: c[2], magic: c[3], hi: c[4], lo: c[5], one: c[6],
		bias: a.hold(emit.AllI32(expBias)), two23: a.hold(emit.AllI32(1 << 23)),
		poly: a.constants(exp4, exp3, exp2, exp1, exp0),
		x:    t[0], t: t[1], n: t[2], r: t[3],
	}
}

// of is e^x in each lane.
func (e *expAsm) of(x emit.V128) emit.V128 {
	e.x.Set(x.PMinF32(e.high.Get()))
	e.t.Set(e.x.Get().MulF32(e.scale.Get()).AddF32(e.magic.Get()))
	e.n.Set(e.t.Get().SubF32(e.magic.Get()))
	e.r.Set(e.x.Get().SubF32(e.n.Get().MulF32(e.hi.Get())))
	e.r.Set(e.r.Get().SubF32(e.n.Get().MulF32(e.lo.Get())))
	y := horner(e.r, e.poly...).MulF32(e.r.Get().MulF32(e.r.Get())).AddF32(e.r.Get()).AddF32(e.one.Get())
	// A multiplication shifts in one instruction; a shift takes four.
	pow := e.t.Get().AddI32(e.bias.Get()).MulI32(e.two23.Get())
	return y.MulF32(pow).AndNot(e.x.Get().LtF32(e.low.Get()))
}

// geluAsm is gelu of the reference: its constants, held, and temporaries.
type geluAsm struct {
	*asm
	sqrtHalf, half, clamp, negClamp, one vecVar
	p, q                                 []vecVar
	x, y                                 vecVar
}

func newGELU(a *asm) *geluAsm {
	c := a.constants(sqrtHalf, 0.5, erfClamp, -erfClamp, erfQ0)
	return &geluAsm{
		asm: a, sqrtHalf: c[0], half: c[1], clamp: c[2], negClamp: c[3], one: c[4],
		p: a.constants(erfP5, erfP4, erfP3, erfP2, erfP1, erfP0),
		q: append(a.constants(erfQ5, erfQ4, erfQ3, erfQ2, erfQ1), c[4]),
		x: a.V128(), y: a.V128(),
	}
}

// of is gelu(v) in each lane.
func (g *geluAsm) of(v vecVar) emit.V128 {
	g.x.Set(v.Get().MulF32(g.sqrtHalf.Get()).PMinF32(g.clamp.Get()).PMaxF32(g.negClamp.Get()))
	g.y.Set(g.x.Get().MulF32(g.x.Get()))
	erf := g.x.Get().MulF32(horner(g.y, g.p...)).DivF32(horner(g.y, g.q...))
	return v.Get().MulF32(g.half.Get()).MulF32(g.one.Get().AddF32(erf))
}
