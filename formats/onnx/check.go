package onnx

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"skiff/formats/tensor"
)

// scope is the names that may be read in a graph: its own, and those around it.
type scope struct {
	own      map[string]int // the node that makes it; -1 for inputs and constants
	consts   map[string]tensor.View
	outer    *scope
	captured map[string]bool // what was read of the scopes around it
}

// find reports whether name may be read, and notes where it comes from outside.
func (s *scope) find(name string) bool {
	if _, ok := s.own[name]; ok {
		return true
	}
	if s.outer == nil || !s.outer.has(name) {
		return false
	}
	s.captured[name] = true
	return true
}

// has reports whether s or a scope around it has name.
func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if _, ok := s.own[name]; ok {
			return true
		}
	}
	return false
}

// check compares the names of g, puts its nodes in an order in which they can run, and
// gives what it reads of the scopes around it.
func check(g *Graph, outer *scope) (map[string]bool, error) {
	s := &scope{own: make(map[string]int), consts: g.Consts, outer: outer, captured: make(map[string]bool)}
	if err := s.declare(g); err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		for _, name := range n.Inputs {
			if name != "" && !s.find(name) {
				return nil, fault(n.Off, n.String(), "reads %q, which nothing makes", name)
			}
		}
		if err := filled(n, s); err != nil {
			return nil, err
		}
		if err := s.checkWithin(n); err != nil {
			return nil, err
		}
	}
	for _, out := range g.Outputs {
		if out.Name == "" || !s.find(out.Name) {
			return nil, fault(-1, "", "the graph's output %q is made by nothing", out.Name)
		}
	}
	var err error
	g.Nodes, err = s.sorted(g.Nodes)
	return s.captured, err
}

// filled refuses a node that fills more memory than any model needs: a shape of the
// file's own is the one way to ask for much with few bytes.
func filled(n *Node, s *scope) error {
	at := map[string]int{"ConstantOfShape": 0, "Expand": 1}
	i, ok := at[n.Op]
	if !ok || i >= len(n.Inputs) {
		return nil
	}
	v := s.constant(n.Inputs[i])
	if v.DType != tensor.I64 {
		return nil
	}
	var shape []int
	for i := 0; i < len(v.Data); i += 8 {
		d := int64(binary.LittleEndian.Uint64(v.Data[i:]))
		if int64(int(d)) != d {
			return fault(n.Off, n.String(), "makes a dimension of %d", d)
		}
		shape = append(shape, int(max(d, 0)))
	}
	if count, ok := tensor.Elements(shape, 1); !ok || count > maxFilled {
		return fault(n.Off, n.String(), "makes a tensor of the shape %v, more than %d elements", shape, maxFilled)
	}
	return nil
}

// constant is the constant called name of the nearest scope that has one.
func (s *scope) constant(name string) tensor.View {
	for ; s != nil; s = s.outer {
		if v, ok := s.consts[name]; ok {
			return v
		}
	}
	return tensor.View{}
}

// repeats reports whether v is a constant around s again, which onnxslim writes.
func (s *scope) repeats(name string, v tensor.View) bool {
	c := s.outer.constant(name)
	return c.DType == v.DType && slices.Equal(c.Shape, v.Shape) && bytes.Equal(c.Data, v.Data)
}

// declare takes the names that g makes, each of which must be new.
func (s *scope) declare(g *Graph) error {
	for _, v := range g.Inputs {
		if s.has(v.Name) {
			return fault(-1, "", "the input %q is there already", v.Name)
		}
		s.own[v.Name] = -1
	}
	for _, name := range slices.Sorted(maps.Keys(g.Consts)) {
		if s.repeats(name, g.Consts[name]) {
			delete(g.Consts, name)
			continue
		}
		if s.has(name) {
			return fault(-1, "", "the constant %q is there already", name)
		}
		s.own[name] = -1
	}
	for i, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name == "" {
				continue
			}
			if s.has(name) {
				return fault(n.Off, n.String(), "makes %q, which is there already", name)
			}
			s.own[name] = i
		}
	}
	return nil
}

// checkWithin checks the graphs in n's attributes and notes what they read outside.
func (s *scope) checkWithin(n *Node) error {
	all := make(map[string]bool)
	for _, key := range slices.Sorted(maps.Keys(n.Attrs)) {
		g := n.Attrs[key].G
		if g == nil {
			continue
		}
		captured, err := check(g, s)
		if err != nil {
			return err
		}
		for name := range captured {
			s.find(name) // may be from further out
			all[name] = true
		}
	}
	if len(all) > 0 {
		n.Captures = slices.Sorted(maps.Keys(all))
	}
	return nil
}
