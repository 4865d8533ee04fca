package kernel

import "skiff/runtime/emit"

// rowsAsm is a kernel over dense rows: pointers at the row's place in some arguments.
type rowsAsm struct {
	*asm
	r, n intVar
}

func newRowsAsm(args int) *rowsAsm {
	a := newAsm(args)
	return &rowsAsm{asm: a, r: a.I32(), n: a.I32()}
}

// eachRow runs body for every row.
func (a *rowsAsm) eachRow(body func()) { a.each(a.r, a.lo.Get(), a.hi.Get(), 1, body) }

// point sets a pointer to row r of argument i, of rows of w floats.
func (a *rowsAsm) point(p intVar, i, w int) {
	p.Set(a.arg(i).Add(a.r.Get().Mul(num(4 * w))))
}

// vectors visits the chunks of a row of h columns: y(v) is vector v of out's chunk.
func (a *rowsAsm) vectors(h int, out intVar, ptrs []intVar, y func(v int) emit.V128) {
	a.chunks(a.n, h, append(ptrs, out), func(mask func(int, emit.V128) emit.V128) {
		for v := 3; v >= 0; v-- {
			a.StoreV128(out.Get(), 16*v, mask(v, y(v)))
		}
	})
}

// normBody is NewNorm's kernel.
func normBody(h int, eps float32) []byte {
	a := newNormAsm(4, h, eps)
	r, x := a.I32(), a.I32()
	a.each(r, a.lo.Get(), a.hi.Get(), 1, func() {
		x.Set(a.arg(0).Add(r.Get().Mul(num(4 * pad16(h)))))
		a.row.Set(a.arg(3).Add(r.Get().Mul(num(4 * pad16(h)))))
		a.gather([]intVar{x}, 64, func(v int) emit.V128 { return x.Get().LoadV128(16 * v) })
		a.normalize(a.arg(1), a.arg(2))
	})
	return a.Body()
}

// noNormBody is NewNoNorm's kernel.
func noNormBody(h int, residual bool) []byte {
	gain := 1
	if residual {
		gain = 2
	}
	a := newRowsAsm(gain + 3)
	p := a.ints(5)
	x, res, g, b, out := p[0], p[1], p[2], p[3], p[4]
	a.eachRow(func() {
		a.point(x, 0, pad16(h))
		a.point(out, gain+2, pad16(h))
		g.Set(a.arg(gain))
		b.Set(a.arg(gain + 1))
		ptrs := []intVar{x, g, b}
		if residual {
			a.point(res, 1, pad16(h))
			ptrs = append(ptrs, res)
		}
		a.vectors(h, out, ptrs, func(v int) emit.V128 {
			y := x.Get().LoadV128(16 * v)
			if residual {
				y = y.AddF32(res.Get().LoadV128(16 * v))
			}
			return y.MulF32(g.Get().LoadV128(16 * v)).AddF32(b.Get().LoadV128(16 * v))
		})
	})
	return a.Body()
}

// addBody is NewAdd's kernel.
func addBody(h int) []byte {
	a := newRowsAsm(3)
	x, y, out := a.I32(), a.I32(), a.I32()
	a.eachRow(func() {
		a.point(x, 0, pad16(h))
		a.point(y, 1, pad16(h))
		a.point(out, 2, pad16(h))
		a.vectors(pad16(h), out, []intVar{x, y}, func(v int) emit.V128 {
			return x.Get().LoadV128(16 * v).AddF32(y.Get().LoadV128(16 * v))
		})
	})
	return a.Body()
}

// activationBody is NewActivation's kernel.
func activationBody(h int, act Act) []byte {
	a := newRowsAsm(2)
	x, out, value := a.I32(), a.I32(), a.V128()
	activate := newAct(a.asm, act)
	a.eachRow(func() {
		a.point(x, 0, pad16(h))
		a.point(out, 1, pad16(h))
		a.vectors(h, out, []intVar{x}, func(v int) emit.V128 {
			value.Set(x.Get().LoadV128(16 * v))
			return activate(value)
		})
	})
	return a.Body()
}

// gluBody is NewGLU's kernel. The gates start anywhere: the last columns are done by
// themselves, for 16 of them may end past the row.
func gluBody(f int, act Act) []byte {
	a := newRowsAsm(2)
	x, gate, out, value := a.I32(), a.I32(), a.I32(), a.V128()
	activate := newAct(a.asm, act)
	a.eachRow(func() {
		a.point(x, 0, pad16(2*f))
		gate.Set(x.Get().Add(num(4 * f)))
		a.point(out, 1, pad16(f))
		a.vectors(f&^15, out, []intVar{x, gate}, func(v int) emit.V128 {
			value.Set(x.Get().LoadV128(16 * v))
			return activate(value).MulF32(gate.Get().LoadV128(16 * v))
		})
		tail := f % 16
		for c := 0; c < tail&^3; c += 4 {
			value.Set(x.Get().LoadV128(4 * c))
			a.StoreV128(out.Get(), 4*c, activate(value).MulF32(gate.Get().LoadV128(4*c)))
		}
		for c := tail &^ 3; c < tail; c++ {
			value.Set(x.Get().LoadF32(4 * c).Splat())
			a.StoreF32(out.Get(), 4*c, activate(value).LaneF32(0).Mul(gate.Get().LoadF32(4*c)))
		}
		if tail > 0 {
			a.clearLanes(out, tail, 16)
		}
	})
	return a.Body()
}

// clearLanes sets the floats [from, to) at p to +0.
func (a *asm) clearLanes(p intVar, from, to int) {
	for c := to - 1; c >= from; c-- {
		a.StoreF32(p.Get(), 4*c, emit.ConstF32(0))
	}
}

// lookupBody is NewLookup's and NewLookupZero's kernel.
func lookupBody(n, h int, zeros bool) []byte {
	out := n * lookupTable
	args := out + 1
	if zeros {
		args += n
	}
	a := newNormAsm(args, h, 1) // for its lookup alone
	r := a.I32()
	var tables []tableAsm
	var codes []intVar
	for range n {
		tables = append(tables, tableAsm{codes: a.I32(), scale: a.V128()})
		codes = append(codes, tables[len(tables)-1].codes)
	}
	if zeros {
		for i := range tables {
			tables[i].zero = a.vecs(1)
		}
	}
	a.each(r, a.lo.Get(), a.hi.Get(), 1, func() {
		for i, t := range tables {
			at := i * lookupTable
			a.lookup(t, r, at+lookupIndex, at+lookupCodes, at+lookupScale, at+lookupRows)
			for _, zero := range t.zero {
				zero.Set(a.arg(out + 1 + i).Add(a.n.Get().Shl(2)).LoadI32(0).Splat())
			}
		}
		a.out.Set(a.arg(out).Add(r.Get().Mul(num(4 * pad16(h)))))
		a.n.Set(num(pad16(h) / 16))
		a.times(a.n, func() {
			for v := 3; v >= 0; v-- {
				y := tables[0].row4(v)
				for _, t := range tables[1:] {
					y = y.AddF32(t.row4(v))
				}
				a.StoreV128(a.out.Get(), 16*v, y)
			}
			a.bump(a.out, 64)
			for _, c := range codes {
				a.bump(c, 16)
			}
		})
		if zeros && h%16 != 0 { // zero points do not keep zero pads zero
			a.bump(a.out, -64)
			a.clearLanes(a.out, h%16, 16)
		}
	})
	return a.Body()
}

// trigramBody is NewTrigram's kernel: each third of a row is copied or cleared, exactly.
func trigramBody(h int) []byte {
	a := newAsm(3)
	i := a.ints(9)
	s, span, first, end, t, from := i[0], i[1], i[2], i[3], i[4], i[5]
	p, q, n := i[6], i[7], i[8]
	in, w := pad16(h), pad16(3*h)
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		span.Set(a.arg(1).Add(s.Get().Shl(2)))
		first.Set(span.Get().LoadI32(0))
		end.Set(span.Get().LoadI32(4))
		a.each(t, first.Get(), end.Get(), 1, func() {
			q.Set(a.arg(2).Add(t.Get().Mul(num(4 * w))))
			for _, step := range []int{1, 0, -1} {
				from.Set(t.Get().Add(num(step)))
				p.Set(a.arg(0).Add(from.Get().Mul(num(4 * in))))
				inside := from.Get().GeS(first.Get()).And(from.Get().LtS(end.Get()))
				a.Block(func(done emit.Label) {
					a.If(inside, func() {
						a.moveExact(n, q, p, h, func(off int) emit.V128 { return p.Get().LoadV128(off) }, func(off int) emit.F32 { return p.Get().LoadF32(off) })
						a.Br(done)
					})
					a.moveExact(n, q, p, h, func(int) emit.V128 { return emit.AllI32(0) }, func(int) emit.F32 { return emit.ConstF32(0) })
				})
			}
			a.clearLanes(q, 0, w-3*h)
		})
	})
	return a.Body()
}

// moveExact writes h floats at to, which it leaves behind them, from vectors and floats
// at an offset from the pointer from.
func (a *asm) moveExact(n, to, from intVar, h int, vector func(off int) emit.V128, float func(off int) emit.F32) {
	if h >= 16 {
		n.Set(num(h / 16))
		a.times(n, func() {
			for v := 3; v >= 0; v-- {
				a.StoreV128(to.Get(), 16*v, vector(16*v))
			}
			a.bump(to, 64)
			a.bump(from, 64)
		})
	}
	for c := range h % 16 {
		a.StoreF32(to.Get(), 4*c, float(4*c))
	}
	a.bump(to, 4*(h%16))
}
