package native

import "skiff/runtime/kernel"

// bindActivation is nil if the set lacks the activation.
func (o *floatOps) bindActivation(f kernel.Form) runFunc {
	act, h, w := o.act[f.Act], f.Hidden, pad16(f.Hidden)
	if act == nil {
		return nil
	}
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		if h == w && lo < hi {
			act(floatAt(mem, int(args[1])+lo*4*w), floatAt(mem, int(args[0])+lo*4*w), (hi-lo)*w)
			return
		}
		for r := lo; r < hi; r++ {
			out := floats(mem, int(args[1])+r*4*w, w)
			act(&out[0], floatAt(mem, int(args[0])+r*4*w), w)
			clear(out[h:])
		}
	}
}

// bindGLU is nil if the set lacks the activation.
func (o *floatOps) bindGLU(f kernel.Form) runFunc {
	act, width := o.act[f.Act], f.Hidden
	if o.mul == nil || act == nil && f.Act != kernel.ActNone {
		return nil
	}
	in, w := pad16(2*width), pad16(width)
	whole := width &^ 15
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		for r := lo; r < hi; r++ {
			x, out := floats(mem, int(args[0])+r*4*in, in), floats(mem, int(args[1])+r*4*w, w)
			if act == nil {
				copy(out, x)
			} else {
				act(&out[0], &x[0], w)
			}
			gates := x[width : 2*width]
			if whole > 0 {
				o.mul(&out[0], &out[0], &gates[0], whole)
			}
			// The gates' last few may end where the row, and the memory, does.
			for i := whole; i < width; i++ {
				out[i] *= gates[i]
			}
			clear(out[width:])
		}
	}
}
