package match

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/graph"
	"skiff/packager/onnxref"
)

// The lengths that the graph is walked at: one is long enough to see where windows
// and buckets end; the other only shows that the length is free.
const (
	longWalk  = 515
	shortWalk = 11
)

// How many tokens a model takes whose graph does not say: at most, and unless its
// tokenizer asks for more.
const (
	unbounded = 8192
	usual     = 512
)

func build(ctx context.Context, m *onnx.Model, h Hints) (*graph.Model, Report, error) {
	m, err := widened(m)
	if err != nil {
		return nil, Report{}, err
	}
	s, err := newSource(m)
	if err != nil {
		return nil, Report{}, err
	}
	report := Report{Producer: m.Producer, Opset: m.Opsets[""]}
	for _, in := range s.inputs {
		report.Inputs = append(report.Inputs, Role{in.name, in.role})
	}
	long := longWalk
	if n := s.positions(ctx); n > 0 {
		long = min(long, n)
	}
	if long <= shortWalk+1 {
		return nil, report, &Error{Msg: fmt.Sprintf("texts of %d tokens at most are too short to read the graph", long)}
	}
	var sketches []*sketch
	var g *graph.Model
	var outs []*output
	for _, tokens := range []int{s.unlike(shortWalk), s.unlike(long)} {
		if g, outs, err = s.model(ctx, tokens, h, &report, &sketches); err != nil {
			return nil, report, err
		}
	}
	if err := s.sameSketch(sketches[0], sketches[1]); err != nil {
		return nil, report, err
	}
	for _, o := range outs {
		report.Outputs = append(report.Outputs, Role{o.name, o.role})
	}
	if err := s.accept(ctx, g, outs, &report); err != nil {
		return nil, report, err
	}
	return g, report, nil
}

// model reads the graph at one length of text.
func (s *source) model(ctx context.Context, tokens int, h Hints, report *Report, sketches *[]*sketch) (*graph.Model, []*output, error) {
	w := newWalk(ctx, s, tokens)
	outs, err := w.outputs()
	if err != nil {
		return nil, nil, err
	}
	words := 0
	for _, in := range s.inputs {
		if in.role == roleIDs {
			words = in.rows
		}
	}
	r, err := w.read(outs, words, h)
	if err != nil {
		return nil, nil, err
	}
	k := &sketch{seen: map[*atom]int{}}
	k.add(r.answer)
	*sketches = append(*sketches, k)
	if len(*sketches) == 1 {
		return nil, nil, nil
	}
	g := &graph.Model{Name: h.Name, Arch: "onnx", Task: r.task}
	e := newEmitter(g, tokens)
	e.limit = w.limit
	e.survey(slices.DeleteFunc([]*atom{r.answer, r.pooler}, func(a *atom) bool { return a == nil })...)
	e.emit(r.answer)
	if r.pooler != nil {
		e.emit(r.pooler)
	}
	if e.err != nil {
		return nil, nil, e.err
	}
	if err := e.finish(r, outs, report); err != nil {
		return nil, nil, err
	}
	return g, outs, nil
}

// finish fills the fields of the model besides its operations.
func (e *emitter) finish(r *reading, outs []*output, report *Report) error {
	m := e.m
	m.Answer = e.ids[r.answer]
	p := newPlan(m)
	m.States = p.states()
	if m.States == nil {
		return &Error{Msg: "no layers were found: an attention behind another, with a sum behind the last"}
	}
	m.Layers = len(m.States) - 1
	m.Last = p.last(m, m.States)
	if r.pooler != nil {
		m.Pooler = e.ids[r.pooler]
	}
	switch r.task {
	case graph.TaskEncode:
		m.Answer = m.Last
		if e.ids[r.answer] != m.Last {
			report.Notes = append(report.Notes, "the hidden states of the graph are not those of its last layer")
			m.Answer = e.ids[r.answer]
			m.Last = m.Answer
		}
	case graph.TaskEmbed:
		m.Pooled = e.ids[r.pool]
	default:
		m.Head = &graph.Head{Task: r.task, Problem: r.problem, RankSigmoid: r.sigmoid}
	}
	m.Hidden = m.Values[m.Last].Cols
	for _, op := range m.Ops {
		switch o := op.(type) {
		case *graph.Attention:
			m.Heads = o.Heads
		case *graph.Linear:
			if !m.Values[o.Out].Pooled && o.Out != m.Answer && o.Act != 0 {
				m.Inner = max(m.Inner, o.W.Out)
			}
		case *graph.Glu:
			m.Inner = max(m.Inner, m.Values[o.Out].Cols)
		}
	}
	if m.Vocab == 0 {
		return &Error{Msg: "no table of words"}
	}
	if e.limit > 0 {
		m.MaxPositions = least(m.MaxPositions, e.limit)
	}
	m.MaxTokens = m.MaxPositions
	if m.MaxPositions == 0 {
		m.MaxPositions, m.MaxTokens = unbounded, usual
	}
	name(m)
	report.Int8 = len(e.int8)
	if report.Int8 > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d matrices keep the int8 codes of the file; the scales of its activations are replaced by ours, one a token", report.Int8))
	}
	for a := range e.ids {
		if e.ids[a] == m.Last {
			r.roles(outs, a)
		}
	}
	report.Notes = append(report.Notes, r.notes...)
	if err := m.Check(); err != nil {
		return &Error{Msg: "the parts do not fit: " + err.Error()}
	}
	return nil
}

// unlike is n, or the next smaller number that is neither the size of a constant nor a
// size that the graph reshapes to.
func (s *source) unlike(n int) int {
	sizes := map[int]bool{}
	for _, c := range s.consts {
		for _, d := range c.Shape {
			sizes[d] = true
		}
		if c.Len() > maxRank || c.DType != tensor.I64 {
			continue
		}
		if a, err := onnxref.FromView(c); err == nil {
			for _, d := range a.I {
				sizes[int(d)] = true
			}
		}
	}
	for t := n; t > n/2 && t > 4; t-- {
		if !sizes[t] {
			return t
		}
	}
	return n
}

// maxRank is how many dimensions a tensor has at most.
const maxRank = 8

// positions is how many rows the table of positions has, 0 where none was found: what a
// short walk says.
func (s *source) positions(ctx context.Context) int {
	w := newWalk(ctx, s, s.unlike(shortWalk))
	if _, err := w.outputs(); err != nil {
		return 0
	}
	n := 0
	for _, a := range w.store.made {
		if a.kind == lookupKind && a.table.by == graph.ByPosition {
			n = least(n, a.table.table.dims()[0]-a.table.first)
		}
	}
	return n
}

// sketch writes down what atoms are, but for what shows only in long texts.
type sketch struct {
	lines []string
	at    []string // by line: the node that it was made at
	seen  map[*atom]int
}

func (k *sketch) add(a *atom) int {
	if n, ok := k.seen[a]; ok {
		return n
	}
	var in []int
	for _, x := range a.x {
		in = append(in, k.add(x))
	}
	n := len(k.seen) + 1
	k.seen[a] = n
	var text strings.Builder
	fmt.Fprintf(&text, "%s %d %v %d %d", a.describe(), n, in, a.cols, a.act)
	if a.w != nil {
		fmt.Fprintf(&text, " %s", a.w.key())
	}
	if a.norm != nil {
		fmt.Fprintf(&text, " %d %s %s %g", a.norm.kind, digestFloats(a.norm.gain), digestFloats(a.norm.bias), a.norm.eps)
	}
	for _, l := range a.lookups {
		fmt.Fprintf(&text, " %s", l.key())
	}
	if at := a.attend; at != nil {
		fmt.Fprintf(&text, " %d %d %.6g %v %d %d %d", at.q.a, at.q.d, at.scale, at.q.turn != nil, at.q.first, at.k.first, at.v.first)
	}
	k.lines, k.at = append(k.lines, text.String()), append(k.at, a.at)
	return n
}

// sameSketch refuses a graph that is read differently at two lengths, at the first node
// that is.
func (s *source) sameSketch(short, long *sketch) error {
	for i, line := range short.lines {
		if i < len(long.lines) && long.lines[i] == line {
			continue
		}
		for _, n := range s.m.Graph.Nodes {
			if labelOf(n) == short.at[i] {
				return s.refuse(n, "what it makes depends on the length of the text in a way that is not read")
			}
		}
		return &Error{Msg: "the graph does something else with longer texts: " + line}
	}
	if len(short.lines) != len(long.lines) {
		return &Error{Msg: "the graph does more with longer texts"}
	}
	return nil
}
