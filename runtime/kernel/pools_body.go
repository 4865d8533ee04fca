package kernel

import "skiff/runtime/emit"

// poolAsm holds the locals of poolBody.
type poolAsm struct {
	*asm
	pool               Pool
	first, count, p, n intVar
	skip               intVar // rows left out; its zero value where none ever are
	acc                []vecVar
	weight, divisor    vecVar
}

// poolBody is the kernel of NewPool, or of NewPoolAfter. Columns go in chunks of 16, the rows of a sequence within.
func poolBody(pool Pool, h int, after bool) []byte {
	args := poolOutStride + 1
	if after {
		args = poolSkips + 1
	}
	a := newAsm(args)
	i := a.ints(8)
	s, span, out, col := i[0], i[1], i[2], i[3]
	p := &poolAsm{asm: a, pool: pool, first: i[4], count: i[5], p: i[6], n: i[7], acc: a.vecs(4), weight: a.V128(), divisor: a.V128()}
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		span.Set(a.arg(poolStarts).Add(s.Get().Shl(2)))
		p.count.Set(span.Get().LoadI32(4).Sub(span.Get().LoadI32(0)))
		p.count.Set(emit.SelectI32(p.count.Get().LtS(num(0)), num(0), p.count.Get()))
		p.first.Set(span.Get().LoadI32(0).Mul(a.arg(poolXStride)).Add(a.arg(poolX)))
		if after {
			p.leaveOut(s)
		}
		if pool == PoolLast { // if there is none, it is not read
			p.first.Set(p.first.Get().Add(p.count.Get().Sub(num(1)).Mul(a.arg(poolXStride))))
		}
		p.setDivisor()
		out.Set(a.arg(poolOut).Add(s.Get().Mul(a.arg(poolOutStride))))
		a.each(col, num(0), num(4*pad16(h)), 64, func() {
			a.zero(p.acc...)
			p.p.Set(p.first.Get().Add(col.Get()))
			p.gather()
			for v := 3; v >= 0; v-- {
				a.StoreV128(out.Get().Add(col.Get()), 16*v, p.result(v))
			}
		})
	})
	return a.Body()
}

// leaveOut moves first behind the rows of sequence s that are skipped, and takes them off the count.
func (p *poolAsm) leaveOut(s intVar) {
	p.skip = p.I32()
	skip := p.arg(poolSkips).Add(s.Get().Shl(2)).LoadI32(0)
	p.skip.Set(emit.SelectI32(skip.LtS(num(0)), num(0), skip))
	none := num(0) // a first token that is not there is the text's own
	if p.pool != PoolCLS {
		none = p.count.Get()
	}
	p.skip.Set(emit.SelectI32(p.skip.Get().LtS(p.count.Get()), p.skip.Get(), none))
	p.count.Set(p.count.Get().Sub(p.skip.Get()))
	p.first.Set(p.first.Get().Add(p.skip.Get().Mul(p.arg(poolXStride))))
}

// skipped adds to a number of rows those that were left out, where there may be any.
func (p *poolAsm) skipped(n emit.I32, times int) emit.I32 {
	if p.skip == (intVar{}) {
		return n
	}
	return n.Add(p.skip.Get().Mul(num(times)))
}

// setDivisor is what sums are divided by; of no rows, 1.
func (p *poolAsm) setDivisor() {
	count := emit.SelectI32(p.count.Get(), p.count.Get(), num(1))
	switch p.pool {
	case PoolMean:
		p.divisor.Set(count.Float().Splat())
	case PoolWeighted:
		pairs := count.Float().Mul(p.skipped(count.Add(num(1)), 2).Float())
		p.divisor.Set(pairs.Mul(emit.ConstF32(0.5)).Splat())
	case PoolMeanSqrt:
		p.divisor.Set(count.Float().Sqrt().Splat())
	}
}

// gather reads a chunk of columns of the sequence's rows.
func (p *poolAsm) gather() {
	x := func(v int) emit.V128 { return p.p.Get().LoadV128(16 * v) }
	every := func(f func(acc, x emit.V128) emit.V128) {
		for v := 3; v >= 0; v-- {
			p.acc[v].Set(f(p.acc[v].Get(), x(v)))
		}
	}
	switch p.pool {
	case PoolCLS, PoolLast, PoolMax:
		p.If(p.count.Get(), func() { every(func(_, x emit.V128) emit.V128 { return x }) })
		if p.pool != PoolMax {
			return
		}
		p.each(p.n, num(1), p.count.Get(), 1, func() {
			p.p.Set(p.p.Get().Add(p.arg(poolXStride)))
			every(emit.V128.PMaxF32)
		})
	default:
		p.each(p.n, num(0), p.count.Get(), 1, func() {
			if p.pool == PoolWeighted {
				p.weight.Set(p.skipped(p.n.Get().Add(num(1)), 1).Float().Splat())
			}
			every(func(acc, x emit.V128) emit.V128 {
				if p.pool == PoolWeighted {
					x = x.MulF32(p.weight.Get())
				}
				return acc.AddF32(x)
			})
			p.p.Set(p.p.Get().Add(p.arg(poolXStride)))
		})
	}
}

// result is vector v of a chunk of the output.
func (p *poolAsm) result(v int) emit.V128 {
	switch p.pool {
	case PoolCLS, PoolLast, PoolMax:
		return p.acc[v].Get()
	}
	return p.acc[v].Get().DivF32(p.divisor.Get())
}
