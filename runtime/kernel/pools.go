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
	poolSkips // of NewPoolAfter alone
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
func NewPool(p Pool, h int) (*Kernel, error) { return newPool(p, h, false) }

// NewPoolAfter is NewPool without the first k rows of each sequence, k = min(skips[s], n):
// those of a prompt. The rows that are left keep their places, and so their weights:
//
//	mean      sum of x[t] over ascending t from k, divided by n-k
//	cls       x[k]; x[0] where k is n
//	last      x[n-1]
//	max       x[k], then a<b ? b : a over ascending t
//	weighted  sum of x[t]·(t+1) over ascending t from k, divided by ((n-k)·(n+k+1))·0.5
//	meansqrt  sum of x[t] over ascending t from k, divided by sqrt(n-k)
//
// Where no rows are left, all but cls are zeros.
//
// Arguments: those of NewPool; skips i32 [B], none negative.
func NewPoolAfter(p Pool, h int) (*Kernel, error) { return newPool(p, h, true) }

func newPool(p Pool, h int, after bool) (*Kernel, error) {
	op, digest := "pool", poolDigests(p)
	if after {
		op, digest = "poolafter", poolAfterDigests(p)
	}
	if digest == "" {
		return nil, fmt.Errorf("parameter pool: %s", p)
	}
	if err := checkRange("h", h, 1, maxHidden); err != nil {
		return nil, err
	}
	return &Kernel{
		name:   canonical(op, digest, p.String()+",h"+itoa(h)),
		args:   poolArgs(uint64(4*pad16(h)), after),
		domain: Seqs,
		grain:  1,
		check: func(c call) error {
			row := uint64(4 * pad16(h))
			return cmp.Or(checkStride("xStride", c.at(poolXStride), row), checkStride("outStride", c.at(poolOutStride), row))
		},
		scratch: func(call) uint64 { return 0 },
		cost:    func(c call) uint64 { return c.tokens / c.seqs * uint64(h) },
		body:    func() []byte { return poolBody(p, h, after) },
		run: func(mem []byte, lo, hi, _ int, args []uint32) {
			for s := lo; s < hi; s++ {
				p.sequence(mem, s, h, after, args)
			}
		},
	}, nil
}

func poolArgs(row uint64, after bool) []Arg {
	args := []Arg{
		readArg("x", func(c call) uint64 { return c.tokens * c.at(poolXStride) }), scalarArg("xStride"),
		readArg("starts", func(c call) uint64 { return 4 * (c.seqs + 1) }),
		writeArg("out", func(c call) uint64 { return (max(c.seqs, 1)-1)*c.at(poolOutStride) + row }), scalarArg("outStride"),
	}
	if after {
		args = append(args, readArg("skips", perSeq(4)))
	}
	return args
}

// sequence pools the rows of sequence s.
func (p Pool) sequence(mem []byte, s, h int, after bool, args []uint32) {
	span := view[int32](mem, int(args[poolStarts])+4*s, 2)
	out := view[float32](mem, int(args[poolOut])+s*int(args[poolOutStride]), pad16(h))
	first, n, skip := int(span[0]), max(int(span[1])-int(span[0]), 0), 0
	if after {
		skip = min(max(int(view[int32](mem, int(args[poolSkips])+4*s, 1)[0]), 0), n)
		if p == PoolCLS && skip == n {
			skip = 0
		}
	}
	if n == skip {
		clear(out)
		return
	}
	p.rows(out, skip, n, func(t int) []float32 {
		return view[float32](mem, int(args[poolX])+(first+t)*int(args[poolXStride]), len(out))
	})
}

// rows writes to out the pool of the rows skip to n-1, of which there is at least one.
func (p Pool) rows(out []float32, skip, n int, row func(t int) []float32) {
	switch p {
	case PoolCLS:
		copy(out, row(skip))
		return
	case PoolLast:
		copy(out, row(n-1))
		return
	case PoolMax:
		copy(out, row(skip))
		for t := skip + 1; t < n; t++ {
			for i, x := range row(t) {
				if out[i] < x {
					out[i] = x
				}
			}
		}
		return
	}
	clear(out)
	for t := skip; t < n; t++ {
		weight := float32(1) // x·1 is x
		if p == PoolWeighted {
			weight = float32(t + 1)
		}
		for i, x := range row(t) {
			out[i] += float32(x * weight)
		}
	}
	divisor := float32(n - skip)
	switch p {
	case PoolWeighted:
		divisor = float32(divisor*float32(n+skip+1)) * 0.5
	case PoolMeanSqrt:
		divisor = sqrt32(divisor)
	}
	for i := range out {
		out[i] /= divisor
	}
}
