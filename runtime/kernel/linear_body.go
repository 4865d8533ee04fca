package kernel

import (
	"slices"

	"skiff/runtime/emit"
)

// depthBlock is how many depths of a row panel are multiplied before the next column:
// 48 bytes each, it stays in the first-level cache beside the weights' panel.
const depthBlock = 512

// accStep is the bytes of a block's sums for 8 columns: i32 [6][8].
const accStep = 4 * tileRows * tileCols

// linearAsm holds the locals of linearBody.
type linearAsm struct {
	*asm
	linearForm
	r, rows, m          intVar // first row and number of rows of the block, a row of it
	rowBuf, scales, acc intVar // linearPlan's places
	panel               intVar
	x, p, q, n, t       intVar // pointers and counters of the loops
	k0, depth           intVar
	tile                tileAsm
}

// linearBody is NewLinear's and NewLinearZero's kernel: for each block of 6 rows, quantise
// into a row panel, multiply tile by tile into sums, then finish row by row.
func linearBody(f linearForm) []byte {
	args := linOutStride + 1
	if f.zeros {
		args = linZero + 1
	}
	a := newAsm(args)
	i := a.ints(14)
	l := &linearAsm{
		asm: a, linearForm: f, r: i[0], rows: i[1], m: i[2], rowBuf: i[3], scales: i[4], acc: i[5],
		panel: i[6], x: i[7], p: i[8], q: i[9], n: i[10], t: i[11], k0: i[12], depth: i[13], tile: newTile(a),
	}
	l.layOut()
	a.each(l.r, a.lo.Get(), a.hi.Get(), tileRows, func() {
		left := a.hi.Get().Sub(l.r.Get())
		l.rows.Set(emit.SelectI32(left.LtS(num(tileRows)), left, num(tileRows)))
		a.each(l.m, num(0), l.rows.Get(), 1, l.quantize)
		l.multiply()
		l.finish()
	})
	return a.Body()
}

// layOut computes the form's plan.
func (l *linearAsm) layOut() {
	l.rowBuf.Set(l.scratch.Get())
	l.scales.Set(l.scratch.Get().Add(l.arg(linK8).Shl(2)))
	// scratch is aligned to 64, so padding the address pads the offset.
	l.acc.Set(l.scales.Get().Add(num(l.rowBytes() + 63)).And(num(-64)))
	l.panel.Set(l.acc.Get().Add(l.arg(linN16).Mul(num(4 * tileRows))))
}

// row is the input row r+m.
func (l *linearAsm) row() emit.I32 {
	return l.arg(linX).Add(l.r.Get().Add(l.m.Get()).Mul(l.arg(linXStride)))
}

// column is outlier o's column number, kept inside the row.
func (l *linearAsm) column(o int) emit.I32 {
	last := l.arg(linK8).Sub(num(1))
	l.t.Set(l.arg(linOutIdx).LoadI32(4 * o))
	return emit.SelectI32(l.t.Get().LtU(last), l.t.Get(), last)
}

// quantize writes row m's codes to the panel and its scale beside.
func (l *linearAsm) quantize() {
	l.x.Set(l.row())
	if l.outliers > 0 {
		l.dropOutliers()
	}
	most, scale, inv := l.t, l.F32(), l.F32()
	most.Set(l.absMax())
	amax := most.Get().AsF32()
	tiny := most.Get().LtS(num(tinyBits))
	scale.Set(emit.SelectF32(tiny, emit.ConstF32(0), amax.Div(emit.ConstF32(127))))
	inv.Set(emit.SelectF32(tiny, emit.ConstF32(0), emit.ConstF32(127).Div(amax)))
	l.StoreF32(l.scales.Get().Add(l.m.Get().Shl(2)), 0, scale.Get())
	l.writeCodes(inv)
}

// dropOutliers copies the row to scratch with 0 in its outlier columns and points x there.
func (l *linearAsm) dropOutliers() {
	l.q.Set(l.rowBuf.Get())
	l.n.Set(l.arg(linK8).ShrU(3))
	l.times(l.n, func() {
		l.StoreV128(l.q.Get(), 16, l.x.Get().LoadV128(16))
		l.StoreV128(l.q.Get(), 0, l.x.Get().LoadV128(0))
		l.bump(l.x, 32)
		l.bump(l.q, 32)
	})
	for o := range l.outliers {
		col := l.column(o)
		l.StoreF32(l.rowBuf.Get().Add(col.Shl(2)), 0, emit.ConstF32(0))
	}
	l.x.Set(l.rowBuf.Get())
}

// absMax is the greatest sign-cleared bits of the row at x.
func (l *linearAsm) absMax() emit.I32 {
	mask, v := l.hold(emit.AllI32(0x7fffffff)), l.vecs(2)
	l.zero(v...)
	l.p.Set(l.x.Get())
	l.n.Set(l.arg(linK8).ShrU(3))
	l.times(l.n, func() {
		for i := 1; i >= 0; i-- {
			v[i].Set(v[i].Get().MaxI32(l.p.Get().LoadV128(16 * i).And(mask.Get())))
		}
		l.bump(l.p, 32)
	})
	v[0].Set(v[0].Get().MaxI32(v[1].Get()))
	most := v[0].Get().LaneI32(0)
	for lane := byte(1); lane < 4; lane++ {
		other := v[0].Get().LaneI32(lane)
		l.q.Set(most)
		most = emit.SelectI32(l.q.Get().LtS(other), other, l.q.Get())
	}
	return most
}

// writeCodes quantises the row at x, 8 depths a round, each pair of codes four times.
func (l *linearAsm) writeCodes(inv floatVar) {
	c := l.constants(roundMagic)[0]
	bits, most, least := l.hold(emit.AllI32(roundBits)), l.hold(emit.AllI16(127)), l.hold(emit.AllI16(-127))
	scale, codes := l.hold(inv.Get().Splat()), l.V128()
	count, store := l.sumCodes(codes)
	l.p.Set(l.x.Get())
	l.q.Set(l.panel.Get().Add(l.m.Get().Shl(4)))
	l.n.Set(l.arg(linK8).ShrU(3))
	l.times(l.n, func() {
		round := func(off int) emit.V128 {
			return l.p.Get().LoadV128(off).MulF32(scale.Get()).AddF32(c.Get()).SubI32(bits.Get())
		}
		// The stack wants the lower half first, the bounds check the higher address.
		codes.Set(round(16))
		codes.Set(round(0).NarrowI32(codes.Get()).MinI16(most.Get()).MaxI16(least.Get()))
		count()
		for pair := 3; pair >= 0; pair-- {
			l.StoreV128(l.q.Get(), pair*panelStep, codes.Get().LaneI32(byte(pair)).Splat())
		}
		l.bump(l.p, 32)
		l.bump(l.q, 4*panelStep)
	})
	store()
}

// sumCodes adds up the codes of row m, 8 of them at each count, and stores the sum; without
// zero points it does nothing.
func (l *linearAsm) sumCodes(codes vecVar) (count, store func()) {
	if !l.zeros {
		return func() {}, func() {}
	}
	ones, sum := l.hold(emit.AllI16(1)), l.hold(emit.AllI32(0))
	return func() { sum.Set(sum.Get().AddI32(codes.Get().Dot(ones.Get()))) }, func() {
		total := sum.Get().LaneI32(0)
		for lane := byte(1); lane < 4; lane++ {
			total = total.Add(sum.Get().LaneI32(lane))
		}
		l.StoreI32(l.scales.Get().Add(l.m.Get().Shl(2)), rowSums, total)
	}
}

// multiply sums the block: over blocks of depth, over columns, one tile.
func (l *linearAsm) multiply() {
	l.each(l.k0, num(0), l.arg(linK8), depthBlock, func() {
		left := l.arg(linK8).Sub(l.k0.Get())
		l.depth.Set(emit.SelectI32(left.LtS(num(depthBlock)), left, num(depthBlock)))
		for rows := tileRows; rows >= 1; rows-- {
			l.If(l.rows.Get().Eq(num(rows)), func() { l.columns(rows) })
		}
	})
}

// columns runs the tile of so many rows over all columns.
func (l *linearAsm) columns(rows int) {
	acc := l.p
	acc.Set(l.acc.Get())
	l.q.Set(l.arg(linW).Add(l.k0.Get().Shl(3)))
	l.n.Set(l.arg(linN16).ShrU(3))
	l.times(l.n, func() {
		l.zero(l.tile.acc[:2*rows]...)
		l.If(l.k0.Get(), func() {
			for i := 2*rows - 1; i >= 0; i-- {
				l.tile.acc[i].Set(acc.Get().LoadV128(16 * i))
			}
		})
		l.tile.a.Set(l.panel.Get().Add(l.k0.Get().Mul(num(panelStep / 2))))
		l.tile.w.Set(l.q.Get())
		l.tile.dot(rows, l.depth)
		for i := 2*rows - 1; i >= 0; i-- {
			l.StoreV128(acc.Get(), 16*i, l.tile.acc[i].Get())
		}
		l.bump(acc, accStep)
		l.q.Set(l.q.Get().Add(l.arg(linK8).Shl(3)))
	})
}

// finish turns the block's sums into output rows.
func (l *linearAsm) finish() {
	e := newEpilogue(l)
	l.each(l.m, num(0), l.rows.Get(), 1, func() {
		e.start()
		l.n.Set(l.arg(linN16).ShrU(4))
		l.times(l.n, e.columns16)
	})
}

// epilogue holds the locals of one output row's finish.
type epilogue struct {
	*linearAsm
	acc, wscale, bias, out intVar
	outW                   []intVar
	scale                  vecVar
	outX                   []vecVar // the row's outlier values
	v                      vecVar
	activate               func(v vecVar) emit.V128
	zeroAt                 []intVar // one pointer, or none
	rowSum                 vecVar   // the row's sum of codes
}

func newEpilogue(l *linearAsm) *epilogue {
	i := l.ints(4)
	e := &epilogue{
		linearAsm: l, acc: i[0], wscale: i[1], bias: i[2], out: i[3], outW: l.ints(l.outliers),
		scale: l.V128(), outX: l.vecs(l.outliers), v: l.V128(),
	}
	e.activate = newAct(l.asm, l.act)
	if l.zeros {
		e.zeroAt, e.rowSum = l.ints(1), l.V128()
	}
	return e
}

// start points at row m.
func (e *epilogue) start() {
	e.scale.Set(e.scales.Get().Add(e.m.Get().Shl(2)).LoadF32(0).Splat())
	e.x.Set(e.row())
	for o := range e.outliers {
		e.outX[o].Set(e.x.Get().Add(e.column(o).Shl(2)).LoadF32(0).Splat())
		e.outW[o].Set(e.arg(linOutW).Add(e.arg(linN16).Mul(num(4 * o))))
	}
	e.acc.Set(e.linearAsm.acc.Get().Add(e.m.Get().Shl(5)))
	e.wscale.Set(e.arg(linWScale))
	e.bias.Set(e.arg(linBias))
	e.out.Set(e.arg(linOut).Add(e.r.Get().Add(e.m.Get()).Mul(e.arg(linOutStride))))
	for _, zero := range e.zeroAt {
		zero.Set(e.arg(linZero))
		e.rowSum.Set(e.scales.Get().Add(e.m.Get().Shl(2)).LoadI32(rowSums).Splat())
	}
}

// columns16 finishes 16 columns and moves on: two tiles' rows of sums.
func (e *epilogue) columns16() {
	for v := 3; v >= 0; v-- {
		sum := e.acc.Get().LoadV128(v/2*accStep + v%2*16)
		for _, zero := range e.zeroAt {
			sum = sum.SubI32(zero.Get().LoadV128(16 * v).MulI32(e.rowSum.Get()))
		}
		x := sum.Float().MulF32(e.scale.Get().MulF32(e.wscale.Get().LoadV128(16 * v)))
		for o := range e.outliers {
			x = x.AddF32(e.outX[o].Get().MulF32(e.outW[o].Get().LoadV128(16 * v)))
		}
		e.v.Set(x.AddF32(e.bias.Get().LoadV128(16 * v)))
		e.StoreV128(e.out.Get(), 16*v, e.activate(e.v))
	}
	e.bump(e.acc, 2*accStep)
	for _, p := range slices.Concat([]intVar{e.wscale, e.bias, e.out}, e.outW, e.zeroAt) {
		e.bump(p, 64)
	}
}
