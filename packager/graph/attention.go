package graph

import (
	"fmt"
	"math"
)

// Slice is Heads*HeadSize columns of a value, from First.
type Slice struct {
	X     ID
	First int
}

// Attention is, for every head and token i,
//
//	sum over j of softmax over j of ((q_i . k_j + relative) * Scale + bias) v_j
//
// over the tokens j of the same text, or those with |i-j| <= Window.
type Attention struct {
	Q, K, V         Slice
	Heads, HeadSize int
	Scale           float64
	Window          int      // 0: every token sees every other
	Relative        Relative // how distance counts; nil: it does not
	Out             ID
}

// Relative is *Bias, *Rotary or *Disentangled.
type Relative interface {
	check(o *Attention) error
}

// Attend appends the operation, whose Out need not be set.
func (m *Model) Attend(a Attention) ID {
	op := &a
	return m.append(op, &op.Out, Value{Cols: a.Heads * a.HeadSize})
}

func (o *Attention) Reads() []ID  { return []ID{o.Q.X, o.K.X, o.V.X} }
func (o *Attention) Makes() ID    { return o.Out }
func (o *Attention) Kind() string { return "attention" }

func (o *Attention) check(m *Model) (Value, error) {
	width := o.Heads * o.HeadSize
	if o.Heads < 1 || o.HeadSize < 1 || !(o.Scale > 0) || o.Window < 0 {
		return Value{}, fmt.Errorf("%d heads of %d, scale %g, window %d", o.Heads, o.HeadSize, o.Scale, o.Window)
	}
	for _, s := range []Slice{o.Q, o.K, o.V} {
		if v := m.Values[s.X]; v.Pooled || s.First < 0 || s.First+width > v.Cols {
			return Value{}, fmt.Errorf("columns %d to %d of %d", s.First, s.First+width, v.Cols)
		}
	}
	if o.Relative != nil {
		if err := o.Relative.check(o); err != nil {
			return Value{}, err
		}
	}
	return Value{Cols: width}, nil
}

// rows are the columns of a slice, [T][Heads*HeadSize].
func (s Slice) rows(r *run, width int) []float32 {
	x, cols := r.values[s.X], r.m.Values[s.X].Cols
	if cols == width {
		return x
	}
	out := make([]float32, r.rows*width)
	for t := range r.rows {
		copy(out[t*width:][:width], x[t*cols+s.First:])
	}
	return out
}

func (o *Attention) run(r *run) []float32 {
	d := o.HeadSize
	h := o.Heads * d
	q, k, v := o.Q.rows(r, h), o.K.rows(r, h), o.V.rows(r, h)
	if rot, ok := o.Relative.(*Rotary); ok {
		q, k = rot.turn(q, h, d), rot.turn(k, h, d)
	}
	more := o.relation(r, q, k)
	out := make([]float32, r.rows*h)
	parallel(r.rows, func(lo, hi int) {
		p := make([]float64, r.rows)
		sum := make([]float64, d)
		for i := lo; i < hi; i++ {
			from, to := 0, r.rows
			if o.Window > 0 {
				from, to = max(0, i-o.Window), min(r.rows, i+o.Window+1)
			}
			for a := range o.Heads {
				at := a * d
				for j := from; j < to; j++ {
					p[j] = dot(q[i*h+at:][:d], k[j*h+at:][:d]) * o.Scale
					if more != nil {
						p[j] += more(a, i, j)
					}
				}
				softmax(p[from:to])
				clear(sum)
				for j := from; j < to; j++ {
					for c, x := range v[j*h+at:][:d] {
						sum[c] += p[j] * float64(x)
					}
				}
				for c, x := range sum {
					out[i*h+at+c] = float32(x)
				}
			}
		}
	})
	return out
}

// relation is what distance adds to a score, nil for nothing.
func (o *Attention) relation(r *run, q, k []float32) func(head, i, j int) float64 {
	switch rel := o.Relative.(type) {
	case *Bias:
		return func(head, i, j int) float64 {
			return float64(rel.Table.Data[rel.Bucket(j-i)*rel.Table.Cols+head])
		}
	case *Disentangled:
		d := o.HeadSize
		h := o.Heads * d
		p := r.projected(rel)
		return func(head, i, j int) float64 {
			row, sum := rel.Row(i-j)*h+head*d, 0.0
			if rel.Keys != nil {
				sum += dot(q[i*h+head*d:][:d], p.keys[row:][:d])
			}
			if rel.Queries != nil {
				sum += dot(k[j*h+head*d:][:d], p.queries[row:][:d])
			}
			return sum * o.Scale
		}
	}
	return nil
}

// dot is the inner product of two rows of one length.
func dot(a, b []float32) float64 {
	var s0, s1 float64
	b = b[:len(a)]
	i := 0
	for ; i+1 < len(a); i += 2 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
	}
	if i < len(a) {
		s0 += float64(a[i]) * float64(b[i])
	}
	return s0 + s1
}

// softmax turns scores into weights that add up to 1.
func softmax(p []float64) {
	top := p[0]
	for _, v := range p {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range p {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
}
