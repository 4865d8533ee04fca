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
			part := func(i int) attentionPart {
				return attentionPart{args[attQKV], args[attStride], uint32(i * a * d)}
			}
			c := attentionCall{
				mem: mem, a: a, d: d, scale: scale, q: part(0), k: part(1), v: part(2),
				starts: args[attStarts], out: attentionPart{args[attOut], args[attOutStride], 0},
			}
			c.run(lo, hi, scratch)
		},
	}, nil
}

// attentionPlan is the layout of attention's scratch for sequences of up to T tokens,
// in bytes from its start, where the transposed keys lie: f32 [T8/8][D8][8]. D8 is the
// head size rounded up to 8.
type attentionPlan struct {
	values int // f32 [D8/8][T8][8]
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
