package match

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// source is the graph, indexed.
type source struct {
	m       *onnx.Model
	session *onnxref.Session
	made    map[string]*onnx.Node   // by tensor: what makes it
	read    map[string][]*onnx.Node // by tensor: what reads it
	consts  map[string]tensor.View
	inputs  []input
}

func newSource(m *onnx.Model) (*source, error) {
	s := &source{m: m, made: map[string]*onnx.Node{}, read: map[string][]*onnx.Node{}, consts: map[string]tensor.View{}}
	s.index(m.Graph)
	var err error
	if s.session, err = onnxref.New(m, onnxref.Config{FloatActivations: true}); err != nil {
		return nil, s.placed(err)
	}
	return s, s.findInputs()
}

// placed is an error of the interpreter's about a node, with what is around it.
func (s *source) placed(err error) error {
	for _, n := range s.m.Graph.Nodes {
		if text := fmt.Sprintf("node %q (", n.Name); strings.Contains(err.Error(), text) {
			_, msg, _ := strings.Cut(err.Error(), text)
			_, msg, _ = strings.Cut(msg, "): ")
			return s.refuse(n, "%s", msg)
		}
	}
	return err
}

// index notes the nodes and constants of g and of the branches within it, whose names
// are all different.
func (s *source) index(g *onnx.Graph) {
	for name, c := range g.Consts {
		s.consts[name] = c
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			s.made[o] = n
		}
		for _, i := range n.Inputs {
			if i != "" {
				s.read[i] = append(s.read[i], n)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(n.Attrs)) {
			if sub := n.Attrs[name].G; sub != nil {
				s.index(sub)
				for _, o := range sub.Outputs {
					s.read[o.Name] = append(s.read[o.Name], n)
				}
			}
		}
	}
}

// run computes the tensor called want, which nothing but inputs goes into, of other inputs.
func (s *source) run(ctx context.Context, feed text, want string) (*array, error) {
	feeds := map[string]*onnxref.Tensor{}
	for _, in := range s.inputs {
		feeds[in.name] = in.fill(feed)
	}
	out, err := s.session.Run(ctx, feeds, want)
	if err != nil {
		return nil, err
	}
	return out[want], nil
}

// ancestors are the constants that go into the tensor called name.
func (s *source) ancestors(name string) []string {
	var consts []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] || name == "" {
			return
		}
		seen[name] = true
		if _, ok := s.consts[name]; ok {
			consts = append(consts, name)
			return
		}
		if n := s.made[name]; n != nil && n.Op != "Shape" && n.Op != "Size" {
			for _, i := range slices.Concat(n.Inputs, n.Captures) {
				visit(i)
			}
		}
	}
	visit(name)
	return consts
}

// refuse is an error about a node.
func (s *source) refuse(n *onnx.Node, format string, args ...any) error {
	return &Error{Node: labelOf(n), Op: n.Op, Near: s.near(n), Msg: fmt.Sprintf(format, args...)}
}

// near lists two operations before n and two behind it, in order.
func (s *source) near(n *onnx.Node) []string {
	var before, behind []string
	at := n
	for range 2 {
		next := (*onnx.Node)(nil)
		for _, i := range at.Inputs {
			if p := s.made[i]; p != nil && next == nil {
				next = p
			}
		}
		if next == nil {
			break
		}
		before = append([]string{next.Op + " " + labelOf(next)}, before...)
		at = next
	}
	at = n
	for range 2 {
		next := (*onnx.Node)(nil)
		for _, o := range at.Outputs {
			for _, r := range s.read[o] {
				if next == nil || r.Off < next.Off {
					next = r
				}
			}
		}
		if next == nil {
			break
		}
		behind = append(behind, next.Op+" "+labelOf(next))
		at = next
	}
	return slices.Concat(before, behind)
}
