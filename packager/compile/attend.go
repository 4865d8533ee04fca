package compile

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"skiff/packager/graph"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// attention is the plain kernel where query, key and value lie side by side and nothing
// else is asked for.
func (c *compiler) attention(o *graph.Attention) {
	width := o.Heads * o.HeadSize
	q, k, v := o.Q, o.K, o.V
	if c.q.QKV[o] != nil { // one layer made all three
		k.First, v.First = width, 2*width
	}
	x := [3]*buffer{c.live.buffers[q.X], c.live.buffers[k.X], c.live.buffers[v.X]}
	packed := x[0] == x[1] && x[0] == x[2] && q.First == 0 && k.First == width && v.First == 2*width
	c.enter(kernel.Heads, program.Tokens)
	if packed && o.Relative == nil && o.Window == 0 {
		k, err := kernel.NewAttention(o.Heads, o.HeadSize, float32(o.Scale))
		out := c.make(o, o.Out)
		c.call(k, err, at(x[0]), num(x[0].stride), at(c.starts), at(out), num(out.stride))
		return
	}
	options := kernel.AttendOptions{Window: o.Window}
	var tables []arg
	switch rel := o.Relative.(type) {
	case *graph.Bias:
		options.Bias = true
		tables = c.biases(rel, o.Heads)
	case *graph.Rotary:
		options.Rotary = true
		tables = c.angles(rel, o.HeadSize)
	case *graph.Disentangled:
		options.C2P, options.P2C = rel.Keys != nil, rel.Queries != nil
		tables = c.distances(rel, width)
	case nil:
	default:
		c.fail("no kernel for attention with %T", rel)
	}
	kern, err := kernel.NewAttend(o.Heads, o.HeadSize, float32(o.Scale), options)
	out := c.make(o, o.Out)
	args := []arg{
		at(x[0]), num(x[0].stride), num(q.First), at(x[1]), num(x[1].stride), num(k.First), at(x[2]), num(x[2].stride), num(v.First),
		at(c.starts), at(out), num(out.stride),
	}
	c.call(kern, err, append(args, tables...)...)
}

// biases are the numbers that a head adds at each distance: bias[head][j-i+T-1] for texts
// of up to T tokens.
func (c *compiler) biases(rel *graph.Bias, heads int) []arg {
	t := c.q.Source.MaxTokens
	span := 2*t - 1
	bias := make([]float32, heads*span)
	for e := range span {
		row := rel.Table.Data[rel.Bucket(e-(t-1))*rel.Table.Cols:]
		for head := range heads {
			bias[head*span+e] = row[head]
		}
	}
	return []arg{c.weights.vector(blockOf(rel.Table.Name), rel.Table.Name, bias), num(t)}
}

// angles are the cosines and sines of a rotation, [T][D/2] each.
func (c *compiler) angles(rel *graph.Rotary, d int) []arg {
	t := c.q.Source.MaxTokens
	cos, sin := make([]float32, t*d/2), make([]float32, t*d/2)
	for i := range cos {
		s, c := math.Sincos(rel.Angle(i/(d/2), i%(d/2), d))
		cos[i], sin[i] = float32(c), float32(s)
	}
	name := fmt.Sprintf("rotary.%g.%d", rel.Theta, d)
	if rel.Steps != nil {
		name = fmt.Sprintf("rotary.steps.%x", sha256.Sum256(floatBytes(slices.Concat(cos, sin))))
	}
	return []arg{c.weights.vector("rotary", name+".cos", cos), c.weights.vector("rotary", name+".sin", sin), num(t)}
}

// distances are the projected rows of relative positions that texts of up to T tokens
// reach, and which of them is for which distance: deltas[j-i+T-1].
func (c *compiler) distances(rel *graph.Disentangled, width int) []arg {
	t := c.q.Source.MaxTokens
	deltas := make([]int32, 2*t-1)
	low, high := int32(math.MaxInt32), int32(0)
	for e := range deltas {
		deltas[e] = int32(rel.Row(t - 1 - e))
		low, high = min(low, deltas[e]), max(high, deltas[e])
	}
	for e := range deltas {
		deltas[e] -= low
	}
	rows := int(high-low) + 1
	var args []arg
	keys, queries := rel.Projected()
	for _, p := range []struct {
		by   *graph.LinearWeights
		data []float32
	}{{rel.Keys, keys}, {rel.Queries, queries}} {
		if p.by != nil {
			data := p.data[int(low)*width:][:rows*width]
			args = append(args, c.weights.matrix(blockOf(p.by.Name), p.by.Name+".distances", data, rows, width))
		}
	}
	index := c.weights.index(blockOf(rel.Table.Name), rel.Table.Name+".distances", deltas, rows)
	return append(args, num(rows), index, num(t))
}
