package kernel

import "cmp"

// rowKernel is a kernel over dense rows that needs no scratch.
func rowKernel(name string, cost int, args []Arg, body func() []byte, run func(mem []byte, lo, hi int, args []uint32)) *Kernel {
	return &Kernel{
		name: name, args: args, domain: Rows, grain: 8, inPlace: true,
		check:   func(call) error { return nil },
		scratch: func(call) uint64 { return 0 },
		cost:    func(call) uint64 { return uint64(cost) },
		body:    body,
		run:     func(mem []byte, lo, hi, _ int, args []uint32) { run(mem, lo, hi, args) },
	}
}

// denseRow is row r of padded rows of w floats at an address.
func denseRow(mem []byte, base uint32, r, w int) []float32 {
	return view[float32](mem, int(base)+r*4*w, w)
}

// NewNorm returns y = LayerNorm(x) over rows of h columns: NewAddNorm without a residual.
//
// Arguments: x f32 [M][Pad16(h)]; gamma, beta f32 [Pad16(h)]; out f32 [M][Pad16(h)],
// which may be x.
func NewNorm(h int, eps float32) (*Kernel, error) {
	if err := cmp.Or(checkRange("h", h, 1, maxHidden), checkPositive("eps", eps)); err != nil {
		return nil, err
	}
	w := pad16(h)
	args := []Arg{
		readArg("x", perToken(4*w)), readArg("gamma", fixed(4*w)), readArg("beta", fixed(4*w)), writeArg("out", perToken(4*w)),
	}
	name := canonical("norm", digestNorm, "h"+itoa(h)+",eps"+hexFloat(eps))
	return rowKernel(name, 4*h, args, func() []byte { return normBody(h, eps) }, func(mem []byte, lo, hi int, args []uint32) {
		gamma, beta := denseRow(mem, args[1], 0, w), denseRow(mem, args[2], 0, w)
		for r := lo; r < hi; r++ {
			out := denseRow(mem, args[3], r, w)
			copy(out, denseRow(mem, args[0], r, w))
			layerNorm(out, gamma, beta, h, eps)
		}
	}), nil
}

// NewNoNorm returns y = x·gain + bias over rows of h columns, or (x + residual)·gain +
// bias: what stands in MobileBERT where others have a layer norm. Pad lanes are +0.
//
// Arguments: x f32 [M][Pad16(h)]; residual likewise, if there is one; gain, bias f32
// [Pad16(h)]; out f32 [M][Pad16(h)], which may be x or residual.
func NewNoNorm(h int, residual bool) (*Kernel, error) {
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	w := pad16(h)
	args := []Arg{readArg("x", perToken(4*w))}
	name := canonical("nonorm", digestNoNorm, "h"+itoa(h))
	if residual {
		name += ",residual"
		args = append(args, readArg("residual", perToken(4*w)))
	}
	args = append(args, readArg("gain", fixed(4*w)), readArg("bias", fixed(4*w)), writeArg("out", perToken(4*w)))
	return rowKernel(name, 2*h, args, func() []byte { return noNormBody(h, residual) }, func(mem []byte, lo, hi int, args []uint32) {
		rest := args[len(args)-3:]
		gain, bias := denseRow(mem, rest[0], 0, w), denseRow(mem, rest[1], 0, w)
		for r := lo; r < hi; r++ {
			x, out := denseRow(mem, args[0], r, w), denseRow(mem, rest[2], r, w)
			if residual {
				res := denseRow(mem, args[1], r, w)
				for i := range h {
					out[i] = float32((x[i]+res[i])*gain[i]) + bias[i]
				}
			} else {
				for i := range h {
					out[i] = float32(x[i]*gain[i]) + bias[i]
				}
			}
			clear(out[h:])
		}
	}), nil
}

// NewAdd returns x + y over rows of h columns.
//
// Arguments: x, y f32 [M][Pad16(h)]; out f32 [M][Pad16(h)], which may be x or y.
func NewAdd(h int) (*Kernel, error) {
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	w := pad16(h)
	args := []Arg{readArg("x", perToken(4*w)), readArg("y", perToken(4*w)), writeArg("out", perToken(4*w))}
	name := canonical("add", digestAdd, "h"+itoa(h))
	return rowKernel(name, h, args, func() []byte { return addBody(h) }, func(mem []byte, lo, hi int, args []uint32) {
		for r := lo; r < hi; r++ {
			x, y, out := denseRow(mem, args[0], r, w), denseRow(mem, args[1], r, w), denseRow(mem, args[2], r, w)
			for i := range out {
				out[i] = x[i] + y[i]
			}
		}
	}), nil
}

// activationDigests is the digest of NewActivation for an activation; none for ActNone.
func activationDigests(a Act) string {
	if a <= ActNone || a > ActSigmoid {
		return ""
	}
	return digestActivation
}

// NewActivation returns y = act(x) over rows of h columns. Pad lanes are +0.
//
// Arguments: x f32 [M][Pad16(h)]; out f32 [M][Pad16(h)], which may be x.
func NewActivation(h int, act Act) (*Kernel, error) {
	if err := cmp.Or(checkRange("h", h, 1, maxHidden), act.check(activationDigests)); err != nil {
		return nil, err
	}
	w := pad16(h)
	args := []Arg{readArg("x", perToken(4*w)), writeArg("out", perToken(4*w))}
	name := canonical("activation", activationDigests(act), "h"+itoa(h)+","+act.String())
	return rowKernel(name, 8*h, args, func() []byte { return activationBody(h, act) }, func(mem []byte, lo, hi int, args []uint32) {
		for r := lo; r < hi; r++ {
			x, out := denseRow(mem, args[0], r, w), denseRow(mem, args[1], r, w)
			for i := range h {
				out[i] = act.apply(x[i])
			}
			clear(out[h:])
		}
	}), nil
}

// gluDigests is the digest of NewGLU for an activation.
func gluDigests(a Act) string {
	if a < ActNone || a > ActSigmoid {
		return ""
	}
	return digestGLU
}

// NewGLU returns y = act(x[:f])·x[f:2f], the gated linear unit, over rows of 2f columns.
// Pad lanes are +0.
//
// Arguments: x f32 [M][Pad16(2f)]; out f32 [M][Pad16(f)].
func NewGLU(f int, act Act) (*Kernel, error) {
	if err := cmp.Or(checkRange("f", f, 1, maxHidden), act.check(gluDigests)); err != nil {
		return nil, err
	}
	in, w := pad16(2*f), pad16(f)
	args := []Arg{readArg("x", perToken(4*in)), writeArg("out", perToken(4*w))}
	name := canonical("glu", gluDigests(act), "f"+itoa(f)+","+act.String())
	k := rowKernel(name, 8*f, args, func() []byte { return gluBody(f, act) }, func(mem []byte, lo, hi int, args []uint32) {
		for r := lo; r < hi; r++ {
			x, out := denseRow(mem, args[0], r, in), denseRow(mem, args[1], r, w)
			for i := range f {
				out[i] = act.apply(x[i]) * x[f+i]
			}
			clear(out[f:])
		}
	})
	k.inPlace = false
	return k, nil
}
