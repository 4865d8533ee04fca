package match

import (
	"fmt"
	"slices"
	"strings"

	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// tens is a tensor that the model's values have part in: the sum of its terms, and a
// known array.
type tens struct {
	shape []int
	terms []term
	add   *array // broadcasts to shape; nil for zeros
}

// term is numbers of a value, each times a known one.
type term struct {
	a    *atom
	idx  []int64 // by element of the tensor: which number of a; -1 for none; nil: its own
	coef *array  // broadcasts to the shape; nil for ones
}

func (t *tens) dims() []int { return t.shape }

// whole is the tensor that is all of a.
func whole(a *atom, shape []int) *tens {
	return &tens{shape: shape, terms: []term{{a: a}}}
}

// plain is the value that t is, number for number; nil where it is not.
func (t *tens) plain() *atom {
	if a, ok := t.single(); ok && t.terms[0].idx == nil && t.terms[0].coef == nil && t.add == nil {
		return a
	}
	return nil
}

// single is the value of the only term.
func (t *tens) single() (*atom, bool) {
	if len(t.terms) != 1 {
		return nil, false
	}
	return t.terms[0].a, true
}

// key tells tensors apart.
func (t *tens) key() string {
	var b strings.Builder
	fmt.Fprint(&b, t.shape)
	for _, x := range t.terms {
		fmt.Fprintf(&b, "|%d,%s,%s", x.a.n, digestInts(x.idx), digest(x.coef))
	}
	fmt.Fprintf(&b, "+%s", digest(t.add))
	return b.String()
}

// places is idx written out.
func (x term) places(n int) []int64 {
	if x.idx != nil {
		return x.idx
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// newTerm is a term whose idx is left out where it can be.
func newTerm(a *atom, idx []int64, coef *array) term {
	if len(idx) == a.size {
		own := true
		for i, v := range idx {
			if v != int64(i) {
				own = false
				break
			}
		}
		if own {
			idx = nil
		}
	}
	return term{a: a, idx: idx, coef: coef}
}

// as is t under another shape of as many elements.
func (t *tens) as(shape []int) (*tens, error) {
	if count(shape) != count(t.shape) {
		return nil, fmt.Errorf("shape %v of %d elements becomes %v", t.shape, count(t.shape), shape)
	}
	out := &tens{shape: shape}
	for _, x := range t.terms {
		coef, err := reshaped(x.coef, t.shape, shape)
		if err != nil {
			return nil, err
		}
		out.terms = append(out.terms, term{a: x.a, idx: x.idx, coef: coef})
	}
	var err error
	out.add, err = reshaped(t.add, t.shape, shape)
	return out, err
}

// reshaped is a, which broadcasts to from, under the shape to.
func reshaped(a *array, from, to []int) (*array, error) {
	if a == nil || a.Len() == 1 {
		return a, nil
	}
	full, err := expand(a, from)
	if err != nil {
		return nil, err
	}
	return &array{DType: full.DType, Shape: to, F: full.F, I: full.I}, nil
}

// broadcast repeats t to shape.
func (t *tens) broadcast(shape []int) (*tens, error) {
	if slices.Equal(t.shape, shape) {
		return t, nil
	}
	out := &tens{shape: shape, add: t.add}
	for _, x := range t.terms {
		if count(shape) != count(t.shape) {
			if err := room(t.shape); err != nil {
				return nil, err
			}
			own := onnxref.Ints(tensor.I64, t.shape, x.places(count(t.shape))...)
			idx, err := expand(own, shape)
			if err != nil {
				return nil, err
			}
			x = newTerm(x.a, idx.I, x.coef)
		}
		out.terms = append(out.terms, x)
	}
	return out, nil
}

// times is t times k.
func (t *tens) times(k *array) (*tens, error) {
	shape, err := join(t.shape, k.Shape)
	if err != nil {
		return nil, err
	}
	if t, err = t.broadcast(shape); err != nil {
		return nil, err
	}
	if k = factor(k); k == nil {
		return t, nil
	}
	out := &tens{shape: shape}
	for _, x := range t.terms {
		coef := k
		if x.coef != nil {
			if coef, err = calc("Mul", x.coef, k); err != nil {
				return nil, err
			}
			coef = factor(coef)
		}
		out.terms = append(out.terms, term{a: x.a, idx: x.idx, coef: coef})
	}
	if t.add != nil {
		sum, err := calc("Mul", t.add, k)
		if err != nil {
			return nil, err
		}
		out.add = summand(sum)
	}
	return out.tidy(), nil
}

// plusKnown is t and k.
func (t *tens) plusKnown(k *array) (*tens, error) {
	shape, err := join(t.shape, k.Shape)
	if err != nil {
		return nil, err
	}
	out, err := t.broadcast(shape)
	if err != nil {
		return nil, err
	}
	if k = summand(k); k == nil {
		return out, nil
	}
	sum := k
	if out.add != nil {
		if sum, err = calc("Add", out.add, k); err != nil {
			return nil, err
		}
		sum = summand(sum)
	}
	return &tens{shape: shape, terms: out.terms, add: sum}, nil
}

// plus is t and u.
func (t *tens) plus(u *tens) (*tens, error) {
	shape, err := join(t.shape, u.shape)
	if err != nil {
		return nil, err
	}
	if t, err = t.broadcast(shape); err != nil {
		return nil, err
	}
	if u, err = u.broadcast(shape); err != nil {
		return nil, err
	}
	out := &tens{shape: shape, terms: slices.Clone(t.terms), add: t.add}
	for _, x := range u.terms {
		if err := out.insert(x); err != nil {
			return nil, err
		}
	}
	if u.add != nil {
		if out, err = out.plusKnown(u.add); err != nil {
			return nil, err
		}
	}
	return out.tidy(), nil
}

// insert adds a term, to the one of the same numbers where there is one.
func (t *tens) insert(x term) error {
	for i, y := range t.terms {
		if y.a != x.a || !slices.Equal(y.idx, x.idx) || (y.idx == nil) != (x.idx == nil) {
			continue
		}
		sum, err := calc("Add", orOnes(y.coef), orOnes(x.coef))
		if err != nil {
			return err
		}
		t.terms[i].coef = factor(sum)
		return nil
	}
	t.terms = append(t.terms, x)
	return nil
}

// orOnes is a, or the number 1.
func orOnes(a *array) *array {
	if a == nil {
		return onnxref.Scalar(1)
	}
	return a
}

// tidy drops terms of nothing.
func (t *tens) tidy() *tens {
	t.terms = slices.DeleteFunc(t.terms, func(x term) bool {
		if x.coef != nil {
			if v, ok := uniform(x.coef); ok && v == 0 {
				return true
			}
		}
		return x.idx != nil && !slices.ContainsFunc(x.idx, func(v int64) bool { return v >= 0 })
	})
	return t
}

// take is the elements of t at idx (-1 for zeros), under shape. It keeps idx.
func (t *tens) take(idx []int64, shape []int) (*tens, error) {
	out := &tens{shape: shape}
	for _, x := range t.terms {
		from := idx
		if x.idx != nil {
			from = make([]int64, len(idx))
			for i, at := range idx {
				from[i] = -1
				if at >= 0 {
					from[i] = x.idx[at]
				}
			}
		}
		coef, err := taken(x.coef, t.shape, idx, shape)
		if err != nil {
			return nil, err
		}
		if coef != nil {
			coef = factor(coef)
		}
		out.terms = append(out.terms, newTerm(x.a, from, coef))
	}
	if t.add != nil {
		add, err := taken(onnxref.Floats(t.add.Shape, t.add.F...), t.shape, idx, shape)
		if err != nil {
			return nil, err
		}
		if slices.Contains(idx, -1) {
			if add, err = expand(add, shape); err != nil {
				return nil, err
			}
			add = add.Clone()
			for i, at := range idx {
				if at < 0 {
					add.F[i] = 0
				}
			}
		}
		out.add = summand(add)
	}
	return out.tidy(), nil
}

// taken is the elements of a, which broadcasts to from, at idx.
func taken(a *array, from []int, idx []int64, shape []int) (*array, error) {
	if a == nil || a.Len() == 1 {
		return a, nil
	}
	full, err := expand(a, from)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(idx))
	for i, at := range idx {
		if at >= 0 {
			out[i] = full.F[at]
		}
	}
	return onnxref.Floats(shape, out...), nil
}
