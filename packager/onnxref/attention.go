package onnxref

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/tensor"
)

// attention projects one input to queries, keys and values and attends. What it
// takes beside them for generation, the past, is refused.
func attention(c *call) ([]*Tensor, error) {
	if c.arg(4) != nil || c.integer("do_rotary", 0) != 0 {
		return nil, fmt.Errorf("attention with a past or rotation")
	}
	all, err := c.matMul(c.in[0], c.in[1], 1)
	if err == nil {
		all, err = c.plus(all, c.arg(2))
	}
	if err != nil {
		return nil, err
	}
	return c.attendPacked(all, c.arg(3), c.arg(5))
}

// quantisedAttention is attention with an input and weights of codes.
func quantisedAttention(c *call) ([]*Tensor, error) {
	if c.arg(8) != nil || c.integer("do_rotary", 0) != 0 {
		return nil, fmt.Errorf("attention with a past or rotation")
	}
	all, err := c.scaledProduct(c.with(c.in[0], c.in[1], c.arg(6), c.arg(7)), c.in[3], c.in[4], c.in[2])
	if err != nil {
		return nil, err
	}
	return c.attendPacked(all, c.arg(5), nil)
}

// attendPacked cuts queries, keys and values out of the columns of all.
func (c *call) attendPacked(all, mask, bias *Tensor) ([]*Tensor, error) {
	if len(all.Shape) != 3 {
		return nil, fmt.Errorf("input of rank %d, want 3", len(all.Shape))
	}
	n := all.Shape[2]
	sizes, given, err := c.list("qkv_hidden_sizes", many)
	if err != nil {
		return nil, err
	}
	if !given {
		if n%3 != 0 {
			return nil, fmt.Errorf("%d columns for queries, keys and values", n)
		}
		sizes = []int{n / 3, n / 3, n / 3}
	}
	parts, err := c.cut(all, 2, sizes)
	if err == nil && len(parts) != 3 {
		err = fmt.Errorf("qkv_hidden_sizes %v", sizes)
	}
	if err != nil {
		return nil, err
	}
	return one(c.attend(parts, mask, bias))
}

// multiHeadAttention is given queries, keys and values [B,T,H] as they are, and
// one bias for all three.
func multiHeadAttention(c *call) ([]*Tensor, error) {
	if c.arg(6) != nil || c.arg(7) != nil {
		return nil, fmt.Errorf("attention with a past")
	}
	parts := slices.Clone(c.in[:3])
	for i, t := range parts {
		if len(t.Shape) != 3 {
			return nil, fmt.Errorf("input %d of rank %d, want 3", i, len(t.Shape))
		}
	}
	if bias := c.arg(3); bias != nil {
		if len(bias.Shape) != 1 {
			return nil, fmt.Errorf("bias %v", bias)
		}
		pieces, err := c.cut(bias, 0, []int{parts[0].Shape[2], parts[1].Shape[2], parts[2].Shape[2]})
		if err != nil {
			return nil, err
		}
		for i := range parts {
			if parts[i], err = c.plus(parts[i], pieces[i]); err != nil {
				return nil, err
			}
		}
	}
	return one(c.attend(parts, c.arg(4), c.arg(5)))
}

// heads is attention over B sequences of T queries and S keys, of A heads with D
// columns of queries and keys and V of values.
type heads struct {
	b, t, s, a, d, v int
	q, k, w          *Tensor // queries [B,T,A*D], keys [B,S,A*D], values [B,S,A*V]
	scale            float64
	plus             func(b, a, t, s int) float64 // what mask and bias add to a score
}

func (c *call) attend(parts []*Tensor, mask, bias *Tensor) (*Tensor, error) {
	q, k, v := parts[0], parts[1], parts[2]
	h := heads{b: q.Shape[0], t: q.Shape[1], s: k.Shape[1], a: c.integer("num_heads", 0), q: q, k: k, w: v}
	if h.a < 1 || q.Shape[2] != k.Shape[2] || q.Shape[2]%h.a != 0 || v.Shape[2]%h.a != 0 || k.Shape[0] != h.b || v.Shape[0] != h.b || v.Shape[1] != h.s ||
		!q.Float() || q.DType != k.DType || k.DType != v.DType {
		return nil, fmt.Errorf("%d heads of %v, %v, %v", h.a, q, k, v)
	}
	h.d, h.v = q.Shape[2]/h.a, v.Shape[2]/h.a
	if h.scale = c.real("scale", 0); h.scale == 0 {
		h.scale = 1 / math.Sqrt(float64(h.d))
	}
	masked, err := c.masked(h, mask)
	if err != nil {
		return nil, err
	}
	shape := []int{h.b, h.a, h.t, h.s}
	if bias != nil {
		if got, err := broadcast(bias.Shape, shape); err != nil || !slices.Equal(got, shape) || !bias.Float() {
			return nil, fmt.Errorf("attention bias %v for %v", bias, shape)
		}
	}
	h.plus = func(b, a, t, s int) float64 {
		sum := masked(b, t, s)
		if bias != nil {
			sum += float64(bias.F[offset([]int{b, a, t, s}, stretched(bias.Shape, 4))])
		}
		return sum
	}
	if err := c.labour(h.b, h.t, h.s, h.a, h.d+h.v); err != nil {
		return nil, err
	}
	out, err := c.make(q.DType, []int{h.b, h.t, h.a * h.v})
	if err != nil {
		return nil, err
	}
	walk([]int{h.b, h.a, h.t}, func(_ int, at []int) { h.row(at[0], at[1], at[2], out) })
	return out, nil
}

// row attends with one query of one head.
func (h heads) row(b, a, t int, out *Tensor) {
	scores := &Tensor{F: make([]float32, h.s), DType: tensor.F32}
	query := h.q.F[(b*h.t+t)*h.a*h.d+a*h.d:]
	for s := range h.s {
		key, sum := h.k.F[(b*h.s+s)*h.a*h.d+a*h.d:], 0.0
		for i := range h.d {
			sum += float64(query[i]) * float64(key[i])
		}
		scores.F[s] = float32(sum*h.scale + h.plus(b, a, t, s))
	}
	soften(scores, scores.Clone(), 0, 1, h.s, false)
	for i := range h.v {
		sum := 0.0
		for s, p := range scores.F {
			sum += float64(p) * float64(h.w.F[(b*h.s+s)*h.a*h.v+a*h.v+i])
		}
		out.F[(b*h.t+t)*h.a*h.v+a*h.v+i] = round(out.DType, sum)
	}
}

// masked tells what a mask adds to the score of a query t and a key s: lengths
// [B], lengths and starts [2B], or ones and zeros [B,S] or [B,T,S].
func (c *call) masked(h heads, mask *Tensor) (func(b, t, s int) float64, error) {
	low := c.real("mask_filter_value", -10000)
	keep, err := kept(h, mask)
	if err != nil {
		return nil, err
	}
	causal := c.integer("unidirectional", 0) != 0
	return func(b, t, s int) float64 {
		sum := 0.0
		if !keep(b, t, s) {
			sum = low
		}
		if causal && s > t+h.s-h.t {
			sum = math.Inf(-1)
		}
		return sum
	}, nil
}

func kept(h heads, mask *Tensor) (func(b, t, s int) bool, error) {
	switch {
	case mask == nil:
		return func(b, t, s int) bool { return true }, nil
	case mask.Float():
	case slices.Equal(mask.Shape, []int{h.b}):
		return func(b, t, s int) bool { return int64(s) < mask.I[b] }, nil
	case slices.Equal(mask.Shape, []int{2 * h.b}):
		return func(b, t, s int) bool { return int64(s) < mask.I[b] && int64(s) >= mask.I[h.b+b] }, nil
	case slices.Equal(mask.Shape, []int{h.b, h.s}):
		return func(b, t, s int) bool { return mask.I[b*h.s+s] > 0 }, nil
	case slices.Equal(mask.Shape, []int{h.b, h.t, h.s}):
		return func(b, t, s int) bool { return mask.I[(b*h.t+t)*h.s+s] > 0 }, nil
	}
	return nil, fmt.Errorf("mask %v for %d x %d queries and %d keys", mask, h.b, h.t, h.s)
}

// rotaryEmbedding turns pairs of columns of every head by the angles of its
// position: the two halves of a head, or neighbours if interleaved.
func rotaryEmbedding(c *call) ([]*Tensor, error) {
	t, places, cos, sin := c.in[0], c.in[1], c.in[2], c.in[3]
	if c.integer("rotary_embedding_dim", 0) != 0 || c.integer("scale", 1) != 1 || c.integer("is_packed_batching", 0) != 0 {
		return nil, fmt.Errorf("rotation of a part, scaled or packed")
	}
	if !t.Float() || len(cos.Shape) != 2 || !slices.Equal(cos.Shape, sin.Shape) || cos.DType != t.DType || sin.DType != t.DType {
		return nil, fmt.Errorf("angles %v and %v", cos, sin)
	}
	half, n := cos.Shape[1], 0
	switch len(t.Shape) { // [B,A,T,D] or [B,T,A*D]
	case 3:
		n = t.Shape[1]
	case 4:
		n = t.Shape[2]
	default:
		return nil, fmt.Errorf("input %v", t)
	}
	if half == 0 || t.Shape[len(t.Shape)-1]%(2*half) != 0 || len(t.Shape) == 4 && t.Shape[3] != 2*half {
		return nil, fmt.Errorf("%d angles for %v", half, t)
	}
	rows, err := indices(places, cos.Shape[0])
	if err != nil {
		return nil, err
	}
	if !slices.Equal(places.Shape, []int{t.Shape[0], n}) && !(len(t.Shape) == 4 && slices.Equal(places.Shape, []int{1})) && !slices.Equal(places.Shape, []int{1}) {
		return nil, fmt.Errorf("positions %v for %v", places, t)
	}
	out, err := c.make(t.DType, t.Shape)
	if err != nil {
		return nil, err
	}
	interleaved, time := c.integer("interleaved", 0) != 0, len(t.Shape)-2
	walk(t.Shape, func(i int, at []int) {
		row := rows[0] + at[time] // one position: where the sequence starts
		if len(places.Shape) == 2 {
			row = rows[at[0]*n+at[time]]
		}
		column, other, angle, sign := at[len(at)-1]%(2*half), 0, 0, 1.0
		switch {
		case interleaved:
			other, angle = column^1, column/2
			sign = float64(column%2*2 - 1)
		default:
			other, angle = (column+half)%(2*half), column%half
			sign = float64(column/half*2 - 1)
		}
		if row >= cos.Shape[0] {
			return
		}
		x, y := float64(t.F[i]), float64(t.F[i-column+other])
		out.F[i] = round(t.DType, x*float64(cos.F[row*half+angle])+sign*y*float64(sin.F[row*half+angle]))
	})
	return []*Tensor{out}, nil
}
