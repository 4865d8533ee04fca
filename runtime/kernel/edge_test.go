package kernel

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// everywhere runs a case on the reference and on every machine.
func everywhere(t *testing.T, ms []*machine, c testCase, check func(t *testing.T, after []byte)) {
	t.Helper()
	whole := []int{0, c.kernel.Units(c.tokens, c.seqs)}
	t.Run("go", func(t *testing.T) { check(t, reference(c, whole)) })
	for _, m := range ms {
		t.Run(m.name, func(t *testing.T) { check(t, m.run(t, c, whole)) })
	}
}

func wantValue(t *testing.T, what string, got, want float32) {
	t.Helper()
	if math.Float32bits(got) != math.Float32bits(want) && !(got != got && want != want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// fill sets n values at an offset.
func (w *workspace) fill(off uint32, values ...float32) {
	for i, x := range values {
		w.putF32(off, i, x)
	}
}

// edgeLinear is a linear of K=8, N=1 with weights all code, scale 1 and bias 0.5 over
// the given rows.
func edgeLinear(t *testing.T, code byte, outliers int, rows ...[8]float32) testCase {
	w := workspace{}
	c := w.linear(t, linearShape{len(rows), 1, 8}, outliers, ActNone)
	e := workspace{mem: c.mem}
	for r, row := range rows {
		e.fill(c.args[linX]+uint32(r)*c.args[linXStride], row[:]...)
	}
	for k := range 8 {
		e.mem[int(c.args[linW])+k/2*16+k%2] = code
	}
	e.fill(c.args[linWScale], 1)
	e.fill(c.args[linBias], 0.5)
	for o := range outliers {
		e.fill(c.args[linOutW]+uint32(o*64), 1)
	}
	return c
}

func linearOutput(c testCase, after []byte, r int) float32 {
	return f32(after, c.args[linOut]+uint32(r)*c.args[linOutStride], 0)
}

func TestLinearEdges(t *testing.T) {
	ms := machines(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ones := [8]float32{1, 1, 1, 1, 1, 1, 1, 1}
	t.Run("rows", func(t *testing.T) {
		c := edgeLinear(t, 1, 0, [8]float32{0x1p-101, -0x1p-101}, [8]float32{0x1p-100}, [8]float32{}, ones, [8]float32{3, nan}, [8]float32{-inf}, ones)
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "maximum below 2^-100", linearOutput(c, after, 0), 0.5)
			wantValue(t, "maximum of 2^-100", linearOutput(c, after, 1), 0.5+0x1p-100)
			wantValue(t, "zero row", linearOutput(c, after, 2), 0.5)
			wantValue(t, "ones", linearOutput(c, after, 3), 8.5)
			if x := linearOutput(c, after, 4); x == x {
				t.Errorf("NaN row: %v", x)
			}
			if x := linearOutput(c, after, 5); x-x == 0 {
				t.Errorf("Inf row: %v", x)
			}
			wantValue(t, "row beside NaN", linearOutput(c, after, 6), 8.5)
		})
	})
	t.Run("code -128", func(t *testing.T) {
		c := edgeLinear(t, 0x80, 0, [8]float32{127, 127, 127, 127, 127, 127, 127, -127})
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "sum", linearOutput(c, after, 0), -128*127*6+0.5)
		})
	})
	t.Run("outlier column past the row", func(t *testing.T) {
		c := edgeLinear(t, 1, 1, [8]float32{1, 0, 0, 0, 0, 0, 0, 1000})
		binary.LittleEndian.PutUint32(c.mem[c.args[linOutIdx]:], 1<<31)
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "last column", linearOutput(c, after, 0), 1001.5)
		})
	})
	t.Run("outlier column twice", func(t *testing.T) {
		c := edgeLinear(t, 1, 2, [8]float32{1, 0, 0, 0, 0, 0, 0, 1000})
		for o := range uint32(2) {
			binary.LittleEndian.PutUint32(c.mem[c.args[linOutIdx]+4*o:], 7)
		}
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			wantValue(t, "both add", linearOutput(c, after, 0), 2001.5)
		})
	})
}

func TestAttentionEdges(t *testing.T) {
	ms := machines(t)
	w := workspace{}
	c := w.attention(t, 1, 1, []int{0, 2, 0})
	e := workspace{mem: c.mem}
	e.fill(c.args[attQKV], 100, 1, 7)                      // q, k, v of row 0
	e.fill(c.args[attQKV]+c.args[attStride], 100, 0, 1e30) // its score is lower by 100
	everywhere(t, ms, c, func(t *testing.T, after []byte) {
		wantValue(t, "exp below -87 adds nothing", f32(after, c.args[attOut], 0), 7)
		wantValue(t, "pad lane", f32(after, c.args[attOut], 1), 0)
	})
	// Rubbish between sequences is never read as data.
	w = workspace{}
	c = w.attention(t, 1, 4, []int{3, 2})
	e = workspace{mem: c.mem}
	e.putI32(c.args[attStarts], 1, 2)
	for i := range 12 {
		e.putF32(c.args[attQKV]+2*c.args[attStride], i, float32(math.NaN()))
	}
	e.putI32(c.args[attStarts], 0, 0)
	c.seqs = 1
	everywhere(t, ms, c, func(t *testing.T, after []byte) {
		for i := range 4 {
			if x := f32(after, c.args[attOut]+c.args[attOutStride], i); x != x {
				t.Error("NaN of a row outside of the sequence")
			}
		}
	})
}

func TestPoolEdges(t *testing.T) {
	ms := machines(t)
	mean := (&workspace{}).meanPool(t, 5, []int{0, 3})
	everywhere(t, ms, mean, func(t *testing.T, after []byte) {
		for i := range 16 {
			wantValue(t, "mean of no rows", f32(after, mean.args[3], i), 0)
		}
	})
	w := workspace{kind: zeros}
	norm := w.l2Norm(t, 1, 5)
	e := workspace{mem: norm.mem}
	e.fill(norm.args[0], 0, 0, 0, 0, 0)
	everywhere(t, ms, norm, func(t *testing.T, after []byte) {
		for i := range 16 {
			wantValue(t, "row of zero norm", f32(after, norm.args[1], i), 0)
		}
	})
}

func TestExtents(t *testing.T) {
	c := (&workspace{}).linear(t, linearShape{6, 16, 32}, 1, ActNone)
	extents, err := c.kernel.Extents(c.args, 6, 1)
	if err != nil || len(extents) != 7 {
		t.Fatalf("%d extents, %v", len(extents), err)
	}
	for _, test := range []struct {
		arg   int
		value uint32
		want  string
	}{
		{linX, c.args[linX] + 4, "argument x: 768 bytes at offset"},
		{linXStride, 130, "argument xStride: stride 130"},
		{linXStride, 64, "argument xStride: stride 64"},
		{linK8, 12, "argument K8: 12"},
		{linK8, 0, "argument K8: 0"},
		{linK8, 1 << 20, "argument K8: 1048576"},
		{linN16, 8, "argument N16: 8"},
		{linOutStride, 0, "argument outStride: stride 0"},
		{linW, 1<<32 - 64, "argument w: 512 bytes at offset 4294967232"},
		{linOut, c.args[linX], "arguments out and x overlap"},
		{linOut, c.args[linBias], "arguments out and bias overlap"},
	} {
		args := append([]uint32(nil), c.args...)
		args[test.arg] = test.value
		if _, err := c.kernel.Extents(args, 6, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s = %d: %v, want %q", c.kernel.Args()[test.arg].Name, test.value, err, test.want)
		}
	}
	if _, err := c.kernel.Extents(c.args[1:], 6, 1); err == nil {
		t.Error("missing argument accepted")
	}
	e := (&workspace{}).embed(t, 3, 20)
	e.args[embedKinds] = 0
	if _, err := e.kernel.Extents(e.args, 3, 1); err == nil || !strings.Contains(err.Error(), "empty table") {
		t.Errorf("empty table: %v", err)
	}
	a := (&workspace{}).addNorm(t, 4, 16, true)
	a.args[4] += 64
	if _, err := a.kernel.Extents(a.args, 4, 1); err == nil {
		t.Error("shifted overlap accepted")
	}
}

// TestUnits checks domains, grain, cost and scratch of the whole family.
func TestUnits(t *testing.T) {
	for _, k := range family(t) {
		want := map[Domain]int{Rows: 100, Heads: 7 * 12, Seqs: 7}[k.Domain()]
		if got := k.Units(100, 7); got != want {
			t.Errorf("%s: %d units, want %d", k.Name(), got, want)
		}
		args := make([]uint32, len(k.Args()))
		if k.Grain() < 1 || k.Cost(args, 0, 0) < 1 || k.ScratchBytes(args, 100)%64 != 0 || k.Params() != 3+len(args) {
			t.Errorf("%s: grain %d, cost %d, scratch %d", k.Name(), k.Grain(), k.Cost(args, 0, 0), k.ScratchBytes(args, 100))
		}
	}
}

// FuzzLinear holds the machines to the reference on shapes and numbers of the fuzzer.
func FuzzLinear(f *testing.F) {
	f.Add(uint64(1), uint8(7), uint8(33), uint8(70), uint8(2), uint8(1))
	ms := machines(f)
	f.Fuzz(func(t *testing.T, state uint64, m, n, k, outliers, kind uint8) {
		w := workspace{random: random{state: state}, kind: flavour(kind) % flavours}
		s := linearShape{1 + int(m%40), 1 + int(n%130), 1 + int(k)}
		o, act := int(outliers%(maxOutliers+1)), linearActs[state%uint64(len(linearActs))]
		c := w.linear(t, s, o, act)
		if state>>8&1 == 1 {
			c = w.linearZero(t, s, o, act)
		}
		checkCase(t, ms, c, &w.random, "fuzz")
	})
}

// FuzzAttention does the same for attention.
func FuzzAttention(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(26), uint8(40), uint8(3))
	ms := machines(f)
	f.Fuzz(func(t *testing.T, state uint64, a, d, tokens, kind uint8) {
		w := workspace{random: random{state: state}, kind: flavour(kind) % flavours}
		c := w.attention(t, 1+int(a%4), 1+int(d%70), w.lengths(3, int(tokens%60)))
		checkCase(t, ms, c, &w.random, "fuzz")
	})
}
