package graph

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

// Tap sees the input of a Linear just before it runs: rows of cols values,
// which it must neither change nor keep. The name is that of LinearName. Taps
// are called from one goroutine, in the order of the computation; query, key
// and value of a block share one input and are three calls.
type Tap func(name string, x []float32, rows, cols int)

// Reference computes what a Model means, in plain Go and as accurately as
// float32 results allow: every sum is held in float64, where the product of
// two float32 values is exact. It is the truth that quantised models are
// measured against, not a thing to serve from. Its bits do not depend on the
// number of goroutines; they may depend on the CPU through exp and erf.
//
// It may be used by several goroutines; each call starts goroutines of its own
// and waits for them.
type Reference struct {
	m *Model
}

// Reference returns the interpreter of m.
func (m *Model) Reference() *Reference { return &Reference{m} }

// Embed returns the sentence vector of a text: Prefix and text, tokenised and
// cut to MaxTokens.
func (r *Reference) Embed(text string) ([]float32, error) {
	return r.EmbedIDs(r.m.Tokenizer.AppendIDs(nil, r.m.Prefix+text, r.m.MaxTokens), nil)
}

// EmbedIDs returns the sentence vector, [H], of one tokenised text whose token
// types are all 0.
func (r *Reference) EmbedIDs(ids []int32, tap Tap) ([]float32, error) {
	if r.m.Pool != PoolMean {
		return nil, fmt.Errorf("embed with %s: the model declares no pooling (its task is %s)", r.m.Name, r.m.Task)
	}
	states, err := r.Hidden(ids, make([]int32, len(ids)), tap)
	if err != nil {
		return nil, err
	}
	v := mean(states[len(states)-1], len(ids), r.m.Hidden)
	if r.m.Normalize {
		normalize(v)
	}
	return v, nil
}

// Hidden runs one text of T tokens through the encoder. It returns L+1 states
// of [T][H] values: the embeddings and the output of each block. tap may be
// nil. Ids and types outside the model's tables, and a T of 0 or of more than
// MaxPositions, are errors.
func (r *Reference) Hidden(ids, types []int32, tap Tap) ([][]float32, error) {
	if err := r.m.checkInput(ids, types); err != nil {
		return nil, err
	}
	if tap == nil {
		tap = func(string, []float32, int, int) {}
	}
	x := r.m.embed(ids, types)
	states := [][]float32{x}
	for i := range r.m.Blocks {
		x = r.m.block(i, x, len(ids), tap)
		states = append(states, x)
	}
	return states, nil
}

// checkInput compares ids and types with the model's tables.
func (m *Model) checkInput(ids, types []int32) error {
	if len(ids) != len(types) {
		return fmt.Errorf("%d ids but %d types", len(ids), len(types))
	}
	if len(ids) == 0 || len(ids) > m.MaxPositions {
		return fmt.Errorf("%d tokens, the model takes 1 to %d", len(ids), m.MaxPositions)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= m.Vocab {
			return fmt.Errorf("token %d has id %d, the vocabulary has %d", i, id, m.Vocab)
		}
		if types[i] < 0 || int(types[i]) >= m.Types {
			return fmt.Errorf("token %d has type %d, the model has %d", i, types[i], m.Types)
		}
	}
	return nil
}

// embed is the sum of the three tables, normalised.
func (m *Model) embed(ids, types []int32) []float32 {
	h := m.Hidden
	x := make([]float32, len(ids)*h)
	for t, id := range ids {
		row := x[t*h:][:h]
		word, pos, typ := m.Embed.Word[int(id)*h:][:h], m.Embed.Position[t*h:][:h], m.Embed.Type[int(types[t])*h:][:h]
		for i := range row {
			row[i] = word[i] + typ[i] + pos[i]
		}
	}
	m.Embed.Norm.apply(x, h)
	return x
}

// block runs one layer over rows tokens; x is left as it is.
func (m *Model) block(layer int, x []float32, rows int, tap Tap) []float32 {
	b := &m.Blocks[layer]
	run := func(l LinearName, x []float32) []float32 {
		tap(l.Name, x, rows, l.In)
		return l.apply(x, rows)
	}
	all := b.Linears(layer)
	q, k, v := run(all[0], x), run(all[1], x), run(all[2], x)
	y := run(all[3], attend(q, k, v, rows, m.Heads, m.HeadSize()))
	add(y, x)
	b.AttnNorm.apply(y, m.Hidden)

	inner := run(all[4], y)
	activate(b.Act, inner)
	z := run(all[5], inner)
	add(z, y)
	b.FFNNorm.apply(z, m.Hidden)
	return z
}

// parallel splits n items over the CPUs and waits for all of them.
func parallel(n int, do func(lo, hi int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { do(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}

// apply returns x times the transposed Weight plus Bias: [rows][Out].
//
// It makes four outputs of a row at a time, over float64 copies of x and of
// four rows of Weight; each output adds up over the inputs in ascending order.
// Nearly all the time of Reference goes here.
func (l *Linear) apply(x []float32, rows int) []float32 {
	k, n := l.In, l.Out
	wide := make([]float64, rows*k)
	for i := range wide {
		wide[i] = float64(x[i])
	}
	y := make([]float32, rows*n)
	parallel((n+3)/4, func(lo, hi int) {
		w := make([]float64, 4*k)
		for o := 4 * lo; o < min(4*hi, n); o += 4 {
			live := min(4, n-o)
			for i, v := range l.Weight[o*k : (o+live)*k] {
				w[i] = float64(v)
			}
			for r := range rows {
				sums := dot4(wide[r*k:][:k], w)
				for j := range live {
					y[r*n+o+j] = float32(sums[j] + float64(l.Bias[o+j]))
				}
			}
		}
	})
	return y
}

// dot4 multiplies x with each of the four rows of w. More sums at a time would
// not fit the registers.
func dot4(x, w []float64) [4]float64 {
	k := len(x)
	w0, w1, w2, w3 := w[:k], w[k:][:k], w[2*k:][:k], w[3*k:][:k]
	var s0, s1, s2, s3 float64
	for i, a := range x {
		s0 += a * w0[i]
		s1 += a * w1[i]
		s2 += a * w2[i]
		s3 += a * w3[i]
	}
	return [4]float64{s0, s1, s2, s3}
}

// attend is softmax(Q Kt / sqrt(D)) V for every head; q, k, v are [rows][A*D].
func attend(q, k, v []float32, rows, heads, d int) []float32 {
	out := make([]float32, len(q))
	h := heads * d
	scale := 1 / math.Sqrt(float64(d))
	parallel(rows, func(lo, hi int) {
		p := make([]float64, rows)
		sum := make([]float64, d)
		for t := lo; t < hi; t++ {
			for a := range heads {
				at := a * d
				for s := range p {
					p[s] = dot(q[t*h+at:][:d], k[s*h+at:][:d]) * scale
				}
				softmax(p)
				clear(sum)
				for s, w := range p {
					for i, x := range v[s*h+at:][:d] {
						sum[i] += w * float64(x)
					}
				}
				for i, x := range sum {
					out[t*h+at+i] = float32(x)
				}
			}
		}
	})
	return out
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

// apply normalises every row of h values of x in place.
func (n Norm) apply(x []float32, h int) {
	for at := 0; at < len(x); at += h {
		row := x[at:][:h]
		avg, dev := 0.0, 0.0
		for _, v := range row {
			avg += float64(v)
		}
		avg /= float64(h)
		for _, v := range row {
			dev += (float64(v) - avg) * (float64(v) - avg)
		}
		inv := 1 / math.Sqrt(dev/float64(h)+float64(n.Eps))
		for i, v := range row {
			row[i] = float32((float64(v)-avg)*inv*float64(n.Gain[i]) + float64(n.Bias[i]))
		}
	}
}

// activate applies a to every value of x.
func activate(a Activation, x []float32) {
	f := a.Func()
	parallel(len(x), func(lo, hi int) {
		for i, v := range x[lo:hi] {
			x[lo+i] = float32(f(float64(v)))
		}
	})
}

// Func is the activation as a function of one number; the identity for a value
// that is no activation.
func (a Activation) Func() func(x float64) float64 {
	switch a {
	case Gelu:
		return func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }
	case GeluTanh:
		return func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}
	case Relu:
		return func(x float64) float64 { return max(x, 0) }
	case Silu:
		return func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	case Tanh:
		return math.Tanh
	}
	return func(x float64) float64 { return x }
}

// add adds x to y.
func add(y, x []float32) {
	for i, v := range x {
		y[i] += v
	}
}

// mean is the mean of rows rows of h values.
func mean(x []float32, rows, h int) []float32 {
	out := make([]float32, h)
	for i := range out {
		sum := 0.0
		for t := range rows {
			sum += float64(x[t*h+i])
		}
		out[i] = float32(sum / float64(rows))
	}
	return out
}

// normalize divides v by its Euclidean length; zeros stay zeros.
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
