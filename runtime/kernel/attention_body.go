package kernel

import (
	"math"

	"skiff/runtime/emit"
)

// attentionAsm holds the locals of attentionBody.
type attentionAsm struct {
	*asm
	a, d, d8      int
	scale         vecVar
	unit, head    intVar
	qkv, out      intVar // the head's first value in row 0 of the sequence
	t, t8, t16    intVar // tokens of the sequence, rounded up
	keys, values  intVar // attentionPlan's places
	query, scores intVar
	probs         intVar
	i, rows, m    intVar // first row and number of rows of the block, a row of it
	j, p, q       intVar
	sums          []vecVar
	tile          tileAsm
	exp           *expAsm
	place         attendPlaces
	attend        *attendAsm // nil for plain attention
}

// attentionBody is NewAttention's kernel.
func attentionBody(a, d int, scale float32) []byte {
	h := newAttentionAsm(attOutStride+1, a, d, scale)
	h.place = attendPlaces{starts: attStarts, out: attOut, outStride: attOutStride}
	return h.emit()
}

func newAttentionAsm(args, a, d int, scale float32) *attentionAsm {
	s := newAsm(args)
	i := s.ints(19)
	return &attentionAsm{
		asm: s, a: a, d: d, d8: pad(d, 8), scale: s.hold(emit.AllF32(scale)),
		unit: i[0], head: i[1], qkv: i[2], out: i[3], t: i[4], t8: i[6], t16: i[7], keys: i[8],
		values: i[9], query: i[10], scores: i[11], probs: i[12], i: i[13], rows: i[14], m: i[15], j: i[16],
		p: i[17], q: i[18], sums: s.vecs(4), tile: newTile(s), exp: newExp(s),
	}
}

// emit is the body: for each head of a sequence, lay out keys and values once; then for
// each block of 6 query rows two products around a softmax.
func (h *attentionAsm) emit() []byte {
	h.each(h.unit, h.lo.Get(), h.hi.Get(), 1, func() {
		h.locate()
		h.If(num(0).LtS(h.t.Get()), func() {
			h.layOut()
			h.packKeys()
			h.packValues()
			if h.attend != nil {
				h.attend.packTables()
			}
			h.each(h.i, num(0), h.t.Get(), tileRows, h.block)
		})
	})
	return h.Body()
}

// locate finds the unit's sequence and head.
func (h *attentionAsm) locate() {
	seq := func() emit.I32 { return h.unit.Get().DivU(num(h.a)) }
	h.head.Set(h.unit.Get().Sub(seq().Mul(num(h.a))))
	h.p.Set(h.arg(h.place.starts).Add(seq().Shl(2)))
	h.t.Set(h.p.Get().LoadI32(4).Sub(h.p.Get().LoadI32(0)))
	col := h.head.Get().Mul(num(4 * h.d))
	if h.attend != nil {
		h.attend.locateParts(col)
	} else {
		h.qkv.Set(h.arg(attQKV).Add(h.p.Get().LoadI32(0).Mul(h.arg(attStride))).Add(col))
	}
	h.out.Set(h.arg(h.place.out).Add(h.p.Get().LoadI32(0).Mul(h.arg(h.place.outStride))).Add(col))
}

// layOut computes planAttention for this sequence.
func (h *attentionAsm) layOut() {
	up := func(n int) emit.I32 { return h.t.Get().Add(num(n - 1)).And(num(-n)) }
	h.t8.Set(up(8))
	h.t16.Set(up(16))
	h.keys.Set(h.scratch.Get())
	h.values.Set(h.keys.Get().Add(h.t8.Get().Mul(num(4 * h.d8))))
	end := h.values.Get().Add(h.t8.Get().Mul(num(4 * h.d8)))
	h.query.Set(end.Add(num(63)).And(num(-64)))
	h.scores.Set(h.query.Get().Add(num(panelStep * h.d8)))
	h.probs.Set(h.scores.Get().Add(h.t16.Get().Mul(num(4 * tileRows))))
	if h.attend != nil {
		h.attend.layOutTables()
	}
}

// row is the head's part (0 q, 1 k, 2 v) of row t of the sequence.
func (h *attentionAsm) row(part int, t emit.I32) emit.I32 {
	if h.attend != nil {
		return h.attend.part[part].Get().Add(t.Mul(h.arg(h.place.part[part] + 1)))
	}
	return h.qkv.Get().Add(t.Mul(h.arg(attStride))).Add(num(4 * part * h.a * h.d))
}

// value is value d of the query or key at p, of row t of the sequence: see turnAt.
func (h *attentionAsm) value(d int) emit.F32 {
	if h.attend != nil && h.attend.Rotary {
		return h.attend.turned(d)
	}
	return h.p.Get().LoadF32(4 * d)
}

// turnAt prepares value for row t.
func (h *attentionAsm) turnAt(t emit.I32) {
	if h.attend != nil && h.attend.Rotary {
		h.attend.turnAt(t)
	}
}

// packKeys transposes the keys into panels of 8 columns; pads are +0.
func (h *attentionAsm) packKeys() {
	const step = 4 * tileCols
	h.each(h.j, num(0), h.t8.Get(), 1, func() {
		h.p.Set(h.row(1, h.j.Get()))
		h.turnAt(h.j.Get())
		panel := h.j.Get().ShrU(3).Mul(num(step * h.d8))
		h.q.Set(h.keys.Get().Add(panel).Add(h.j.Get().And(num(7)).Shl(2)))
		for d := h.d8 - 1; d >= h.d; d-- {
			h.StoreF32(h.q.Get(), step*d, emit.ConstF32(0))
		}
		h.Block(func(done emit.Label) {
			h.If(h.j.Get().LtS(h.t.Get()), func() {
				for d := h.d - 1; d >= 0; d-- {
					h.StoreF32(h.q.Get(), step*d, h.value(d))
				}
				h.Br(done)
			})
			for d := h.d - 1; d >= 0; d-- {
				h.StoreF32(h.q.Get(), step*d, emit.ConstF32(0))
			}
		})
	})
}

// packValues copies the values to panels of 8 columns, so that a product reads one after
// the other; pads are +0.
func (h *attentionAsm) packValues() {
	const step = 4 * tileCols
	zero := h.hold(emit.AllI32(0))
	panels := func(group func(c int)) {
		for c := 0; c < h.d8; c += tileCols {
			group(c)
			h.q.Set(h.q.Get().Add(h.t8.Get().Mul(num(step))))
		}
	}
	h.each(h.j, num(0), h.t8.Get(), 1, func() {
		h.p.Set(h.row(2, h.j.Get()))
		h.q.Set(h.values.Get().Add(h.j.Get().Mul(num(step))))
		h.Block(func(done emit.Label) {
			h.If(h.j.Get().LtS(h.t.Get()), func() {
				panels(func(c int) { h.packValue(c, zero) })
				h.Br(done)
			})
			panels(func(int) { h.clearValue(zero) })
		})
	})
}

// clearValue makes 8 zeros of what is at q.
func (h *attentionAsm) clearValue(zero vecVar) {
	h.StoreV128(h.q.Get(), 16, zero.Get())
	h.StoreV128(h.q.Get(), 0, zero.Get())
}

// packValue copies the 8 values from column c on, as far as the head has them.
func (h *attentionAsm) packValue(c int, zero vecVar) {
	left := h.d - c
	if left < tileCols {
		h.clearValue(zero)
	}
	for d := min(left, tileCols) - 1; d >= min(left, tileCols)&^3; d-- {
		h.StoreF32(h.q.Get(), 4*d, h.p.Get().LoadF32(4*(c+d)))
	}
	for d := min(left, tileCols)&^3 - 4; d >= 0; d -= 4 {
		h.StoreV128(h.q.Get(), 4*d, h.p.Get().LoadV128(4*(c+d)))
	}
}

// scaleRow writes exactly d values, times scale: what lies beside them in an output row is
// another worker's.
func (h *attentionAsm) scaleRow(to, from intVar, scale vecVar) {
	for d := h.d - 1; d >= h.d&^3; d-- {
		h.StoreF32(to.Get(), 4*d, from.Get().LoadF32(4*d).Mul(scale.Get().LaneF32(0)))
	}
	for d := h.d&^3 - 4; d >= 0; d -= 4 {
		h.StoreV128(to.Get(), 4*d, from.Get().LoadV128(4*d).MulF32(scale.Get()))
	}
}

// block does up to 6 query rows.
func (h *attentionAsm) block() {
	left := h.t.Get().Sub(h.i.Get())
	h.rows.Set(emit.SelectI32(left.LtS(num(tileRows)), left, num(tileRows)))
	h.each(h.m, num(0), h.rows.Get(), 1, h.packQuery)
	if h.attend != nil {
		h.attend.setWindow()
	}
	h.forRows(h.scoreTiles)
	h.addBias()
	h.mask()
	h.each(h.m, num(0), h.rows.Get(), 1, h.softmax)
	h.forRows(h.mixTiles)
	h.each(h.m, num(0), h.rows.Get(), 1, h.writeRow)
}

// forRows emits body for each number of rows.
func (h *attentionAsm) forRows(body func(rows int)) {
	for rows := tileRows; rows >= 1; rows-- {
		h.If(h.rows.Get().Eq(num(rows)), func() { body(rows) })
	}
}

// packQuery writes query row m to its row panel, each value four times; pads are +0.
func (h *attentionAsm) packQuery() {
	h.p.Set(h.row(0, h.i.Get().Add(h.m.Get())))
	h.turnAt(h.i.Get().Add(h.m.Get()))
	h.q.Set(h.query.Get().Add(h.m.Get().Shl(4)))
	for d := h.d8 - 1; d >= 0; d-- {
		x := emit.ConstF32(0)
		if d < h.d {
			x = h.value(d)
		}
		h.StoreV128(h.q.Get(), panelStep*d, x.Splat())
	}
}

// windowed tells whether a block visits but a range of keys.
func (h *attentionAsm) windowed() bool { return h.attend != nil && h.attend.Window > 0 }

// fromPlace is a pointer into an array over the keys, bytes for each, at the first key
// that the block visits.
func (h *attentionAsm) fromPlace(base intVar, bytes int) emit.I32 {
	if h.windowed() {
		return base.Get().Add(h.attend.lo.Get().Mul(num(bytes)))
	}
	return base.Get()
}

// columns is how many keys the block visits of so many.
func (h *attentionAsm) columns(all intVar) emit.I32 {
	if h.windowed() {
		return h.attend.columns(all)
	}
	return all.Get()
}

// scoreTiles multiplies queries and keys: sums [T8/8][6][8] in scores.
func (h *attentionAsm) scoreTiles(rows int) {
	h.p.Set(h.fromPlace(h.scores, accStep/tileCols))
	h.tile.w.Set(h.fromPlace(h.keys, 4*h.d8))
	h.j.Set(h.columns(h.t8).ShrU(3))
	if h.attend != nil {
		h.attend.startShifts(rows)
	}
	h.times(h.j, func() {
		h.zero(h.tile.acc[:2*rows]...)
		h.tile.a.Set(h.query.Get())
		h.tile.n.Set(num(h.d8 / mulSteps))
		h.tile.mulAdd(rows) // leaves w at the next panel
		if h.attend != nil {
			h.attend.addShifted(rows)
		}
		for i := 2*rows - 1; i >= 0; i-- {
			h.StoreV128(h.p.Get(), 16*i, h.tile.acc[i].Get().MulF32(h.scale.Get()))
		}
		h.bump(h.p, accStep)
	})
}

// mask sets the scores from T to T16, and those out of the window, to -Inf, whose exp is +0.
func (h *attentionAsm) mask() {
	if h.windowed() {
		h.each(h.m, num(0), h.rows.Get(), 1, h.attend.maskRow)
		return
	}
	h.each(h.j, h.t.Get(), h.t16.Get(), 1, func() {
		panel := h.j.Get().ShrU(3).Mul(num(accStep))
		h.p.Set(h.scores.Get().Add(panel).Add(h.j.Get().And(num(7)).Shl(2)))
		for m := tileRows - 1; m >= 0; m-- {
			h.StoreF32(h.p.Get(), 4*tileCols*m, emit.ConstF32(float32(math.Inf(-1))))
		}
	})
}

// softmax turns row m of scores into probs, each value four times, and leaves 1/z in the
// row's first score.
func (h *attentionAsm) softmax() {
	most, e, sums := h.V128(), h.V128(), h.sums
	most.Set(emit.AllF32(float32(math.Inf(-1))))
	h.scoreRow(func(v, off int) { most.Set(most.Get().PMaxF32(h.p.Get().LoadV128(off))) }, nil)
	m := h.F32()
	m.Set(most.Get().LaneF32(0))
	for lane := byte(1); lane < 4; lane++ {
		other := most.Get().LaneF32(lane)
		m.Set(emit.SelectF32(m.Get().Lt(other), other, m.Get()))
	}
	most.Set(m.Get().Splat())
	h.zero(sums...)
	// A splat writes into a register it also waits for; a swizzle does not.
	var lanes []vecVar
	for lane := range uint32(4) {
		lanes = append(lanes, h.hold(emit.AllI32(0x03020100+0x04040404*lane)))
	}
	h.q.Set(h.fromPlace(h.probs, panelStep).Add(h.m.Get().Shl(4)))
	h.scoreRow(func(v, off int) {
		e.Set(h.exp.of(h.p.Get().LoadV128(off).SubF32(most.Get())))
		sums[v].Set(sums[v].Get().AddF32(e.Get()))
		for lane := 3; lane >= 0; lane-- {
			h.StoreV128(h.q.Get(), panelStep*(4*v+lane), e.Get().Swizzle(lanes[lane].Get()))
		}
	}, func() { h.bump(h.q, 16*panelStep) })
	z := h.F32()
	z.Set(h.fold(sums))
	r := emit.SelectF32(z.Get().Eq(emit.ConstF32(0)), emit.ConstF32(0), emit.ConstF32(1).Div(z.Get()))
	h.StoreF32(h.scores.Get().Add(h.m.Get().Shl(5)), 0, r)
}

// scoreRow visits the vectors of row m of scores, 16 columns a round.
func (h *attentionAsm) scoreRow(vector func(v, off int), next func()) {
	h.p.Set(h.fromPlace(h.scores, accStep/tileCols).Add(h.m.Get().Shl(5)))
	h.j.Set(h.columns(h.t16).ShrU(4))
	h.times(h.j, func() {
		for v := 3; v >= 0; v-- {
			vector(v, v/2*accStep+v%2*16)
		}
		h.bump(h.p, 2*accStep)
		if next != nil {
			next()
		}
	})
}

// mixTiles multiplies probs and values: sums [6][D8] over the query panel, now free.
func (h *attentionAsm) mixTiles(rows int) {
	h.each(h.j, num(0), num(4*h.d8), 4*tileCols, func() {
		h.zero(h.tile.acc[:2*rows]...)
		h.tile.a.Set(h.fromPlace(h.probs, panelStep))
		h.tile.w.Set(h.fromPlace(h.values, 4*tileCols).Add(h.j.Get().Mul(h.t8.Get())))
		h.tile.n.Set(h.columns(h.t8).ShrU(3))
		h.tile.mulAdd(rows)
		h.p.Set(h.query.Get().Add(h.j.Get()))
		for i := 2*rows - 1; i >= 0; i-- {
			h.StoreV128(h.p.Get(), i/2*4*h.d8+i%2*16, h.tile.acc[i].Get())
		}
	})
}

// writeRow writes the head's part of output row m, and the last head the pad lanes.
func (h *attentionAsm) writeRow() {
	scale := h.exp.x
	scale.Set(h.scores.Get().Add(h.m.Get().Shl(5)).LoadF32(0).Splat())
	h.p.Set(h.query.Get().Add(h.m.Get().Mul(num(4 * h.d8))))
	h.q.Set(h.out.Get().Add(h.i.Get().Add(h.m.Get()).Mul(h.arg(h.place.outStride))))
	h.scaleRow(h.q, h.p, scale)
	width := h.a * h.d
	if width%16 == 0 {
		return
	}
	h.If(h.head.Get().Eq(num(h.a-1)), func() {
		for c := pad16(width) - 1; c >= width; c-- {
			h.StoreF32(h.q.Get(), 4*(c-width+h.d), emit.ConstF32(0))
		}
	})
}
