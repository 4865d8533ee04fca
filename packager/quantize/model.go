package quantize

import (
	"context"
	"fmt"
	"strings"

	"skiff/packager/graph"
)

// Linear8 is a quantised linear layer: int8 weights, float32 bias.
type Linear8 struct {
	Name string
	Matrix
	Bias []float32 // [Rows]
	// Tied names the table whose codes and scales these are; "" where there is none.
	Tied string
}

// Model8 is what the quantiser made of the operations that a model's answer
// needs; norms stay in Source. Weights that are shared in Source are shared here.
type Model8 struct {
	Source  *graph.Model
	Ops     []graph.Op
	Tables  map[*graph.Table]Matrix
	Linears map[*graph.LinearWeights]*Linear8
	// QKV has the attentions whose query, key and value are linear layers of one
	// input: these are one matrix of 3H rows, quantised together at run time.
	QKV map[*graph.Attention]*Linear8

	tied map[*graph.LinearWeights]*graph.Table
	kept map[*graph.Int8]bool
}

// Kept is how many tensors of the source have the codes of their file.
func (q *Model8) Kept() int { return len(q.kept) }

// Inputs maps the name of a linear layer to the columns kept in float32 there.
type Inputs map[string][]int32

// Calibrate runs texts through the float32 reference and names up to n outlier columns
// for the input of each linear layer. encode turns a text into token ids, its prompt included. With n = 0
// nothing is run. progress, if not nil, is told after each text.
func Calibrate(ctx context.Context, m *graph.Model, texts []string, n int, encode func(string) []int32, progress func(done, total int)) (Inputs, error) {
	if n == 0 {
		return Inputs{}, nil
	}
	watch := map[string]*Outliers{}
	tied := tiedTo(m)
	for _, l := range graph.Linears(m.Needed(m.Answer)) {
		if tied[l] != nil {
			continue
		}
		watch[l.Name] = NewOutliers(l.In)
	}
	tap := func(name string, x []float32, rows, cols int) {
		if o := watch[name]; o != nil {
			o.Watch(x)
		}
	}
	reference, prompt := m.Reference(), m.PromptTokens(m.Prefix)
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("calibrate: %w", err)
		}
		if _, err := reference.RunPrompted(encode(text), prompt, tap, m.Answer); err != nil {
			return nil, fmt.Errorf("calibrate: %w", err)
		}
		if progress != nil {
			progress(i+1, len(texts))
		}
	}
	in := Inputs{}
	for name, o := range watch {
		in[name] = o.Top(n)
	}
	return in, nil
}

// Quantise makes the int8 form of m with the given outlier columns.
func Quantise(m *graph.Model, outliers Inputs) (*Model8, error) {
	q := &Model8{
		Source: m, Ops: m.Needed(m.Answer), Tables: map[*graph.Table]Matrix{},
		Linears: map[*graph.LinearWeights]*Linear8{}, QKV: map[*graph.Attention]*Linear8{},
		tied: tiedTo(m), kept: map[*graph.Int8]bool{},
	}
	fused, err := q.fuse(outliers)
	if err != nil {
		return nil, err
	}
	for _, op := range q.Ops {
		switch o := op.(type) {
		case *graph.Embed:
			err = q.tables(o)
		case *graph.Linear:
			if !fused[o] {
				err = q.linear(o.W, outliers)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *Model8) tables(o *graph.Embed) error {
	for _, l := range o.Lookups {
		t := l.Table
		if _, done := q.Tables[t]; done {
			continue
		}
		table, err := q.matrix(t.Name, t.Data, t.Int8, t.Rows, t.Cols, nil)
		if err != nil {
			return err
		}
		q.Tables[t] = table
	}
	return nil
}

// matrix is the int8 form of a tensor [n][k]: its file's codes, or codes made here.
func (q *Model8) matrix(name string, weight []float32, codes *graph.Int8, n, k int, outliers []int32) (m Matrix, err error) {
	if codes != nil {
		q.kept[codes] = true
		m, err = Keep(codes, weight, n, k, outliers)
	} else {
		m, err = Linear(weight, n, k, outliers)
	}
	if err != nil {
		return Matrix{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func (q *Model8) linear(w *graph.LinearWeights, outliers Inputs) error {
	if q.Linears[w] != nil {
		return nil
	}
	made := &Linear8{Name: w.Name, Bias: biasOf(w)}
	codes, columns := w.Int8, outliers[w.Name]
	if t := q.tied[w]; t != nil {
		made.Tied = t.Name
		codes, columns = t.Int8, nil // columns would make other codes than the table's
	}
	var err error
	made.Matrix, err = q.matrix(w.Name, w.Weight, codes, w.Out, w.In, columns)
	q.Linears[w] = made
	return err
}

// biasOf is a layer's bias; none becomes one of zeros.
func biasOf(w *graph.LinearWeights) []float32 {
	if w.Bias == nil {
		return make([]float32, w.Out)
	}
	return w.Bias
}

// tiedTo maps the layers whose weights are the very numbers of a table of words, whose
// codes are then stored once, to these tables.
func tiedTo(m *graph.Model) map[*graph.LinearWeights]*graph.Table {
	ops := m.Needed(m.Answer)
	tied := map[*graph.LinearWeights]*graph.Table{}
	for _, op := range ops {
		e, ok := op.(*graph.Embed)
		if !ok {
			continue
		}
		for _, l := range e.Lookups {
			for _, w := range graph.Linears(ops) {
				same := w.Out == l.Table.Rows && w.In == l.Table.Cols && &w.Weight[0] == &l.Table.Data[0]
				same = same && (w.Int8 == nil || l.Table.Int8 != nil) // the layer's own codes are kept
				if same && l.By == graph.ByID && l.Offset == 0 {
					tied[w] = l.Table
				}
			}
		}
	}
	return tied
}

// triple is the query, key and value layers of an attention.
type triple [3]*graph.Linear

// fuse fills QKV and returns the operations that it took together.
func (q *Model8) fuse(outliers Inputs) (map[*graph.Linear]bool, error) {
	made := map[[3]*graph.LinearWeights]*Linear8{}
	makers := makersOf(q.Ops)
	fused := map[*graph.Linear]bool{}
	for _, op := range q.Ops {
		att, ok := op.(*graph.Attention)
		if !ok {
			continue
		}
		t, ok := fusable(makers, att)
		if !ok {
			continue
		}
		key := [3]*graph.LinearWeights{t[0].W, t[1].W, t[2].W}
		if made[key] == nil {
			one, err := q.join(t, outliers[t[0].W.Name])
			if err != nil {
				return nil, err
			}
			made[key] = one
		}
		q.QKV[att] = made[key]
		fused[t[0]], fused[t[1]], fused[t[2]] = true, true, true
	}
	return fused, nil
}

// makersOf has the linear layers whose value exactly one operation reads once.
func makersOf(ops []graph.Op) map[graph.ID]*graph.Linear {
	readers := map[graph.ID]int{}
	makers := map[graph.ID]*graph.Linear{}
	for _, op := range ops {
		for _, id := range op.Reads() {
			readers[id]++
		}
		if l, ok := op.(*graph.Linear); ok {
			makers[l.Out] = l
		}
	}
	for id := range makers {
		if readers[id] != 1 {
			delete(makers, id)
		}
	}
	return makers
}

// fusable finds the layers of an attention that can be one: they have the same
// input, and nothing else reads what they make.
func fusable(makers map[graph.ID]*graph.Linear, att *graph.Attention) (t triple, ok bool) {
	for i, s := range []graph.Slice{att.Q, att.K, att.V} {
		l := makers[s.X]
		if l == nil || s.First != 0 || l.Act != 0 || l.W.Out != att.Heads*att.HeadSize {
			return t, false
		}
		t[i] = l
	}
	return t, t[0].X == t[1].X && t[0].X == t[2].X
}

// join is one layer of the three, called qkv. Each has its own codes: some may be kept.
func (q *Model8) join(t triple, outliers []int32) (*Linear8, error) {
	first := t[0].W.Name
	all := &Linear8{Name: first[:strings.LastIndex(first, ".")+1] + "qkv"}
	var parts [len(t)]Matrix
	for i, l := range t {
		var err error
		if parts[i], err = q.matrix(l.W.Name, l.W.Weight, l.W.Int8, l.W.Out, l.W.In, outliers); err != nil {
			return nil, err
		}
		all.Bias = append(all.Bias, biasOf(l.W)...)
	}
	all.Matrix = stack(parts[:]...)
	return all, nil
}
