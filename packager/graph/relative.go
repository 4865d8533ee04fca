package graph

import (
	"fmt"
	"math"
)

// Bias adds a number for each head and bucket of distances to the scaled score,
// in the scheme of T5 and MPNet: half of the buckets for each direction; near
// distances have one each, farther ones share on a logarithmic scale that ends
// at MaxDistance.
type Bias struct {
	Table       *Table // [rows][Heads]; rows is at least Buckets
	Buckets     int
	MaxDistance int
}

// Bucket is the row of the table for a key delta places after the query.
func (b *Bias) Bucket(delta int) int {
	half := b.Buckets / 2
	first := 0
	if delta > 0 {
		first = half
	}
	n, exact := max(delta, -delta), half/2
	if n < exact {
		return first + n
	}
	// As the original computes it, in float32, for the bounds of buckets.
	log := float32(math.Log(float64(float32(n) / float32(exact))))
	share := float32(float64(log) / math.Log(float64(b.MaxDistance)/float64(exact)))
	return first + min(exact+int(share*float32(half-exact)), half-1)
}

func (b *Bias) check(o *Attention) error {
	if b.Buckets < 4 || b.MaxDistance <= b.Buckets/4 || b.Table.Rows < b.Buckets || b.Table.Cols != o.Heads || len(b.Table.Data) != b.Table.Rows*b.Table.Cols {
		return fmt.Errorf("%s: %d x %d for %d buckets of %d heads", b.Table.Name, b.Table.Rows, b.Table.Cols, b.Buckets, o.Heads)
	}
	return nil
}

// Rotary turns the pairs (c, c+D/2) of each head's queries and keys by the angle
// t / Theta^(2c/D) at token t, or t * Steps[c] where there are Steps.
type Rotary struct {
	Theta float64
	Steps []float64 // radians a token, for each pair; nil: by Theta
}

// Angle is the angle of pair c of heads of d columns at token t.
func (r *Rotary) Angle(t, c, d int) float64 {
	if r.Steps != nil {
		return float64(t) * r.Steps[c]
	}
	return float64(t) * math.Pow(r.Theta, -2*float64(c)/float64(d))
}

func (r *Rotary) check(o *Attention) error {
	if r.Steps == nil && !(r.Theta > 1) || o.HeadSize%2 != 0 || r.Steps != nil && len(r.Steps) != o.HeadSize/2 {
		return fmt.Errorf("rotary with theta %g and %d steps over heads of %d", r.Theta, len(r.Steps), o.HeadSize)
	}
	return nil
}

// turn returns the turned rows of h columns in heads of d.
func (r *Rotary) turn(x []float32, h, d int) []float32 {
	y := make([]float32, len(x))
	for t := range len(x) / h {
		for c := range d / 2 {
			sin, cos := math.Sincos(r.Angle(t, c, d))
			for at := t*h + c; at < (t+1)*h; at += d {
				a, b := float64(x[at]), float64(x[at+d/2])
				y[at] = float32(a*cos - b*sin)
				y[at+d/2] = float32(b*cos + a*sin)
			}
		}
	}
	return y
}

// Disentangled adds to q_i . k_j, before it is scaled, q_i . K[r] and k_j . Q[r]
// for r = Row(i-j), where K and Q are the Keys and Queries of the rows of a table
// of relative positions: DeBERTa's content-to-position and position-to-content.
type Disentangled struct {
	Table *Table         // [at least 2*Span][H]
	Norm  *NormWeights   // of the table's rows; nil for none
	Keys  *LinearWeights // nil: no content-to-position
	// Queries is nil where there is no position-to-content. Keys and Queries may
	// be the very layers that make the keys and queries of the tokens.
	Queries *LinearWeights
	Span    int // distances count up to it
	// Buckets over 0 takes distances beyond Buckets/2 together, on a logarithmic
	// scale that ends at MaxPosition.
	Buckets, MaxPosition int
}

// Row is the row of the table for a key delta places before the query.
func (d *Disentangled) Row(delta int) int {
	return max(0, min(d.bucket(delta)+d.Span, 2*d.Span-1))
}

// bucket shortens far distances.
func (d *Disentangled) bucket(delta int) int {
	mid, n := d.Buckets/2, max(delta, -delta)
	if d.Buckets <= 0 || d.MaxPosition <= 0 || n <= mid {
		return delta
	}
	// As the original computes it, in float32, for the bounds of buckets.
	log := float32(math.Log(float64(float32(n) / float32(mid))))
	all := float32(math.Log(float64(float32(float64(d.MaxPosition-1) / float64(mid)))))
	far := int(math.Ceil(float64(float32(log/all)*float32(mid-1)))) + mid
	if delta < 0 {
		return -far
	}
	return far
}

func (d *Disentangled) check(o *Attention) error {
	t := d.Table
	if d.Span < 1 || t.Rows < 2*d.Span || len(t.Data) != t.Rows*t.Cols {
		return fmt.Errorf("%s: %d rows for a span of %d", t.Name, t.Rows, d.Span)
	}
	if d.Buckets > 0 && (d.Buckets < 4 || d.MaxPosition <= d.Buckets/2+1) {
		return fmt.Errorf("%s: %d buckets up to position %d", t.Name, d.Buckets, d.MaxPosition)
	}
	if d.Norm != nil && len(d.Norm.Gain) != t.Cols {
		return fmt.Errorf("%s: %d gains for %d columns", d.Norm.Name, len(d.Norm.Gain), t.Cols)
	}
	for _, w := range []*LinearWeights{d.Keys, d.Queries} {
		if w != nil && (w.In != t.Cols || w.Out != o.Heads*o.HeadSize || len(w.Weight) != w.In*w.Out) {
			return fmt.Errorf("%s: %d x %d for relative positions of %d columns", w.Name, w.Out, w.In, t.Cols)
		}
	}
	return nil
}

// Projected are the Keys and Queries of the first 2*Span rows of the table,
// [2*Span][Heads*HeadSize] each; nil where there are none.
func (d *Disentangled) Projected() (keys, queries []float32) {
	rows := append([]float32(nil), d.Table.Data[:2*d.Span*d.Table.Cols]...)
	if d.Norm != nil {
		d.Norm.apply(rows)
	}
	if d.Keys != nil {
		keys = d.Keys.apply(rows, 2*d.Span)
	}
	if d.Queries != nil {
		queries = d.Queries.apply(rows, 2*d.Span)
	}
	return keys, queries
}
