package match

import (
	"errors"
	"fmt"
	"slices"

	"skiff/packager/graph"
)

// What an output of the graph is for.
const (
	outHidden = "hidden" // the last hidden state
	outState  = "state"  // another row a token
	outPooler = "pooler" // transformers' pooler_output
	outAnswer = "answer" // the task's
	outStart  = "start"  // the first column of the answer
	outEnd    = "end"    // its second
	outVector = "vector" // another row a text
	outUnused = ""       // not used
)

// output is one of the graph's.
type output struct {
	name, role string
	a          *atom
	post       string // what the graph does to it in the end: "", "softmax", "sigmoid"
	why        string // why it is not used
	shape      []int
}

// outputs reads the outputs of the graph, in its order.
func (w *walk) outputs() ([]*output, error) {
	var outs []*output
	var first error
	for _, v := range w.m.Graph.Outputs {
		o := &output{name: v.Name}
		outs = append(outs, o)
		val, err := w.value(v.Name)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				return nil, err
			}
			if first == nil {
				first = err
			}
			o.why = err.Error()
			continue
		}
		t, ok := val.(*tens)
		if !ok {
			o.why = "it does not depend on the words"
			continue
		}
		o.shape = t.shape
		if err := w.end(o, t); err != nil {
			o.why = err.Error()
			if n := w.source.made[v.Name]; first == nil && n != nil && o.why != probabilities {
				first = w.refuse(n, "output %q: %v", v.Name, err)
			}
		}
	}
	if !slices.ContainsFunc(outs, func(o *output) bool { return o.a != nil }) {
		if first == nil {
			first = &Error{Msg: "no output depends on the words"}
		}
		return nil, first
	}
	return outs, nil
}

// probabilities is why the weights of an attention are no output.
const probabilities = "the weights of an attention"

// end finds the value of an output.
func (w *walk) end(o *output, t *tens) error {
	if p := t.plain(); p != nil {
		switch p.kind {
		case softKind:
			o.post, t = "softmax", p.args[0]
		case probsKind:
			return errors.New(probabilities)
		}
	}
	a, err := w.settle(t)
	if err != nil {
		return err
	}
	if a.kind == linearKind && a.act == graph.Sigmoid && o.post == "" {
		o.post, a = "sigmoid", w.linear(a.x[0], a.w, 0)
	}
	o.a = a
	return nil
}

// reading is what the outputs mean together.
type reading struct {
	task                 string
	problem              graph.Problem
	sigmoid              bool // of the one logit
	answer, pooler, pool *atom
	notes                []string
}

// read decides what the model is for. In this order:
//
//   - two outputs of one column a token: the start and end of an answer
//   - a layer with as many columns as there are words: words
//   - a vector a text that is normalised, that is a pooling and nothing more, or that
//     comes with the hidden states (but for a square layer with tanh over the first
//     token, which is BERT's pooler, and one that ends in a layer without activation
//     behind BERT's pooler or beside all hidden states: these are labels): a sentence
//     vector
//   - any other vector a text whose last step is a layer without an activation: labels
//   - a layer over the hidden states: labels of tokens
//   - rows a token alone: hidden states
//
// A hint decides between labels and a sentence vector, and between two labels a token
// and the ends of an answer. Of two outputs that are columns of one layer, the start of
// an answer is the first column; otherwise the first output.
func (w *walk) read(outs []*output, words int, h Hints) (*reading, error) {
	r := &reading{}
	var tokens, texts []*output
	for _, o := range outs {
		switch {
		case o.a == nil:
		case o.a.rows:
			tokens = append(tokens, o)
		default:
			texts = append(texts, o)
		}
	}
	if w.span(r, tokens, h) || w.words(r, tokens, words) || w.vector(r, tokens, texts, h) || w.tags(r, tokens, h) {
		return r, nil
	}
	if len(tokens) == 0 {
		return nil, &Error{Msg: "no output was understood"}
	}
	final := deepest(tokens)
	r.task, r.answer = graph.TaskEncode, final.a
	final.role = outHidden
	return r, nil
}

// deepest is the output that the most operations in a row are needed for: the hidden
// states of the last layer, where those of all are there. Of several it is the first.
func deepest(outs []*output) *output {
	best := outs[0]
	for _, o := range outs {
		if o.a.deep > best.a.deep {
			best = o
		}
	}
	return best
}

// span is the start and end of an answer.
func (w *walk) span(r *reading, tokens []*output, h Hints) bool {
	var ends []*output
	for _, o := range tokens {
		if o.a.cols == 1 && o.a.kind == linearKind && o.a.act == 0 {
			ends = append(ends, o)
		}
	}
	if len(ends) != 2 || ends[0].a.x[0] != ends[1].a.x[0] {
		return w.wideSpan(r, tokens, h)
	}
	if a, b := ends[0].a.w, ends[1].a.w; sameMatrix([]*weights{a, b}) && a.columns()[0] > b.columns()[0] {
		ends[0], ends[1] = ends[1], ends[0]
	}
	ends[0].role, ends[1].role = outStart, outEnd
	r.task = graph.TaskAnswer
	r.answer = w.linear(ends[0].a.x[0], joined(ends[0].a.w, ends[1].a.w), 0)
	return true
}

// wideSpan is a span in one output, which never follows from the graph alone: two
// columns a token may be two labels.
func (w *walk) wideSpan(r *reading, tokens []*output, h Hints) bool {
	for _, o := range tokens {
		if h.Task == graph.TaskAnswer && o.a.kind == linearKind && o.a.act == 0 && o.a.cols == 2 {
			o.role = outAnswer
			r.task, r.answer = graph.TaskAnswer, o.a
			return true
		}
	}
	return false
}

// words is one number for each word of the vocabulary.
func (w *walk) words(r *reading, tokens []*output, words int) bool {
	for _, o := range tokens {
		if o.a.kind == linearKind && o.a.act == 0 && o.a.cols == words {
			o.role = outAnswer
			r.task, r.answer = graph.TaskFillMask, o.a
			return true
		}
	}
	return false
}

// tags is labels of tokens.
func (w *walk) tags(r *reading, tokens []*output, h Hints) bool {
	for _, o := range tokens {
		if o.a.kind == linearKind && (o.a.act == 0 || o.post != "") && h.Task != graph.TaskEncode {
			o.role = outAnswer
			r.task, r.answer = graph.TaskTag, o.a
			return true
		}
	}
	return false
}

// vector is a sentence vector or the labels of a text.
func (w *walk) vector(r *reading, tokens, texts []*output, h Hints) bool {
	if len(texts) == 0 {
		return false
	}
	best := deepest(texts)
	c := chainOf(best.a)
	if h.Task == graph.TaskEncode && len(tokens) > 0 {
		return false
	}
	hidden := len(tokens) > 0
	if hidden && c.isPooler() && h.Task != graph.TaskEmbed && h.Task != graph.TaskClassify {
		final := deepest(tokens)
		r.task, r.answer, r.pooler = graph.TaskEncode, final.a, best.a
		best.role, final.role = outPooler, outHidden
		return true
	}
	best.role = outAnswer
	r.answer, r.pool = best.a, c.pool
	r.task = graph.TaskClassify
	switch {
	case h.Task == graph.TaskEmbed || h.Task == graph.TaskClassify:
		r.task = h.Task
	case best.post != "":
	case hidden && c.act == 0 && !c.normalized && (len(tokens) > 1 || c.layers > 1 && c.byFirst()):
	case c.normalized || c.layers == 0 || hidden:
		r.task = graph.TaskEmbed
	case c.act != 0 || c.pool != nil && !c.byFirst() && !c.norm && c.layers == 1:
		r.task = graph.TaskEmbed
	}
	if r.task == graph.TaskEmbed && c.pool == nil {
		r.task = graph.TaskClassify
	}
	if r.task == graph.TaskClassify {
		r.pool = nil
		r.problem = graph.SingleLabel
		if best.post == "sigmoid" {
			r.problem, r.sigmoid = graph.MultiLabel, best.a.cols == 1
		} else if best.a.cols == 1 {
			r.problem = graph.Regression
		}
	}
	for _, o := range tokens {
		o.role = outState
	}
	return true
}

// chain is what lies between a pooling and a vector.
type chain struct {
	pool             *atom
	layers           int
	act              graph.Activation // of the last layer
	norm, normalized bool
	last             *atom
}

func chainOf(a *atom) chain {
	c := chain{}
	for {
		switch a.kind {
		case poolKind:
			c.pool = a
			return c
		case linearKind:
			if c.last == nil {
				c.last, c.act = a, a.act
			}
			c.layers++
		case normKind:
			c.norm = true
		case normalizeKind:
			c.normalized = true
		default:
			return c
		}
		a = a.x[0]
	}
}

// byFirst reports whether the first token alone is pooled.
func (c chain) byFirst() bool {
	return c.pool != nil && slices.Equal(c.pool.how, graph.Poolings{graph.PoolCLS})
}

// isPooler reports whether the chain is BERT's pooler.
func (c chain) isPooler() bool {
	return c.byFirst() && c.layers == 1 && c.act == graph.Tanh && !c.norm && !c.normalized && c.last.cols == c.pool.cols
}

// roles fills the roles of outputs that were left open.
func (r *reading) roles(outs []*output, last *atom) {
	for _, o := range outs {
		switch {
		case o.a == nil || o.role != "" && o.role != outState:
		case o.a == last:
			o.role = outHidden
		case o.a == r.answer:
			o.role = outAnswer
		case o.a.rows:
			o.role = outState
		default:
			o.role = outVector
		}
		if o.a == nil {
			r.notes = append(r.notes, fmt.Sprintf("output %q is not used: %s", o.name, o.why))
		}
	}
}
