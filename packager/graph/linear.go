package graph

import "fmt"

// LinearWeights is y = Weight x + Bias.
type LinearWeights struct {
	Name    string // "blocks.3.query"; its own among the weights of a Model
	In, Out int
	Weight  []float32 // [Out][In]; may share its array with a Table
	Bias    []float32 // [Out]; nil for none
	Int8    *Int8     // the codes that Weight was made of, where the file had such; nil otherwise
}

// Int8 is a matrix whose numbers are (Codes - Zero) * Scale. The quantiser keeps
// such codes as they are.
type Int8 struct {
	Codes []int8    // [rows][columns] of the matrix, -128 included
	Scale []float32 // by row of the matrix; one for all of them where its length is 1
	Zero  []int32   // as Scale; nil for zeros
}

// Linear applies the weights and then an activation to every row.
type Linear struct {
	X   ID
	W   *LinearWeights
	Act Activation
	Out ID
}

// Linear appends the operation.
func (m *Model) Linear(x ID, w *LinearWeights, act Activation) ID {
	op := &Linear{X: x, W: w, Act: act}
	return m.append(op, &op.Out, Value{Cols: w.Out, Pooled: m.Values[x].Pooled})
}

func (o *Linear) Reads() []ID  { return []ID{o.X} }
func (o *Linear) Makes() ID    { return o.Out }
func (o *Linear) Kind() string { return "linear" }

func (o *Linear) check(m *Model) (Value, error) {
	w, x := o.W, m.Values[o.X]
	switch {
	case w.In != x.Cols:
		return Value{}, fmt.Errorf("%s takes %d columns and gets %d", w.Name, w.In, x.Cols)
	case w.Out < 1 || len(w.Weight) != w.In*w.Out || w.Bias != nil && len(w.Bias) != w.Out:
		return Value{}, fmt.Errorf("%s: %d weights and %d biases for %d x %d", w.Name, len(w.Weight), len(w.Bias), w.Out, w.In)
	}
	return Value{Cols: w.Out, Pooled: x.Pooled}, nil
}

func (o *Linear) run(r *run) []float32 {
	x := r.values[o.X]
	rows := len(x) / o.W.In
	r.tap(o.W.Name, x, rows, o.W.In)
	y := o.W.apply(x, rows)
	activate(o.Act, y)
	return y
}

// apply returns x times the transposed Weight plus Bias: [rows][Out].
//
// It makes four outputs of a row at a time, over float64 copies of x and of
// four rows of Weight; each output adds up over the inputs in ascending order.
// Nearly all the time of Reference goes here.
func (l *LinearWeights) apply(x []float32, rows int) []float32 {
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
			var bias [4]float64
			if l.Bias != nil {
				for j := range live {
					bias[j] = float64(l.Bias[o+j])
				}
			}
			for r := range rows {
				sums := dot4(wide[r*k:][:k], w)
				for j := range live {
					y[r*n+o+j] = float32(sums[j] + bias[j])
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
