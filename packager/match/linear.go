package match

import (
	"errors"
	"slices"

	"skiff/formats/onnx"
	"skiff/packager/onnxref"
)

// matMul is a times b.
func (w *walk) matMul(n *onnx.Node, a, b value) (value, error) {
	x, isTens := a.(*tens)
	y, bothTens := b.(*tens)
	switch {
	case isTens && bothTens:
		return w.batched(n, x, y)
	case isTens && w.overTokens(x.shape, b.dims(), 1):
		y, err := swapped(x)
		if err != nil {
			return nil, err
		}
		return w.weighted(n, y, b.(*known), append(slices.Clone(x.shape[:len(x.shape)-1]), 1))
	case bothTens && w.overTokens(y.shape, a.dims(), 2):
		return w.weighted(n, y, a.(*known), append(slices.Clone(y.shape[:len(y.shape)-2]), 1, last(y.shape)))
	case isTens:
		m, err := b.(*known).asMatrix()
		if err != nil {
			return nil, err
		}
		if m == nil {
			return w.timesTable(n, x, b.(*known))
		}
		return w.layer(n, x, &weights{m: m, integer: m.integer() && m.codes == nil})
	}
	return w.tableTimes(n, a.(*known), y)
}

// overTokens reports whether a product adds up the rows of tokens: of values of shape x
// (turned over if side is 1) and one known number for each.
func (w *walk) overTokens(x, k []int, side int) bool {
	n := len(x)
	return n >= 2 && len(k) >= 2 && x[n-side] == w.tokens && k[len(k)-side] == 1 && count(k) == w.tokens
}

// weighted is the sum of the rows of x, each times a known number, under shape.
func (w *walk) weighted(n *onnx.Node, x *tens, k *known, shape []int) (value, error) {
	a, err := k.array()
	if err != nil || k.from != 0 {
		return nil, w.refuse(n, "weights that depend on the words")
	}
	column := &known{shape: []int{w.tokens, 1}, arr: &array{DType: a.DType, Shape: []int{w.tokens, 1}, F: a.F, I: a.I}}
	y, err := w.product(x, column)
	if err != nil {
		return nil, err
	}
	t, err := w.settled(y.(*tens))
	if err != nil {
		return nil, err
	}
	sum := *n
	sum.Op = "ReduceSum"
	return w.pooled(&sum, t, shape)
}

// layer is every row of x times a matrix.
func (w *walk) layer(n *onnx.Node, x *tens, wt *weights) (value, error) {
	if last(x.shape) != wt.in() {
		return nil, w.refuse(n, "rows of %d numbers times a matrix of %v", last(x.shape), wt.m.dims())
	}
	a, err := w.settle(x)
	if err != nil {
		return nil, w.refuse(n, "what is multiplied is not understood: %v", err)
	}
	shape := append(slices.Clone(x.shape[:len(x.shape)-1]), wt.out())
	return whole(w.linear(a, wt, 0), shape), nil
}

// gemm is Gemm.
func (w *walk) gemm(n *onnx.Node, in []value) (value, error) {
	alpha, beta := float32(1), float32(1)
	if a, ok := n.Attrs["alpha"]; ok {
		alpha = a.F
	}
	if b, ok := n.Attrs["beta"]; ok {
		beta = b.F
	}
	x, ok := in[0].(*tens)
	k, known2 := in[1].(*known)
	if !ok || !known2 || n.Attrs["transA"].I != 0 {
		return nil, w.refuse(n, "not rows of the model's values times a constant matrix")
	}
	m, err := k.asMatrix()
	if err != nil || m == nil {
		return nil, w.refuse(n, "no constant matrix: %v", err)
	}
	if n.Attrs["transB"].I != 0 {
		m = m.flipped()
	}
	y, err := w.layer(n, x, &weights{m: m})
	if err != nil {
		return nil, err
	}
	if y, err = w.product(y, scalarOf(alpha)); err != nil || len(in) < 3 || in[2] == nil {
		return y, err
	}
	c, err := w.product(in[2], scalarOf(beta))
	if err != nil {
		return nil, err
	}
	return w.plus(y, c)
}

// scalarOf is one known number.
func scalarOf(v float32) *known { return &known{shape: []int{}, arr: onnxref.Scalar(v)} }

// integerProduct is MatMulInteger: of values that are not quantised here, or of rows of
// a table of codes, times codes.
func (w *walk) integerProduct(n *onnx.Node, in []value) (value, error) {
	zero := make([]*known, 2)
	for i := range zero {
		if len(in) > 2+i && in[2+i] != nil {
			k, ok := in[2+i].(*known)
			if !ok {
				return nil, w.refuse(n, "a zero point that is not constant")
			}
			zero[i] = k
		}
	}
	left, err := w.centred(n, in[0], zero[0])
	if err != nil {
		return nil, w.refuse(n, "of its first input: %v", err)
	}
	b, ok := in[1].(*known)
	if !ok {
		if err := w.noZero(zero[1]); err != nil {
			return nil, w.refuse(n, "of its second input: %v", err)
		}
		return w.matMul(n, left, in[1])
	}
	m, err := b.asMatrix()
	if err != nil || m == nil || !m.integer() {
		return nil, w.refuse(n, "its second input is no matrix of codes")
	}
	c := &codes{scale: []float64{1}, axis: 1}
	if m.flip {
		c.axis = 0
	}
	if zero[1] != nil {
		z, err := zero[1].array()
		if err != nil {
			return nil, err
		}
		for i := range z.Len() {
			c.zero = append(c.zero, number(z, i))
		}
	}
	coded, err := m.coded(c)
	if err != nil {
		return nil, err
	}
	x, ok := left.(*tens)
	if !ok {
		return w.knownTimes(left.(*known), coded)
	}
	return w.layer(n, x, &weights{m: coded, integer: true})
}

// knownTimes is known rows times a matrix.
func (w *walk) knownTimes(k *known, m *matrix) (value, error) {
	x, err := k.array()
	if err != nil {
		return nil, err
	}
	y, err := m.array()
	if err != nil {
		return nil, err
	}
	z, err := calc("MatMul", floats(x), y)
	if err != nil {
		return nil, err
	}
	return &known{shape: z.Shape, arr: z, from: k.from}, nil
}

// centred is v minus its zero point, which is not 0 only for rows of a table of codes.
// Their scale is in what the product is multiplied with.
func (w *walk) centred(n *onnx.Node, v value, zero *known) (value, error) {
	t, ok := v.(*tens)
	if !ok || zero == nil || t.codeRows() == nil {
		return v, w.noZero(zero)
	}
	c, err := codesOf(n, scalarOf(1), zero, t.shape)
	if err != nil {
		return nil, err
	}
	if len(c.zero) != 1 {
		return nil, errors.New("several zero points")
	}
	return w.decoded(t, c)
}

// noZero refuses a zero point that is not 0.
func (w *walk) noZero(k *known) error {
	if k == nil {
		return nil
	}
	a, err := k.array()
	if err != nil {
		return err
	}
	if v, ok := uniform(a); !ok || v != 0 {
		return errors.New("a zero point that no DynamicQuantizeLinear made")
	}
	return nil
}
