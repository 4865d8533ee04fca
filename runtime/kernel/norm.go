package kernel

import "cmp"

// NewAddNorm returns y = LayerNorm(x + residual) over rows of h columns.
//
// Arguments: x, residual f32 [M][Pad16(h)]; gamma, beta f32 [Pad16(h)]; out f32
// [M][Pad16(h)], which may be x or residual.
func NewAddNorm(h int, eps float32) (*Kernel, error) {
	if err := cmp.Or(checkRange("h", h, 1, maxHidden), checkPositive("eps", eps)); err != nil {
		return nil, err
	}
	row := 4 * pad16(h)
	return &Kernel{
		name: canonical("addnorm", digestAddNorm, "h"+itoa(h)+",eps"+hexFloat(eps)),
		args: []Arg{
			readArg("x", perToken(row)), readArg("residual", perToken(row)),
			readArg("gamma", fixed(row)), readArg("beta", fixed(row)),
			writeArg("out", perToken(row)),
		},
		domain:  Rows,
		grain:   8,
		inPlace: true,
		check:   func(call) error { return nil },
		scratch: func(call) uint64 { return 0 },
		cost:    func(call) uint64 { return 4 * uint64(h) },
		body:    func() []byte { return addNormBody(h, eps) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for r := lo; r < hi; r++ {
				x := view[float32](mem, int(args[0])+r*row, row/4)
				res := view[float32](mem, int(args[1])+r*row, row/4)
				out := view[float32](mem, int(args[4])+r*row, row/4)
				for i := range out {
					out[i] = x[i] + res[i]
				}
				gamma := view[float32](mem, int(args[2]), row/4)
				beta := view[float32](mem, int(args[3]), row/4)
				layerNorm(out, gamma, beta, h, eps)
			}
		},
	}, nil
}

// layerNorm normalises a row of h columns in place:
//
//	mean = sum(x)/h; d = x-mean; r = 1/sqrt(sum(d·d)/h + eps); y = (d·r)·gamma + beta
//
// with d and y forced to +0 on the pad lanes.
func layerNorm(x, gamma, beta []float32, h int, eps float32) {
	mean := sum(x) / float32(h)
	for i := range x[:h] {
		x[i] -= mean
	}
	clear(x[h:])
	variance := sumSquares(x) / float32(h)
	r := 1 / sqrt32(variance+eps)
	gamma, beta = gamma[:len(x)], beta[:len(x)]
	for i, d := range x[:h] {
		x[i] = float32(float32(d*r)*gamma[i]) + beta[i]
	}
}
