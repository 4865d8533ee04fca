package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// TestPoolAfterDigests recomputes the digests of pools that skip rows, and of concat.
func TestPoolAfterDigests(t *testing.T) {
	for _, p := range pools {
		got := digestCases(func(w workspace) []testCase {
			return []testCase{w.poolAfter(t, p, 48, []int{3, 0, 20, 7}), w.poolAfter(t, p, 33, []int{9, 1})}
		})
		if got != poolAfterDigests(p) {
			t.Errorf("poolafter %s: the reference's digest is %s, its name says %s", p, got, poolAfterDigests(p))
		}
	}
	got := digestCases(func(w workspace) []testCase { return []testCase{w.concat(t, 3, 48, 2), w.concat(t, 2, 33, 3)} })
	if got != digestConcat {
		t.Errorf("concat: the reference's digest is %s, its name says %s", got, digestConcat)
	}
}

// TestPoolAfterTextbook checks each pool that skips rows against its formula in float64;
// skipping none gives the bits of the pool that cannot.
func TestPoolAfterTextbook(t *testing.T) {
	const h, n, first = 21, 6, 2
	for _, p := range pools {
		for _, skip := range []int32{0, 1, 4, n, n + 3} {
			c := (&workspace{}).poolAfter(t, p, h, []int{first, n})
			binary.LittleEndian.PutUint32(c.mem[c.args[poolSkips]+4:], uint32(skip))
			after := reference(c, []int{0, 2})
			for i := range h {
				x := func(r int) float64 { return float64(f32(c.mem, c.args[poolX]+uint32(first+r)*c.args[poolXStride], i)) }
				near(t, fmt.Sprintf("%s after %d", p, skip), f32(after, c.args[poolOut]+c.args[poolOutStride], i), pooledAfter(p, x, min(int(skip), n), n))
			}
		}
		c := (&workspace{}).poolAfter(t, p, h, []int{first, n})
		binary.LittleEndian.PutUint32(c.mem[c.args[poolSkips]+4:], 0)
		k, err := NewPool(p, h)
		if err != nil {
			t.Fatal(err)
		}
		after := reference(c, []int{0, 2})
		k.Run(c.mem, 1, 2, 0, c.args[:poolSkips])
		for i := range h {
			wantValue(t, p.String(), f32(after, c.args[poolOut]+c.args[poolOutStride], i), f32(c.mem, c.args[poolOut]+c.args[poolOutStride], i))
		}
	}
}

// pooledAfter is the pool of the rows skip to n-1 in float64, rows weighing by their place among all n.
func pooledAfter(p Pool, x func(r int) float64, skip, n int) float64 {
	var sum, weighted, weights, kept float64
	most := math.Inf(-1)
	for r := skip; r < n; r++ {
		w := float64(r + 1)
		sum, weighted, weights, kept, most = sum+x(r), weighted+x(r)*w, weights+w, kept+1, max(most, x(r))
	}
	if skip == n {
		if p == PoolCLS {
			return x(0)
		}
		return 0
	}
	return map[Pool]float64{
		PoolMean: sum / kept, PoolCLS: x(skip), PoolLast: x(n - 1), PoolMax: most,
		PoolWeighted: weighted / weights, PoolMeanSqrt: sum / math.Sqrt(kept),
	}[p]
}

// TestConcatPlaces checks that parts lie side by side, with zeros behind them.
func TestConcatPlaces(t *testing.T) {
	for _, s := range []struct{ n, h int }{{1, 1}, {3, 5}, {2, 16}, {4, 33}} {
		c := (&workspace{}).concat(t, s.n, s.h, 2)
		after := reference(c, []int{0, 2})
		w := pad16(s.n * s.h)
		for row := range 2 {
			for i := range w {
				want := float32(0)
				if i < s.n*s.h {
					want = f32(c.mem, c.args[0], (row*s.n+i/s.h)*pad16(s.h)+i%s.h)
				}
				wantValue(t, fmt.Sprintf("%d parts of %d", s.n, s.h), f32(after, c.args[1], row*w+i), want)
			}
		}
	}
}
