package graph

import (
	"errors"
	"fmt"
	"math"
)

// Pooling makes one row of a text's T rows. The zero value is none.
type Pooling uint8

// The poolings. Special tokens count like all others.
const (
	PoolNone     Pooling = iota // the model has no sentence vector
	PoolMean                    // the mean over all tokens
	PoolCLS                     // the first token
	PoolMax                     // the largest value of each column
	PoolLast                    // the last token
	PoolWeighted                // the mean with weights 1, 2, ... T
)

// String is the pooling's name, as sentence-transformers has it.
func (p Pooling) String() string {
	switch p {
	case PoolNone:
		return "none"
	case PoolMean:
		return "mean"
	case PoolCLS:
		return "cls"
	case PoolMax:
		return "max"
	case PoolLast:
		return "lasttoken"
	case PoolWeighted:
		return "weightedmean"
	}
	return fmt.Sprintf("Pooling(%d)", uint8(p))
}

// Pool makes one row of the token rows of X.
type Pool struct {
	X   ID
	How Pooling
	Out ID
}

// Pool appends the operation.
func (m *Model) Pool(x ID, how Pooling) ID {
	op := &Pool{X: x, How: how}
	return m.append(op, &op.Out, Value{Cols: m.Values[x].Cols, Pooled: true})
}

func (o *Pool) Reads() []ID  { return []ID{o.X} }
func (o *Pool) Makes() ID    { return o.Out }
func (o *Pool) Kind() string { return o.How.String() + " pooling" }

func (o *Pool) check(m *Model) (Value, error) {
	x := m.Values[o.X]
	if x.Pooled || o.How == PoolNone || o.How > PoolWeighted {
		return x, errors.New("of no token rows, or of no kind")
	}
	return Value{Cols: x.Cols, Pooled: true}, nil
}

func (o *Pool) run(r *run) []float32 {
	x, h := r.values[o.X], r.m.Values[o.X].Cols
	last := (r.rows - 1) * h
	switch o.How {
	case PoolCLS:
		return append([]float32(nil), x[:h]...)
	case PoolLast:
		return append([]float32(nil), x[last:]...)
	case PoolMax:
		out := append([]float32(nil), x[:h]...)
		for at := h; at <= last; at += h {
			for i, v := range x[at:][:h] {
				out[i] = max(out[i], v)
			}
		}
		return out
	case PoolWeighted:
		return mean(x, h, func(t int) float64 { return float64(t + 1) })
	}
	return mean(x, h, func(int) float64 { return 1 })
}

// mean is the weighted mean of the rows of h values.
func mean(x []float32, h int, weight func(t int) float64) []float32 {
	out := make([]float32, h)
	for i := range out {
		sum, all := 0.0, 0.0
		for t := range len(x) / h {
			w := weight(t)
			sum += w * float64(x[t*h+i])
			all += w
		}
		out[i] = float32(sum / all)
	}
	return out
}

// Normalize divides every row of X by its Euclidean length; zeros stay zeros.
type Normalize struct{ X, Out ID }

// Normalize appends the operation.
func (m *Model) Normalize(x ID) ID {
	op := &Normalize{X: x}
	return m.append(op, &op.Out, m.Values[x])
}

func (o *Normalize) Reads() []ID  { return []ID{o.X} }
func (o *Normalize) Makes() ID    { return o.Out }
func (o *Normalize) Kind() string { return "normalisation" }

func (o *Normalize) check(m *Model) (Value, error) { return m.Values[o.X], nil }

func (o *Normalize) run(r *run) []float32 {
	y, h := append([]float32(nil), r.values[o.X]...), r.m.Values[o.X].Cols
	for at := 0; at < len(y); at += h {
		normalize(y[at:][:h])
	}
	return y
}

// normalize divides v by its Euclidean length.
func normalize(v []float32) {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := max(math.Sqrt(sum), 1e-12)
	for i, x := range v {
		v[i] = float32(float64(x) / length)
	}
}
