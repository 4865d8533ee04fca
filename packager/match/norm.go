package match

import (
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/packager/graph"
	"skiff/packager/onnxref"
)

// layerNorm is the operator LayerNormalization.
func (w *walk) layerNorm(n *onnx.Node, in []value) ([]value, error) {
	x, ok := in[0].(*tens)
	axis := int64(-1)
	if a, ok := n.Attrs["axis"]; ok {
		axis = a.I
	}
	if !ok || axis != -1 && axis != int64(len(x.shape))-1 {
		return nil, w.refuse(n, "a norm over other axes than the last")
	}
	nm := &norm{kind: graph.LayerNorm, eps: 1e-5}
	if a, ok := n.Attrs["epsilon"]; ok {
		nm.eps = a.F
	}
	for i, to := range []*[]float32{&nm.gain, &nm.bias} {
		if len(in) <= i+1 || in[i+1] == nil {
			continue
		}
		k, ok := in[i+1].(*known)
		if !ok {
			return nil, w.refuse(n, "gain or bias is not constant")
		}
		a, err := k.array()
		if err != nil {
			return nil, err
		}
		if *to, ok = columns(a, x.shape, 0); !ok {
			return nil, w.refuse(n, "gain or bias of %v for rows of %d", k.shape, last(x.shape))
		}
	}
	if zeros(nm.bias) {
		nm.bias = nil
	}
	parts, err := w.summands(x)
	if err != nil {
		return nil, w.refuse(n, "what is normalised is not understood: %v", err)
	}
	return []value{whole(w.normOf(nm, parts), x.shape)}, nil
}

// normOf is the norm of a sum.
func (w *walk) normOf(nm *norm, parts []*atom) *atom {
	for len(parts) > 2 {
		parts = append([]*atom{w.sum(parts[0], parts[1])}, parts[2:]...)
	}
	if len(parts) == 2 && parts[0].before(parts[1]) {
		parts = []*atom{parts[1], parts[0]}
	}
	return w.normed(nm, parts...)
}

// spelledNorm is the layer norm that t spells out; nil where it is none.
//
//	(x - mean x) / sqrt(mean of squares + eps) * gain + bias
func (w *walk) spelledNorm(t *tens) *atom {
	q, ok := t.single()
	if !ok || t.terms[0].idx != nil || q.kind != funcKind || q.op != "Div" && q.op != "Mul" {
		return nil
	}
	gain, ok := columns(t.terms[0].coef, t.shape, 1)
	if !ok {
		return nil
	}
	nm := &norm{kind: graph.LayerNorm, gain: gain}
	if t.add != nil {
		if nm.bias, ok = columns(t.add, t.shape, 0); !ok {
			return nil
		}
	}
	for _, order := range [][2]*tens{{q.args[0], q.args[1]}, {q.args[1], q.args[0]}} {
		d, s := order[0], order[1]
		if q.op == "Mul" {
			s = inverse(s)
		}
		if x, eps, ok := spread(d, s); ok {
			parts, err := w.summands(x)
			if err != nil {
				return nil
			}
			nm.eps = eps
			return w.normOf(nm, parts)
		}
		if q.op == "Div" {
			break
		}
	}
	return nil
}

// inverse is what s is one over; nil where it is not.
func inverse(s *tens) *tens {
	a := s.plain()
	if a == nil || a.kind != funcKind {
		return nil
	}
	switch a.op {
	case "Reciprocal":
		return a.args[0]
	case "Pow:-0.5":
		return &tens{shape: a.args[0].shape, terms: []term{{a: &atom{kind: funcKind, op: "Sqrt", args: a.args, size: a.size}}}}
	case "Div":
		one := a.args[0]
		if v, ok := uniform(orZero(one.add)); ok && v == 1 && len(one.terms) == 0 {
			return a.args[1]
		}
	}
	return nil
}

// orZero is a, or the number 0.
func orZero(a *array) *array {
	if a == nil {
		return onnxref.Scalar(0)
	}
	return a
}

// spread reads d as x minus its mean, and s as the root of its variance plus eps.
func spread(d, s *tens) (x *tens, eps float32, ok bool) {
	if s == nil {
		return nil, 0, false
	}
	c := last(d.shape)
	x = withoutMean(d, c)
	root, ok := s.single()
	if x == nil || !ok || root.kind != funcKind || root.op != "Sqrt" || s.add != nil || s.terms[0].coef != nil || !byRow(s.terms[0].idx, c) {
		return nil, 0, false
	}
	v := root.args[0]
	mean, ok := v.single()
	if !ok || mean.kind != reduceKind || v.terms[0].idx != nil {
		return nil, 0, false
	}
	e, ok := uniform(orZero(v.add))
	factor, ok2 := uniform(orOnes(v.terms[0].coef))
	if !ok || !ok2 {
		return nil, 0, false
	}
	squares := mean.args[0]
	switch mean.op {
	case "ReduceMean":
	case "ReduceSum", "ReduceSumSquare":
		factor *= float64(c)
	default:
		return nil, 0, false
	}
	if !near(factor, 1) {
		return nil, 0, false
	}
	if mean.op == "ReduceSumSquare" {
		return x, float32(e), squares.key() == d.key()
	}
	sq := squares.plain()
	if sq == nil || sq.kind != funcKind || sq.op != "Mul" || sq.args[0].key() != d.key() || sq.args[1].key() != d.key() {
		return nil, 0, false
	}
	return x, float32(e), true
}

// withoutMean is x where d is x minus the mean of its rows; nil otherwise.
func withoutMean(d *tens, c int) *tens {
	for i, m := range d.terms {
		if m.a.kind != reduceKind || m.coef == nil || !byRow(m.idx, c) {
			continue
		}
		factor, ok := uniform(m.coef)
		switch {
		case !ok:
			continue
		case m.a.op == "ReduceSum":
			factor *= float64(c)
		case m.a.op != "ReduceMean":
			continue
		}
		x := &tens{shape: d.shape, terms: slices.Delete(slices.Clone(d.terms), i, i+1), add: d.add}
		if near(factor, -1) && m.a.args[0].key() == x.key() {
			return x
		}
	}
	return nil
}

// byRow reports whether idx is the number of the row, for every one of c columns.
func byRow(idx []int64, c int) bool {
	for i, v := range idx {
		if v != int64(i/c) {
			return false
		}
	}
	return true
}

// plainNorm is x * gain + bias by column; nil where t is not that.
func (w *walk) plainNorm(t *tens) *atom {
	if len(t.terms) == 0 || t.terms[0].coef == nil && t.add == nil {
		return nil
	}
	gain, ok := columns(t.terms[0].coef, t.shape, 1)
	bare := &tens{shape: t.shape}
	for _, x := range t.terms {
		g, same := columns(x.coef, t.shape, 1)
		if !ok || !same || !slices.Equal(g, gain) || x.idx != nil || !x.a.operation() && x.a.kind != lookupKind {
			return nil
		}
		bare.terms = append(bare.terms, term{a: x.a})
	}
	nm := &norm{kind: graph.NoNorm, gain: gain}
	if t.add != nil {
		if nm.bias, ok = columns(t.add, t.shape, 0); !ok {
			return nil
		}
	}
	parts, err := w.summands(bare)
	if err != nil || last(t.shape) != parts[0].cols {
		return nil
	}
	return w.normOf(nm, parts)
}

// lpNorm is the operator LpNormalization.
func (w *walk) lpNorm(n *onnx.Node, in []value) (value, error) {
	x, ok := in[0].(*tens)
	axis, p := int64(-1), int64(2)
	if a, ok := n.Attrs["axis"]; ok {
		axis = a.I
	}
	if a, ok := n.Attrs["p"]; ok {
		p = a.I
	}
	if !ok || p != 2 || axis != -1 && axis != int64(len(x.shape))-1 {
		return nil, w.refuse(n, "a normalisation other than by the length of rows")
	}
	a, err := w.settle(x)
	if err != nil {
		return nil, w.refuse(n, "what is normalised is not understood: %v", err)
	}
	return whole(w.normalized(a), x.shape), nil
}

// unit is x over its length, as t spells it out; nil where it does not.
func (w *walk) unit(t *tens) *atom {
	q := t.plain()
	if q == nil || q.kind != funcKind || q.op != "Div" && q.op != "Mul" {
		return nil
	}
	x, s := q.args[0], q.args[1]
	if q.op == "Mul" {
		if s = inverse(s); s == nil {
			return nil
		}
	}
	c := last(x.shape)
	for {
		a, ok := s.single()
		if !ok || s.terms[0].coef != nil || !byRow(s.terms[0].idx, c) {
			return nil
		}
		if eps, ok := uniform(orZero(s.add)); !ok || math.Abs(eps) > 1e-6 {
			return nil
		}
		switch {
		case a.kind == funcKind && len(a.args) == 1 && clipsNothing(a.op):
		case a.kind == funcKind && a.op == "Sqrt":
			s = a.args[0]
			sum, ok := s.single()
			if !ok || sum.kind != reduceKind || s.terms[0].coef != nil || s.terms[0].idx != nil {
				return clippedSquares(w, s, x)
			}
			return w.unitOf(sum, x)
		case a.kind == reduceKind && a.op == "ReduceL2" && a.args[0].key() == x.key():
			return w.unitFrom(x)
		default:
			return nil
		}
		s = a.args[0]
	}
}

// clippedSquares is unit where the sum of squares itself is bounded from below.
func clippedSquares(w *walk, s, x *tens) *atom {
	a := s.plain()
	if a == nil || a.kind != funcKind || !clipsNothing(a.op) {
		return nil
	}
	sum := a.args[0].plain()
	if sum == nil || sum.kind != reduceKind {
		return nil
	}
	return w.unitOf(sum, x)
}

// unitOf is unit where sum is the sum of the squares of x.
func (w *walk) unitOf(sum *atom, x *tens) *atom {
	switch sum.op {
	case "ReduceSumSquare":
		if sum.args[0].key() == x.key() {
			return w.unitFrom(x)
		}
	case "ReduceSum":
		sq := sum.args[0].plain()
		if sq != nil && sq.kind == funcKind && (sq.op == "Mul" && sq.args[0].key() == x.key() && sq.args[1].key() == x.key() || squareOf(sq, x)) {
			return w.unitFrom(x)
		}
	}
	return nil
}

// squareOf reports whether sq is the square of the magnitude of x.
func squareOf(sq *atom, x *tens) bool {
	if sq.op != "Mul" || sq.args[0].key() != sq.args[1].key() {
		return false
	}
	abs := sq.args[0].plain()
	return abs != nil && abs.kind == funcKind && abs.op == "Abs" && abs.args[0].key() == x.key()
}

func (w *walk) unitFrom(x *tens) *atom {
	a, err := w.settle(x)
	if err != nil {
		return nil
	}
	return w.normalized(a)
}

// clipsNothing reports whether an operation only keeps tiny numbers from being zero.
func clipsNothing(op string) bool {
	low, high, ok := clipBounds(op)
	return ok && low <= 1e-6 && math.IsInf(high, 1)
}
