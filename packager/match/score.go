package match

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
)

// score is what goes into a softmax: queries times keys, or either times known rows.
type score struct {
	q, k *heads      // k is nil where there are rows
	rows *array      // [A][D][R] nil where there are keys
	made *projection // of the rows; nil where it is not known
}

// attention is all but the values of one.
type attention struct {
	q, k, v *heads
	scale   float64
	window  int
	bias    *bias
	far     *distances
}

// batched is a product of two values: scores, or what an attention makes.
func (w *walk) batched(n *onnx.Node, x, y *tens) (value, error) {
	if a := x.plain(); a != nil && a.kind == probsKind {
		return w.context(n, a, x, y)
	}
	if len(x.shape) < 2 || len(y.shape) < 2 {
		return nil, w.refuse(n, "a product of vectors")
	}
	turned, err := swapped(y)
	if err != nil {
		return nil, err
	}
	batch, err := join(x.shape[:len(x.shape)-2], y.shape[:len(y.shape)-2])
	if err != nil {
		return nil, w.refuse(n, "its inputs %v and %v are no heads of one attention", x.shape, y.shape)
	}
	if turned, err = turned.broadcast(append(slices.Clone(batch), turned.shape[len(turned.shape)-2:]...)); err != nil {
		return nil, err
	}
	if x, err = x.broadcast(append(slices.Clone(batch), x.shape[len(x.shape)-2:]...)); err != nil {
		return nil, err
	}
	q, err := w.headsOf(x)
	if err != nil {
		return nil, w.refuse(n, "its first input: %v", err)
	}
	k, err := w.headsOf(turned)
	if err != nil {
		return nil, w.refuse(n, "its second input: %v", err)
	}
	if q.d != k.d || q.turn.key() != k.turn.key() {
		return nil, w.refuse(n, "queries and keys of different heads")
	}
	a := w.scores(&score{q: q, k: k}, w.tokens)
	return whole(a, append(slices.Clone(batch), w.tokens, w.tokens)).times(scalarOf(float32(q.scale * k.scale)).arr)
}

// scores is the atom of s, whose rows have n numbers.
func (w *walk) scores(s *score, n int) *atom {
	kind, heads, key := scoreKind, s.q, ""
	if s.rows != nil {
		kind, key = tableKind, digest(s.rows)
	}
	key += s.q.key() + s.k.key()
	return w.store.make(fmt.Sprintf("%d:%s", kind, key), atom{kind: kind, size: heads.a * w.tokens * n, cols: n, score: s})
}

// key tells heads apart, but for their scale, which is a factor of the scores.
func (h *heads) key() string {
	if h == nil {
		return "|none"
	}
	return fmt.Sprintf("|%d,%d,%d,%d,%s", h.x.n, h.first, h.a, h.d, h.turn.key())
}

// masked is below what a mask puts in the place of scores that do not count.
const masked = -9000

// softmax is the operator Softmax.
func (w *walk) softmax(n *onnx.Node, t *tens) (value, error) {
	axis := int64(-1)
	if n.Version < 13 {
		axis = 1
	}
	if a, ok := n.Attrs["axis"]; ok {
		axis = a.I
	}
	if axis != -1 && axis != int64(len(t.shape))-1 {
		return nil, w.refuse(n, "a softmax over axis %d of %v", axis, t.shape)
	}
	t, err := w.oneHead(t)
	if err != nil {
		return nil, w.refuse(n, "%v", err)
	}
	var content *atom
	for _, x := range t.terms {
		if x.a.kind == scoreKind && x.idx == nil {
			content = x.a
		}
	}
	if content == nil {
		return w.soft(t), nil
	}
	if content.size != count(t.shape) {
		return nil, w.refuse(n, "scores of %v", t.shape)
	}
	s := content.score
	read, err := newScores(t, content, w.tokens)
	if err != nil {
		return nil, w.refuse(n, "%v", err)
	}
	at := &attention{q: s.q, k: s.k, scale: snapped(read.scale), window: read.window}
	if at.bias, err = w.biasOf(read); err != nil {
		return nil, w.refuse(n, "%v", err)
	}
	if at.far, err = w.distancesOf(read, at); err != nil {
		return nil, w.refuse(n, "%v", err)
	}
	if at.far == nil && !(at.scale > 0) {
		return nil, w.refuse(n, "scores times %g", at.scale)
	}
	key := fmt.Sprintf("%d:%d:%s", probsKind, content.n, t.key())
	return whole(w.store.make(key, atom{kind: probsKind, size: count(t.shape), cols: w.tokens, attend: at}), t.shape), nil
}

// snapped is the inverse root of a whole number where v is that but for rounding.
func snapped(v float64) float64 {
	m := math.Round(1 / (v * v))
	if exact := 1 / math.Sqrt(m); m >= 1 && math.Abs(v-exact) < 1e-6*exact {
		return exact
	}
	return v
}

// readScores is the tensor that a softmax is of.
type readScores struct {
	tokens, heads int
	scale         float64 // of the content
	window        int
	bias          []float64 // [A][2T-1] by j-i+T-1; nil for none
	far           []term    // of known rows
}

func newScores(t *tens, content *atom, tokens int) (*readScores, error) {
	r := &readScores{tokens: tokens, heads: content.score.q.a}
	var coef *array
	for _, x := range t.terms {
		switch {
		case x.a == content && x.idx == nil:
			coef = x.coef
		case x.a.kind == tableKind:
			r.far = append(r.far, x)
		default:
			return nil, fmt.Errorf("%s is added to scores", x.a.describe())
		}
	}
	hidden := make([]bool, tokens*tokens)
	if t.add != nil {
		if err := r.readKnown(t, hidden); err != nil {
			return nil, err
		}
	}
	if err := r.readWindow(hidden); err != nil {
		return nil, err
	}
	if coef == nil {
		r.scale = 1
		return r, nil
	}
	if v, ok := uniform(coef); ok {
		r.scale = v
		return r, nil
	}
	full, err := expand(coef, t.shape)
	if err != nil {
		return nil, err
	}
	first := true
	for i, v := range full.F {
		if hidden[i%len(hidden)] {
			continue
		}
		if first {
			r.scale, first = float64(v), false
		}
		if float64(v) != r.scale {
			return nil, fmt.Errorf("scores that are scaled differently from place to place")
		}
	}
	return r, nil
}

// readKnown parts what is added to scores into a mask and a bias by distance.
func (r *readScores) readKnown(t *tens, hidden []bool) error {
	n := r.tokens
	add, err := expand(t.add, t.shape)
	if err != nil {
		return err
	}
	span := 2*n - 1
	bias, seen, any := make([]float64, r.heads*span), make([]bool, r.heads*span), false
	for i, v := range add.F {
		place, head := i%(n*n), i/(n*n)
		if hide := float64(v) <= masked; head > 0 && hide != hidden[place] {
			return fmt.Errorf("heads with different masks")
		} else if hide {
			hidden[place] = true
			continue
		}
		at := head*span + place%n - place/n + n - 1
		if seen[at] && math.Abs(bias[at]-float64(v)) > 1e-6*max(1, math.Abs(bias[at])) {
			return fmt.Errorf("numbers are added to scores that are no mask and no function of the distance")
		}
		bias[at], seen[at] = float64(v), true
		any = any || v != 0
	}
	if any {
		r.bias = bias
		if slices.Contains(hidden, true) {
			return fmt.Errorf("both a mask and a bias are added to scores")
		}
	}
	return nil
}

// readWindow reads the mask: all tokens are seen, or those up to a distance.
func (r *readScores) readWindow(hidden []bool) error {
	if !slices.Contains(hidden, true) {
		return nil
	}
	n := r.tokens
	for place, h := range hidden {
		if !h {
			r.window = max(r.window, place/n-place%n, place%n-place/n)
		}
	}
	for place, h := range hidden {
		far := max(place/n-place%n, place%n-place/n) > r.window
		if far != h || r.window == 0 {
			return fmt.Errorf("a mask that is no window: token %d and token %d (causal masks are not read)", place/n, place%n)
		}
	}
	return nil
}

// context is probabilities times values: what an attention makes.
func (w *walk) context(n *onnx.Node, p *atom, x, y *tens) (value, error) {
	batch := x.shape[:len(x.shape)-2]
	y, err := y.broadcast(append(slices.Clone(batch), y.shape[len(y.shape)-2:]...))
	if err != nil {
		return nil, w.refuse(n, "its second input: %v", err)
	}
	v, err := w.headsOf(y)
	if err != nil {
		return nil, w.refuse(n, "its second input: %v", err)
	}
	at := *p.attend
	at.v = v
	if v.a != at.q.a || v.d != at.q.d || v.turn != nil {
		return nil, w.refuse(n, "values of %d heads of %d for queries of %d heads of %d", v.a, v.d, at.q.a, at.q.d)
	}
	width := v.a * v.d
	key := fmt.Sprintf("%d%s", p.n, v.key())
	a := w.row(key, atom{kind: attentionKind, rows: true, cols: width, attend: &at}, at.q.x, at.k.x, v.x)
	idx := make([]int64, a.size)
	for i := range idx {
		head, token, d := i/(w.tokens*v.d), i/v.d%w.tokens, i%v.d
		idx[i] = int64(token*width + head*v.d + d)
	}
	out := &tens{shape: append(slices.Clone(x.shape[:len(x.shape)-1]), v.d), terms: []term{newTerm(a, idx, nil)}}
	return out.times(scalarOf(float32(v.scale)).arr)
}
