package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// f32 reads value i of a row at an offset.
func f32(mem []byte, off uint32, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(mem[int(off)+4*i:]))
}

// TestLinearTextbook checks the panel-based reference against the formula of NewLinear,
// written from the plain [N][K] matrix with integers and math.RoundToEven.
func TestLinearTextbook(t *testing.T) {
	for i := range 300 {
		w := workspace{random: random{state: uint64(i)}, kind: flavour(i % int(flavours))}
		s := linearShape{1 + w.intn(9), 1 + w.intn(50), 1 + w.intn(70)}
		outliers, act := w.intn(maxOutliers+1), linearActs[i%len(linearActs)]
		c := w.linear(t, s, outliers, act)
		if i%2 == 1 {
			c = w.linearZero(t, s, outliers, act)
		}
		after := reference(c, []int{0, s.m})
		for r := range s.m {
			for n := range s.n {
				want := textbookLinear(c, s, outliers, act, r, n)
				got := f32(after, c.args[linOut]+uint32(r)*c.args[linOutStride], n)
				if got != want {
					t.Fatalf("case %d %+v: row %d column %d: %v, want %v", i, s, r, n, got, want)
				}
			}
		}
	}
}

// textbookLinear is output [r][n] of a case of linear.
func textbookLinear(c testCase, s linearShape, outliers int, act Act, r, n int) float32 {
	xOff := c.args[linX] + uint32(r)*c.args[linXStride]
	isOutlier := map[int]bool{}
	var cols []int
	for o := range outliers {
		col := int(binary.LittleEndian.Uint32(c.mem[c.args[linOutIdx]+uint32(4*o):]))
		isOutlier[col], cols = true, append(cols, col)
	}
	var amax float64
	for k := range s.k {
		if !isOutlier[k] {
			amax = max(amax, math.Abs(float64(f32(c.mem, xOff, k))))
		}
	}
	var scale, inv float32
	if amax >= 0x1p-100 {
		scale, inv = float32(amax)/127, 127/float32(amax)
	}
	var acc, zero int64
	if len(c.args) > linZero {
		zero = int64(int32(binary.LittleEndian.Uint32(c.mem[c.args[linZero]+uint32(4*n):])))
	}
	for k := range s.k {
		if isOutlier[k] {
			continue
		}
		code := math.RoundToEven(float64(f32(c.mem, xOff, k) * inv))
		acc += int64(max(-127, min(127, code))) * (int64(textbookWeight(c, s, n, k)) - zero)
	}
	v := float32(float32(int32(acc)) * float32(scale*f32(c.mem, c.args[linWScale], n)))
	for o, col := range cols {
		v += float32(f32(c.mem, xOff, col) * f32(c.mem, c.args[linOutW], o*pad16(s.n)+n))
	}
	return act.apply(v + f32(c.mem, c.args[linBias], n))
}

// textbookWeight finds weight [n][k] in the panels by their definition.
func textbookWeight(c testCase, s linearShape, n, k int) int8 {
	at := ((n/8*(pad(s.k, 8)/2)+k/2)*8+n%8)*2 + k%2
	return int8(c.mem[int(c.args[linW])+at])
}

// TestPackWeightsRanges packs whole and by ranges of rows, and looks each weight up.
func TestPackWeightsRanges(t *testing.T) {
	r := random{}
	for n := 1; n < 40; n += 3 {
		for k := 1; k < 20; k++ {
			codes := make([]byte, n*k)
			for i := range codes {
				codes[i] = byte(r.next())
			}
			whole, parts := make([]byte, PanelBytes(n, k)), make([]byte, PanelBytes(n, k))
			check(t, PackWeights(whole, codes, 0, k))
			cut := r.intn(n + 1)
			check(t, PackWeights(parts, codes[cut*k:], cut, k))
			check(t, PackWeights(parts, codes[:cut*k], 0, k))
			if string(whole) != string(parts) {
				t.Fatalf("%dx%d cut at %d differs", n, k, cut)
			}
			c := testCase{mem: whole, args: make([]uint32, linOutStride+1)}
			for i := range n * k {
				if got := textbookWeight(c, linearShape{n: n, k: k}, i/k, i%k); got != int8(codes[i]) {
					t.Fatalf("%dx%d: weight %d is %d, want %d", n, k, i, got, int8(codes[i]))
				}
			}
		}
	}
	if PackWeights(make([]byte, 127), make([]byte, 16), 0, 16) == nil {
		t.Error("short panels accepted")
	}
	if PackWeights(make([]byte, 4096), make([]byte, 17), 0, 16) == nil {
		t.Error("part of a row accepted")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttentionTextbook checks attention against float64 softmax(q·kᵀ·scale)·v.
func TestAttentionTextbook(t *testing.T) {
	for _, d := range []int{5, 26, 32} {
		const a, n = 3, 21
		w := workspace{}
		c := w.attention(t, a, d, []int{4, n})
		after := reference(c, []int{0, 2 * a})
		row := func(i, part, head int) func(int) float64 {
			off := c.args[attQKV] + uint32(4+i)*c.args[attStride] + uint32(4*(part*a*d+head*d))
			return func(k int) float64 { return float64(f32(c.mem, off, k)) }
		}
		for head := range a {
			for i := range n {
				want := textbookAttention(n, d, row(i, 0, head), func(j int) func(int) float64 { return row(j, 1, head) },
					func(j int) func(int) float64 { return row(j, 2, head) })
				for k := range d {
					got := float64(f32(after, c.args[attOut]+uint32(4+i)*c.args[attOutStride], head*d+k))
					if math.Abs(got-want[k]) > 1e-6 {
						t.Fatalf("d %d head %d row %d column %d: %v, want %v", d, head, i, k, got, want[k])
					}
				}
			}
		}
	}
}

func textbookAttention(n, d int, q func(int) float64, key, value func(int) func(int) float64) []float64 {
	weights, z := make([]float64, n), 0.0
	for j := range n {
		var s float64
		for k := range d {
			s += q(k) * key(j)(k)
		}
		weights[j] = math.Exp(s / math.Sqrt(float64(d)))
		z += weights[j]
	}
	out := make([]float64, d)
	for j := range n {
		for k := range d {
			out[k] += weights[j] / z * value(j)(k)
		}
	}
	return out
}

// TestNormTextbook checks embed, addnorm, meanpool and l2norm against float64.
func TestNormTextbook(t *testing.T) {
	for _, h := range []int{7, 48, 100} {
		w := workspace{}
		c := w.addNorm(t, 4, h, false)
		after := reference(c, []int{0, 4})
		for r := range 4 {
			at := func(arg, i int) float64 {
				return float64(f32(c.mem, c.args[arg]+uint32(r*4*pad16(h)), i))
			}
			x := make([]float64, h)
			for i := range x {
				x[i] = at(0, i) + at(1, i)
			}
			mean, deviation := moments(x)
			for i := range x {
				gamma, beta := float64(f32(c.mem, c.args[2], i)), float64(f32(c.mem, c.args[3], i))
				near(t, fmt.Sprintf("addnorm %d", h), f32(after, c.args[4]+uint32(r*4*pad16(h)), i), (x[i]-mean)/deviation*gamma+beta)
			}
		}
		p := (&workspace{}).meanPool(t, h, []int{5})
		pooled := reference(p, []int{0, 1})
		for i := range h {
			var sum float64
			for r := range 5 {
				sum += float64(f32(p.mem, p.args[0]+uint32(r)*p.args[1], i))
			}
			near(t, "meanpool", f32(pooled, p.args[3], i), sum/5)
		}
		l := (&workspace{}).l2Norm(t, 1, h)
		var norm float64
		for i := range h {
			norm += math.Pow(float64(f32(l.mem, l.args[0], i)), 2)
		}
		for i, unit := 0, reference(l, []int{0, 1}); i < h; i++ {
			near(t, "l2norm", f32(unit, l.args[1], i), float64(f32(l.mem, l.args[0], i))/math.Sqrt(norm))
		}
	}
}

// moments are the mean and standard deviation.
func moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}

func near(t *testing.T, what string, got float32, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 3e-6 {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}
