package match

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"skiff/packager/graph"
)

// leaf is a value that a function is of.
type leaf struct {
	a   *atom
	idx []int64
}

// scalar reads t as a function of the numbers of leaves at the same place. It fails
// where numbers at other places have part, or known ones that differ by place.
func scalar(t *tens, leaves *[]leaf, depth int) (func(x []float64) float64, bool) {
	add, ok := uniform(orZero(t.add))
	if !ok || depth > 64 {
		return nil, false
	}
	type part struct {
		coef float64
		f    func(x []float64) float64
	}
	var parts []part
	for _, x := range t.terms {
		coef, ok := uniform(orOnes(x.coef))
		if !ok {
			return nil, false
		}
		if x.a.kind != funcKind {
			parts = append(parts, part{coef, leafOf(leaves, x)})
			continue
		}
		var args []func(x []float64) float64
		for _, a := range x.a.args {
			if len(a.terms) > 0 {
				if count(a.shape) != x.a.size {
					return nil, false
				}
				if x.idx != nil {
					taken, err := a.take(x.idx, t.shape)
					if err != nil {
						return nil, false
					}
					a = taken
				}
			}
			f, ok := scalar(a, leaves, depth+1)
			if !ok {
				return nil, false
			}
			args = append(args, f)
		}
		f := apply(x.a.op, args)
		if f == nil {
			return nil, false
		}
		parts = append(parts, part{coef, f})
	}
	return func(x []float64) float64 {
		y := add
		for _, p := range parts {
			y += p.coef * p.f(x)
		}
		return y
	}, true
}

// leafOf is the number of a leaf, which is noted when it is new.
func leafOf(leaves *[]leaf, x term) func([]float64) float64 {
	key := digestInts(x.idx)
	for i, l := range *leaves {
		if l.a == x.a && digestInts(l.idx) == key {
			return func(v []float64) float64 { return v[i] }
		}
	}
	i := len(*leaves)
	*leaves = append(*leaves, leaf{x.a, x.idx})
	return func(v []float64) float64 { return v[i] }
}

// apply is an operator of functions; nil for one that is not known.
func apply(op string, args []func([]float64) float64) func([]float64) float64 {
	name, rest, _ := strings.Cut(op, ":")
	if len(args) == 2 {
		a, b := args[0], args[1]
		switch name {
		case "Mul":
			return func(x []float64) float64 { return a(x) * b(x) }
		case "Div":
			return func(x []float64) float64 { return a(x) / b(x) }
		}
		return nil
	}
	f := function(name, rest)
	if f == nil {
		return nil
	}
	return func(x []float64) float64 { return f(args[0](x)) }
}

// function is an operator of one number.
func function(name, rest string) func(float64) float64 {
	switch name {
	case "Erf":
		return math.Erf
	case "Tanh":
		return math.Tanh
	case "Exp":
		return math.Exp
	case "Log":
		return math.Log
	case "Abs":
		return math.Abs
	case "Sqrt":
		return math.Sqrt
	case "Reciprocal":
		return func(x float64) float64 { return 1 / x }
	case "Sigmoid":
		return graph.Sigmoid.Func()
	case "Relu":
		return graph.Relu.Func()
	case "Softplus":
		return func(x float64) float64 { return math.Log1p(math.Exp(-math.Abs(x))) + max(x, 0) }
	case "HardSwish":
		return func(x float64) float64 { return x * max(0, min(1, x/6+0.5)) }
	case "Gelu":
		if rest == "tanh" {
			return graph.GeluTanh.Func()
		}
		return graph.Gelu.Func()
	case "Pow":
		e, err := strconv.ParseFloat(rest, 64)
		if err != nil {
			return nil
		}
		return func(x float64) float64 { return math.Pow(x, e) }
	case "Clip":
		low, high, ok := clipBounds(name + ":" + rest)
		if !ok {
			return nil
		}
		return func(x float64) float64 { return max(low, min(high, x)) }
	}
	return nil
}

// clipBounds are the bounds in the name of a bounding.
func clipBounds(op string) (low, high float64, ok bool) {
	parts := strings.Split(op, ":")
	if len(parts) != 3 || parts[0] != "Clip" {
		return 0, 0, false
	}
	low, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return 0, 0, false
	}
	high, err = strconv.ParseFloat(parts[2], 64)
	return low, high, err == nil
}

// closeness is how near a function must be to one that is known: the spellings of one
// activation differ by the rounding of their constants, in half precision too, and the
// two kinds of gelu by 5e-4.
const closeness = 2e-4

// activation is the activation that f is; false where it is none.
func activation(f func(float64) float64) (graph.Activation, bool) {
	best, at := closeness, graph.Activation(0)
	for act := graph.Gelu; act <= graph.Sigmoid; act++ {
		want, top := act.Func(), 0.0
		for x := -9.0; x <= 9; x += 0.0625 {
			d := math.Abs(f(x)-want(x)) / max(1, math.Abs(want(x)))
			if !(d <= top) {
				top = d
			}
		}
		if top < best {
			best, at = top, act
		}
	}
	return at, at != 0
}

// activated is a layer with its activation, as t spells it out; nil where it does not.
func (w *walk) activated(t *tens) *atom {
	if len(t.terms) == 0 || allOperations(t) {
		return nil
	}
	var leaves []leaf
	f, ok := scalar(t, &leaves, 0)
	if !ok {
		return nil
	}
	switch len(leaves) {
	case 1:
		act, ok := activation(func(x float64) float64 { return f([]float64{x}) })
		if !ok {
			return nil
		}
		a, err := w.picked(leaves[0], t.shape)
		if err != nil || a.kind != linearKind || a.act != 0 {
			return nil
		}
		return w.linear(a.x[0], a.w, act)
	case 2:
		return w.gated(f, leaves, t.shape)
	}
	return nil
}

// allOperations reports whether no term of t is a function.
func allOperations(t *tens) bool {
	for _, x := range t.terms {
		if x.a.kind == funcKind {
			return false
		}
	}
	return true
}

// gated is a gated unit: one of two leaves activated, times the other.
func (w *walk) gated(f func([]float64) float64, leaves []leaf, shape []int) *atom {
	for _, swap := range []bool{false, true} {
		gate, up := leaves[0], leaves[1]
		at := func(g, u float64) float64 { return f([]float64{g, u}) }
		if swap {
			gate, up = up, gate
			at = func(g, u float64) float64 { return f([]float64{u, g}) }
		}
		act, ok := activation(func(x float64) float64 { return at(x, 1) })
		if !ok {
			// A gate without an activation would be a product of two values.
			continue
		}
		for g := -3.0; g <= 3 && ok; g += 0.5 {
			for _, u := range []float64{-2, -0.3, 0, 0.7, 5} {
				ok = ok && math.Abs(at(g, u)-u*at(g, 1)) <= 1e-6*max(1, math.Abs(u*at(g, 1)))
			}
		}
		if !ok {
			continue
		}
		a, err := w.picked(gate, shape)
		if err != nil {
			return nil
		}
		b, err := w.picked(up, shape)
		if err != nil || a.kind != linearKind || b.kind != linearKind || a.x[0] != b.x[0] || a.act != 0 || b.act != 0 {
			return nil
		}
		return w.glu(w.linear(a.x[0], joined(a.w, b.w), 0), act)
	}
	return nil
}

// picked is the value that is all of a leaf: the value itself, a layer of some of the
// columns, or one row of it.
func (w *walk) picked(l leaf, shape []int) (*atom, error) {
	if l.idx == nil {
		if !l.a.operation() {
			return nil, fmt.Errorf("%s: %s", l.a.describe(), wanted)
		}
		return l.a, nil
	}
	a := l.a
	if !a.operation() {
		return nil, fmt.Errorf("a part of %s: %s", a.describe(), wanted)
	}
	if !a.rows {
		return w.columnsOfAtom(a, l.idx, 1)
	}
	if first, n, ok := oneRow(l.idx, a, w.tokens); ok {
		how := graph.PoolCLS
		if first {
			a = w.pool(a, how)
		} else {
			a = w.pool(a, graph.PoolLast)
		}
		return w.columnsOfAtom(a, n, 1)
	}
	return w.columnsOfAtom(a, l.idx, w.tokens)
}

// oneRow tells numbers that are all of the first token, or all of the last, and makes
// them columns.
func oneRow(idx []int64, a *atom, tokens int) (first bool, cols []int64, ok bool) {
	if len(idx) == 0 || len(idx) > a.cols {
		return false, nil, false
	}
	row := idx[0] / int64(a.cols)
	cols = make([]int64, len(idx))
	for i, v := range idx {
		if v < 0 || v/int64(a.cols) != row {
			return false, nil, false
		}
		cols[i] = v % int64(a.cols)
	}
	return row == 0, cols, row == 0 || row == int64(tokens)-1
}

// columnsOfAtom is the columns idx of a, the same in each of n rows.
func (w *walk) columnsOfAtom(a *atom, idx []int64, n int) (*atom, error) {
	if len(idx)%n != 0 {
		return nil, fmt.Errorf("%d numbers of %s", len(idx), a.describe())
	}
	c := len(idx) / n
	cols := make([]int, c)
	for i, v := range idx {
		at := int(v) - i/c*a.cols
		if v < 0 || at < 0 || at >= a.cols || i >= c && at != cols[i%c] {
			return nil, fmt.Errorf("numbers of %s that are not columns of it", a.describe())
		}
		cols[i%c] = at
	}
	if own(cols, a.cols) {
		return a, nil
	}
	if a.kind == poolKind && len(a.how) == 1 && a.x[0].kind == linearKind {
		x, err := w.columnsOfAtom(a.x[0], repeated(cols, a.x[0], w.tokens), w.tokens)
		if err != nil {
			return nil, err
		}
		return w.pool(x, a.how...), nil
	}
	if a.kind != linearKind {
		return nil, fmt.Errorf("some columns of %s", a.describe())
	}
	return w.linear(a.x[0], a.w.pick(cols), a.act), nil
}

// repeated are columns of all rows of a.
func repeated(cols []int, a *atom, tokens int) []int64 {
	var out []int64
	for t := range tokens {
		for _, c := range cols {
			out = append(out, int64(t*a.cols+c))
		}
	}
	return out
}
