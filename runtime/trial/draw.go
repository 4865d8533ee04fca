package trial

import (
	"math"

	"skiff/runtime/kernel"
)

// Ops are the operations that there are kernels of.
func Ops() []string {
	return []string{
		"linear", "attention", "attend", "embed", "lookup", "addnorm", "norm", "nonorm", "add", "glu", "activation",
		"meanpool", "pool", "poolafter", "l2norm", "trigram", "concat",
	}
}

// Kernel draws the parameters of a kernel of one of Ops; nil is none of them. Rows have up
// to so many columns, a few heads up to that size.
func (r *Random) Kernel(op string, most int) *kernel.Kernel {
	h, act := r.width(most), kernel.Act(1+r.Intn(int(kernel.ActSigmoid)))
	eps := []float32{1e-12, 1e-5, 1}[r.Intn(3)]
	k, err := r.wide(op, most)
	switch op {
	case "linear":
		k, err = r.linear()
	case "embed":
		k, err = kernel.NewEmbed(h, eps)
	case "addnorm":
		k, err = kernel.NewAddNorm(h, eps)
	case "norm":
		k, err = kernel.NewNorm(h, eps)
	case "nonorm":
		k, err = kernel.NewNoNorm(h, r.flag())
	case "add":
		k, err = kernel.NewAdd(h)
	case "glu":
		k, err = kernel.NewGLU(h, act)
	case "activation":
		k, err = kernel.NewActivation(h, max(act, kernel.ActGELU))
	case "meanpool":
		k, err = kernel.NewMeanPool(h)
	case "pool":
		k, err = kernel.NewPool(r.pool(), h)
	case "poolafter":
		k, err = kernel.NewPoolAfter(r.pool(), h)
	case "l2norm":
		k, err = kernel.NewL2Norm(h)
	}
	if err != nil {
		return nil // parameters are drawn within limits
	}
	return k
}

// wide draws of those that put several rows or heads side by side.
func (r *Random) wide(op string, most int) (*kernel.Kernel, error) {
	heads, size := 1+r.Intn(4), min(r.width(most), 80)
	switch op {
	case "attention":
		return kernel.NewAttention(heads, size, float32(1/math.Sqrt(float64(size))))
	case "attend":
		size = (size + 1) &^ 1
		return kernel.NewAttend(heads, size, float32(1/math.Sqrt(float64(size))), r.attend())
	case "lookup":
		if r.flag() {
			return kernel.NewLookupZero(1+r.Intn(3), r.width(most))
		}
		return kernel.NewLookup(1+r.Intn(3), r.width(most))
	case "trigram":
		return kernel.NewTrigram(r.width(most))
	case "concat":
		return kernel.NewConcat(1+r.Intn(4), r.width(most))
	}
	return nil, nil
}

// linear draws one of up to 4 outliers that ends with any activation it may end with.
func (r *Random) linear() (*kernel.Kernel, error) {
	outliers, act := r.Intn(5), kernel.Act(1+r.Intn(int(kernel.ActTanh)))
	if r.flag() {
		return kernel.NewLinearZero(outliers, act)
	}
	return kernel.NewLinear(outliers, act)
}

// attend draws the options of attention.
func (r *Random) attend() kernel.AttendOptions {
	return kernel.AttendOptions{Window: r.Intn(2) * r.Intn(40), Bias: r.flag(), Rotary: r.flag(), C2P: r.flag(), P2C: r.flag()}
}

func (r *Random) pool() kernel.Pool { return kernel.Pool(1 + r.Intn(int(kernel.PoolMeanSqrt))) }

func (r *Random) flag() bool { return r.Next()&1 == 1 }

// width draws a number of columns, every other one of those that registers like.
func (r *Random) width(most int) int {
	if w := []int{8, 16, 24, 32, 48, 64, 128, 384}[r.Intn(8)]; w <= most && r.flag() {
		return w
	}
	return 1 + r.Intn(most)
}

// Shape draws one with up to so many rows, columns, depth and tokens, at least one of each
// but of tokens.
func (r *Random) Shape(most int) Shape {
	s := Shape{Rows: 1 + r.Intn(most), Cols: r.width(most), Depth: r.width(most), Slack: r.flag()}
	s.Lengths = make([]int, 1+r.Intn(4))
	for i := range s.Lengths {
		s.Lengths[i] = r.Intn(most+1) * r.Intn(5) / 4
	}
	return s
}

// Cuts draws up to two places at which a domain of so many units is split.
func (r *Random) Cuts(units int) []int {
	a, b := r.Intn(units+1), r.Intn(units+1)
	return []int{min(a, b), max(a, b)}
}
