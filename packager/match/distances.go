package match

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/packager/graph"
	"skiff/packager/onnxref"
)

// distances is graph.Disentangled: queries and keys times rows for distances. The rows
// are known numbers, projected already: how they were made of a table does not matter
// for what is computed.
type distances struct {
	keys, queries          []float32   // [2*span][A*D]; nil for none
	byKeys, byQueries      *projection // how they were made; nil where it is not known
	width                  int         // A*D
	span, buckets, farMost int
}

// timesTable is heads times known numbers, [.., D, R]: what rows for distances add to
// scores.
func (w *walk) timesTable(n *onnx.Node, x *tens, k *known) (value, error) {
	h, err := w.headsOf(x)
	if err != nil {
		return nil, w.refuse(n, "a product with known numbers %v: %v", k.shape, err)
	}
	dims := len(k.shape)
	if dims < 2 || k.from != 0 {
		return nil, w.refuse(n, "a product with known numbers %v", k.shape)
	}
	a, err := k.array()
	if err != nil {
		return nil, err
	}
	r := k.shape[dims-1]
	batch, err := join(x.shape[:len(x.shape)-2], k.shape[:dims-2])
	if err != nil || count(batch) != h.a || k.shape[dims-2] != h.d {
		return nil, w.refuse(n, "%d heads of %d times known numbers %v", h.a, h.d, k.shape)
	}
	full, err := expand(floats(a), append(slices.Clone(batch), h.d, r))
	if err != nil {
		return nil, err
	}
	rows := onnxref.Floats([]int{h.a, h.d, r}, full.F...)
	t := whole(w.scores(&score{q: h, rows: rows, made: w.projectionOf(k, h.a, h.d)}, r), append(slices.Clone(batch), w.tokens, r))
	return t.times(scalarOf(float32(h.scale)).arr)
}

// oneHead is scores of a single head, where heads times known rows look like a layer.
func (w *walk) oneHead(t *tens) (*tens, error) {
	out := &tens{shape: t.shape, add: t.add}
	content := slices.IndexFunc(t.terms, func(x term) bool { return x.a.kind == scoreKind && x.a.score.q.a == 1 })
	for _, x := range t.terms {
		l := x.a.w
		if content < 0 || x.a.kind != linearKind || l.bias != nil || l.join != nil || l.cols != nil || l.integer || x.a.act != 0 {
			out.terms = append(out.terms, x)
			continue
		}
		s := t.terms[content].a.score
		h := s.q
		if x.a.x[0] == s.k.x {
			h = s.k
		}
		if x.a.x[0] != h.x || h.first != 0 || h.d != h.x.cols || h.turn != nil {
			return nil, fmt.Errorf("%s is added to scores", x.a.describe())
		}
		m, err := l.m.array()
		if err != nil {
			return nil, err
		}
		rows := onnxref.Floats([]int{1, h.d, x.a.cols}, m.F...)
		out.terms = append(out.terms, term{a: w.scores(&score{q: h, rows: rows}, x.a.cols), idx: x.idx, coef: x.coef})
	}
	return out, nil
}

// tableTimes is known numbers, [.., R, D], times heads turned over.
func (w *walk) tableTimes(n *onnx.Node, k *known, y *tens) (value, error) {
	if len(k.shape) < 2 || len(y.shape) < 2 {
		return nil, w.refuse(n, "a product with known numbers %v", k.shape)
	}
	arr, err := k.array()
	if err != nil {
		return nil, err
	}
	turned, err := swapped(&tens{shape: k.shape, add: floats(arr)})
	if err != nil {
		return nil, err
	}
	if y, err = swapped(y); err != nil {
		return nil, err
	}
	kt := &known{shape: turned.shape, arr: orZero(turned.add), from: k.from}
	if kt.arr, err = expand(kt.arr, kt.shape); err != nil {
		return nil, err
	}
	v, err := w.timesTable(n, y, kt)
	if err != nil {
		return nil, err
	}
	return swapped(v.(*tens))
}

// distancesOf reads the terms of scores that are of known rows.
func (w *walk) distancesOf(r *readScores, at *attention) (*distances, error) {
	if len(r.far) == 0 {
		return nil, nil
	}
	if r.bias != nil || at.q.turn != nil {
		return nil, fmt.Errorf("two kinds of relative positions")
	}
	d := &distances{width: at.q.a * at.q.d}
	var place []int // by i-j+T-1: the row
	for _, x := range r.far {
		table := x.a.score.q.key()
		isQuery := table == at.q.key()
		if !isQuery && table != at.k.key() {
			return nil, fmt.Errorf("rows for distances times something other than the queries and keys")
		}
		at, err := w.placesOf(x, isQuery, r.heads)
		if err != nil {
			return nil, err
		}
		if place != nil && !slices.Equal(place, at) {
			return nil, fmt.Errorf("queries and keys take different rows for a distance")
		}
		place = at
		coef, ok := uniform(orOnes(x.coef))
		if !ok {
			return nil, fmt.Errorf("rows for distances that are scaled differently from place to place")
		}
		ratio := coef / r.scale
		if math.Abs(ratio-1) < 1e-5 {
			ratio = 1
		}
		rows, made := projected(x.a.score, ratio), x.a.score.made
		if ratio != 1 {
			made = nil
		}
		to, by := &d.keys, &d.byKeys
		if !isQuery {
			to, by = &d.queries, &d.byQueries
		}
		if *to != nil {
			return nil, fmt.Errorf("rows for distances twice")
		}
		*to, *by = rows, made
		d.span = x.a.cols / 2
	}
	return d, d.fit(place, w.tokens)
}

// placesOf is the row that a term takes for each distance, by i-j+T-1.
func (w *walk) placesOf(x term, isQuery bool, heads int) ([]int, error) {
	t, r := w.tokens, x.a.cols
	out := make([]int, 2*t-1)
	for i := range out {
		out[i] = -1
	}
	if r%2 != 0 {
		return nil, fmt.Errorf("%d rows for distances, want two for each", r)
	}
	for e, p := range x.places(heads * t * t) {
		head, i, j := e/(t*t), e/t%t, e%t
		token := j
		if isQuery {
			token = i
		}
		if p < 0 || int(p)/r != head*t+token {
			return nil, fmt.Errorf("rows for distances of another token or head")
		}
		to := &out[i-j+t-1]
		if *to >= 0 && *to != int(p)%r {
			return nil, fmt.Errorf("rows that are taken by something other than the distance")
		}
		*to = int(p) % r
	}
	return out, nil
}

// projected is the rows of s as [R][A*D], times ratio.
func projected(s *score, ratio float64) []float32 {
	a, d, r := s.rows.Shape[0], s.rows.Shape[1], s.rows.Shape[2]
	out := make([]float32, len(s.rows.F))
	for i, v := range s.rows.F {
		head, col, row := i/(d*r), i/r%d, i%r
		out[row*a*d+head*d+col] = float32(float64(v) * ratio)
	}
	return out
}

// fit finds the buckets with which the rows are those of the distances.
func (d *distances) fit(place []int, tokens int) error {
	try := func(buckets, most int) bool {
		g := &graph.Disentangled{Span: d.span, Buckets: buckets, MaxPosition: most}
		for i, row := range place {
			if g.Row(i-tokens+1) != row {
				return false
			}
		}
		d.buckets, d.farMost = buckets, most
		return true
	}
	if d.span > 0 && try(0, 0) {
		return nil
	}
	if d.span >= 4 {
		for _, most := range append([]int{512, 256, 1024, 128, 2048, 64}, upTo(d.span/2+2, 4*farthest)...) {
			if most > d.span/2+1 && try(d.span, most) {
				return nil
			}
		}
	}
	return fmt.Errorf("distances that are counted in buckets of no known kind")
}

// distances is d as an operation's relative positions: the projected rows are the
// table, and its layers pick their columns.
func (e *emitter) distances(d *distances) graph.Relative {
	g := &graph.Disentangled{Span: d.span, Buckets: d.buckets, MaxPosition: d.farMost}
	if e.projections(d, g) {
		return g
	}
	var parts [][]float32
	for _, p := range [][]float32{d.keys, d.queries} {
		if p != nil {
			parts = append(parts, p)
		}
	}
	rows, cols := 2*d.span, d.width*len(parts)
	data := make([]float32, rows*cols)
	for i, p := range parts {
		for r := range rows {
			copy(data[r*cols+i*d.width:][:d.width], p[r*d.width:])
		}
	}
	g.Table = &graph.Table{Rows: rows, Cols: cols, Data: data}
	if d.keys != nil {
		g.Keys = e.picker(d.width, cols, 0)
	}
	if d.queries != nil {
		g.Queries = e.picker(d.width, cols, cols-d.width)
	}
	return g
}

// projections sets the table and the layers of g as the file has them; false where they
// are not known, or are of two tables.
func (e *emitter) projections(d *distances, g *graph.Disentangled) bool {
	var table *array
	for _, p := range []struct {
		rows []float32
		by   *projection
		to   **graph.LinearWeights
	}{{d.keys, d.byKeys, &g.Keys}, {d.queries, d.byQueries, &g.Queries}} {
		if p.rows == nil {
			continue
		}
		if p.by == nil || table != nil && digest(table) != digest(p.by.table) {
			return false
		}
		table = p.by.table
		*p.to = e.layer(p.by.w)
		if e.err != nil {
			return true
		}
	}
	key := "rows " + digest(table)
	if e.tables[key] == nil {
		e.tables[key] = &graph.Table{Rows: table.Shape[0], Cols: table.Shape[1], Data: table.F}
	}
	g.Table = e.tables[key]
	return true
}

// picker is a layer that takes width columns of cols, from first. Each attention has
// layers of its own, for what they make of its table goes by their names; their numbers
// are one array.
func (e *emitter) picker(width, cols, first int) *graph.LinearWeights {
	key := [3]int{width, cols, first}
	if e.pickers[key] == nil {
		w := make([]float32, width*cols)
		for i := range width {
			w[i*cols+first+i] = 1
		}
		e.pickers[key] = w
	}
	return &graph.LinearWeights{In: cols, Out: width, Weight: e.pickers[key]}
}
