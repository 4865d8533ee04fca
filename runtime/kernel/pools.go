package kernel

import (
	"cmp"
	"fmt"
	"strconv"
)

// Pool is how the token rows of a sequence become one.
type Pool uint8

const (
	// PoolMean is the mean, as of NewMeanPool.
	PoolMean Pool = iota + 1
	// PoolCLS is the first row.
	PoolCLS
	// PoolLast is the last row.
	PoolLast
	// PoolMax is the greatest value of each column.
	PoolMax
	// PoolWeighted is the mean with the weight t+1 for row t.
	PoolWeighted
	// PoolMeanSqrt is the sum over the root of the count.
	PoolMeanSqrt
)

// String is the pool's name within a kernel's name.
func (p Pool) String() string {
	switch p {
	case PoolMean:
		return "mean"
	case PoolCLS:
		return "cls"
	case PoolLast:
		return "last"
	case PoolMax:
		return "max"
	case PoolWeighted:
		return "weighted"
	case PoolMeanSqrt:
		return "meansqrt"
	}
	return "Pool(" + strconv.Itoa(int(p)) + ")"
}

func parsePool(name string) Pool {
	for p := PoolMean; p <= PoolMeanSqrt; p++ {
		if name == p.String() {
			return p
		}
	}
	return 0
}

// Places of pool's arguments.
const (
	poolX = iota
	poolXStride
	poolStarts
	poolOut
	poolOutStride
)

// NewPool returns one row of h columns for the token rows t = 0, 1, ..., n-1 of each
// sequence. No rows give zeros. With n and t+1 as float32:
//
//	mean      sum of x[t] over ascending t, divided by n
//	cls       x[0]
//	last      x[n-1]
//	max       x[0], then a<b ? b : a over ascending t
//	weighted  sum of x[t]·(t+1) over ascending t, divided by (n·(n+1))·0.5
//	meansqrt  sum of x[t] over ascending t, divided by sqrt(n)
//
// Arguments: x f32 rows, xStride bytes; starts i32 [B+1]; out f32 rows, outStride bytes,
// of which Pad16(h) columns are written: several pools of a multiple of 16 columns may
// stand side by side.
func NewPool(p Pool, h int) (*Kernel, error) {
	if poolDigests(p) == "" {
		return nil, fmt.Errorf("parameter pool: %s", p)
	}
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	row := uint64(4 * pad16(h))
	return &Kernel{
		name: canonical("pool", poolDigests(p), p.String()+",h"+itoa(h)),
		args: []Arg{
			readArg("x", func(c call) uint64 { return c.tokens * c.at(poolXStride) }), scalarArg("xStride"),
			readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) }),
			writeArg("out", func(c call) uint64 { return (max(c.seqs, 1)-1)*c.at(poolOutStride) + row }), scalarArg("outStride"),
		},
		domain: Seqs,
		grain:  1,
		check: func(c call) error {
			return cmp.Or(checkStride("xStride", c.at(poolXStride), row), checkStride("outStride", c.at(poolOutStride), row))
		},
		scratch: func(call) uint64 { return 0 },
		cost:    func(c call) uint64 { return c.tokens / c.seqs * uint64(h) },
		body:    func() []byte { return poolBody(p, h) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				span := view[int32](mem, int(args[poolStarts])+4*s, 2)
				out := view[float32](mem, int(args[poolOut])+s*int(args[poolOutStride]), pad16(h))
				first, n := int(span[0]), int(span[1])-int(span[0])
				if n <= 0 {
					clear(out)
					continue
				}
				p.rows(out, n, func(t int) []float32 {
					return view[float32](mem, int(args[poolX])+(first+t)*int(args[poolXStride]), len(out))
				})
			}
		},
	}, nil
}

// rows writes to out the pool of n rows, n at least 1.
func (p Pool) rows(out []float32, n int, row func(t int) []float32) {
	switch p {
	case PoolCLS:
		copy(out, row(0))
		return
	case PoolLast:
		copy(out, row(n-1))
		return
	case PoolMax:
		copy(out, row(0))
		for t := 1; t < n; t++ {
			for i, x := range row(t) {
				if out[i] < x {
					out[i] = x
				}
			}
		}
		return
	}
	clear(out)
	for t := range n {
		weight := float32(1) // x·1 is x
		if p == PoolWeighted {
			weight = float32(t + 1)
		}
		for i, x := range row(t) {
			out[i] += float32(x * weight)
		}
	}
	divisor := float32(n)
	switch p {
	case PoolWeighted:
		divisor = float32(float32(n)*float32(n+1)) * 0.5
	case PoolMeanSqrt:
		divisor = sqrt32(float32(n))
	}
	for i := range out {
		out[i] /= divisor
	}
}
