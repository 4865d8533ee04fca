package kernel

import "skiff/runtime/emit"

// poolAsm holds the locals of poolBody.
type poolAsm struct {
	*asm
	pool               Pool
	first, count, p, n intVar
	acc                []vecVar
	weight, divisor    vecVar
}

// poolBody is NewPool's kernel. Columns go in chunks of 16, the rows of a sequence within.
func poolBody(pool Pool, h int) []byte {
	a := newAsm(poolOutStride + 1)
	i := a.ints(8)
	s, span, out, col := i[0], i[1], i[2], i[3]
	p := &poolAsm{asm: a, pool: pool, first: i[4], count: i[5], p: i[6], n: i[7], acc: a.vecs(4), weight: a.V128(), divisor: a.V128()}
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		span.Set(a.arg(poolStarts).Add(s.Get().Shl(2)))
		p.count.Set(span.Get().LoadI32(4).Sub(span.Get().LoadI32(0)))
		p.count.Set(emit.SelectI32(p.count.Get().LtS(num(0)), num(0), p.count.Get()))
		p.first.Set(span.Get().LoadI32(0).Mul(a.arg(poolXStride)).Add(a.arg(poolX)))
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

// setDivisor is what sums are divided by; of no rows, 1.
func (p *poolAsm) setDivisor() {
	count := emit.SelectI32(p.count.Get(), p.count.Get(), num(1))
	switch p.pool {
	case PoolMean:
		p.divisor.Set(count.Float().Splat())
	case PoolWeighted:
		pairs := count.Float().Mul(count.Add(num(1)).Float())
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
				p.weight.Set(p.n.Get().Add(num(1)).Float().Splat())
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
