package kernel

import (
	"fmt"
	"math"
	"testing"
)

// linearActs and pools are all there are.
var (
	linearActs = []Act{ActNone, ActGELU, ActReLU, ActGELUTanh, ActSiLU, ActTanh}
	pools      = []Pool{PoolMean, PoolCLS, PoolLast, PoolMax, PoolWeighted, PoolMeanSqrt}
)

// widths are the row widths of interest.
var widths = []int{1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 26, 31, 32, 33, 48, 100, 256, 312, 384}

// TestDenseRowKernels compares norm, nonorm, add, activation, glu and lookup.
func TestDenseRowKernels(t *testing.T) {
	ms := machines(t)
	r := random{state: 6}
	for i, h := range widths {
		for kind := range flavours {
			w := func() *workspace {
				return &workspace{random: random{state: uint64(i)*100 + uint64(kind)}, kind: kind}
			}
			m, act := 1+i%5, ActReLU+Act((i+int(kind))%5)
			label := fmt.Sprintf("width %d, flavour %d", h, kind)
			for _, c := range []testCase{
				w().norm(t, m, h), w().norm(t, m, h).inPlace(),
				w().noNorm(t, m, h, true), w().noNorm(t, m, h, true).inPlace(), w().noNorm(t, m, h, false),
				w().add(t, m, h), w().add(t, m, h).inPlace(),
				w().activation(t, m, h, act), w().activation(t, m, h, ActGELU).inPlace(),
				w().glu(t, m, h, act), w().glu(t, m, h, ActGELU),
				w().lookup(t, 1+i%maxTables, m, h),
			} {
				checkCase(t, ms, c, &r, label)
			}
		}
	}
}

// TestSequenceKernels compares trigram, concat and the pools.
func TestSequenceKernels(t *testing.T) {
	ms := machines(t)
	r := random{state: 7}
	for i, h := range widths {
		for kind := range flavours {
			w := func() *workspace {
				return &workspace{random: random{state: uint64(i)*100 + uint64(kind)}, kind: kind}
			}
			label := fmt.Sprintf("width %d, flavour %d", h, kind)
			lengths := w().lengths(4, 9)
			checkCase(t, ms, w().trigram(t, h, lengths), &r, label)
			checkCase(t, ms, w().concat(t, 1+i%maxParts, h, 3), &r, label)
			for _, p := range pools {
				checkCase(t, ms, w().pool(t, p, h, lengths), &r, label)
				checkCase(t, ms, w().poolAfter(t, p, h, lengths), &r, label)
			}
		}
	}
}

// TestPoolMeanIsMeanPool holds the two means equal.
func TestPoolMeanIsMeanPool(t *testing.T) {
	p := (&workspace{}).pool(t, PoolMean, 33, []int{3, 0, 9})
	want := reference(p, []int{0, 3})
	m := workspace{mem: want}
	out := m.dirty(3 * 4 * 48)
	k, err := NewMeanPool(33)
	check(t, err)
	k.Run(m.mem, 0, 3, 0, append(append([]uint32(nil), p.args[:poolOut]...), out))
	for s := range uint32(3) {
		for i := range 48 {
			wantValue(t, "mean", f32(want, p.args[poolOut]+s*p.args[poolOutStride], i), f32(m.mem, out+s*4*48, i))
		}
	}
}

// TestRowTextbook checks the dense row kernels against their formulas in float64.
func TestRowTextbook(t *testing.T) {
	const m, h = 3, 37
	value := func(c testCase, arg, h, r, i int) float64 {
		return float64(f32(c.mem, c.args[arg]+uint32(r*4*pad16(h)), i))
	}
	check := func(name string, c testCase, want func(r, i int) float64) {
		after := reference(c, []int{0, m})
		for r := range m {
			for i := range pad16(h) {
				got := f32(after, c.args[len(c.args)-1]+uint32(r*4*pad16(h)), i)
				if i >= h {
					wantValue(t, name+": pad", got, 0)
				} else {
					near(t, name, got, want(r, i))
				}
			}
		}
	}
	c := (&workspace{}).norm(t, m, h)
	check("norm", c, func(r, i int) float64 {
		x := make([]float64, h)
		for j := range x {
			x[j] = value(c, 0, h, r, j)
		}
		mean, deviation := moments(x)
		deviation = math.Sqrt(deviation*deviation + 1e-5)
		return (x[i]-mean)/deviation*value(c, 1, h, 0, i) + value(c, 2, h, 0, i)
	})
	n := (&workspace{}).noNorm(t, m, h, true)
	check("nonorm", n, func(r, i int) float64 {
		return (value(n, 0, h, r, i)+value(n, 1, h, r, i))*value(n, 2, h, 0, i) + value(n, 3, h, 0, i)
	})
	a := (&workspace{}).add(t, m, h)
	check("add", a, func(r, i int) float64 { return value(a, 0, h, r, i) + value(a, 1, h, r, i) })
	g := (&workspace{}).glu(t, m, h, ActSiLU)
	check("glu", g, func(r, i int) float64 {
		x := value(g, 0, 2*h, r, i)
		return x / (1 + math.Exp(-x)) * value(g, 0, 2*h, r, h+i)
	})
	for act, f := range exactActs {
		c := (&workspace{}).activation(t, m, h, act)
		check(act.String(), c, func(r, i int) float64 { return f(value(c, 0, h, r, i)) })
	}
}

// exactActs are the activations in float64.
var exactActs = map[Act]func(x float64) float64{
	ActGELU: func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	ActReLU: func(x float64) float64 { return max(x, 0) },
	ActGELUTanh: func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	ActSiLU:    func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	ActTanh:    math.Tanh,
	ActSigmoid: func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
}

// TestPoolTextbook checks each pool against its formula in float64.
func TestPoolTextbook(t *testing.T) {
	const h, n = 21, 6
	for _, p := range pools {
		c := (&workspace{}).pool(t, p, h, []int{2, n})
		after := reference(c, []int{0, 2})
		for i := range h {
			x := func(r int) float64 { return float64(f32(c.mem, c.args[poolX]+uint32(2+r)*c.args[poolXStride], i)) }
			var sum, weighted float64
			most := math.Inf(-1)
			for r := range n {
				sum, weighted, most = sum+x(r), weighted+x(r)*float64(r+1), max(most, x(r))
			}
			want := map[Pool]float64{
				PoolMean: sum / n, PoolCLS: x(0), PoolLast: x(n - 1), PoolMax: most,
				PoolWeighted: weighted / (n * (n + 1) / 2), PoolMeanSqrt: sum / math.Sqrt(n),
			}[p]
			near(t, p.String(), f32(after, c.args[poolOut]+c.args[poolOutStride], i), want)
		}
	}
}

// TestTrigramPlaces checks a trigram's thirds, two sequences beside one another.
func TestTrigramPlaces(t *testing.T) {
	const h = 5
	c := (&workspace{}).trigram(t, h, []int{2, 0, 1})
	after := reference(c, []int{0, 3})
	x := func(r, i int) float32 { return f32(c.mem, c.args[0]+uint32(r*64), i) }
	for r, want := range [][3]int{{1, 0, -1}, {-1, 1, 0}, {-1, 2, -1}} {
		for third, from := range want {
			for i := range h {
				value := float32(0)
				if from >= 0 {
					value = x(from, i)
				}
				wantValue(t, fmt.Sprintf("row %d third %d", r, third), f32(after, c.args[2]+uint32(r*64), third*h+i), value)
			}
		}
	}
}

// TestNewEdges checks the edge table on the kernels of rows and sequences.
func TestNewEdges(t *testing.T) {
	ms := machines(t)
	nan := float32(math.NaN())
	for _, p := range pools {
		c := (&workspace{}).pool(t, p, 5, []int{0, 2})
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			for i := range 16 {
				wantValue(t, p.String()+" of no rows", f32(after, c.args[poolOut], i), 0)
			}
			for i := c.args[poolOut] + 64; i < c.args[poolOut]+c.args[poolOutStride]; i++ {
				if after[i] != 0x5a {
					t.Fatalf("%s: wrote beside its columns", p)
				}
			}
		})
	}
	n := (&workspace{kind: zeros}).norm(t, 1, 5)
	everywhere(t, ms, n, func(t *testing.T, after []byte) {
		for i := range 5 { // no variance: the bias
			near(t, "norm of zeros", f32(after, n.args[3], i), float64(f32(n.mem, n.args[2], i)))
		}
	})
	for act, large := range map[Act][2]float32{ // of 1e30 and -1e30
		ActReLU: {1e30, 0}, ActGELU: {1e30, 0}, ActGELUTanh: {1e30, 0}, ActSiLU: {1e30, 0}, ActTanh: {1, -1}, ActSigmoid: {1, 0},
	} {
		c := (&workspace{}).activation(t, 1, 6, act)
		e := workspace{mem: c.mem}
		e.fill(c.args[0], 1e30, -1e30, nan, 0, -200, 200)
		everywhere(t, ms, c, func(t *testing.T, after []byte) {
			y := func(i int) float32 { return f32(after, c.args[1], i) }
			if y(0) != large[0] || y(1) != large[1] || y(2) == y(2) || y(3) != act.apply(0) || y(4) != act.apply(-200) || y(5) != act.apply(200) {
				t.Errorf("%s: %v %v %v %v %v %v", act, y(0), y(1), y(2), y(3), y(4), y(5))
			}
			wantValue(t, act.String()+" pad", y(6), 0)
		})
	}
}
