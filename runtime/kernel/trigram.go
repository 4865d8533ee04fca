package kernel

// NewTrigram returns MobileBERT's trigram of each token: the h columns of the next row of
// its sequence, of its own and of the one before, zeros past the ends.
//
//	out[t] = [x[t+1] | x[t] | x[t-1]]
//
// Arguments: x f32 [M][Pad16(h)]; starts i32 [B+1]; out f32 [M][Pad16(3h)].
func NewTrigram(h int) (*Kernel, error) {
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	in, w := pad16(h), pad16(3*h)
	return &Kernel{
		name: canonical("trigram", digestTrigram, "h"+itoa(h)),
		args: []Arg{
			readArg("x", perToken(4*in)), readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) }),
			writeArg("out", perToken(4*w)),
		},
		domain:  Seqs,
		grain:   1,
		check:   func(call) error { return nil },
		scratch: func(call) uint64 { return 0 },
		cost:    func(c call) uint64 { return c.tokens / c.seqs * uint64(h) },
		body:    func() []byte { return trigramBody(h) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				span := view[int32](mem, int(args[1])+4*s, 2)
				first, end := int(span[0]), int(span[1])
				for t := first; t < end; t++ {
					out := denseRow(mem, args[2], t, w)
					clear(out)
					for i, from := range [3]int{t + 1, t, t - 1} {
						if from >= first && from < end {
							copy(out[i*h:], denseRow(mem, args[0], from, in)[:h])
						}
					}
				}
			}
		},
	}, nil
}
