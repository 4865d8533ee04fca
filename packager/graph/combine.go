package graph

import "errors"

// Add is X + Y.
type Add struct{ X, Y, Out ID }

// Add appends the operation.
func (m *Model) Add(x, y ID) ID {
	op := &Add{X: x, Y: y}
	return m.append(op, &op.Out, m.Values[x])
}

func (o *Add) Reads() []ID  { return []ID{o.X, o.Y} }
func (o *Add) Makes() ID    { return o.Out }
func (o *Add) Kind() string { return "add" }

func (o *Add) check(m *Model) (Value, error) {
	if m.Values[o.X] != m.Values[o.Y] {
		return Value{}, errors.New("two shapes")
	}
	return m.Values[o.X], nil
}

func (o *Add) run(r *run) []float32 {
	y := append([]float32(nil), r.values[o.X]...)
	add(y, r.values[o.Y])
	return y
}

// Glu halves every row of X: the first half, activated, times the second.
type Glu struct {
	X   ID
	Act Activation
	Out ID
}

// Glu appends the operation.
func (m *Model) Glu(x ID, act Activation) ID {
	op := &Glu{X: x, Act: act}
	v := m.Values[x]
	v.Cols /= 2
	return m.append(op, &op.Out, v)
}

func (o *Glu) Reads() []ID  { return []ID{o.X} }
func (o *Glu) Makes() ID    { return o.Out }
func (o *Glu) Kind() string { return "gated unit" }

func (o *Glu) check(m *Model) (Value, error) {
	v := m.Values[o.X]
	if v.Cols%2 != 0 {
		return v, errors.New("an odd number of columns")
	}
	v.Cols /= 2
	return v, nil
}

func (o *Glu) run(r *run) []float32 {
	x, f, cols := r.values[o.X], o.Act.Func(), r.m.Values[o.Out].Cols
	y := make([]float32, len(x)/2)
	for i := range y {
		at := i/cols*2*cols + i%cols
		y[i] = float32(f(float64(x[at])) * float64(x[at+cols]))
	}
	return y
}

// Trigram puts beside each token's row those of its neighbours, the next one
// before and the last one behind: [x(t+1) | x(t) | x(t-1)]. Beyond the ends of
// the text are zeros.
type Trigram struct{ X, Out ID }

// Trigram appends the operation.
func (m *Model) Trigram(x ID) ID {
	op := &Trigram{X: x}
	return m.append(op, &op.Out, Value{Cols: 3 * m.Values[x].Cols})
}

func (o *Trigram) Reads() []ID  { return []ID{o.X} }
func (o *Trigram) Makes() ID    { return o.Out }
func (o *Trigram) Kind() string { return "trigram" }

func (o *Trigram) check(m *Model) (Value, error) {
	x := m.Values[o.X]
	if x.Pooled {
		return x, errors.New("of a pooled value")
	}
	return Value{Cols: 3 * x.Cols}, nil
}

func (o *Trigram) run(r *run) []float32 {
	x, h := r.values[o.X], r.m.Values[o.X].Cols
	y := make([]float32, 3*len(x))
	for t := range r.rows {
		for part, from := range []int{t + 1, t, t - 1} {
			if from >= 0 && from < r.rows {
				copy(y[(3*t+part)*h:][:h], x[from*h:])
			}
		}
	}
	return y
}
