package onnxref

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// Config says how a graph is run; its zero value runs it as the file says.
type Config struct {
	// FloatActivations computes quantised activations unquantised: what
	// DynamicQuantizeLinear makes is its float input, with scale 1 and zero point 0,
	// and MatMulInteger multiplies such values with (weight code - zero point), so
	// that the Cast and Mul that follow apply the weight's scale alone.
	// QuantizeLinear divides by its scale and does not round.
	FloatActivations bool

	// Budget is how many elements all tensors that are alive together may have,
	// besides the constants. 0 stands for 2^26, and twice the elements of the
	// constants where that is more.
	Budget int
}

// defaultBudget of elements: 256 MiB of float32.
const defaultBudget = 1 << 26

// Session runs one graph. It is read-only: any number of goroutines may Run it.
type Session struct {
	graph   *onnx.Graph
	config  Config
	made    map[string]int // index of the node that makes a tensor
	outer   map[string]bool
	release func(data []byte) // of a constant that was read; nil for none
}

// New checks that every operator of m is known. The error of one that is not
// names the node, the operator and its domain. The Session reads m's constants
// as long as it is in use.
func New(m *onnx.Model, cfg Config) (*Session, error) {
	if cfg.Budget == 0 {
		cfg.Budget = max(defaultBudget, 2*elements(m.Graph))
	}
	cfg.Budget = capped(cfg.Budget)
	s, err := newSession(m.Graph, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("read graph of %s: %w", m.File, err)
	}
	s.release = m.Release
	return s, nil
}

// elements counts the numbers in g's constants.
func elements(g *onnx.Graph) int {
	n := 0
	for _, v := range g.Consts {
		n += v.Len()
	}
	return n
}

// newSession indexes g, whose nodes may read the tensors of outer too.
func newSession(g *onnx.Graph, cfg Config, outer map[string]bool) (*Session, error) {
	s := &Session{graph: g, config: cfg, made: map[string]int{}, outer: outer}
	known := maps.Clone(outer)
	if known == nil {
		known = map[string]bool{}
	}
	for name := range g.Consts {
		known[name] = true
	}
	for _, in := range g.Inputs {
		known[in.Name] = true
	}
	for i, n := range g.Nodes {
		if err := s.admit(i, n, known); err != nil {
			return nil, at(n, err)
		}
	}
	return s, nil
}

// admit checks node i and adds what it makes to known.
func (s *Session) admit(i int, n *onnx.Node, known map[string]bool) error {
	op, err := find(n)
	if err != nil {
		return err
	}
	if err := op.takes(len(n.Inputs)); err != nil {
		return err
	}
	for _, in := range reads(n) {
		if !known[in] {
			return fmt.Errorf("input %q is made by no node before it", in)
		}
	}
	for _, sub := range subgraphs(n) {
		if _, err := newSession(sub, s.config, known); err != nil {
			return err
		}
	}
	for _, out := range n.Outputs {
		if out == "" {
			continue
		}
		if _, twice := s.made[out]; twice {
			return fmt.Errorf("output %q is made twice", out)
		}
		s.made[out] = i
		known[out] = true
	}
	return nil
}

// Run computes the tensors called want, which may be of any node. Feeds may
// stand for any tensor, not only for inputs of the graph: what only they need is
// not run. Results may share memory with feeds; neither may be written.
func (s *Session) Run(ctx context.Context, feeds map[string]*Tensor, want ...string) (map[string]*Tensor, error) {
	for name, t := range feeds {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("read feed %q: %w", name, err)
		}
	}
	r := &run{s: s, ctx: ctx, feeds: feeds, live: map[string]*Tensor{}, left: map[string]int{}}
	if err := r.plan(want); err != nil {
		return nil, err
	}
	return r.run(want)
}

// run is one Run.
type run struct {
	s     *Session
	ctx   context.Context
	feeds map[string]*Tensor
	live  map[string]*Tensor // made and still to be read
	left  map[string]int     // how many nodes have still to read a tensor, plus one if it is wanted
	need  []bool             // by node
	alive int                // elements of live

	scratch []float32 // of the constant that is multiplied with
}

// plan marks the nodes that want depends on. Nodes stand in an order in which
// each reads only what stands before it, so one pass from the end finds them.
func (r *run) plan(want []string) error {
	r.need = make([]bool, len(r.s.graph.Nodes))
	for _, name := range want {
		r.left[name]++
		if err := r.require(name); err != nil {
			return err
		}
	}
	for i := len(r.need) - 1; i >= 0; i-- {
		if !r.need[i] {
			continue
		}
		n := r.s.graph.Nodes[i]
		for _, in := range reads(n) {
			r.left[in]++
			if err := r.require(in); err != nil {
				return at(n, err)
			}
		}
	}
	return nil
}

// require marks the node that makes the tensor called name.
func (r *run) require(name string) error {
	if _, fed := r.feeds[name]; fed {
		return nil
	}
	if i, ok := r.s.made[name]; ok {
		r.need[i] = true
		return nil
	}
	if _, ok := r.s.graph.Consts[name]; !ok {
		return fmt.Errorf("tensor %q is neither fed nor made by a node", name)
	}
	return nil
}

func (r *run) run(want []string) (map[string]*Tensor, error) {
	for i, n := range r.s.graph.Nodes {
		if !r.need[i] {
			continue
		}
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.step(n); err != nil {
			return nil, err
		}
	}
	out := map[string]*Tensor{}
	for _, name := range want {
		t, err := r.value(name)
		if err != nil {
			return nil, fmt.Errorf("read constant: %w", err)
		}
		out[name] = t
	}
	return out, nil
}

// step runs one node, keeps what will be read and lets go of what was read for
// the last time.
func (r *run) step(n *onnx.Node) error {
	c, err := r.call(n)
	if err != nil {
		return at(n, err)
	}
	outs, err := c.eval()
	for _, v := range c.views {
		r.release(v)
	}
	if err != nil {
		return at(n, fmt.Errorf("%w (inputs %s)", err, c.shapes()))
	}
	for i, name := range n.Outputs {
		if _, fed := r.feeds[name]; fed || r.left[name] == 0 {
			continue
		}
		if i >= len(outs) || outs[i] == nil {
			return at(n, fmt.Errorf("output %q is not computed", name))
		}
		r.live[name] = outs[i]
		r.alive += outs[i].Len()
	}
	for _, name := range reads(n) {
		r.drop(name)
	}
	return nil
}

// call gathers what node n works on.
func (r *run) call(n *onnx.Node) (*call, error) {
	c := &call{ctx: r.ctx, node: n, budget: r.s.config.Budget - r.alive, work: workOf(r.s.config.Budget), float: r.s.config.FloatActivations, outer: r.scope, views: map[int]tensor.View{}, scratch: &r.scratch}
	for i, name := range n.Inputs {
		if v, ok := r.borrowed(n, i); ok {
			c.in, c.views[i] = append(c.in, nil), v
			continue
		}
		t, err := r.value(name)
		if err != nil {
			return nil, err
		}
		c.in = append(c.in, t)
	}
	return c, nil
}

// borrowed is the constant that is input i of n, if n only gathers rows of it or
// multiplies with it. It is not made a Tensor: a vocabulary is much larger than the
// rows of a few words, and all matrices together are nearly all of a model.
func (r *run) borrowed(n *onnx.Node, i int) (tensor.View, bool) {
	v, ok := r.s.graph.Consts[n.Inputs[i]]
	if _, fed := r.feeds[n.Inputs[i]]; !ok || fed || len(v.Shape) == 0 {
		return v, false
	}
	switch n.Op {
	case "Gather":
		return v, i == 0 && n.Attrs["axis"].I == 0
	case "EmbedLayerNormalization", "QEmbedLayerNormalization":
		return v, i >= 2 && i <= 4
	case "MatMul", "MatMulInteger":
		return v, i == 1
	case "Gemm":
		return v, i == 1 && n.Attrs["transB"].I == 0
	}
	return v, false
}

// value is the tensor called name; nil where there is no name.
func (r *run) value(name string) (*Tensor, error) {
	if t, ok := r.feeds[name]; ok || name == "" {
		return t, nil
	}
	if t, ok := r.live[name]; ok {
		return t, nil
	}
	v := r.s.graph.Consts[name]
	defer r.release(v)
	return FromView(v)
}

// release lets go of the part of the file that holds a constant, which was read.
func (r *run) release(v tensor.View) {
	if r.s.release != nil {
		r.s.release(v.Data)
	}
}

// scope is value for a subgraph, which sees every tensor that is alive.
func (r *run) scope(names []string) (map[string]*Tensor, error) {
	out := map[string]*Tensor{}
	for _, name := range names {
		t, err := r.value(name)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

func (r *run) drop(name string) {
	r.left[name]--
	if t, ok := r.live[name]; ok && r.left[name] == 0 {
		delete(r.live, name)
		r.alive -= t.Len()
	}
}

// reads lists the tensors that n reads, one that it reads twice twice: its inputs,
// and what its subgraphs take from around them.
func reads(n *onnx.Node) []string {
	var out []string
	for _, in := range n.Inputs {
		if in != "" {
			out = append(out, in)
		}
	}
	return append(out, n.Captures...)
}

// subgraphs lists the graphs among n's attributes, by the attributes' names.
func subgraphs(n *onnx.Node) []*onnx.Graph {
	var out []*onnx.Graph
	for _, k := range slices.Sorted(maps.Keys(n.Attrs)) {
		if g := n.Attrs[k].G; g != nil {
			out = append(out, g)
		}
	}
	return out
}
