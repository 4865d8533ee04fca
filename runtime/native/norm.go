package native

import "skiff/runtime/kernel"

// bindNorm binds norm and addnorm, whose arguments are x, perhaps a residual, gamma, beta
// and out.
func (o *floatOps) bindNorm(f kernel.Form) runFunc {
	if o.norm == nil {
		return nil
	}
	row := 4 * pad16(f.Hidden)
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		if lo >= hi {
			return
		}
		var residual *float32
		if len(args) == 5 {
			residual = floatAt(mem, int(args[1])+lo*row)
		}
		rest := args[len(args)-3:]
		gamma, beta := floatAt(mem, int(rest[0])), floatAt(mem, int(rest[1]))
		out, x := floatAt(mem, int(rest[2])+lo*row), floatAt(mem, int(args[0])+lo*row)
		o.norm(out, x, residual, gamma, beta, hi-lo, f.Hidden, f.Eps)
	}
}

// bindNoNorm binds nonorm, whose arguments are x, perhaps a residual, gain, bias and out.
func (o *floatOps) bindNoNorm(f kernel.Form) runFunc {
	if o.affine == nil || o.add == nil {
		return nil
	}
	h, w := f.Hidden, pad16(f.Hidden)
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		rest := args[len(args)-3:]
		for r := lo; r < hi; r++ {
			x, out := floatAt(mem, int(args[0])+r*4*w), floats(mem, int(rest[2])+r*4*w, w)
			if f.Residual {
				o.add(&out[0], x, floatAt(mem, int(args[1])+r*4*w), w)
				x = &out[0]
			}
			o.affine(&out[0], x, floatAt(mem, int(rest[0])), floatAt(mem, int(rest[1])), w)
			clear(out[h:])
		}
	}
}

func (o *floatOps) bindAdd(f kernel.Form) runFunc {
	if o.add == nil {
		return nil
	}
	w := pad16(f.Hidden)
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		if lo < hi { // rows are dense
			at := func(i int) *float32 { return floatAt(mem, int(args[i])+lo*4*w) }
			o.add(at(2), at(0), at(1), (hi-lo)*w)
		}
	}
}
