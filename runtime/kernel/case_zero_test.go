package kernel

import (
	"fmt"
	"math"
	"testing"
)

// zero is a zero point of a flavour: those of extremes leave what a code can hold, as far
// as int32 goes.
func (w *workspace) zero() int {
	switch w.kind {
	case extremes:
		return []int{-128, 127, -1, 0, 128, 255, -256, 70000, math.MaxInt32, math.MinInt32}[w.intn(10)]
	case zeros:
		return 0
	}
	return w.intn(256) - 128
}

// zeroPoints adds n of them, padded.
func (w *workspace) zeroPoints(n int) uint32 {
	off := w.take(4 * pad16(n))
	for i := range n {
		w.putI32(off, i, w.zero())
	}
	return off
}

// linearZero is linear with zero points.
func (w *workspace) linearZero(t testing.TB, s linearShape, outliers int, act Act) testCase {
	c := w.linear(t, s, outliers, act)
	w.mem = w.mem[:c.scratch]
	k, err := NewLinearZero(outliers, act)
	return w.finish(t, k, err, s.m, 1, append(c.args, w.zeroPoints(s.n))...)
}

// lookupZero is lookup with zero points.
func (w *workspace) lookupZero(t testing.TB, n, m, h int) testCase {
	c := w.lookup(t, n, m, h)
	w.mem = w.mem[:c.scratch]
	k, err := NewLookupZero(n, h)
	args := c.args
	for i := range n {
		args = append(args, w.zeroPoints(int(c.args[i*lookupTable+lookupRows])))
	}
	return w.finish(t, k, err, m, 1, args...)
}

// TestLinearZeroRandomShapes compares the form with zero points over random shapes.
func TestLinearZeroRandomShapes(t *testing.T) {
	ms := machines(t)
	count := 6000
	if testing.Short() {
		count = 1500
	}
	r := random{state: 11}
	for i := range count {
		side, engines := 130, ms
		if i%10 != 0 {
			engines = compilers(ms)
		} else {
			side = 40
		}
		w := workspace{random: random{state: uint64(i)}, kind: flavour(i % int(flavours))}
		s := linearShape{1 + w.intn(side), 1 + w.intn(side), 1 + w.intn(side)}
		outliers, act := w.intn(maxOutliers+1), linearActs[w.intn(len(linearActs))]
		checkCase(t, engines, w.linearZero(t, s, outliers, act), &r, fmt.Sprintf("case %d: %+v", i, s))
	}
	for i, s := range []linearShape{{7, 8, depthBlock + 1}, {13, 24, 3*depthBlock - 5}, {1, 8, 6000}} {
		for kind := range flavours {
			w := workspace{random: random{state: uint64(i)}, kind: kind}
			checkCase(t, compilers(ms), w.linearZero(t, s, i%5, ActGELU), &r, fmt.Sprintf("%+v", s))
		}
	}
}

// TestLookupZeroShapes compares lookups with zero points; pad lanes stay +0.
func TestLookupZeroShapes(t *testing.T) {
	ms := machines(t)
	r := random{state: 12}
	for i, h := range widths {
		for kind := range flavours {
			for n := 1; n <= maxTables; n++ {
				w := workspace{random: random{state: uint64(i)*100 + uint64(kind)}, kind: kind}
				c := w.lookupZero(t, n, 1+i%5, h)
				checkCase(t, ms, c, &r, fmt.Sprintf("%d tables of width %d, flavour %d", n, h, kind))
				after := reference(c, []int{0, c.tokens})
				for lane := h; lane < pad16(h); lane++ {
					wantValue(t, "pad lane", f32(after, c.args[n*lookupTable], lane), 0)
				}
			}
		}
	}
}

// TestZeroOfNone: zero points of 0 change no bit.
func TestZeroOfNone(t *testing.T) {
	for kind := range flavours {
		if kind == extremes { // its zero points are drawn whatever they are
			continue
		}
		w := workspace{random: random{state: 5}, kind: kind}
		with := w.linearZero(t, linearShape{8, 20, 50}, 1, ActGELU)
		for n := range 20 {
			w.putI32(with.args[linZero], n, 0)
		}
		without := with
		without.kernel, without.args = mustLinear(t, 1, ActGELU), with.args[:linZero]
		if i := firstDifference(reference(with, []int{0, 8}), reference(without, []int{0, 8})); i >= 0 {
			t.Errorf("flavour %d: byte %d differs", kind, i)
		}
	}
}

func mustLinear(t *testing.T, outliers int, act Act) *Kernel {
	t.Helper()
	k, err := NewLinear(outliers, act)
	check(t, err)
	return k
}

// edgeLinearZero is edgeLinear with a zero point, weights all code.
func edgeLinearZero(t *testing.T, code byte, zero, outliers int, rows ...[8]float32) testCase {
	plain := edgeLinear(t, code, outliers, rows...)
	w := workspace{mem: plain.mem[:plain.scratch]}
	k, err := NewLinearZero(outliers, ActNone)
	off := w.take(64)
	w.putI32(off, 0, zero)
	return w.finish(t, k, err, len(rows), 1, append(plain.args, off)...)
}

// TestLinearZeroEdges: the farthest weights, rows that stand for zeros, outlier columns.
func TestLinearZeroEdges(t *testing.T) {
	ms := machines(t)
	row := [8]float32{127, 127, 127, 127, 127, 127, 127, -127}
	for _, e := range []struct {
		name       string
		code       byte
		zero, want int
	}{
		{"codes of -128, zero point 127", 0x80, 127, -255 * 127 * 6},
		{"codes of 127, zero point -128", 0x7f, -128, 255 * 127 * 6},
		{"codes equal to their zero point", 0x91, 0x91 - 256, 0},
		{"codes of -128, zero point -128", 0x80, -128, 0},
		{"zero point of 1000", 5, 1000, -995 * 127 * 6},
	} {
		t.Run(e.name, func(t *testing.T) {
			c := edgeLinearZero(t, e.code, e.zero, 0, row, [8]float32{}, [8]float32{0x1p-101}, row)
			everywhere(t, ms, c, func(t *testing.T, after []byte) {
				wantValue(t, "sum", linearOutput(c, after, 0), float32(float32(e.want)+0.5))
				wantValue(t, "zero row", linearOutput(c, after, 1), 0.5)
				wantValue(t, "tiny row", linearOutput(c, after, 2), 0.5)
				wantValue(t, "row after these", linearOutput(c, after, 3), float32(float32(e.want)+0.5))
			})
		})
	}
	t.Run("outlier column", func(t *testing.T) { // its code and zero point do not count
		c := edgeLinearZero(t, 3, 1, 1, [8]float32{127, 0, 0, 0, 0, 0, 0, 1000})
		w := workspace{mem: c.mem}
		w.putI32(c.args[linOutIdx], 0, 7)
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "sum", linearOutput(c, after, 0), 2*127+1000+0.5)
		})
	})
	t.Run("deepest", func(t *testing.T) { // sums at the edge of int32
		w := workspace{}
		const k, zero = 1 << 15, 388
		if !ZeroFits(zero, k) || ZeroFits(zero+1, k) {
			t.Fatal("not the edge")
		}
		c := w.linearZero(t, linearShape{1, 1, k}, 0, ActNone)
		e := workspace{mem: c.mem}
		for i := range k {
			e.putF32(c.args[linX], i, 127)
			e.mem[int(c.args[linW])+i/2*16+i%2] = 0x80
		}
		e.fill(c.args[linWScale], 1)
		e.fill(c.args[linBias], 0)
		e.putI32(c.args[linZero], 0, zero)
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "sum", linearOutput(c, after, 0), (-128-zero)*127*k)
		})
	})
}

func TestZeroFits(t *testing.T) {
	for _, test := range []struct {
		zero int32
		k    int
		want bool
	}{
		{-128, maxDepth, true}, {127, maxDepth, true}, {140, maxDepth, false}, {140, 1024, true},
		{1 << 16, 256, true}, {1 << 17, 256, false}, {math.MinInt32, 1, false}, {math.MaxInt32, 1, false},
	} {
		if got := ZeroFits(test.zero, test.k); got != test.want {
			t.Errorf("zero point %d at depth %d: %v", test.zero, test.k, got)
		}
	}
}
