package native

import (
	"unsafe"

	"skiff/runtime/kernel"
)

// table is a table of codes and the index that names its rows.
type table struct{ index, codes, scale, rows uint32 }

// row is the codes and the scale of the entry that row r of the index names. An entry past
// the table is its last.
func (t table) row(mem []byte, r, w int) (id int, codes *int8, scale float32) {
	id = int(min(uint32(ints(mem, t.index+uint32(4*r), 1)[0]), t.rows-1))
	codes = (*int8)(unsafe.Pointer(&mem[int(t.codes)+id*w]))
	return id, codes, *floatAt(mem, int(t.scale)+4*id)
}

func (o *floatOps) bindEmbed(f kernel.Form) runFunc {
	if o.setCodes == nil || o.addCodes == nil || o.norm == nil {
		return nil
	}
	w := pad16(f.Hidden)
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		// ids, types, positions; codes and scales of words, positions and types; gamma,
		// beta, out; how many words, positions and types there are.
		word := table{args[0], args[3], args[4], args[12]}
		place := table{args[2], args[5], args[6], args[13]}
		kind := table{args[1], args[7], args[8], args[14]}
		gamma, beta, dst := args[9], args[10], int(args[11])
		for r := lo; r < hi; r++ {
			out := floatAt(mem, dst+r*4*w)
			_, codes, scale := word.row(mem, r, w)
			o.setCodes(out, codes, 0, scale, w)
			_, codes, scale = kind.row(mem, r, w)
			o.addCodes(out, codes, 0, scale, w)
			_, codes, scale = place.row(mem, r, w)
			o.addCodes(out, codes, 0, scale, w)
		}
		if lo < hi {
			out := floatAt(mem, dst+lo*4*w)
			o.norm(out, out, nil, floatAt(mem, int(gamma)), floatAt(mem, int(beta)), hi-lo, f.Hidden, f.Eps)
		}
	}
}

func (o *floatOps) bindLookup(f kernel.Form) runFunc {
	if o.setCodes == nil || o.addCodes == nil {
		return nil
	}
	h, w, n := f.Hidden, pad16(f.Hidden), f.Tables
	return func(mem, _ []byte, lo, hi int, args []uint32) {
		// Of each table index, codes, scale, rows; then out; then each one's zero points.
		for r := lo; r < hi; r++ {
			out := floats(mem, int(args[4*n])+r*4*w, w)
			put := o.setCodes
			for i := range n {
				t := table{args[4*i], args[4*i+1], args[4*i+2], args[4*i+3]}
				id, codes, scale := t.row(mem, r, w)
				var zero int32
				if f.Zeros {
					zero = ints(mem, args[4*n+1+i]+uint32(4*id), 1)[0]
				}
				put(&out[0], codes, zero, scale, w)
				put = o.addCodes
			}
			if f.Zeros { // they do not keep zero pads zero
				clear(out[h:])
			}
		}
	}
}
