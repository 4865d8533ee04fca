package native

import "skiff/runtime/kernel"

// bindMeanPool binds the mean over the rows of a sequence: x, xStride, starts, out.
func (o *floatOps) bindMeanPool(f kernel.Form) runFunc {
	if o.add == nil || o.divide == nil {
		return nil
	}
	w := pad16(f.Hidden)
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		for s := lo; s < hi; s++ {
			span := ints(mem, args[2]+uint32(4*s), 2)
			first, end := int(span[0]), int(span[1])
			out := floats(mem, int(args[3])+s*4*w, w)
			clear(out)
			for t := first; t < end; t++ {
				o.add(&out[0], &out[0], floatAt(mem, int(args[0])+t*int(args[1])), w)
			}
			if first < end {
				o.divide(&out[0], &out[0], float32(end-first), w)
			}
		}
	}
}
