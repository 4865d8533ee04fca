package match

import (
	"errors"
	"fmt"
	"maps"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// moved is the outputs of a node that only moves the numbers of its first input: it is
// run on their places.
func (w *walk) moved(n *onnx.Node, in []value) ([]value, error) {
	t, ok := in[0].(*tens)
	if !ok {
		return nil, w.refuse(n, "places that depend on the words")
	}
	t, err := w.settled(t)
	if err != nil {
		return nil, err
	}
	rest := make([]*array, len(in))
	for i, v := range in[1:] {
		if v == nil {
			continue
		}
		k, ok := v.(*known)
		if !ok || k.from != 0 {
			return nil, w.refuse(n, "places that depend on the words")
		}
		a, err := k.array()
		if err != nil {
			return nil, err
		}
		rest[i+1] = a
	}
	if err := room(t.shape); err != nil {
		return nil, err
	}
	if n.Op == "Pad" {
		if n, rest, err = zeroPad(n, rest); err != nil {
			return nil, err
		}
	}
	places := make([]int64, count(t.shape))
	for i := range places {
		places[i] = int64(i) + 1 // so that 0 is none
	}
	rest[0] = onnxref.Ints(tensor.I64, t.shape, places...)
	out, err := onnxref.Eval(n, rest, budget)
	if err != nil {
		return nil, err
	}
	values := make([]value, len(out))
	for i, a := range out {
		if values[i], err = t.placed(a); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// placed is the numbers of t at places, which count from 1 and are not used otherwise.
func (t *tens) placed(places *array) (*tens, error) {
	idx := places.I
	own := len(idx) == count(t.shape)
	for i := range idx {
		idx[i]--
		own = own && idx[i] == int64(i)
	}
	if own {
		return t.as(places.Shape)
	}
	return t.take(idx, places.Shape)
}

// zeroPad is a Pad for places: with a padding of 0.
func zeroPad(n *onnx.Node, in []*array) (*onnx.Node, []*array, error) {
	if a, ok := n.Attrs["mode"]; ok && a.S != "constant" {
		return nil, nil, fmt.Errorf("padding by %s", a.S)
	}
	if a, ok := n.Attrs["value"]; ok && a.F != 0 {
		return nil, nil, fmt.Errorf("padding with %g", a.F)
	}
	if len(in) > 2 && in[2] != nil {
		if v, ok := uniform(in[2]); !ok || v != 0 {
			return nil, nil, errors.New("padding with other numbers than 0")
		}
		in = append([]*array{in[0], in[1], nil}, in[3:]...)
	}
	plain := *n
	plain.Attrs = maps.Clone(n.Attrs)
	delete(plain.Attrs, "value")
	return &plain, in, nil
}

// concat is inputs side by side. Numbers of one value become one term where they fit.
func (w *walk) concat(n *onnx.Node, in []value) (*tens, error) {
	shapes := make([]*array, len(in))
	offset := int64(1)
	for i, v := range in {
		if v == nil {
			return nil, w.refuse(n, "an input is left out")
		}
		if err := room(v.dims()); err != nil {
			return nil, err
		}
		places := make([]int64, count(v.dims()))
		for j := range places {
			places[j] = offset
			offset++
		}
		shapes[i] = onnxref.Ints(tensor.I64, v.dims(), places...)
	}
	all, err := onnxref.Eval(n, shapes, budget)
	if err != nil {
		return nil, err
	}
	out := &tens{shape: all[0].Shape}
	first := int64(1)
	for i, v := range in {
		size := int64(len(shapes[i].I))
		idx := make([]int64, len(all[0].I))
		for j, p := range all[0].I {
			idx[j] = -1
			if p >= first && p < first+size {
				idx[j] = p - first
			}
		}
		first += size
		part, err := asTens(v)
		if err != nil {
			return nil, err
		}
		if part, err = part.take(idx, out.shape); err != nil {
			return nil, err
		}
		if out, err = out.beside(part, idx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asTens is v as a tensor of values, even where it has none.
func asTens(v value) (*tens, error) {
	switch v := v.(type) {
	case *tens:
		return v, nil
	case *known:
		if v.from != 0 {
			return nil, errors.New("numbers that depend on the words but are none of the model's values")
		}
		a, err := v.array()
		if err != nil {
			return nil, err
		}
		return &tens{shape: v.shape, add: summand(a)}, nil
	}
	return nil, errors.New("an input is left out")
}

// beside adds part, whose numbers lie where idx is not negative and t has none.
func (t *tens) beside(part *tens, idx []int64) (*tens, error) {
	out := &tens{shape: t.shape, terms: append([]term(nil), t.terms...), add: t.add}
	used := make([]bool, len(out.terms))
	for _, x := range part.terms {
		fits := -1
		for i, y := range t.terms {
			if y.a == x.a && !used[i] {
				fits = i
				break
			}
		}
		if fits < 0 {
			out.terms = append(out.terms, x)
			continue
		}
		used[fits] = true
		both, err := merged(out.terms[fits], x, idx, t.shape)
		if err != nil {
			return nil, err
		}
		out.terms[fits] = both
	}
	if part.add != nil {
		return out.plusKnown(part.add)
	}
	return out, nil
}

// merged is y, and x where idx is not negative.
func merged(y, x term, idx []int64, shape []int) (term, error) {
	places := append([]int64(nil), y.places(len(idx))...)
	for i, p := range x.places(len(idx)) {
		if idx[i] >= 0 {
			places[i] = p
		}
	}
	if y.coef == nil && x.coef == nil {
		return newTerm(y.a, places, nil), nil
	}
	left, err := expand(orOnes(y.coef), shape)
	if err != nil {
		return y, err
	}
	right, err := expand(orOnes(x.coef), shape)
	if err != nil {
		return y, err
	}
	coef := left.Clone()
	for i := range idx {
		if idx[i] >= 0 {
			coef.F[i] = right.F[i]
		}
	}
	return newTerm(y.a, places, factor(coef)), nil
}
