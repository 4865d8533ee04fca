package match

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"skiff/packager/graph"
)

// settle is t as one value of packager/graph.
func (w *walk) settle(t *tens) (*atom, error) {
	if a := t.plain(); a != nil && a.operation() {
		return a, nil
	}
	if a := w.spelled(t); a != nil {
		return a, nil
	}
	if a := w.trigramOf(t); a != nil {
		return a, nil
	}
	if x, ok := t.single(); ok && t.terms[0].coef == nil && t.add == nil && x.operation() {
		return w.picked(leaf{x, t.terms[0].idx}, t.shape)
	}
	if a := w.sideBySide(t); a != nil {
		return a, nil
	}
	parts, err := w.summands(t)
	if err != nil {
		return nil, err
	}
	for len(parts) > 1 {
		parts = append([]*atom{w.sum(parts[0], parts[1])}, parts[2:]...)
	}
	return parts[0], nil
}

// spelled is the operation that t spells out with functions and known numbers; nil
// where there is none.
func (w *walk) spelled(t *tens) *atom {
	if a := w.spelledNorm(t); a != nil {
		return a
	}
	if a := w.unit(t); a != nil {
		return a
	}
	if a := w.meanOverRoot(t); a != nil {
		return a
	}
	if a := w.activated(t); a != nil {
		return a
	}
	return w.plainNorm(t)
}

// settled is t with what it spells out as a value, before it is added to another: what
// is added to a norm later would look like its bias.
func (w *walk) settled(t *tens) (*tens, error) {
	if t.plain() != nil && t.plain().kind != funcKind || !w.full(t) {
		return t, nil
	}
	if len(t.terms) == 1 && t.terms[0].a.kind != funcKind {
		if c := t.terms[0].coef; c == nil || c.Len() == 1 {
			return t, nil
		}
	}
	if a := w.spelled(t); a != nil {
		return whole(a, t.shape), nil
	}
	return t, nil
}

// full reports whether t may be rows of a value: one number for each of its own.
func (w *walk) full(t *tens) bool {
	for _, x := range t.terms {
		if x.a.kind == reduceKind || x.a.kind == scoreKind || x.a.kind == tableKind || x.a.kind == probsKind {
			return false
		}
	}
	return len(t.terms) > 0
}

// wanted is what a value can be, for messages.
const wanted = "want a layer, a norm (x - mean) / sqrt(variance + eps) * gain + bias, a sum, or gelu, relu, silu, tanh or sigmoid of a layer"

// summands are the values that t is the sum of. Lookups are one embedding.
func (w *walk) summands(t *tens) ([]*atom, error) {
	if t.add != nil {
		return nil, fmt.Errorf("%s: known numbers are added that are neither a bias nor rows of a table; %s", describe(t), wanted)
	}
	if len(t.terms) == 0 {
		return nil, errors.New("nothing but zeros")
	}
	var parts []*atom
	var lookups []*lookup
	at := 0
	for _, x := range t.terms {
		if x.coef != nil {
			if a := w.spelled(&tens{shape: t.shape, terms: []term{x}}); a != nil {
				parts = append(parts, a)
				continue
			}
			return nil, fmt.Errorf("%s, times known numbers: %s", x.a.describe(), wanted)
		}
		if x.a.kind == lookupKind && x.idx == nil {
			if lookups == nil {
				at = len(parts)
				parts = append(parts, nil)
			}
			lookups = append(lookups, x.a.table)
			continue
		}
		a, err := w.part(x, t.shape)
		if err != nil {
			return nil, err
		}
		parts = append(parts, a)
	}
	if lookups != nil {
		parts[at] = w.embed(lookups)
	}
	for _, p := range parts[1:] {
		if p.rows != parts[0].rows || p.cols != parts[0].cols {
			return nil, fmt.Errorf("%s and %s are added", parts[0].describe(), p.describe())
		}
	}
	return parts, nil
}

// part is one summand.
func (w *walk) part(x term, shape []int) (*atom, error) {
	if x.a.kind == funcKind && x.idx == nil {
		if a := w.spelled(whole(x.a, shape)); a != nil {
			return a, nil
		}
	}
	return w.picked(leaf{x.a, x.idx}, shape)
}

// meanOverRoot is the mean of rows times the root of their number: their sum over the
// root; nil where t is not that.
func (w *walk) meanOverRoot(t *tens) *atom {
	a, ok := t.single()
	if !ok || t.add != nil || t.terms[0].idx != nil || t.terms[0].coef == nil || a.kind != poolKind || !slices.Equal(a.how, graph.Poolings{graph.PoolMean}) {
		return nil
	}
	if v, ok := uniform(t.terms[0].coef); !ok || !near(v, math.Sqrt(float64(w.tokens))) {
		return nil
	}
	return w.pool(a.x[0], graph.PoolMeanSqrt)
}

// sideBySide is several poolings of the same rows side by side; nil where t is not that.
func (w *walk) sideBySide(t *tens) *atom {
	n := count(t.shape)
	if len(t.terms) < 2 || t.add != nil || n != last(t.shape) {
		return nil
	}
	var x *atom
	var how graph.Poolings
	for first := 0; first < n; first += x.cols {
		a := w.block(t, first, x)
		if a == nil || a.kind != poolKind {
			return nil
		}
		x = a.x[0]
		how = append(how, a.how...)
	}
	return w.pool(x, how...)
}

// block is the numbers of t from first, as many as rows of x have (or the first that
// are one value, where x is nil).
func (w *walk) block(t *tens, first int, x *atom) *atom {
	for _, y := range t.terms {
		c := y.a.cols
		if first+c > count(t.shape) || x != nil && c != x.cols {
			continue
		}
		idx := make([]int64, c)
		for i := range idx {
			idx[i] = int64(first + i)
		}
		part, err := t.take(idx, []int{1, c})
		if err != nil {
			return nil
		}
		if a, err := w.settle(part); err == nil && (x == nil || a.kind == poolKind && a.x[0] == x) {
			return a
		}
	}
	return nil
}

// trigramOf is t as rows between their neighbours; nil where it is not.
func (w *walk) trigramOf(t *tens) *atom {
	x, ok := t.single()
	if !ok || t.add != nil || t.terms[0].idx == nil || !x.rows || count(t.shape) != 3*x.size || last(t.shape) != 3*x.cols {
		return nil
	}
	coef := t.terms[0].coef
	for i, v := range t.terms[0].idx {
		token, part, col := i/(3*x.cols), i/x.cols%3, i%x.cols
		from := token + 1 - part
		want := int64(from*x.cols + col)
		if from < 0 || from >= w.tokens {
			want = -1
		}
		if v != want && (v >= 0 || want >= 0) || coef != nil && want >= 0 && coef.Len() > 1 && coef.F[i] != 1 {
			return nil
		}
	}
	if x.kind == lookupKind {
		x = w.embed([]*lookup{x.table})
	}
	if !x.operation() {
		return nil
	}
	return w.trigram(x)
}

// describe says what a value is, for messages.
func (a *atom) describe() string {
	what := "a part of a value"
	switch a.kind {
	case embedKind, lookupKind:
		what = "an embedding"
	case trigramKind:
		what = "rows beside their neighbours"
	case linearKind:
		what = "a linear layer"
	case normKind:
		what = "a norm"
	case addKind:
		what = "a sum"
	case gluKind:
		what = "a gated unit"
	case attentionKind:
		what = "an attention"
	case poolKind:
		what = "a " + a.how.String() + " pooling"
	case normalizeKind:
		what = "a normalised vector"
	case funcKind:
		what = "the function " + a.op
	case reduceKind:
		what = a.op + " of rows"
	case scoreKind, tableKind:
		what = "scores of an attention"
	case probsKind, softKind:
		what = "a softmax"
	}
	if a.at != "" {
		what += fmt.Sprintf(" (made at %q)", a.at)
	}
	return what
}

// describe says what a tensor is.
func describe(t *tens) string {
	text := ""
	for i, x := range t.terms {
		if i > 0 {
			text += " and "
		}
		text += x.a.describe()
	}
	if text == "" {
		return "known numbers"
	}
	return text
}
