package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// attend is a case of NewAttend: q, k and v in one array or each in its own, from column
// first on; tables for sequences of up to span.
func (w *workspace) attend(t testing.TB, a, d int, o AttendOptions, lengths []int, span int) testCase {
	k, err := NewAttend(a, d, 1/sqrt32(float32(d)), o)
	h, p := a*d, o.places()
	starts, tokens := w.starts(lengths)
	args := make([]uint32, p.count)
	apart := w.intn(2) == 0
	stride, first := 4*pad16(3*h), 0
	if apart {
		first = w.intn(5)
		stride = 4 * pad16(h+first)
	}
	for i, at := range p.part {
		args[at+1], args[at+2] = uint32(stride), uint32(i*h)
		switch {
		case apart:
			args[at], args[at+2] = w.rows(tokens, h+first, stride), uint32(first)
		case i == 0:
			args[at] = w.rows(tokens, 3*h, stride)
		default:
			args[at] = args[p.part[0]]
		}
	}
	args[p.starts], args[p.outStride] = starts, uint32(4*pad16(h))
	if o.Bias {
		args[p.bias], args[p.biasSpan] = w.floats(a*(2*span-1), w.float), uint32(span)
	}
	if o.Rotary {
		args[p.cos], args[p.sin], args[p.places] = w.floats(span*d/2, w.float), w.floats(span*d/2, w.float), uint32(span)
	}
	const rows = 9
	if o.C2P {
		args[p.keys] = w.rows(rows, h, 4*pad16(h))
	}
	if o.P2C {
		args[p.queries] = w.rows(rows, h, 4*pad16(h))
	}
	if o.disentangled() {
		args[p.rows], args[p.deltaSpan], args[p.deltas] = rows, uint32(span), w.take(4*(2*span-1))
		for i := range 2*span - 1 {
			w.putI32(args[p.deltas], i, w.intn(rows+1)) // now and then one past the end
		}
	}
	args[p.out] = w.dirty(tokens * 4 * pad16(h))
	return w.finish(t, k, err, tokens, len(lengths), args...)
}

// attendOptions are those that models take, then all together.
var attendOptions = []AttendOptions{
	{}, {Window: 3}, {Bias: true}, {Rotary: true}, {Rotary: true, Window: 64}, {C2P: true, P2C: true}, {C2P: true}, {P2C: true},
	{Window: 17, Bias: true, Rotary: true, C2P: true, P2C: true},
}

// attendDigestCases are the inputs of attend's digest.
func attendDigestCases(t testing.TB, w workspace) []testCase {
	var out []testCase
	for _, o := range attendOptions {
		out = append(out, w.attend(t, 2, 32, o, []int{5, 0, 40}, 48), w.attend(t, 3, 14, o, []int{17, 1}, 9))
	}
	return out
}

// TestAttendShapes compares attend over options, head sizes, lengths and batches.
func TestAttendShapes(t *testing.T) {
	ms := machines(t)
	r := random{state: 8}
	for n, o := range attendOptions {
		for i, d := range []int{1, 2, 4, 6, 8, 10, 16, 26, 32, 34, 64} {
			if o.Rotary && d%2 != 0 {
				d = 12
			}
			for kind := range flavours {
				if testing.Short() && (n+i+int(kind))%4 != 0 {
					continue
				}
				w := workspace{random: random{state: uint64(n)*10000 + uint64(i)*100 + uint64(kind)}, kind: kind}
				lengths := w.lengths(3, 40)
				c := w.attend(t, 1+w.intn(3), d, o, lengths, 1+w.intn(60))
				checkCase(t, ms, c, &r, fmt.Sprintf("options %q, head size %d, flavour %d, lengths %v", o, d, kind, lengths))
			}
		}
	}
	for n := range 40 { // every row tail and pad
		for i, o := range attendOptions {
			w := workspace{random: random{state: uint64(n*10 + i)}}
			checkCase(t, compilers(ms), w.attend(t, 2, 8, o, []int{n}, 30), &r, fmt.Sprintf("options %q, %d tokens", o, n))
		}
	}
	for _, o := range attendOptions[1:] {
		w := workspace{}
		checkCase(t, compilers(ms), w.attend(t, 2, 16, o, []int{300, 3}, 200), &r, fmt.Sprintf("options %q, 300 tokens", o))
	}
	for window := 1; window < 40; window += 3 {
		w := workspace{random: random{state: uint64(window)}}
		checkCase(t, compilers(ms), w.attend(t, 1, 8, AttendOptions{Window: window}, []int{70}, 1), &r, fmt.Sprintf("window %d", window))
	}
}

// TestAttendPlainIsAttention holds attend without options equal to attention.
func TestAttendPlainIsAttention(t *testing.T) {
	w := workspace{}
	c := w.attention(t, 3, 26, []int{7, 0, 21})
	k, err := NewAttend(3, 26, 1/sqrt32(26), AttendOptions{})
	check(t, err)
	args := make([]uint32, AttendOptions{}.places().count)
	for i := range 3 {
		args[3*i], args[3*i+1], args[3*i+2] = c.args[attQKV], c.args[attStride], uint32(i*78)
	}
	args[9], args[10], args[11] = c.args[attStarts], c.args[attOut], c.args[attOutStride]
	other := c
	other.kernel, other.args = k, args
	whole := []int{0, 9}
	if firstDifference(reference(other, whole), reference(c, whole)) >= 0 {
		t.Error("attend differs from attention")
	}
}

// TestAttendTextbook checks every option against its formula in float64.
func TestAttendTextbook(t *testing.T) {
	const a, n = 2, 19
	for _, o := range attendOptions {
		for _, d := range []int{6, 16} {
			w := workspace{}
			c := w.attend(t, a, d, o, []int{4, n}, 12)
			after := reference(c, []int{0, 2 * a})
			book := attendBook{c: c, o: o, p: o.places(), a: a, d: d, first: 4, n: n}
			for head := range a {
				for i := range n {
					for k, want := range book.row(head, i) {
						got := float64(f32(after, c.args[book.p.out]+uint32(4+i)*c.args[book.p.outStride], head*d+k))
						if math.Abs(got-want) > 2e-6 {
							t.Fatalf("options %q d %d head %d row %d column %d: %v, want %v", o, d, head, i, k, got, want)
						}
					}
				}
			}
		}
	}
}

// attendBook is attend by the formulas of NewAttend.
type attendBook struct {
	c        testCase
	o        AttendOptions
	p        attendPlaces
	a, d     int
	first, n int
}

func (b *attendBook) value(part, head, t, k int) float64 {
	at := b.p.part[part]
	column := int(b.c.args[at+2]) + head*b.d + k
	return float64(f32(b.c.mem, b.c.args[at]+uint32(b.first+t)*b.c.args[at+1], column))
}

func (b *attendBook) turned(part, head, t, k int) float64 {
	x := b.value(part, head, t, k)
	if !b.o.Rotary {
		return x
	}
	half := b.d / 2
	place := min(t, int(b.c.args[b.p.places])-1)*half + k%half
	cos, sin := float64(f32(b.c.mem, b.c.args[b.p.cos], place)), float64(f32(b.c.mem, b.c.args[b.p.sin], place))
	if k < half {
		return x*cos - b.value(part, head, t, k+half)*sin
	}
	return x*cos + b.value(part, head, t, k-half)*sin
}

// entry is the place of distance j-i in a table.
func (b *attendBook) entry(spanArg, i, j int) int {
	span := int(b.c.args[spanArg])
	return max(-span+1, min(span-1, j-i)) + span - 1
}

func (b *attendBook) score(head, i, j int) float64 {
	var s float64
	for k := range b.d {
		s += b.turned(0, head, i, k) * b.turned(1, head, j, k)
		if b.o.C2P || b.o.P2C {
			r := binary.LittleEndian.Uint32(b.c.mem[int(b.c.args[b.p.deltas])+4*b.entry(b.p.deltaSpan, i, j):])
			off := min(r, b.c.args[b.p.rows]-1) * uint32(4*pad16(b.a*b.d))
			if b.o.C2P {
				s += b.turned(0, head, i, k) * float64(f32(b.c.mem, b.c.args[b.p.keys]+off, head*b.d+k))
			}
			if b.o.P2C {
				s += b.turned(1, head, j, k) * float64(f32(b.c.mem, b.c.args[b.p.queries]+off, head*b.d+k))
			}
		}
	}
	s /= math.Sqrt(float64(b.d))
	if b.o.Bias {
		row := head * (2*int(b.c.args[b.p.biasSpan]) - 1)
		s += float64(f32(b.c.mem, b.c.args[b.p.bias], row+b.entry(b.p.biasSpan, i, j)))
	}
	return s
}

// row is output row i of a head.
func (b *attendBook) row(head, i int) []float64 {
	out, z := make([]float64, b.d), 0.0
	for j := range b.n {
		if b.o.Window > 0 && max(i-j, j-i) > b.o.Window {
			continue
		}
		e := math.Exp(b.score(head, i, j))
		z += e
		for k := range out {
			out[k] += e * b.value(2, head, j, k)
		}
	}
	for k := range out {
		out[k] /= z
	}
	return out
}

// TestAttendRefuses checks the scalars that a proof needs.
func TestAttendRefuses(t *testing.T) {
	o := AttendOptions{Bias: true, Rotary: true, C2P: true}
	c := (&workspace{}).attend(t, 2, 8, o, []int{5}, 6)
	p := o.places()
	for _, test := range []struct {
		arg   int
		value uint32
	}{
		{p.part[0] + 1, 60}, {p.part[1] + 2, 1 << 30}, {p.part[2] + 2, 16*3 - 15}, {p.biasSpan, 0}, {p.places, 0}, {p.rows, 0},
		{p.deltaSpan, 1<<20 + 1}, {p.outStride, 0}, {p.out, c.args[p.part[0]]}, {p.out, c.args[p.deltas]},
	} {
		args := append([]uint32(nil), c.args...)
		args[test.arg] = test.value
		if _, err := c.kernel.Extents(args, 5, 1); err == nil {
			t.Errorf("%s = %d accepted", c.kernel.Args()[test.arg].Name, test.value)
		}
	}
	if _, err := NewAttend(2, 7, 1, AttendOptions{Rotary: true}); err == nil {
		t.Error("odd head size turned")
	}
	if _, err := NewAttend(2, 8, 1, AttendOptions{Window: -1}); err == nil {
		t.Error("negative window accepted")
	}
}

// FuzzAttend holds the machines to the reference for options of the fuzzer.
func FuzzAttend(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(13), uint8(40), uint8(0x1f), uint8(20))
	ms := machines(f)
	f.Fuzz(func(t *testing.T, state uint64, a, half, tokens, options, window uint8) {
		w := workspace{random: random{state: state}, kind: flavour(options>>5) % flavours}
		o := AttendOptions{Bias: options&1 != 0, Rotary: options&2 != 0, C2P: options&4 != 0, P2C: options&8 != 0}
		if options&16 != 0 {
			o.Window = int(window)
		}
		c := w.attend(t, 1+int(a%4), 2+2*int(half%34), o, w.lengths(3, int(tokens%60)), 1+w.intn(70))
		checkCase(t, ms, c, &w.random, "fuzz")
	})
}
