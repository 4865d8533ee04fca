package kernel

import "skiff/runtime/emit"

// normAsm holds the locals of a layer norm: the row's output pointer and the sums.
type normAsm struct {
	*asm
	h       int
	eps     float32
	row     intVar // start of the output row
	out     intVar
	n       intVar
	gamma   intVar
	beta    intVar
	sums    []vecVar
	x, s    vecVar
	scalar  floatVar
	epsilon emit.F32
}

func newNormAsm(args, h int, eps float32) *normAsm {
	a := newAsm(args)
	ints := a.ints(5)
	return &normAsm{
		asm: a, h: h, eps: eps, row: ints[0], out: ints[1], n: ints[2], gamma: ints[3], beta: ints[4],
		sums: a.vecs(4), x: a.V128(), s: a.V128(), scalar: a.F32(), epsilon: emit.ConstF32(eps),
	}
}

// gather writes the row's input to the output row and sums it; load is vector v of a
// chunk, at the pointers' places, which go on by step bytes a chunk.
func (a *normAsm) gather(ptrs []intVar, step int, load func(v int) emit.V128) {
	a.zero(a.sums...)
	a.out.Set(a.row.Get())
	n := (a.h + 15) / 16
	a.n.Set(num(n))
	a.times(a.n, func() {
		for v := 3; v >= 0; v-- {
			a.x.Set(load(v))
			a.StoreV128(a.out.Get(), 16*v, a.x.Get())
			a.sums[v].Set(a.sums[v].Get().AddF32(a.x.Get()))
		}
		a.bump(a.out, 64)
		for _, p := range ptrs {
			a.bump(p, step)
		}
	})
}

// normalize is layerNorm of the reference, after gather.
func (a *normAsm) normalize(gamma, beta emit.I32) {
	count := emit.ConstF32(float32(a.h))
	a.s.Set(a.fold(a.sums).Div(count).Splat())
	a.zero(a.sums...)
	a.out.Set(a.row.Get())
	a.chunks(a.n, a.h, []intVar{a.out}, func(mask func(int, emit.V128) emit.V128) {
		for v := 3; v >= 0; v-- {
			a.x.Set(mask(v, a.out.Get().LoadV128(16*v).SubF32(a.s.Get())))
			a.StoreV128(a.out.Get(), 16*v, a.x.Get())
			a.sums[v].Set(a.sums[v].Get().AddF32(a.x.Get().MulF32(a.x.Get())))
		}
	})
	variance := a.fold(a.sums).Div(count)
	a.s.Set(emit.ConstF32(1).Div(variance.Add(a.epsilon).Sqrt()).Splat())
	a.out.Set(a.row.Get())
	a.gamma.Set(gamma)
	a.beta.Set(beta)
	a.chunks(a.n, a.h, []intVar{a.out, a.gamma, a.beta}, func(mask func(int, emit.V128) emit.V128) {
		for v := 3; v >= 0; v-- {
			y := a.out.Get().LoadV128(16 * v).MulF32(a.s.Get())
			y = y.MulF32(a.gamma.Get().LoadV128(16 * v)).AddF32(a.beta.Get().LoadV128(16 * v))
			a.StoreV128(a.out.Get(), 16*v, mask(v, y))
		}
	})
}

// addNormBody is NewAddNorm's kernel.
func addNormBody(h int, eps float32) []byte {
	a := newNormAsm(5, h, eps)
	r, off, x, res := a.I32(), a.I32(), a.I32(), a.I32()
	a.each(r, a.lo.Get(), a.hi.Get(), 1, func() {
		off.Set(r.Get().Mul(num(4 * pad16(h))))
		x.Set(a.arg(0).Add(off.Get()))
		res.Set(a.arg(1).Add(off.Get()))
		a.row.Set(a.arg(4).Add(off.Get()))
		a.gather([]intVar{x, res}, 64, func(v int) emit.V128 {
			return x.Get().LoadV128(16 * v).AddF32(res.Get().LoadV128(16 * v))
		})
		a.normalize(a.arg(2), a.arg(3))
	})
	return a.Body()
}

// tableAsm is one of embed's three tables while a row is looked up.
type tableAsm struct {
	codes intVar
	scale vecVar
	zero  []vecVar // one, or none
}

// lookup points t at the entry that index[r] names, the last one if it is past the table;
// its number is then in n.
func (a *normAsm) lookup(t tableAsm, r intVar, index, codes, scales, count int) {
	last := func() emit.I32 { return a.arg(count).Sub(num(1)) }
	a.n.Set(a.arg(index).Add(r.Get().Shl(2)).LoadI32(0))
	a.n.Set(emit.SelectI32(a.n.Get().LtU(last()), a.n.Get(), last()))
	t.codes.Set(a.arg(codes).Add(a.n.Get().Mul(num(pad16(a.h)))))
	t.scale.Set(a.arg(scales).Add(a.n.Get().Shl(2)).LoadF32(0).Splat())
}

// row4 is vector v of a chunk of the entry's values.
func (t tableAsm) row4(v int) emit.V128 {
	codes := t.codes.Get().LoadI8x8(v &^ 1 * 4)
	if v&1 == 1 {
		codes = codes.HighI16()
	} else {
		codes = codes.LowI16()
	}
	for _, zero := range t.zero {
		codes = codes.SubI32(zero.Get())
	}
	return codes.Float().MulF32(t.scale.Get())
}

// embedBody is NewEmbed's kernel.
func embedBody(h int, eps float32) []byte {
	a := newNormAsm(embedKinds+1, h, eps)
	r := a.I32()
	var word, kind, place tableAsm
	for _, t := range []*tableAsm{&word, &kind, &place} {
		*t = tableAsm{codes: a.I32(), scale: a.V128()}
	}
	a.each(r, a.lo.Get(), a.hi.Get(), 1, func() {
		a.lookup(word, r, embedIDs, embedWordCodes, embedWordScale, embedWords)
		a.lookup(kind, r, embedTypes, embedTypeCodes, embedTypeScale, embedKinds)
		a.lookup(place, r, embedPositions, embedPosCodes, embedPosScale, embedPlaces)
		a.row.Set(a.arg(embedOut).Add(r.Get().Mul(num(4 * pad16(h)))))
		a.gather([]intVar{word.codes, kind.codes, place.codes}, 16, func(v int) emit.V128 {
			return word.row4(v).AddF32(kind.row4(v)).AddF32(place.row4(v))
		})
		a.normalize(a.arg(embedGamma), a.arg(embedBeta))
	})
	return a.Body()
}
