package kernel

import "cmp"

// Places of attention's arguments.
const (
	attQKV = iota
	attStride
	attStarts
	attOut
	attOutStride
)

// NewAttention returns softmax(q·kᵀ·scale)·v for a heads of size d over packed sequences.
//
//	s[i][j] = (sum over d of q[i]·k[j])·scale
//	m[i]    = max over j;  e[i][j] = exp(s[i][j]-m[i]);  z[i] = sum(e[i])
//	out[i]  = (sum over j of e[i][j]·v[j])·(1/z[i]); zeros if z[i] is 0
//
// Arguments: qkv f32 rows holding q at column 0, k at H, v at 2H, H = a·d, and
// qkvStride in bytes; starts i32 [B+1], the first row of each sequence, then the end;
// out f32 rows of Pad16(H), outStride in bytes. The last head zeroes the pad lanes.
func NewAttention(a, d int, scale float32) (*Kernel, error) {
	if err := cmp.Or(checkRange("a", a, 1, maxHeads), checkRange("d", d, 1, maxHeadSize), checkPositive("scale", scale)); err != nil {
		return nil, err
	}
	h := a * d
	return &Kernel{
		name: canonical("attention", digestAttention, "a"+itoa(a)+",d"+itoa(d)+",s"+hexFloat(scale)),
		args: []Arg{
			readArg("qkv", func(c call) uint64 { return c.tokens * c.at(attStride) }), scalarArg("qkvStride"),
			readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) }),
			writeArg("out", func(c call) uint64 { return c.tokens * c.at(attOutStride) }), scalarArg("outStride"),
		},
		domain: Heads,
		heads:  a,
		grain:  1,
		check: func(c call) error {
			return cmp.Or(checkStride("qkvStride", c.at(attStride), uint64(4*pad16(3*h))),
				checkStride("outStride", c.at(attOutStride), uint64(4*pad16(h))))
		},
		scratch: func(c call) uint64 { return uint64(planAttention(int(c.tokens), d).end) },
		cost: func(c call) uint64 {
			t := c.tokens / c.seqs
			return 2 * t * t * uint64(d)
		},
		body: func() []byte { return attentionBody(a, d, scale) },
		run: func(mem []byte, lo, hi, scratch int, args []uint32) {
			h := attentionHead{mem: mem, a: a, d: d, scale: scale, args: args}
			for unit := lo; unit < hi; unit++ {
				h.run(unit/a, unit%a, scratch)
			}
		},
	}, nil
}

// attentionPlan is the layout of attention's scratch for sequences of up to T tokens,
// in bytes from its start, where the transposed keys lie: f32 [T8/8][D8][8]. D8 is the
// head size rounded up to 8.
type attentionPlan struct {
	values int // f32 [T8][D8]
	query  int // f32 [D8][6][4]: six query rows, each value four times; then sums [6][D8]
	scores int // f32 [6][T16]
	probs  int // f32 [T16][6][4]: exp of six rows, each value four times
	end    int
}

func planAttention(t, d int) attentionPlan {
	var p attentionPlan
	p.values = 4 * pad(t, 8) * pad(d, 8)
	p.query = pad(p.values+4*pad(d, 8)*pad(t, 8), 64)
	p.scores = p.query + panelStep*pad(d, 8)
	p.probs = p.scores + 4*tileRows*pad16(t)
	p.end = p.probs + panelStep*pad16(t)
	return p
}

// attentionHead is one call of the reference.
type attentionHead struct {
	mem   []byte
	a, d  int
	scale float32
	args  []uint32
}

// row is part of a row of q, k or v: the head's d values of row t.
func (h *attentionHead) row(t, part, head int) []float32 {
	col := part*h.a*h.d + head*h.d
	return view[float32](h.mem, int(h.args[attQKV])+t*int(h.args[attStride])+4*col, h.d)
}

// run does one head of one sequence.
func (h *attentionHead) run(seq, head, scratch int) {
	span := view[int32](h.mem, int(h.args[attStarts])+4*seq, 2)
	first, end := int(span[0]), int(span[1])
	if end <= first {
		return
	}
	n := end - first
	scores := view[float32](h.mem, scratch, pad16(n))
	for i := first; i < end; i++ {
		base := int(h.args[attOut]) + i*int(h.args[attOutStride])
		out := view[float32](h.mem, base+4*head*h.d, h.d)
		h.scores(scores[:n], h.row(i, 0, head), first, head)
		z := softmax(scores, n)
		h.mix(out, scores[:n], first, head)
		normalize(out, z)
		if head == h.a-1 {
			w := h.a * h.d
			clear(view[float32](h.mem, base+4*w, pad16(w)-w))
		}
	}
}

// scores fills s with the scaled products of q and the keys from row first on. Four
// keys at a time hide the latency of the sums, each of which runs over ascending d.
func (h *attentionHead) scores(s, q []float32, first, head int) {
	j := 0
	for ; j+4 <= len(s); j += 4 {
		k0, k1 := h.row(first+j, 1, head)[:len(q)], h.row(first+j+1, 1, head)[:len(q)]
		k2, k3 := h.row(first+j+2, 1, head)[:len(q)], h.row(first+j+3, 1, head)[:len(q)]
		var s0, s1, s2, s3 float32
		for d, x := range q {
			s0 += float32(x * k0[d])
			s1 += float32(x * k1[d])
			s2 += float32(x * k2[d])
			s3 += float32(x * k3[d])
		}
		s[j], s[j+1], s[j+2], s[j+3] = s0*h.scale, s1*h.scale, s2*h.scale, s3*h.scale
	}
	for ; j < len(s); j++ {
		k := h.row(first+j, 1, head)[:len(q)]
		var sum float32
		for d, x := range q {
			sum += float32(x * k[d])
		}
		s[j] = sum * h.scale
	}
}

// softmax turns the first n scores into exp(s-max), the rest into +0, and returns the sum.
func softmax(s []float32, n int) float32 {
	most := s[0]
	for _, x := range s[1:n] {
		if most < x {
			most = x
		}
	}
	for j := range s[:n] {
		s[j] = exp(s[j] - most)
	}
	clear(s[n:])
	return sum(s)
}

// mix sets out to the sum over ascending j of e[j]·v[j].
func (h *attentionHead) mix(out, e []float32, first, head int) {
	clear(out)
	for j, x := range e {
		v := h.row(first+j, 2, head)[:len(out)]
		for d := range out {
			out[d] += float32(x * v[d])
		}
	}
}

// normalize multiplies by 1/z; a zero z gives zeros.
func normalize(out []float32, z float32) {
	var r float32
	if z != 0 {
		r = 1 / z
	}
	for d := range out {
		out[d] *= r
	}
}
