package kernel

import (
	"encoding/binary"
	"math"
	"testing"
)

// random is splitmix64: the name digests need the same numbers for ever.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) intn(n int) int { return int(r.next() % uint64(n)) }

// float is about normal: a sum of four uniform numbers, of mean 0 and variance 1/3.
func (r *random) float() float32 {
	var sum int64
	for range 4 {
		sum += int64(int32(r.next())) >> 8
	}
	return float32(sum) / (1 << 24)
}

// flavour is what sort of numbers a case is filled with.
type flavour int

const (
	plain flavour = iota
	extremes
	zeros
	outlier
	denormals
	tiny
	flavours
)

// value is one activation of a flavour.
func (r *random) value(f flavour) float32 {
	x := r.float()
	switch f {
	case zeros:
		return []float32{0, float32(math.Copysign(0, -1))}[r.intn(2)]
	case extremes:
		return []float32{-3, 3, 0, 1e-3, -1e4}[r.intn(5)]
	case outlier:
		if r.intn(40) == 0 {
			return x * 1e6
		}
	case denormals:
		return x * 0x1p-128
	case tiny:
		return x * 0x1p-99
	}
	return x
}

// code is one weight of a flavour.
func (r *random) code(f flavour) byte {
	switch f {
	case extremes:
		return []byte{0x80, 0x81, 0x7f, 0}[r.intn(4)]
	case zeros:
		return 0
	}
	return byte(r.next())
}

// workspace is a case under construction: memory full of guard bytes in which regions
// are taken one after another, 64 bytes of guard between them.
type workspace struct {
	random
	mem  []byte
	kind flavour
}

const guard = 0xa5

// take adds a region of zeros and returns its offset.
func (w *workspace) take(bytes int) uint32 {
	for len(w.mem) == 0 || len(w.mem)%64 != 0 {
		w.mem = append(w.mem, guard)
	}
	off := len(w.mem)
	w.mem = append(w.mem, make([]byte, bytes)...)
	for range 64 {
		w.mem = append(w.mem, guard)
	}
	return uint32(off)
}

func (w *workspace) putF32(off uint32, i int, x float32) {
	binary.LittleEndian.PutUint32(w.mem[int(off)+4*i:], math.Float32bits(x))
}

func (w *workspace) putI32(off uint32, i int, x int) {
	binary.LittleEndian.PutUint32(w.mem[int(off)+4*i:], uint32(x))
}

// rows adds m rows of n values in stride bytes, pads zero.
func (w *workspace) rows(m, n, stride int) uint32 {
	off := w.take(m * stride)
	for r := range m {
		for c := range n {
			w.putF32(off+uint32(r*stride), c, w.value(w.kind))
		}
	}
	return off
}

// floats adds a vector of n values in a padded row.
func (w *workspace) floats(n int, value func() float32) uint32 {
	off := w.take(4 * pad16(n))
	for i := range n {
		w.putF32(off, i, value())
	}
	return off
}

// scale is about 0.02. It must not be fused either: the digests are of the same inputs.
func (w *workspace) scale() float32 { return (float32(w.float()*0.1) + 1) * 0.02 }

// dirty adds an output region of rubbish, which a kernel must overwrite.
func (w *workspace) dirty(bytes int) uint32 {
	off := w.take(bytes)
	for i := range bytes {
		w.mem[int(off)+i] = 0x5a
	}
	return off
}

// starts adds the row starts of sequences and returns them with the count of rows.
func (w *workspace) starts(lengths []int) (off uint32, tokens int) {
	off = w.take(4 * (len(lengths) + 1))
	for i, n := range lengths {
		tokens += n
		w.putI32(off, i+1, tokens)
	}
	return off, tokens
}

// testCase is one call over a whole domain.
type testCase struct {
	kernel       *Kernel
	mem          []byte
	args         []uint32
	tokens, seqs int
	scratch      uint32 // everything from here on
}

// finish adds scratch and closes the case.
func (w *workspace) finish(t testing.TB, k *Kernel, err error, tokens, seqs int, args ...uint32) testCase {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Extents(args, tokens, seqs); err != nil {
		t.Fatal(err)
	}
	c := testCase{kernel: k, args: args, tokens: tokens, seqs: seqs}
	c.scratch = w.dirty(int(k.ScratchBytes(args, tokens)))
	c.mem = w.mem
	return c
}

// linearShape is M rows, N columns, K depth.
type linearShape struct{ m, n, k int }

func (w *workspace) linear(t testing.TB, s linearShape, outliers int, act Act) testCase {
	k, err := NewLinear(outliers, act)
	n16, stride := pad16(s.n), 4*pad16(s.k)
	x := w.rows(s.m, s.k, stride)
	codes := make([]byte, s.n*s.k)
	for i := range codes {
		codes[i] = w.code(w.kind)
	}
	panels := w.take(PanelBytes(s.n, s.k))
	if err := PackWeights(w.mem[panels:], codes, 0, s.k); err != nil {
		t.Fatal(err)
	}
	wscale, bias := w.floats(s.n, w.scale), w.floats(s.n, w.float)
	idx, outW := w.take(4*max(outliers, 1)), w.take(4*max(outliers, 1)*n16)
	for o := range outliers {
		w.putI32(idx, o, w.intn(s.k))
		for i := range s.n {
			w.putF32(outW, o*n16+i, w.float())
		}
	}
	out := w.dirty(s.m * 4 * n16)
	return w.finish(t, k, err, s.m, 1, x, uint32(stride), uint32(pad(s.k, 8)), panels, uint32(n16), wscale, bias, idx, outW, out, uint32(4*n16))
}

func (w *workspace) attention(t testing.TB, a, d int, lengths []int) testCase {
	k, err := NewAttention(a, d, 1/sqrt32(float32(d)))
	h := a * d
	starts, tokens := w.starts(lengths)
	stride, outStride := 4*pad16(3*h), 4*pad16(h)
	qkv := w.rows(tokens, 3*h, stride)
	out := w.dirty(tokens * outStride)
	return w.finish(t, k, err, tokens, len(lengths), qkv, uint32(stride), starts, out, uint32(outStride))
}

func (w *workspace) embed(t testing.TB, m, h int) testCase {
	k, err := NewEmbed(h, 1e-12)
	args := make([]uint32, embedKinds+1)
	for i, rows := range []int{50, 7, 3} { // words, places, kinds
		args[embedWords+i] = uint32(rows)
		codes := w.take(rows * pad16(h))
		for r := range rows {
			for c := range h {
				w.mem[int(codes)+r*pad16(h)+c] = w.code(w.kind)
			}
		}
		index := w.take(4 * max(m, 1))
		for r := range m {
			w.putI32(index, r, w.intn(rows+1)) // now and then one past the end
		}
		// The tables come as word, position, type; the indices as id, type, position.
		args[embedWordCodes+2*i], args[embedWordScale+2*i] = codes, w.floats(rows, w.scale)
		args[[]int{embedIDs, embedPositions, embedTypes}[i]] = index
	}
	args[embedGamma], args[embedBeta] = w.floats(h, w.float), w.floats(h, w.float)
	args[embedOut] = w.dirty(m * 4 * pad16(h))
	return w.finish(t, k, err, m, 1, args...)
}

func (w *workspace) addNorm(t testing.TB, m, h int, inPlace bool) testCase {
	k, err := NewAddNorm(h, 1e-12)
	row := 4 * pad16(h)
	x, residual := w.rows(m, h, row), w.rows(m, h, row)
	gamma, beta := w.floats(h, w.float), w.floats(h, w.float)
	out := x
	if !inPlace {
		out = w.dirty(m * row)
	}
	return w.finish(t, k, err, m, 1, x, residual, gamma, beta, out)
}

func (w *workspace) meanPool(t testing.TB, h int, lengths []int) testCase {
	k, err := NewMeanPool(h)
	starts, tokens := w.starts(lengths)
	stride := 4*pad16(h) + 64*w.intn(2)
	x := w.rows(tokens, h, stride)
	return w.finish(t, k, err, tokens, len(lengths), x, uint32(stride), starts, w.dirty(len(lengths)*4*pad16(h)))
}

func (w *workspace) l2Norm(t testing.TB, b, h int) testCase {
	k, err := NewL2Norm(h)
	x := w.rows(b, h, 4*pad16(h))
	return w.finish(t, k, err, b, b, x, w.dirty(b*4*pad16(h)))
}

// lengths is up to b sequences of up to t tokens, some of them empty.
func (w *workspace) lengths(b, t int) []int {
	out := make([]int, 1+w.intn(b))
	for i := range out {
		out[i] = w.intn(t + 1)
	}
	return out
}
