package kernel

import "skiff/runtime/emit"

// maxParts bounds what stands side by side in a row.
const maxParts = 16

// NewConcat closes the gaps in rows of n parts of h columns: out = [x[0] | x[1] | ...].
// It only moves, so what it is for is the layout: pools write whole chunks of 16 columns.
//
// Arguments: x f32 [B][n·Pad16(h)]; out f32 [B][Pad16(n·h)].
func NewConcat(n, h int) (*Kernel, error) {
	if err := checkRange("n", n, 1, maxParts); err != nil {
		return nil, err
	}
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	in, w := pad16(h), pad16(n*h)
	return &Kernel{
		name:    canonical("concat", digestConcat, "n"+itoa(n)+",h"+itoa(h)),
		args:    []Arg{readArg("x", perSeq(4*n*in)), writeArg("out", perSeq(4*w))},
		domain:  Seqs,
		grain:   8,
		check:   func(call) error { return nil },
		scratch: func(call) uint64 { return 0 },
		cost:    func(call) uint64 { return uint64(n * h) },
		body:    func() []byte { return concatBody(n, h) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				x, out := denseRow(mem, args[0], s, n*in), denseRow(mem, args[1], s, w)
				clear(out)
				for i := range n {
					copy(out[i*h:], x[i*in:][:h])
				}
			}
		},
	}, nil
}

// concatBody is NewConcat's kernel.
func concatBody(n, h int) []byte {
	a := newAsm(2)
	i := a.ints(4)
	s, p, q, count := i[0], i[1], i[2], i[3]
	in, w := pad16(h), pad16(n*h)
	a.each(s, a.lo.Get(), a.hi.Get(), 1, func() {
		q.Set(a.arg(1).Add(s.Get().Mul(num(4 * w))))
		for part := range n {
			p.Set(a.arg(0).Add(s.Get().Mul(num(4 * n * in))).Add(num(4 * part * in)))
			a.moveExact(count, q, p, h, func(off int) emit.V128 { return p.Get().LoadV128(off) }, func(off int) emit.F32 { return p.Get().LoadF32(off) })
		}
		a.clearLanes(q, 0, w-n*h)
	})
	return a.Body()
}
