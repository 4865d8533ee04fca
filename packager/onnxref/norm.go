package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/tensor"
)

// normalising lists the operators that put whole lines into proportion.
func normalising(name string) operator {
	switch name {
	case "Softmax", "LogSoftmax":
		return operator{1, 1, softmax}
	case "LayerNormalization":
		return operator{2, 3, layerNorm}
	case "SimplifiedLayerNormalization", "RMSNormalization":
		return operator{2, 2, rmsNorm}
	case "LpNormalization":
		return operator{1, 1, lpNorm}
	}
	return operator{}
}

// softmax works along one axis, and before version 13 over that and all that
// follow, as one line.
func softmax(c *call) ([]*Tensor, error) {
	t := c.in[0]
	if !t.Float() {
		return nil, fmt.Errorf("element type %v, want floating point", t.DType)
	}
	old := c.node.Version > 0 && c.node.Version < 13
	otherwise := -1
	if old {
		otherwise = 1
	}
	if len(t.Shape) == 0 {
		t = t.as([]int{1})
	}
	a, err := axis(c.integer("axis", otherwise), len(t.Shape))
	if err != nil {
		return nil, err
	}
	shape := t.Shape
	if old {
		shape, a = []int{product(shape[:a]), product(shape[a:])}, 1
	}
	out, err := c.make(t.DType, c.in[0].Shape)
	if err != nil {
		return nil, err
	}
	logs := c.node.Op == "LogSoftmax"
	lines(shape, a, func(start, step, n int) { soften(out, t, start, step, n, logs) })
	return []*Tensor{out}, nil
}

// soften computes one line.
func soften(out, t *Tensor, start, step, n int, logs bool) {
	top, sum := math.Inf(-1), 0.0
	for i := range n {
		top = max(top, float64(t.F[start+i*step]))
	}
	for i := range n {
		sum += math.Exp(float64(t.F[start+i*step]) - top)
	}
	for i := range n {
		j := start + i*step
		x := float64(t.F[j]) - top
		if logs {
			out.F[j] = round(t.DType, x-math.Log(sum))
		} else {
			out.F[j] = round(t.DType, math.Exp(x)/sum)
		}
	}
}

// layerNorm normalises over the axis and all that follow. Its sums are float64,
// whatever stash_type asks for.
func layerNorm(c *call) ([]*Tensor, error) {
	return c.normed(func(line []float32, eps float64) (mean, scale float64) {
		for _, v := range line {
			mean += float64(v)
		}
		mean /= float64(len(line))
		return mean, 1 / math.Sqrt(squares(line, mean)+eps)
	})
}

// rmsNorm does not subtract the mean.
func rmsNorm(c *call) ([]*Tensor, error) {
	return c.normed(func(line []float32, eps float64) (mean, scale float64) {
		return 0, 1 / math.Sqrt(squares(line, 0)+eps)
	})
}

// squares is the mean of the squared distances from mean.
func squares(line []float32, mean float64) float64 {
	sum := 0.0
	for _, v := range line {
		sum += (float64(v) - mean) * (float64(v) - mean)
	}
	return sum / float64(len(line))
}

// normed computes (x - mean) * scale * gain + bias, with a mean and a scale for
// every line; it returns all three.
func (c *call) normed(stats func(line []float32, eps float64) (mean, scale float64)) ([]*Tensor, error) {
	t := c.in[0]
	if !t.Float() || c.in[1].DType != t.DType || c.arg(2) != nil && c.in[2].DType != t.DType {
		return nil, fmt.Errorf("element types want to be floating point and equal")
	}
	a, err := axis(c.integer("axis", -1), len(t.Shape))
	if err != nil {
		return nil, err
	}
	out, err := c.spread(t.DType, t)
	if err != nil {
		return nil, err
	}
	small := slices.Clone(t.Shape)
	for d := a; d < len(small); d++ {
		small[d] = 1
	}
	stash := t.DType // of the two results that are for training
	if stash != tensor.F64 {
		stash = tensor.F32
	}
	means, err := c.make(stash, small)
	if err != nil {
		return nil, err
	}
	eps := float64(float32(1e-5))
	if c.eps != 0 {
		eps = c.eps
	}
	eps = c.real("epsilon", eps)
	scales, n := means.Clone(), product(t.Shape[a:])
	wide := make([]float64, 2*len(means.F))
	for i := range means.F {
		wide[2*i], wide[2*i+1] = stats(t.F[i*n:(i+1)*n], eps)
		means.F[i], scales.F[i] = float32(wide[2*i]), float32(wide[2*i+1])
	}
	return []*Tensor{out, means, scales}, c.gained(out, t, wide, n)
}

// gained fills in out: every line of n elements of t with its mean and scale.
func (c *call) gained(out, t *Tensor, stats []float64, n int) error {
	gain, bias := c.in[1], c.arg(2)
	if bias == nil {
		bias = &Tensor{DType: t.DType, F: []float32{0}}
	}
	for _, x := range []*Tensor{gain, bias} {
		if shape, err := broadcast(t.Shape, x.Shape); err != nil || !slices.Equal(shape, t.Shape) {
			return fmt.Errorf("%v does not stretch to %v", x, t)
		}
	}
	sg, sb := stretched(gain.Shape, len(t.Shape)), stretched(bias.Shape, len(t.Shape))
	walk(t.Shape, func(i int, at []int) {
		v := (float64(t.F[i]) - stats[i/n*2]) * stats[i/n*2+1]
		out.F[i] = round(t.DType, v*float64(gain.F[offset(at, sg)])+float64(bias.F[offset(at, sb)]))
	})
	return nil
}

// lpNorm divides every line by its length; a line of zeros stays so.
func lpNorm(c *call) ([]*Tensor, error) {
	t, p := c.in[0], c.integer("p", 2)
	if !t.Float() || p != 1 && p != 2 {
		return nil, fmt.Errorf("norm %d of %v", p, t.DType)
	}
	a, err := axis(c.integer("axis", -1), len(t.Shape))
	if err != nil {
		return nil, err
	}
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	lines(t.Shape, a, func(start, step, n int) {
		sum := 0.0
		for i := range n {
			sum += math.Pow(math.Abs(float64(t.F[start+i*step])), float64(p))
		}
		if p == 2 {
			sum = math.Sqrt(sum)
		}
		for i := range n {
			if sum > 0 {
				out.F[start+i*step] = round(t.DType, float64(t.F[start+i*step])/sum)
			}
		}
	})
	return []*Tensor{out}, nil
}
