package kernel

import "skiff/runtime/emit"

// tileAsm is the inner loop of both matrix products: up to 6 rows by 8 columns in twelve
// vectors, which with the two of the columns, one of the rows and one temporary are
// amd64's sixteen registers.
type tileAsm struct {
	*asm
	acc     []vecVar // [row][2]
	w0, w1  vecVar
	x       vecVar
	a, w, n intVar // row panel, column panel, rounds
}

func newTile(a *asm) tileAsm {
	v, i := a.vecs(2*tileRows+3), a.ints(3)
	return tileAsm{asm: a, acc: v[:2*tileRows], w0: v[12], w1: v[13], x: v[14], a: i[0], w: i[1], n: i[2]}
}

// The steps per round: two depths each for dot, one for mulAdd. A round costs a copy of
// every sum.
const (
	dotSteps = 8
	mulSteps = 8
)

// dot adds depth depths, a multiple of 8, of int8 columns at w to the sums: whole rounds,
// then half of one where there is one left.
func (t *tileAsm) dot(rows int, depth intVar) {
	t.n.Set(depth.Get().ShrU(4))
	t.If(t.n.Get(), func() { t.dotRounds(rows, dotSteps) })
	t.If(depth.Get().And(num(dotSteps)), func() {
		t.n.Set(num(1))
		t.dotRounds(rows, dotSteps/2)
	})
}

// dotRounds runs n rounds of so many steps. The row vector's second use is its last, so
// that the product may overwrite it.
func (t *tileAsm) dotRounds(rows, steps int) {
	t.times(t.n, func() {
		for u := steps - 1; u >= 0; u-- {
			t.w1.Set(t.w.Get().LoadI8x8(16*u + 8))
			t.w0.Set(t.w.Get().LoadI8x8(16 * u))
			for m := rows - 1; m >= 0; m-- {
				t.x.Set(t.a.Get().LoadV128(panelStep*u + 16*m))
				t.add(2*m, emit.V128.AddI32, t.x.Get().Dot(t.w0.Get()))
				t.add(2*m+1, emit.V128.AddI32, t.x.Get().Dot(t.w1.Get()))
			}
		}
		t.bump(t.a, steps*panelStep)
		t.bump(t.w, steps*16)
	})
}

// mulAdd adds 8·n depths of float32 columns at w, a panel of 8, to the sums.
func (t *tileAsm) mulAdd(rows int) {
	const stride = 4 * tileCols
	t.times(t.n, func() {
		// Sums must ascend, but a load at the highest offset proves all lower ones: two
		// loads for nothing save a bounds check at each of the others.
		t.w1.Set(t.w.Get().LoadV128(stride*(mulSteps-1) + 16))
		t.x.Set(t.a.Get().LoadV128(panelStep*(mulSteps-1) + 16*(rows-1)))
		for u := range mulSteps {
			t.w1.Set(t.w.Get().LoadV128(stride*u + 16))
			t.w0.Set(t.w.Get().LoadV128(stride * u))
			for m := rows - 1; m >= 0; m-- {
				t.x.Set(t.a.Get().LoadV128(panelStep*u + 16*m))
				t.add(2*m, emit.V128.AddF32, t.x.Get().MulF32(t.w0.Get()))
				t.add(2*m+1, emit.V128.AddF32, t.x.Get().MulF32(t.w1.Get()))
			}
		}
		t.bump(t.a, mulSteps*panelStep)
		t.bump(t.w, mulSteps*stride)
	})
}

// shiftSteps are the depths of a round of mulShifted.
const shiftSteps = 4

// mulShifted adds 4·n depths of products with rows of floats stride bytes apart at s, of
// which row m of the tile takes the 8 from float rows-1-m on: the other factor is the
// tile's rows at a or, byColumn, its columns at w.
func (t *tileAsm) mulShifted(rows int, s, stride intVar, byColumn bool) {
	t.times(t.n, func() {
		if byColumn {
			t.w1.Set(t.w.Get().LoadV128(4*tileCols*(shiftSteps-1) + 16)) // for the check, as in mulAdd
		} else {
			t.x.Set(t.a.Get().LoadV128(panelStep*(shiftSteps-1) + 16*(rows-1)))
		}
		for u := range shiftSteps {
			if byColumn {
				t.w1.Set(t.w.Get().LoadV128(4*tileCols*u + 16))
				t.w0.Set(t.w.Get().LoadV128(4 * tileCols * u))
			}
			for m := range rows {
				high, low := t.w1, t.w0
				if !byColumn {
					t.x.Set(t.a.Get().LoadV128(panelStep*u + 16*m))
					high, low = t.x, t.x
				}
				off := 4 * (rows - 1 - m)
				t.add(2*m+1, emit.V128.AddF32, s.Get().LoadV128(off+16).MulF32(high.Get()))
				t.add(2*m, emit.V128.AddF32, s.Get().LoadV128(off).MulF32(low.Get()))
			}
			s.Set(s.Get().Add(stride.Get()))
		}
		if byColumn {
			t.bump(t.w, shiftSteps*4*tileCols)
		} else {
			t.bump(t.a, shiftSteps*panelStep)
		}
	})
}

func (t *tileAsm) add(i int, op func(x, y emit.V128) emit.V128, product emit.V128) {
	t.acc[i].Set(op(t.acc[i].Get(), product))
}
