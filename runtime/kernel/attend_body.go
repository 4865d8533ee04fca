package kernel

import (
	"math"

	"skiff/runtime/emit"
)

// attendAsm holds the locals of attendBody that plain attention does without.
type attendAsm struct {
	*attentionAsm
	AttendOptions
	part     [3]intVar // q, k, v: the head's first value in row 0 of the sequence
	cos, sin intVar    // the angles of a row
	bias     intVar    // attendPlan's places
	shifted  [2]intVar
	stride   intVar    // bytes between the rows of shifted
	lo, hi   intVar    // with a window: the keys the block visits, multiples of 16
	shift    [2]intVar // where a tile's products with distances start
	s        intVar
	from     [4]intVar // rows of a table
}

// attendBody is NewAttend's kernel: attention's, with the options where they belong.
func attendBody(a, d int, scale float32, o AttendOptions) []byte {
	place := o.places()
	h := newAttentionAsm(place.count, a, d, scale)
	i := h.ints(18)
	h.place = place
	h.attend = &attendAsm{
		attentionAsm: h, AttendOptions: o, part: [3]intVar(i[0:3]), cos: i[3], sin: i[4], bias: i[5],
		shifted: [2]intVar(i[6:8]), stride: i[8], lo: i[9], hi: i[10], shift: [2]intVar(i[11:13]), s: i[13], from: [4]intVar(i[14:18]),
	}
	return h.emit()
}

// locateParts points at the head in the rows of q, k and v; p holds the sequence's start.
func (h *attendAsm) locateParts(column emit.I32) {
	for i, at := range h.place.part {
		first := h.p.Get().LoadI32(0).Mul(h.arg(at + 1))
		h.part[i].Set(h.arg(at).Add(first).Add(h.arg(at + 2).Shl(2)).Add(column))
	}
}

// layOutTables computes the rest of planAttend; all that stands before is a multiple of
// 64 bytes.
func (h *attendAsm) layOutTables() {
	end := h.probs.Get().Add(h.t16.Get().Mul(num(panelStep)))
	h.bias.Set(end)
	if h.Bias {
		end = end.Add(h.t16.Get().Shl(3))
	}
	if !h.disentangled() {
		return
	}
	h.stride.Set(h.t8.Get().Shl(3).And(num(-128)).Add(num(64))) // shiftedStride
	h.shifted[0].Set(end)
	h.shifted[1].Set(h.shifted[0].Get())
	if h.C2P {
		h.shifted[1].Set(h.shifted[0].Get().Add(h.stride.Get().Mul(num(h.d8))))
	}
}

// least is the lesser of a local, to which it is set, and a number evaluated twice.
func (h *attendAsm) least(v intVar, n emit.I32) { v.Set(emit.SelectI32(v.Get().LtS(n), v.Get(), n)) }

// packTables lays out the head's entries by distance: entry e is of j-i = e-(T-1).
func (h *attendAsm) packTables() {
	if h.Bias {
		h.each(h.j, num(0), h.t.Get().Add(h.t16.Get()), 1, func() {
			span := func() emit.I32 { return h.arg(h.place.biasSpan) }
			h.setDelta(span, 0)
			row := h.head.Get().Mul(span().Shl(1).Sub(num(1)))
			x := h.arg(h.place.bias).Add(row.Add(h.q.Get()).Shl(2)).LoadF32(0)
			h.StoreF32(h.bias.Get().Add(h.j.Get().Shl(2)), 0, x)
		})
	}
	for i, table := range []int{h.place.keys, h.place.queries} {
		if i == 0 && h.C2P || i == 1 && h.P2C {
			h.packShifted(h.shifted[i], table)
		}
	}
}

// setDelta sets q to the place of entry j+l in a table of so long a span.
func (h *attendAsm) setDelta(span func() emit.I32, l int) {
	h.q.Set(h.j.Get().Add(span()).Sub(h.t.Get()).Add(num(l)))
	h.q.Set(emit.SelectI32(h.q.Get().LtS(num(0)), num(0), h.q.Get()))
	h.least(h.q, span().Shl(1).Sub(num(2)))
}

// packShifted transposes the rows of a table that the distances name; pads are +0. Four
// rows go at once: their columns are neighbours, which one bounds check covers.
func (h *attendAsm) packShifted(to intVar, table int) {
	n, s := h.m, h.s
	h.each(h.j, num(0), h.t.Get().Add(h.t8.Get()), len(h.from), func() {
		for l, p := range h.from {
			h.pointAtDistance(p, l, table)
		}
		h.q.Set(to.Get().Add(h.j.Get().Shl(2)))
		step := func(by emit.I32) { s.Set(s.Get().Add(by)) }
		put := func(x func(p intVar) emit.F32) {
			for l := len(h.from) - 1; l >= 0; l-- {
				h.StoreF32(s.Get(), 4*l, x(h.from[l]))
			}
		}
		// The rows' highest value first, hence the columns downwards.
		column := func(count int) {
			s.Set(h.q.Get().Add(h.stride.Get().Mul(num(count - 1))))
			for c := count - 1; c >= 0; c-- {
				put(func(p intVar) emit.F32 { return p.Get().LoadF32(4 * c) })
				step(num(0).Sub(h.stride.Get()))
			}
			h.q.Set(h.q.Get().Add(h.stride.Get().Mul(num(count))))
		}
		if h.d >= 8 {
			n.Set(num(h.d / 8))
			h.times(n, func() {
				column(8)
				for _, p := range h.from {
					h.bump(p, 32)
				}
			})
		}
		if h.d%8 > 0 {
			column(h.d % 8)
		}
		s.Set(h.q.Get())
		for range h.d8 - h.d {
			put(func(intVar) emit.F32 { return emit.ConstF32(0) })
			step(h.stride.Get())
		}
	})
}

// pointAtDistance points p at the head in the row of a table for entry j+l.
func (h *attendAsm) pointAtDistance(p intVar, l, table int) {
	h.setDelta(func() emit.I32 { return h.arg(h.place.deltaSpan) }, l)
	last := func() emit.I32 { return h.arg(h.place.rows).Sub(num(1)) }
	h.q.Set(h.arg(h.place.deltas).Add(h.q.Get().Shl(2)).LoadI32(0))
	h.q.Set(emit.SelectI32(h.q.Get().LtU(last()), h.q.Get(), last()))
	p.Set(h.arg(table).Add(h.q.Get().Mul(num(4 * pad16(h.a*h.d)))).Add(h.head.Get().Mul(num(4 * h.d))))
}

// turnAt points at the angles of row t.
func (h *attendAsm) turnAt(t emit.I32) {
	h.s.Set(t)
	h.least(h.s, h.arg(h.place.places).Sub(num(1)))
	h.s.Set(h.s.Get().Mul(num(2 * h.d)))
	h.cos.Set(h.arg(h.place.cos).Add(h.s.Get()))
	h.sin.Set(h.arg(h.place.sin).Add(h.s.Get()))
}

// turned is value d of the row at p, turned.
func (h *attendAsm) turned(d int) emit.F32 {
	x := func(i int) emit.F32 { return h.p.Get().LoadF32(4 * i) }
	half := h.d / 2
	cos, sin := h.cos.Get().LoadF32(d%half*4), h.sin.Get().LoadF32(d%half*4)
	if d < half {
		return x(d).Mul(cos).Sub(x(d + half).Mul(sin))
	}
	return x(d).Mul(cos).Add(x(d - half).Mul(sin))
}

// setWindow computes which keys the block visits.
func (h *attendAsm) setWindow() {
	if h.Window == 0 {
		return
	}
	h.lo.Set(h.i.Get().Sub(num(h.Window)))
	h.lo.Set(emit.SelectI32(h.lo.Get().LtS(num(0)), num(0), h.lo.Get()).And(num(-16)))
	h.hi.Set(h.i.Get().Add(h.rows.Get()).Add(num(h.Window + 15)).And(num(-16)))
	h.least(h.hi, h.t16.Get())
}

// columns is how many of the keys up to a limit, T8 or T16, the block visits.
func (h *attendAsm) columns(limit intVar) emit.I32 {
	end := emit.SelectI32(h.hi.Get().LtS(limit.Get()), h.hi.Get(), limit.Get())
	return end.Sub(h.lo.Get())
}

// maskRow sets the scores of row m that are visited, but not in its window, to -Inf.
func (h *attendAsm) maskRow() {
	fill := func(from, to emit.I32) {
		h.each(h.j, from, to, 1, func() {
			panel := h.j.Get().ShrU(3).Mul(num(accStep))
			h.p.Set(h.scores.Get().Add(panel).Add(h.j.Get().And(num(7)).Shl(2)).Add(h.m.Get().Shl(5)))
			h.StoreF32(h.p.Get(), 0, emit.ConstF32(float32(math.Inf(-1))))
		})
	}
	row := func() emit.I32 { return h.i.Get().Add(h.m.Get()) }
	fill(h.lo.Get(), row().Sub(num(h.Window)))
	h.s.Set(row().Add(num(h.Window + 1)))
	h.least(h.s, h.t.Get())
	fill(h.s.Get(), h.hi.Get())
}

// addBias adds the bias of each distance to the block's scores.
func (h *attentionAsm) addBias() {
	if h.attend == nil || !h.attend.Bias {
		return
	}
	h.each(h.m, num(0), h.rows.Get(), 1, func() {
		shift := h.t.Get().Sub(num(1)).Sub(h.i.Get()).Sub(h.m.Get())
		h.q.Set(h.fromPlace(h.attend.bias, 4).Add(shift.Shl(2)))
		h.scoreRow(func(v, off int) {
			h.StoreV128(h.p.Get(), off, h.p.Get().LoadV128(off).AddF32(h.q.Get().LoadV128(16*v)))
		}, func() { h.bump(h.q, 64) })
	})
}

// startShifts points at the distances of the tile's last row and the first key.
func (h *attendAsm) startShifts(rows int) {
	if !h.disentangled() {
		return
	}
	shift := h.t.Get().Sub(num(rows)).Sub(h.i.Get()).Shl(2)
	for i := range h.shift {
		h.shift[i].Set(h.fromPlace(h.shifted[i], 4).Add(shift))
	}
}

// addShifted goes on with the tile's sums: products of queries and the keys of distances,
// then of keys and the queries of distances.
func (h *attendAsm) addShifted(rows int) {
	for i, on := range []bool{h.C2P, h.P2C} {
		if !on {
			continue
		}
		if i == 0 {
			h.tile.a.Set(h.query.Get())
		} else {
			h.bump(h.tile.w, -4*tileCols*h.d8) // back to this panel
		}
		h.s.Set(h.shift[i].Get())
		h.tile.n.Set(num(h.d8 / shiftSteps))
		h.tile.mulShifted(rows, h.s, h.stride, i == 1)
		h.bump(h.shift[i], 4*tileCols)
	}
}
