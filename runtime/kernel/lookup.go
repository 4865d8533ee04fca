package kernel

import (
	"cmp"
	"errors"
)

// Places of one table's arguments in lookup: of table i from lookupTable·i on.
const (
	lookupIndex = iota
	lookupCodes
	lookupScale
	lookupRows
	lookupTable
)

// maxTables is how many tables a lookup adds up.
const maxTables = 3

// NewLookup returns the sum of one row of each of n (1 to 3) tables, int8 codes times a
// scale per row: NewEmbed without the norm, its tables in any order.
//
//	x = (table0 + table1) + table2
//
// Arguments: for each table index i32 [M], codes i8 [rows][Pad16(h)], scale f32 [rows],
// rows; then out f32 [M][Pad16(h)]. An index is compared unsigned; one past its table
// reads the last row.
func NewLookup(n, h int) (*Kernel, error) { return newLookup(n, h, false) }

// NewLookupZero is NewLookup for tables with a zero point per row: a code stands for
// (code - zero[row])·scale[row], the difference taken mod 2^32. Of each table a zero i32
// [rows] follows out.
func NewLookupZero(n, h int) (*Kernel, error) { return newLookup(n, h, true) }

func newLookup(n, h int, zeros bool) (*Kernel, error) {
	if err := cmp.Or(checkRange("n", n, 1, maxTables), checkRange("h", h, 1, maxHidden)); err != nil {
		return nil, err
	}
	w := pad16(h)
	var args []Arg
	for i := range n {
		per := func(bytes int) func(call) uint64 {
			return func(c call) uint64 { return c.at(lookupTable*i+lookupRows) * uint64(bytes) }
		}
		suffix := itoa(i)
		args = append(args, readArg("index"+suffix, perToken(4)), readArg("codes"+suffix, per(w)),
			readArg("scale"+suffix, per(4)), scalarArg("rows"+suffix))
	}
	args = append(args, writeArg("out", perToken(4*w)))
	digest, params := digestLookup, "n"+itoa(n)+",h"+itoa(h)
	if zeros {
		digest, params = digestLookupZero, params+",zero"
		for i := range n {
			args = append(args, readArg("zero"+itoa(i), func(c call) uint64 { return 4 * c.at(lookupTable*i+lookupRows) }))
		}
	}
	k := rowKernel(canonical("lookup", digest, params), 2*n*h, args, func() []byte { return lookupBody(n, h, zeros) }, func(mem []byte, lo, hi int, args []uint32) {
		for r := lo; r < hi; r++ {
			out := denseRow(mem, args[n*lookupTable], r, w)
			for i := range n {
				t := args[i*lookupTable:]
				row, scale := tableRow(mem, r, w, t[lookupIndex], t[lookupCodes], t[lookupScale], t[lookupRows])
				var zero int32
				if zeros {
					at := tableEntry(mem, r, t[lookupIndex], t[lookupRows])
					zero = view[int32](mem, int(args[n*lookupTable+1+i])+4*at, 1)[0]
				}
				addCodes(out, row, zero, scale, i == 0)
			}
			if zeros { // they do not keep zero pads zero
				clear(out[h:])
			}
		}
	})
	k.inPlace = false
	k.check = func(c call) error {
		for i := range n {
			if c.at(lookupTable*i+lookupRows) == 0 {
				return errors.New("empty table")
			}
		}
		return nil
	}
	return k, nil
}

// addCodes adds codes, less their zero point, times scale to out, or sets it.
func addCodes(out []float32, codes []int8, zero int32, scale float32, set bool) {
	codes = codes[:len(out)]
	if set {
		for i, c := range codes {
			out[i] = float32(int32(c)-zero) * scale
		}
		return
	}
	for i, c := range codes {
		out[i] += float32(float32(int32(c)-zero) * scale)
	}
}
