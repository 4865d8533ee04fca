package graph

import (
	"errors"
	"fmt"
	"math"
	"strings"
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
	PoolMeanSqrt                // the sum over the root of T
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
	case PoolMeanSqrt:
		return "mean_sqrt_len_tokens"
	}
	return fmt.Sprintf("Pooling(%d)", uint8(p))
}

// Poolings stand side by side in a row, in this order. No poolings are none.
type Poolings []Pooling

// String joins the names with a plus.
func (p Poolings) String() string {
	names := make([]string, len(p))
	for i, how := range p {
		names[i] = how.String()
	}
	if len(p) == 0 {
		return PoolNone.String()
	}
	return strings.Join(names, "+")
}

// Pool makes one row of the token rows of X: of so many times its columns as there
// are ways to pool.
type Pool struct {
	X   ID
	How Poolings
	// AfterPrompt leaves out the tokens of the prompt that a text was given. Those
	// that are left keep their places, and so their weights. Where none are left, a
	// first token is that of the text; all else is zeros.
	AfterPrompt bool
	Out         ID
}

// Pool appends the operation.
func (m *Model) Pool(x ID, how ...Pooling) ID {
	op := &Pool{X: x, How: how}
	return m.append(op, &op.Out, Value{Cols: len(how) * m.Values[x].Cols, Pooled: true})
}

func (o *Pool) Reads() []ID  { return []ID{o.X} }
func (o *Pool) Makes() ID    { return o.Out }
func (o *Pool) Kind() string { return o.How.String() + " pooling" }

func (o *Pool) check(m *Model) (Value, error) {
	x := m.Values[o.X]
	bad := x.Pooled || len(o.How) == 0
	for _, how := range o.How {
		bad = bad || how == PoolNone || how > PoolMeanSqrt
	}
	if bad {
		return x, errors.New("of no token rows, or of no kind")
	}
	return Value{Cols: len(o.How) * x.Cols, Pooled: true}, nil
}

func (o *Pool) run(r *run) []float32 {
	x, h := r.values[o.X], r.m.Values[o.X].Cols
	skip := 0
	if o.AfterPrompt {
		skip = min(r.prompt, r.rows)
	}
	var out []float32
	for _, how := range o.How {
		out = append(out, how.of(x, h, skip)...)
	}
	return out
}

// of pools the rows of h values from row skip on.
func (p Pooling) of(x []float32, h, skip int) []float32 {
	rows := len(x) / h
	switch {
	case p == PoolCLS && skip == rows:
		return append([]float32(nil), x[:h]...)
	case skip == rows:
		return make([]float32, h)
	}
	switch p {
	case PoolCLS:
		return append([]float32(nil), x[skip*h:][:h]...)
	case PoolLast:
		return append([]float32(nil), x[(rows-1)*h:]...)
	case PoolMax:
		out := append([]float32(nil), x[skip*h:][:h]...)
		for at := (skip + 1) * h; at < len(x); at += h {
			for i, v := range x[at:][:h] {
				out[i] = max(out[i], v)
			}
		}
		return out
	case PoolWeighted:
		weight := func(t int) float64 { return float64(t + 1) }
		return sum(x, h, skip, weight, float64(rows*(rows+1)-skip*(skip+1))/2)
	}
	weight, all := func(int) float64 { return 1 }, float64(rows-skip)
	if p == PoolMeanSqrt {
		all = math.Sqrt(all)
	}
	return sum(x, h, skip, weight, all)
}

// sum is the weighted sum of the rows of h values from row skip on, over all.
func sum(x []float32, h, skip int, weight func(t int) float64, all float64) []float32 {
	out := make([]float32, h)
	for i := range out {
		total := 0.0
		for t := skip; t < len(x)/h; t++ {
			total += weight(t) * float64(x[t*h+i])
		}
		out[i] = float32(total / all)
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
