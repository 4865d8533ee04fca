package onnxref

import (
	"fmt"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// contributed is the operator of that name in com.microsoft: what onnxruntime's
// optimiser of transformers writes in place of several standard operators.
func contributed(name string) operator {
	switch name {
	case "Gelu":
		return operator{1, 1, func(c *call) ([]*Tensor, error) { return one(c.each(c.in[0], gelu)) }}
	case "BiasGelu":
		return operator{2, 2, func(c *call) ([]*Tensor, error) { return one(c.biased(gelu)) }}
	case "FastGelu":
		return operator{1, 2, func(c *call) ([]*Tensor, error) { return one(c.biased(geluTanh)) }}
	case "QuickGelu":
		return operator{1, 1, func(c *call) ([]*Tensor, error) {
			alpha := c.real("alpha", float64(float32(1.702)))
			return one(c.each(c.in[0], func(v float64) float64 { return v * sigmoid(alpha*v) }))
		}}
	case "SkipLayerNormalization":
		return operator{3, 5, skipLayerNorm}
	case "SkipSimplifiedLayerNormalization":
		return operator{3, 4, skipLayerNorm}
	case "EmbedLayerNormalization":
		return operator{1, 9, embedLayerNorm}
	case "QEmbedLayerNormalization":
		return operator{1, 18, embedLayerNorm}
	case "QuantizeLinear", "DequantizeLinear":
		return quantising(name)
	case "FusedGemm":
		return operator{2, 3, fusedGemm}
	case "FusedMatMul", "TransposeMatMul":
		return operator{2, 2, fusedMatMul}
	case "MatMulIntegerToFloat":
		return operator{4, 7, matMulIntegerToFloat}
	case "DynamicQuantizeMatMul":
		return operator{3, 5, dynamicQuantizeMatMul}
	case "Attention":
		return operator{2, 7, attention}
	case "QAttention":
		return operator{5, 9, quantisedAttention}
	case "MultiHeadAttention":
		return operator{3, 8, multiHeadAttention}
	case "RotaryEmbedding":
		return operator{4, 4, rotaryEmbedding}
	}
	return operator{}
}

// biased applies f to the sum of inputs 0 and 1, which is rounded first.
func (c *call) biased(f func(float64) float64) (*Tensor, error) {
	sum, err := c.plus(c.in[0], c.arg(1))
	if err != nil {
		return nil, err
	}
	return c.each(sum, f)
}

// plus is a + b, or a where there is no b.
func (c *call) plus(a, b *Tensor) (*Tensor, error) {
	if b == nil {
		return a, nil
	}
	return c.pair(a, b, func(x, y float64) float64 { return x + y }, nil)
}

// with is a call of the same node with other inputs.
func (c *call) with(in ...*Tensor) *call {
	d := *c
	d.in = in
	return &d
}

// skipLayerNorm normalises the sum of its inputs; its fourth output is the sum.
func skipLayerNorm(c *call) ([]*Tensor, error) {
	beta, bias, norm := c.arg(3), c.arg(4), layerNorm
	if c.node.Op == "SkipSimplifiedLayerNormalization" {
		beta, bias, norm = nil, c.arg(3), rmsNorm
	}
	sum, err := c.plus(c.in[0], c.in[1])
	if err != nil {
		return nil, err
	}
	if sum, err = c.plus(sum, bias); err != nil {
		return nil, err
	}
	d := c.with(sum, c.in[2], beta)
	d.eps = contribEps
	outs, err := norm(d)
	if err != nil {
		return nil, err
	}
	return append(outs, sum), nil
}

// contribEps is the default epsilon of the contributed normalisations.
const contribEps = 1e-12

// embedLayerNorm adds up the rows of two or three tables and normalises the sum.
// Its second output counts the ones of every line of the mask. The tables, gain and
// bias of QEmbedLayerNormalization are codes; their scales are inputs 8 to 12, their
// zero points 13 to 17.
func embedLayerNorm(c *call) ([]*Tensor, error) {
	ids, types := c.in[0], c.arg(1)
	places, err := c.positionIDs(ids)
	if err != nil {
		return nil, err
	}
	var parts [5]*Tensor // words, positions, types, gain, bias
	for i, which := range []*Tensor{ids, places, types, nil, nil} {
		if parts[i], err = c.embedded(i+2, which); err != nil {
			return nil, err
		}
	}
	sum := parts[0]
	for _, t := range parts[1:3] {
		if sum, err = c.plus(sum, t); err != nil {
			return nil, err
		}
	}
	counts, err := c.ones(ids)
	if err != nil {
		return nil, err
	}
	d := c.with(sum, parts[3], parts[4])
	d.eps = contribEps
	outs, err := layerNorm(d)
	if err != nil {
		return nil, err
	}
	return []*Tensor{outs[0], counts, sum}, nil
}

// positionIDs are given, or count from 0.
func (c *call) positionIDs(ids *Tensor) (*Tensor, error) {
	if len(ids.Shape) != 2 {
		return nil, fmt.Errorf("ids %v, want a matrix", ids)
	}
	if c.node.Op == "EmbedLayerNormalization" && c.arg(8) != nil {
		return c.arg(8), nil
	}
	places := Ints(tensor.I64, []int{1, ids.Shape[1]})
	for i := range ids.Shape[1] {
		places.I = append(places.I, int64(i))
	}
	return places, nil
}

// embedded is the rows of input i that are asked for, or all of it, decoded if it
// is codes; nil where types or what they look up are left out.
func (c *call) embedded(i int, which *Tensor) (*Tensor, error) {
	v, constant := c.views[i]
	t := c.arg(i)
	if i == 4 && (t == nil && !constant || which == nil) {
		return nil, nil
	}
	if t == nil && !constant {
		return nil, fmt.Errorf("input %d is left out", i)
	}
	if which != nil {
		d := c.with(t, which)
		d.views, d.node = nil, &onnx.Node{Op: "Gather"}
		if constant {
			d.views = map[int]tensor.View{0: v}
		}
		rows, err := gather(d)
		if err != nil {
			return nil, err
		}
		t = rows[0]
	}
	if c.node.Op == "EmbedLayerNormalization" {
		return t, nil
	}
	scale, zero := c.arg(i+6), c.arg(i+11)
	if scale == nil || scale.Len() != 1 {
		return nil, fmt.Errorf("scale %v of input %d", scale, i)
	}
	decoded, err := dequantizeLinear(c.with(t, scale, zero))
	if err != nil {
		return nil, err
	}
	return decoded[0], nil
}

// ones counts the ones in every line of the mask, input 7.
func (c *call) ones(ids *Tensor) (*Tensor, error) {
	b, n := ids.Shape[0], ids.Shape[1]
	counts, err := c.make(tensor.I32, []int{b})
	if err != nil {
		return nil, err
	}
	if mask := c.arg(7); mask != nil {
		if !slices.Equal(mask.Shape, ids.Shape) || mask.Float() {
			return nil, fmt.Errorf("mask %v for ids %v", mask, ids)
		}
		for i, v := range mask.I {
			counts.I[i/n] += truth(v == 1)
		}
	}
	return counts, nil
}

// fusedGemm applies an activation function to what Gemm gives.
func fusedGemm(c *call) ([]*Tensor, error) {
	outs, err := gemm(c)
	if err != nil {
		return nil, err
	}
	n := &onnx.Node{Op: c.text("activation", ""), Attrs: map[string]onnx.Attr{}}
	for _, name := range []string{"alpha", "beta"} {
		if a, ok := c.node.Attrs["activation_"+name]; ok {
			n.Attrs[name] = a
		}
	}
	op := unary(n.Op)
	if op.run == nil {
		return nil, fmt.Errorf("activation %q", n.Op)
	}
	d := c.with(outs[0])
	d.node = n
	return op.run(d)
}

// fusedMatMul transposes the last two dimensions of its inputs as it is told;
// transposed batches have their first dimension before the last.
func fusedMatMul(c *call) ([]*Tensor, error) {
	a, err := c.swapped(c.in[0], c.integer("transA", 0) != 0, c.integer("transBatchA", 0) != 0)
	if err != nil {
		return nil, err
	}
	b, err := c.swapped(c.in[1], c.integer("transB", 0) != 0, c.integer("transBatchB", 0) != 0)
	if err != nil {
		return nil, err
	}
	return one(c.matMul(a, b, c.real("alpha", 1)))
}

func (c *call) swapped(t *Tensor, last, batch bool) (*Tensor, error) {
	r := len(t.Shape)
	if r < 2 || !last && !batch {
		return t, nil
	}
	order := make([]int, r)
	for i := range order {
		order[i] = i
	}
	if batch {
		if r < 3 {
			return nil, fmt.Errorf("%v has no batch dimension", t)
		}
		copy(order, order[1:r-1]) // 0 moves to the place before the last
		order[r-2] = 0
	}
	if last {
		order[r-1], order[r-2] = order[r-2], order[r-1]
	}
	return c.permute(t, order)
}

// matMulIntegerToFloat is an integer product with its scales and bias.
func matMulIntegerToFloat(c *call) ([]*Tensor, error) {
	return one(c.scaledProduct(c.with(c.in[0], c.in[1], c.arg(4), c.arg(5)), c.in[2], c.in[3], c.arg(6)))
}

// dynamicQuantizeMatMul quantises its left side first.
func dynamicQuantizeMatMul(c *call) ([]*Tensor, error) {
	a, err := dynamicQuantizeLinear(c.with(c.in[0]))
	if err != nil {
		return nil, err
	}
	return one(c.scaledProduct(c.with(a[0], c.in[1], a[2], c.arg(3)), a[1], c.in[2], c.arg(4)))
}

// scaledProduct is product, of matMulInteger, times two scales, plus a bias.
func (c *call) scaledProduct(product *call, a, b, bias *Tensor) (*Tensor, error) {
	if !a.Float() || !b.Float() {
		return nil, fmt.Errorf("scales %v and %v", a, b)
	}
	codes, err := matMulInteger(product)
	if err != nil {
		return nil, err
	}
	wide, err := c.convert(codes[0], tensor.F32)
	if err != nil {
		return nil, err
	}
	scale, err := c.pair(a, b, func(x, y float64) float64 { return x * y }, nil)
	if err == nil && scale.Len() == 1 {
		scale = scale.as([]int{})
	}
	if err == nil {
		wide, err = c.pair(wide, scale, func(x, y float64) float64 { return x * y }, nil)
	}
	if err != nil {
		return nil, err
	}
	return c.plus(wide, bias)
}
