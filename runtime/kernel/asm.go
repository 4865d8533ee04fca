package kernel

import (
	"strconv"

	"skiff/runtime/emit"
)

// Short names for the locals of a body.
type (
	intVar   = emit.Var[emit.I32]
	floatVar = emit.Var[emit.F32]
	vecVar   = emit.Var[emit.V128]
)

// asm is a kernel's WebAssembly under construction: the common parameters by name.
//
// Two habits serve wazero's compiler, which checks bounds per base local and block and
// hoists nothing: within a loop each stream has one base local, its highest offset is
// touched first, and constants are set to locals before the loop.
type asm struct {
	*emit.Func
	lo, hi, scratch intVar
}

func newAsm(args int) *asm {
	f := emit.NewFunc(3 + args)
	return &asm{Func: f, lo: f.Param(0), hi: f.Param(1), scratch: f.Param(2)}
}

// arg is the kernel's argument i.
func (a *asm) arg(i int) emit.I32 { return a.Param(3 + i).Get() }

func num(n int) emit.I32 { return emit.ConstI32(n) }

// each runs body with i from, from+step, ... below to, which is evaluated every time.
func (a *asm) each(i intVar, from, to emit.I32, step int, body func()) {
	i.Set(from)
	a.Block(func(exit emit.Label) {
		a.Loop(func(again emit.Label) {
			a.BrIf(exit, i.Get().GeS(to))
			body()
			a.bump(i, step)
			a.Br(again)
		})
	})
}

// times runs body n times, n at least 1, counting n down to 0. One branch is taken per
// round.
func (a *asm) times(n intVar, body func()) {
	a.Block(func(exit emit.Label) {
		a.Loop(func(again emit.Label) {
			body()
			a.bump(n, -1)
			a.BrIf(exit, n.Get().Eqz())
			a.Br(again)
		})
	})
}

// bump adds a constant to a local.
func (a *asm) bump(v intVar, by int) { v.Set(v.Get().Add(num(by))) }

// ints, vecs make several locals.
func (a *asm) ints(n int) []intVar {
	out := make([]intVar, n)
	for i := range out {
		out[i] = a.I32()
	}
	return out
}

func (a *asm) vecs(n int) []vecVar {
	out := make([]vecVar, n)
	for i := range out {
		out[i] = a.V128()
	}
	return out
}

// hold sets a new local to a vector.
func (a *asm) hold(x emit.V128) vecVar {
	v := a.V128()
	v.Set(x)
	return v
}

// zero sets vectors to +0.
func (a *asm) zero(vs ...vecVar) {
	for _, v := range vs {
		v.Set(emit.AllI32(0))
	}
}

// fold is the tree 8-4-2-1 over 16 partial sums in four vectors, as fold of the reference.
func (a *asm) fold(p []vecVar) emit.F32 {
	t := a.hold(p[0].Get().AddF32(p[2].Get()).AddF32(p[1].Get().AddF32(p[3].Get())))
	low := t.Get().LaneF32(0).Add(t.Get().LaneF32(2))
	return low.Add(t.Get().LaneF32(1).Add(t.Get().LaneF32(3)))
}

// laneMask is all ones in those of the 4 lanes from column col that are below h.
func laneMask(col, h int) emit.V128 {
	var lanes [4]uint32
	for l := range lanes {
		if col+l < h {
			lanes[l] = ^uint32(0)
		}
	}
	return emit.Lanes(lanes)
}

// chunks runs body over the 16-column chunks of a padded row of h columns. The pointers
// start where they stand and are advanced by 64 bytes a chunk. In the loop over whole
// chunks mask does nothing; in the last, partial one it clears the pad lanes of vector v.
func (a *asm) chunks(n intVar, h int, ptrs []intVar, body func(mask func(v int, x emit.V128) emit.V128)) {
	if whole := h / 16; whole > 0 {
		n.Set(num(whole))
		a.times(n, func() {
			body(func(_ int, x emit.V128) emit.V128 { return x })
			for _, p := range ptrs {
				a.bump(p, 64)
			}
		})
	}
	if h%16 != 0 {
		body(func(v int, x emit.V128) emit.V128 { return x.And(laneMask(4*v, h%16)) })
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
