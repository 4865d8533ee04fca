package graph

import (
	"fmt"
	"math"
)

// NormKind is a way to normalise a row.
type NormKind uint8

// The kinds.
const (
	LayerNorm NormKind = iota + 1 // (x - mean) / sqrt(var + Eps) * Gain + Bias
	NoNorm                        // x * Gain + Bias, MobileBERT's
)

// String is the kind's name.
func (k NormKind) String() string {
	switch k {
	case LayerNorm:
		return "layer norm"
	case NoNorm:
		return "no norm"
	}
	return fmt.Sprintf("NormKind(%d)", uint8(k))
}

// NormWeights normalises rows as its Kind says.
type NormWeights struct {
	Name       string // "blocks.3.attn_norm"; its own among the weights of a Model
	Kind       NormKind
	Gain, Bias []float32 // [Cols] each; a Bias of nil is zeros
	Eps        float32   // of LayerNorm
}

// Norm normalises the rows of X, or of X + Residual.
type Norm struct {
	X, Residual ID // Residual may be 0
	W           *NormWeights
	Out         ID
}

// Norm appends the operation; residual may be 0.
func (m *Model) Norm(x, residual ID, w *NormWeights) ID {
	op := &Norm{X: x, Residual: residual, W: w}
	return m.append(op, &op.Out, m.Values[x])
}

func (o *Norm) Reads() []ID {
	if o.Residual == 0 {
		return []ID{o.X}
	}
	return []ID{o.X, o.Residual}
}

func (o *Norm) Makes() ID    { return o.Out }
func (o *Norm) Kind() string { return "norm" }

func (o *Norm) check(m *Model) (Value, error) {
	x := m.Values[o.X]
	switch {
	case o.Residual != 0 && m.Values[o.Residual] != x:
		return Value{}, fmt.Errorf("%s: a residual of other shape", o.W.Name)
	case o.W.Kind != LayerNorm && o.W.Kind != NoNorm:
		return Value{}, fmt.Errorf("%s: %v", o.W.Name, o.W.Kind)
	case len(o.W.Gain) != x.Cols || o.W.Bias != nil && len(o.W.Bias) != x.Cols:
		return Value{}, fmt.Errorf("%s: %d gains and %d biases for %d columns", o.W.Name, len(o.W.Gain), len(o.W.Bias), x.Cols)
	}
	return x, nil
}

func (o *Norm) run(r *run) []float32 {
	y := append([]float32(nil), r.values[o.X]...)
	if o.Residual != 0 {
		add(y, r.values[o.Residual])
	}
	o.W.apply(y)
	return y
}

// apply normalises every row of x in place.
func (n *NormWeights) apply(x []float32) {
	h := len(n.Gain)
	for at := 0; at < len(x); at += h {
		row := x[at:][:h]
		avg, inv := 0.0, 1.0
		if n.Kind == LayerNorm {
			avg, inv = spread(row, n.Eps)
		}
		for i, v := range row {
			bias := 0.0
			if n.Bias != nil {
				bias = float64(n.Bias[i])
			}
			row[i] = float32((float64(v)-avg)*inv*float64(n.Gain[i]) + bias)
		}
	}
}

// spread is a row's mean, and one over its standard deviation.
func spread(row []float32, eps float32) (avg, inv float64) {
	dev := 0.0
	for _, v := range row {
		avg += float64(v)
	}
	avg /= float64(len(row))
	for _, v := range row {
		dev += (float64(v) - avg) * (float64(v) - avg)
	}
	return avg, 1 / math.Sqrt(dev/float64(len(row))+float64(eps))
}
