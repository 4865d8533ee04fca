package kernel

import "cmp"

// NewMeanPool returns the mean over the token rows of each sequence: the sum over
// ascending rows, one accumulator per column, divided by the count. No rows give zeros.
//
// Arguments: x f32 rows, xStride bytes; starts i32 [B+1]; out f32 [B][Pad16(h)].
func NewMeanPool(h int) (*Kernel, error) {
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	row := 4 * pad16(h)
	return &Kernel{
		name: canonical("meanpool", digestMeanPool, "h"+itoa(h)),
		args: []Arg{
			readArg("x", func(c call) uint64 { return c.tokens * c.at(1) }), scalarArg("xStride"),
			readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) }),
			writeArg("out", perSeq(row)),
		},
		domain:  Seqs,
		grain:   1,
		check:   func(c call) error { return checkStride("xStride", c.at(1), uint64(row)) },
		scratch: func(call) uint64 { return 0 },
		cost:    func(c call) uint64 { return c.tokens / c.seqs * uint64(h) },
		body:    func() []byte { return meanPoolBody(h) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				span := view[int32](mem, int(args[2])+4*s, 2)
				out := view[float32](mem, int(args[3])+s*row, row/4)
				meanRows(mem, out, int(args[0]), int(args[1]), int(span[0]), int(span[1]))
			}
		},
	}, nil
}

// meanRows writes to out the mean of the rows [first, end) at base.
func meanRows(mem []byte, out []float32, base, stride, first, end int) {
	clear(out)
	if end <= first {
		return
	}
	for t := first; t < end; t++ {
		x := view[float32](mem, base+t*stride, len(out))
		for i := range out {
			out[i] += x[i]
		}
	}
	n := float32(end - first)
	for i := range out {
		out[i] /= n
	}
}

// minNorm keeps a zero row zero.
const minNorm = 1e-12

// NewL2Norm returns y = x / max(sqrt(sum(x·x)), 1e-12) for each row of h columns.
//
// Arguments: x, out f32 [B][Pad16(h)]; out may be x.
func NewL2Norm(h int) (*Kernel, error) {
	if err := cmp.Or(checkRange("h", h, 1, maxHidden)); err != nil {
		return nil, err
	}
	row := 4 * pad16(h)
	return &Kernel{
		name:    canonical("l2norm", digestL2Norm, "h"+itoa(h)),
		args:    []Arg{readArg("x", perSeq(row)), writeArg("out", perSeq(row))},
		domain:  Seqs,
		grain:   8,
		inPlace: true,
		check:   func(call) error { return nil },
		scratch: func(call) uint64 { return 0 },
		cost:    func(call) uint64 { return 2 * uint64(h) },
		body:    func() []byte { return l2NormBody(h) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				x := view[float32](mem, int(args[0])+s*row, row/4)
				out := view[float32](mem, int(args[1])+s*row, row/4)
				n := sqrt32(sumSquares(x))
				if n < minNorm {
					n = minNorm
				}
				for i := range out {
					out[i] = x[i] / n
				}
			}
		},
	}, nil
}
