package kernel

import (
	"cmp"
	"errors"
	"fmt"
)

// AttendOptions are what NewAttend adds to plain attention. They may be combined.
type AttendOptions struct {
	// Window leaves a query i the keys j with |i-j| <= Window; 0 leaves it all.
	Window int
	// Bias adds an entry of a table per head and distance j-i to each scaled score.
	Bias bool
	// Rotary turns queries and keys by the angles of their place in the sequence.
	Rotary bool
	// C2P adds to each product q·k that of q and the key of the distance; P2C that of k
	// and the query of the distance: DeBERTa's disentangled attention.
	C2P, P2C bool
}

// String is the options' part of a kernel's name.
func (o AttendOptions) String() string {
	s := ""
	if o.Window != 0 {
		s += ",w" + itoa(o.Window)
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{o.Bias, ",bias"}, {o.Rotary, ",rotary"}, {o.C2P, ",c2p"}, {o.P2C, ",p2c"}} {
		if flag.on {
			s += flag.name
		}
	}
	return s
}

// disentangled tells whether products with distances are added.
func (o AttendOptions) disentangled() bool { return o.C2P || o.P2C }

// attendPlaces are the places of attend's arguments; those of options not taken are 0.
type attendPlaces struct {
	part                   [3]int // q, k, v: address; then stride and first column
	starts, out, outStride int
	bias, biasSpan         int
	cos, sin, places       int
	keys, queries, rows    int
	deltas, deltaSpan      int
	count                  int
}

func (o AttendOptions) places() attendPlaces {
	p := attendPlaces{part: [3]int{0, 3, 6}, starts: 9, out: 10, outStride: 11, count: 12}
	take := func(on bool, places ...*int) {
		for _, place := range places {
			if on {
				*place = p.count
				p.count++
			}
		}
	}
	take(o.Bias, &p.bias, &p.biasSpan)
	take(o.Rotary, &p.cos, &p.sin, &p.places)
	take(o.C2P, &p.keys)
	take(o.P2C, &p.queries)
	take(o.disentangled(), &p.rows, &p.deltas, &p.deltaSpan)
	return p
}

// args describes the arguments, in the order of places.
func (o AttendOptions) args(a, d int) []Arg {
	p := o.places()
	out := make([]Arg, p.count)
	span := func(place, bytes int) func(call) uint64 {
		return func(c call) uint64 { return (2*c.at(place) - 1) * uint64(bytes) }
	}
	table := func(place, bytes int) func(call) uint64 {
		return func(c call) uint64 { return c.at(place) * uint64(bytes) }
	}
	strided := func(place int) func(call) uint64 {
		return func(c call) uint64 { return c.tokens * c.at(place) }
	}
	for i, name := range []string{"q", "k", "v"} {
		at := p.part[i]
		out[at], out[at+1], out[at+2] = readArg(name, strided(at+1)), scalarArg(name+"Stride"), scalarArg(name+"Column")
	}
	out[p.starts] = readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) })
	out[p.out], out[p.outStride] = writeArg("out", strided(p.outStride)), scalarArg("outStride")
	if o.Bias {
		out[p.bias], out[p.biasSpan] = readArg("bias", span(p.biasSpan, 4*a)), scalarArg("biasSpan")
	}
	if o.Rotary {
		out[p.cos], out[p.sin] = readArg("cos", table(p.places, 2*d)), readArg("sin", table(p.places, 2*d))
		out[p.places] = scalarArg("places")
	}
	row := 4 * pad16(a*d)
	if o.C2P {
		out[p.keys] = readArg("keys", table(p.rows, row))
	}
	if o.P2C {
		out[p.queries] = readArg("queries", table(p.rows, row))
	}
	if o.disentangled() {
		out[p.rows] = scalarArg("rows")
		out[p.deltas], out[p.deltaSpan] = readArg("deltas", span(p.deltaSpan, 4)), scalarArg("deltaSpan")
	}
	return out
}

// maxSpan bounds the lengths that tables of distances and places are for.
const maxSpan = 1 << 20

// check refuses scalars out of bounds.
func (o AttendOptions) check(c call, h int) error {
	p := o.places()
	for i, name := range []string{"q", "k", "v"} {
		stride, column := c.at(p.part[i]+1), c.at(p.part[i]+2)
		if err := checkStride(name+"Stride", stride, uint64(4*pad16(h))); err != nil {
			return err
		}
		if 4*(column+uint64(h)) > stride {
			return fmt.Errorf("argument %sColumn: %d and %d more do not fit stride %d", name, column, h, stride)
		}
	}
	for _, place := range []int{p.biasSpan, p.places, p.rows, p.deltaSpan} {
		if place != 0 && (c.at(place) < 1 || c.at(place) > maxSpan) {
			return fmt.Errorf("argument %s: %d: want 1 to %d", o.args(1, 1)[place].Name, c.at(place), maxSpan)
		}
	}
	return checkStride("outStride", c.at(p.outStride), uint64(4*pad16(h)))
}

// NewAttend is attention of a heads of size d for q, k and v in any places, with options.
// With i and j counted from the start of the sequence, and T a table's span:
//
//	q', k'  = q[i], k[j]; with Rotary, for c < d/2 and D = d/2, at t = i or j:
//	          x'[c]   = x[c]·cos[t][c]   - x[c+D]·sin[t][c]
//	          x'[c+D] = x[c+D]·cos[t][c] + x[c]·sin[t][c]
//	r       = deltas[j-i + T-1]
//	s[i][j] = (sum over d of q'·k', going on over d of q'·keys[r], then of k'·queries[r])·scale
//	          + bias[head][j-i + T-1]
//	m[i], e[i][j], z[i], out[i] as of NewAttention over the keys in the window
//
// Arguments: for each of q, k and v f32 rows, their stride in bytes and the first of
// their H = a·d columns; starts i32 [B+1]; out f32 rows of Pad16(H), outStride in bytes;
// then of each option taken, in this order:
//
//	Bias       bias f32 [a][2T-1], biasSpan T
//	Rotary     cos, sin f32 [places][d/2], places
//	C2P, P2C   keys f32 [rows][Pad16(H)] (C2P), queries likewise (P2C), rows;
//	           deltas i32 [2T-1], deltaSpan T
//
// A distance or place past its table reads the table's last entry, on its side. The
// arrays q, k, v may be one and overlap at will.
func NewAttend(a, d int, scale float32, o AttendOptions) (*Kernel, error) {
	if err := cmp.Or(checkRange("a", a, 1, maxHeads), checkRange("d", d, 1, maxHeadSize), checkPositive("scale", scale),
		checkRange("w", o.Window, 0, maxSpan)); err != nil {
		return nil, err
	}
	if o.Rotary && d%2 != 0 {
		return nil, errors.New("parameter d: rotary wants an even head size")
	}
	return &Kernel{
		name:    canonical("attend", digestAttend, "a"+itoa(a)+",d"+itoa(d)+",s"+hexFloat(scale)+o.String()),
		args:    o.args(a, d),
		domain:  Heads,
		heads:   a,
		grain:   1,
		check:   func(c call) error { return o.check(c, a*d) },
		scratch: func(c call) uint64 { return uint64(planAttend(int(c.tokens), d, o).end) },
		cost:    func(c call) uint64 { return o.cost(c.tokens/c.seqs, uint64(d)) },
		body:    func() []byte { return attendBody(a, d, scale, o) },
		run: func(mem []byte, lo, hi, scratch int, args []uint32) {
			c := newAttendCall(mem, a, d, scale, o, args)
			c.run(lo, hi, scratch)
		},
	}, nil
}

// cost is the products of a head over t tokens.
func (o AttendOptions) cost(t, d uint64) uint64 {
	keys, products := t, uint64(2)
	if o.Window > 0 {
		keys = min(t, 2*uint64(o.Window)+22) // whole tiles
	}
	for _, on := range []bool{o.C2P, o.P2C} {
		if on {
			products++
		}
	}
	return products * t * keys * d
}

// attendPlan is attentionPlan with the tables laid out for one head and sequence.
type attendPlan struct {
	attentionPlan
	bias     int    // f32 [T8+T16]: of distance e-(T-1) at e
	shifted  [2]int // f32 [D8], rows a shiftedStride apart: keys and queries of distances, transposed
	distinct int    // bytes between the rows of shifted
}

// shiftedStride is the bytes of a row of T8+T8 distances: an odd number of cache lines,
// so that a column's lines do not fall on one another.
func shiftedStride(t int) int { return 8*pad(t, 8) | 64 }

func planAttend(t, d int, o AttendOptions) attendPlan {
	p := attendPlan{attentionPlan: planAttention(t, d)}
	p.end = pad(p.end, 64)
	p.bias = p.end
	if o.Bias {
		p.end += 8 * pad16(t)
	}
	p.distinct = shiftedStride(t)
	for i, on := range []bool{o.C2P, o.P2C} {
		p.shifted[i] = p.end
		if on {
			p.end += p.distinct * pad(d, 8)
		}
	}
	return p
}

// newAttendCall is a call of the reference.
func newAttendCall(mem []byte, a, d int, scale float32, o AttendOptions, args []uint32) attentionCall {
	p := o.places()
	part := func(i int) attentionPart {
		at := p.part[i]
		return attentionPart{args[at], args[at+1], args[at+2]}
	}
	c := attentionCall{
		mem: mem, a: a, d: d, scale: scale, q: part(0), k: part(1), v: part(2),
		starts: args[p.starts], out: attentionPart{args[p.out], args[p.outStride], 0}, AttendOptions: o,
	}
	if o.Bias {
		c.biasSpan = int(args[p.biasSpan])
		c.bias = view[float32](mem, int(args[p.bias]), a*(2*c.biasSpan-1))
	}
	if o.Rotary {
		c.places = int(args[p.places])
		c.cos = view[float32](mem, int(args[p.cos]), c.places*d/2)
		c.sin = view[float32](mem, int(args[p.sin]), c.places*d/2)
	}
	if o.C2P {
		c.keys = attentionPart{args[p.keys], uint32(4 * pad16(a*d)), 0}
	}
	if o.P2C {
		c.queries = attentionPart{args[p.queries], uint32(4 * pad16(a*d)), 0}
	}
	if o.disentangled() {
		c.rows, c.deltaSpan = args[p.rows], int(args[p.deltaSpan])
		c.deltas = view[int32](mem, int(args[p.deltas]), 2*c.deltaSpan-1)
	}
	return c
}
