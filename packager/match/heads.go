package match

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"skiff/packager/graph"
)

// heads are columns of a value, parted among the heads of an attention.
type heads struct {
	x     *atom
	first int
	a, d  int // heads, and the columns of one
	scale float64
	turn  *turn // by place; nil for none
}

// turn is by how much heads are turned from token to token.
type turn struct {
	theta float64
	steps []float64 // for each pair; nil: by theta
}

// key tells turns apart.
func (t *turn) key() string {
	if t == nil {
		return "still"
	}
	return fmt.Sprint(t.theta, t.steps)
}

// headsOf reads t, [.., tokens, D] with heads before, as heads of a value.
func (w *walk) headsOf(t *tens) (*heads, error) {
	n := len(t.shape)
	if n < 2 || t.shape[n-2] != w.tokens {
		return nil, fmt.Errorf("%v are no heads: want [.., tokens, columns]", t.shape)
	}
	h := &heads{a: count(t.shape[:n-2]), d: t.shape[n-1]}
	if len(t.terms) == 0 {
		return nil, errors.New("known numbers are no heads")
	}
	h.x = t.terms[0].a
	for _, x := range t.terms {
		if x.a != h.x {
			return nil, fmt.Errorf("heads of both %s and %s", h.x.describe(), x.a.describe())
		}
	}
	if len(t.terms) == 1 && t.terms[0].idx == nil && h.a > 1 {
		return nil, fmt.Errorf("%s: rows of tokens taken for heads", h.x.describe())
	}
	if !h.x.operation() {
		return w.spelledHeads(t)
	}
	cols, err := w.headColumns(t, h)
	if err != nil {
		return nil, err
	}
	if err := h.choose(w, cols); err != nil || t.add == nil {
		return h, err
	}
	return h, h.biased(w, t)
}

// biased gives the layer of h what is added to its heads, where they are parted.
func (h *heads) biased(w *walk, t *tens) error {
	add, err := expand(t.add, t.shape)
	if err != nil {
		return err
	}
	bad := fmt.Errorf("%s: known numbers that are no bias are added to its heads", h.x.describe())
	width := h.a * h.d
	if h.x.kind != linearKind || h.x.act != 0 || h.turn != nil || h.first+width > h.x.cols {
		return bad
	}
	bias, cols := make([]float32, width), make([]int, width)
	for i := range cols {
		cols[i] = h.first + i
	}
	for i, v := range add.F {
		head, col := i/(w.tokens*h.d), i%h.d
		at := &bias[head*h.d+col]
		if first := i/h.d%w.tokens == 0; first {
			*at = v
		} else if *at != v {
			return bad
		}
	}
	wt := h.x.w.pick(cols)
	for i := range bias {
		bias[i] /= float32(h.scale)
		if wt.bias != nil {
			bias[i] += wt.bias[i]
		}
	}
	if wt.join != nil {
		return bad
	}
	h.x, h.first = w.linear(h.x.x[0], wt.biased(bias), 0), 0
	return nil
}

// spelledHeads is headsOf where the value has not been named yet.
func (w *walk) spelledHeads(t *tens) (*heads, error) {
	if a := w.spelled(t); a != nil && a.operation() {
		return w.headsOf(whole(a, t.shape))
	}
	return nil, fmt.Errorf("heads of %s", describe(t))
}

// headColumns finds which column of the value each column of each head is, and
// whether they are turned.
func (w *walk) headColumns(t *tens, h *heads) ([]int, error) {
	if !h.x.rows {
		return nil, fmt.Errorf("heads of %s, which has no rows", h.x.describe())
	}
	r, err := newReader(t, h, w.tokens)
	if err != nil {
		return nil, err
	}
	cols := make([]int, h.a*h.d)
	h.scale = math.NaN()
	for i := range cols {
		at, coef, ok := r.only(i/h.d, 0, i%h.d)
		if !ok {
			return nil, fmt.Errorf("columns of %s that are no heads", h.x.describe())
		}
		cols[i] = at
		if i == 0 {
			h.scale = coef
		} else if coef != h.scale {
			return nil, fmt.Errorf("the heads of %s are scaled differently", h.x.describe())
		}
	}
	if r.still(cols) {
		return cols, nil
	}
	h.turn, err = r.rotation(cols)
	return cols, err
}

// choose sets the columns; those of a layer that lie apart are made by a layer that
// makes them side by side.
func (h *heads) choose(w *walk, cols []int) error {
	h.first = cols[0]
	for i, c := range cols {
		if c == h.first+i {
			continue
		}
		if h.x.kind != linearKind {
			return fmt.Errorf("columns of %s in an order that heads do not have", h.x.describe())
		}
		h.x, h.first = w.linear(h.x.x[0], h.x.w.pick(cols), h.x.act), 0
		return nil
	}
	return nil
}

// reader looks at the numbers of heads one by one.
type reader struct {
	h      *heads
	tokens int
	terms  []readTerm
}

// readTerm is a term, written out.
type readTerm struct {
	idx  []int64
	coef *array // nil for ones
}

func newReader(t *tens, h *heads, tokens int) (*reader, error) {
	if err := room(t.shape); err != nil {
		return nil, err
	}
	r := &reader{h: h, tokens: tokens}
	for _, x := range t.terms {
		rt := readTerm{idx: x.places(count(t.shape))}
		if x.coef != nil {
			full, err := expand(x.coef, t.shape)
			if err != nil {
				return nil, err
			}
			rt.coef = full
		}
		r.terms = append(r.terms, rt)
	}
	return r, nil
}

// each calls visit with the columns of row token that number (head, token, d) is made
// of; it reports false where another row has part.
func (r *reader) each(head, token, d int, visit func(col int, coef float64)) bool {
	e := (head*r.tokens+token)*r.h.d + d
	c := r.h.x.cols
	for _, x := range r.terms {
		coef := 1.0
		if x.coef != nil {
			coef = float64(x.coef.F[e])
		}
		if x.idx[e] < 0 || coef == 0 {
			continue
		}
		if int(x.idx[e])/c != token {
			return false
		}
		visit(int(x.idx[e])%c, coef)
	}
	return true
}

// only is the column and factor of a number that is one column.
func (r *reader) only(head, token, d int) (col int, coef float64, ok bool) {
	n := 0
	ok = r.each(head, token, d, func(c int, f float64) {
		col, coef = c, f
		n++
	})
	return col, coef, ok && n == 1
}

// still reports whether the columns are the same for all tokens.
func (r *reader) still(cols []int) bool {
	for i, want := range cols {
		for t := range r.tokens {
			col, coef, ok := r.only(i/r.h.d, t, i%r.h.d)
			if !ok || col != want || coef != r.h.scale {
				return false
			}
		}
	}
	return true
}

// turn is by how much the pair of column d is turned at a token: its cosine and sine.
func (r *reader) turn(cols []int, head, token, d int) (cos, sin float64, ok bool) {
	h := r.h
	pair, sign := d+h.d/2, -1.0
	if d >= h.d/2 {
		pair, sign = d-h.d/2, 1.0
	}
	ok = r.each(head, token, d, func(col int, coef float64) {
		switch col {
		case cols[head*h.d+d]:
			cos += coef / h.scale
		case cols[head*h.d+pair]:
			sin += sign * coef / h.scale
		default:
			ok = false
			cos = math.NaN()
		}
	})
	return cos, sin, ok && !math.IsNaN(cos)
}

// rotation is how the heads are turned, as graph.Rotary does it: by a theta, or where
// that does not fit by a step for each pair.
func (r *reader) rotation(cols []int) (*turn, error) {
	half := r.h.d / 2
	if r.h.d%2 != 0 {
		return nil, errTurn
	}
	theta := 10000.0
	if half > 1 {
		cos, sin, ok := r.turn(cols, 0, 1, half-1)
		angle := math.Atan2(sin, cos)
		if ok && angle > 0 {
			theta = math.Exp(-math.Log(angle) * float64(r.h.d) / float64(2*(half-1)))
		}
		if whole := math.Round(theta); math.Abs(theta-whole) < 1e-4*theta {
			theta = whole
		}
	}
	if t := (&turn{theta: theta}); r.turnsBy(cols, t) {
		return t, nil
	}
	t := &turn{steps: make([]float64, half)}
	for c := range t.steps {
		step, ok := r.step(cols, c)
		if !ok {
			return nil, errTurn
		}
		t.steps[c] = step
	}
	if !r.turnsBy(cols, t) {
		return nil, errTurn
	}
	return t, nil
}

var errTurn = errors.New("heads that depend on the place otherwise than by rotation in halves")

// step is by how much pair c is turned a token: measured over ever more tokens, which
// tells it ever better.
func (r *reader) step(cols []int, c int) (float64, bool) {
	step := 0.0
	for t := 1; t < r.tokens; t *= 2 {
		cos, sin, ok := r.turn(cols, 0, t, c)
		if !ok {
			return 0, false
		}
		angle := math.Atan2(sin, cos)
		rounds := math.Round((step*float64(t) - angle) / (2 * math.Pi))
		step = (angle + rounds*2*math.Pi) / float64(t)
	}
	return step, true
}

// turnsBy reports whether the heads are turned by t.
func (r *reader) turnsBy(cols []int, by *turn) bool {
	h := r.h
	rot := &graph.Rotary{Theta: by.theta, Steps: by.steps}
	for t := range r.tokens {
		bound := 1e-5 + 1e-6*float64(t)
		for i := range cols {
			d := i % h.d
			cos, sin, ok := r.turn(cols, i/h.d, t, d)
			angle := rot.Angle(t, d%(h.d/2), h.d)
			if !ok || math.Abs(cos-math.Cos(angle)) > bound || math.Abs(sin-math.Sin(angle)) > bound {
				return false
			}
		}
	}
	return true
}

// swapped is t with its last two dimensions exchanged.
func swapped(t *tens) (*tens, error) {
	n := len(t.shape)
	if err := room(t.shape); err != nil {
		return nil, err
	}
	rows, cols := t.shape[n-2], t.shape[n-1]
	shape := append(slices.Clone(t.shape[:n-2]), cols, rows)
	idx := make([]int64, count(shape))
	for i := range idx {
		block, at := i/(rows*cols), i%(rows*cols)
		idx[i] = int64(block*rows*cols + at%rows*cols + at/rows)
	}
	return t.take(idx, shape)
}
