package kernel

import "skiff/runtime/emit"

// meanPoolBody is NewMeanPool's kernel. Columns go in chunks of 16, the rows of a
// sequence within.
func meanPoolBody(h int) []byte {
	a := newAsm(4)
	ints := a.ints(7)
	s, span, first, count, col, p, n := ints[0], ints[1], ints[2], ints[3], ints[4], ints[5], ints[6]
	out, sums, divisor := a.I32(), a.vecs(4), a.V128()
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		span.Set(a.arg(2).Add(s.Get().Shl(2)))
		count.Set(span.Get().LoadI32(4).Sub(span.Get().LoadI32(0)))
		first.Set(span.Get().LoadI32(0).Mul(a.arg(1)).Add(a.arg(0)))
		out.Set(a.arg(3).Add(s.Get().Mul(num(4 * pad16(h)))))
		// Zero rows divide by 1: the sums are +0.
		count.Set(emit.SelectI32(count.Get().LtS(num(0)), num(0), count.Get()))
		divisor.Set(emit.SelectI32(count.Get(), count.Get(), num(1)).Float().Splat())
		a.each(col, num(0), num(4*pad16(h)), 64, func() {
			a.zero(sums...)
			p.Set(first.Get().Add(col.Get()))
			a.each(n, num(0), count.Get(), 1, func() {
				for v := 3; v >= 0; v-- {
					sums[v].Set(sums[v].Get().AddF32(p.Get().LoadV128(16 * v)))
				}
				p.Set(p.Get().Add(a.arg(1)))
			})
			for v := 3; v >= 0; v-- {
				a.StoreV128(out.Get().Add(col.Get()), 16*v, sums[v].Get().DivF32(divisor.Get()))
			}
		})
	})
	return a.Body()
}

// l2NormBody is NewL2Norm's kernel.
func l2NormBody(h int) []byte {
	a := newAsm(2)
	ints := a.ints(5)
	s, off, x, out, n := ints[0], ints[1], ints[2], ints[3], ints[4]
	norm, divisor, sums, v4 := a.F32(), a.V128(), a.vecs(4), a.V128()
	chunks := num(pad16(h) / 16)
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		off.Set(s.Get().Mul(num(4 * pad16(h))))
		x.Set(a.arg(0).Add(off.Get()))
		a.zero(sums...)
		n.Set(chunks)
		a.times(n, func() {
			for v := 3; v >= 0; v-- {
				v4.Set(x.Get().LoadV128(16 * v))
				sums[v].Set(sums[v].Get().AddF32(v4.Get().MulF32(v4.Get())))
			}
			a.bump(x, 64)
		})
		norm.Set(a.fold(sums).Sqrt())
		least := emit.ConstF32(minNorm)
		divisor.Set(emit.SelectF32(norm.Get().Lt(least), least, norm.Get()).Splat())
		x.Set(a.arg(0).Add(off.Get()))
		out.Set(a.arg(1).Add(off.Get()))
		n.Set(chunks)
		a.times(n, func() {
			for v := 3; v >= 0; v-- {
				a.StoreV128(out.Get(), 16*v, x.Get().LoadV128(16*v).DivF32(divisor.Get()))
			}
			a.bump(x, 64)
			a.bump(out, 64)
		})
	})
	return a.Body()
}
