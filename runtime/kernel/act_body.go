package kernel

import "skiff/runtime/emit"

// newAct is an activation over vectors, its constants held in locals.
func newAct(a *asm, act Act) func(v vecVar) emit.V128 {
	switch act {
	case ActGELU:
		return newGELU(a).of
	case ActReLU:
		zero := a.hold(emit.AllI32(0))
		return func(v vecVar) emit.V128 { return v.Get().PMaxF32(zero.Get()) }
	case ActGELUTanh:
		return newGELUTanh(a)
	case ActSiLU:
		s := newSigmoid(a)
		return func(v vecVar) emit.V128 { return v.Get().MulF32(s.of(v)) }
	case ActTanh:
		t := newTanh(a)
		return func(v vecVar) emit.V128 { return t.of(v.Get()) }
	case ActSigmoid:
		return newSigmoid(a).of
	}
	return func(v vecVar) emit.V128 { return v.Get() }
}

// tanhAsm is tanh of the reference.
type tanhAsm struct {
	clamp, negClamp vecVar
	p, q            []vecVar
	x, y            vecVar
}

func newTanh(a *asm) *tanhAsm {
	c := a.constants(tanhClamp, -tanhClamp)
	return &tanhAsm{
		clamp: c[0], negClamp: c[1],
		p: a.constants(tanhP3, tanhP2, tanhP1, tanhP0),
		q: a.constants(tanhQ4, tanhQ3, tanhQ2, tanhQ1, tanhQ0),
		x: a.V128(), y: a.V128(),
	}
}

// of is tanh(x) in each lane. What it returns is to be used before it is called again.
func (t *tanhAsm) of(x emit.V128) emit.V128 {
	t.x.Set(x.PMinF32(t.clamp.Get()).PMaxF32(t.negClamp.Get()))
	t.y.Set(t.x.Get().MulF32(t.x.Get()))
	top := horner(t.y, t.p...).MulF32(t.x.Get().MulF32(t.y.Get())).AddF32(t.x.Get())
	return top.DivF32(horner(t.y, t.q...))
}

// newGELUTanh is geluTanh of the reference.
func newGELUTanh(a *asm) func(v vecVar) emit.V128 {
	t, c := newTanh(a), a.constants(geluCubic, geluLinear, 0.5, 1)
	return func(v vecVar) emit.V128 {
		y := v.Get().MulF32(v.Get()).MulF32(c[0].Get()).AddF32(c[1].Get())
		one := c[3].Get().AddF32(t.of(v.Get().MulF32(y)))
		return v.Get().MulF32(c[2].Get()).MulF32(one)
	}
}

// sigmoidAsm is sigmoid of the reference.
type sigmoidAsm struct {
	exp           *expAsm
	sign, zero, e vecVar
}

func newSigmoid(a *asm) *sigmoidAsm {
	return &sigmoidAsm{exp: newExp(a), sign: a.hold(emit.AllI32(1 << 31)), zero: a.hold(emit.AllI32(0)), e: a.V128()}
}

// of is sigmoid(v) in each lane.
func (s *sigmoidAsm) of(v vecVar) emit.V128 {
	s.e.Set(s.exp.of(v.Get().Or(s.sign.Get())))
	top := emit.SelectV128(v.Get().LtF32(s.zero.Get()), s.e.Get(), s.exp.one.Get())
	return top.DivF32(s.exp.one.Get().AddF32(s.e.Get()))
}
