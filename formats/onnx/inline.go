package onnx

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/tensor"
)

// funcID is what a node says to call a function.
type funcID struct{ domain, name, overload string }

// function is an operator that the model itself spells out.
type function struct {
	id              funcID
	inputs, outputs []string
	attrs           map[string]*Attr // nil for one without a default value
	nodes           []*Node
}

// call is a function that is being written out in place of a node.
type call struct {
	fn     *function
	node   *Node
	names  map[string]string // what the function's names stand for
	number int
	outer  *call
	depth  int
}

// function reads a FunctionProto; its nodes last, since they need its operator sets.
func (r *reader) function(s span) error {
	fn := &function{attrs: make(map[string]*Attr)}
	sets := make(map[string]int64)
	var nodes, defaults []span
	m := message{"FunctionProto", []protowire.Number{1, 8, 10, 13}}
	err := r.fields(m, s, func(f field) error {
		if err := f.is(m, protowire.BytesType); err != nil {
			return err
		}
		switch f.num {
		case 1:
			return r.text(m, f, &fn.id.name)
		case 4:
			return r.edge(m, f, &fn.inputs)
		case 5:
			return r.edge(m, f, &fn.outputs)
		case 6:
			name := ""
			err := r.text(m, f, &name)
			fn.attrs[name] = nil
			return err
		case 7:
			nodes = append(nodes, f.span)
			return nil
		case 8, 12, 14: // documentation, types of values, metadata
			return nil
		case 9:
			return r.opset(m, f, sets)
		case 10:
			return r.text(m, f, &fn.id.domain)
		case 11:
			defaults = append(defaults, f.span)
			return nil
		case 13:
			return r.text(m, f, &fn.id.overload)
		}
		return r.unknown(m, f)
	})
	if err == nil {
		err = r.functionParts(s.at, fn, sets, nodes, defaults)
	}
	return within(fn.String(), err)
}

// String names the function in messages.
func (fn *function) String() string {
	return fmt.Sprintf("function %q of %s", fn.id.name, domainName(fn.id.domain))
}

// functionParts reads the nodes and default values of fn and adds it to the model's.
func (r *reader) functionParts(at int, fn *function, sets map[string]int64, nodes, defaults []span) error {
	if err := checkOpset(at, sets); err != nil {
		return err
	}
	for _, s := range defaults {
		name, a, err := r.attr(s, sets, 0)
		if err != nil {
			return err
		}
		if a.Kind == AttrGraph || a.ref != "" {
			return fault(s.at, "", "the default value of the attribute %q is a graph or a reference", name)
		}
		fn.attrs[name] = &a
	}
	for _, s := range nodes {
		n, err := r.node(s, sets, 0)
		if err != nil {
			return err
		}
		fn.nodes = append(fn.nodes, n)
	}
	fn.id.domain = domainOf(fn.id.domain)
	for _, list := range [][]string{fn.inputs, fn.outputs} {
		if sorted := slices.Sorted(slices.Values(list)); slices.Contains(list, "") || len(slices.Compact(sorted)) != len(list) {
			return fault(at, "", "an input or output without a name, or two of one name")
		}
	}
	if _, ok := r.funcs[fn.id]; ok || fn.id.name == "" {
		return fault(at, "", "two functions of that name, or none")
	}
	r.funcs[fn.id] = fn
	return nil
}

// writeOut replaces calls by what they call and Constant nodes by constants, in g
// and the graphs within it.
func (r *reader) writeOut(g *Graph) error {
	nodes := g.Nodes
	g.Nodes = make([]*Node, 0, len(nodes))
	for _, n := range nodes {
		for name, a := range n.Attrs {
			if a.ref != "" {
				return fault(n.Off, n.String(), "attribute %q: refers to an attribute of a function, but is in none", name)
			}
			if a.G != nil {
				if err := r.writeOut(a.G); err != nil {
					return err
				}
			}
		}
		if err := r.add(g, n, nil); err != nil {
			return err
		}
	}
	return nil
}

// add appends n, what it calls or what it spells out to g.
func (r *reader) add(g *Graph, n *Node, in *call) error {
	if fn, ok := r.funcs[funcID{n.Domain, n.Op, n.overload}]; ok {
		return r.call(g, n, fn, in)
	}
	if err := r.operator(n); err != nil {
		return err
	}
	if n.Op == "Constant" && n.Domain == "" {
		return constant(g, n)
	}
	g.Nodes = append(g.Nodes, n)
	return nil
}

// constant moves the value of a Constant node to g's constants.
func constant(g *Graph, n *Node) error {
	if len(n.Inputs) != 0 || len(n.Outputs) != 1 || n.Outputs[0] == "" || len(n.Attrs) != 1 {
		return fault(n.Off, n.String(), "a constant has one output and one attribute")
	}
	for key, a := range n.Attrs {
		v := tensor.View{}
		want := map[string]AttrKind{"value": AttrTensor, "value_float": AttrFloat, "value_floats": AttrFloats, "value_int": AttrInt, "value_ints": AttrInts}[key]
		switch {
		case want == 0:
			return fault(n.Off, n.String(), "a constant with %q, which is not read", key)
		case want != a.Kind:
			return fault(n.Off, n.String(), "attribute %q is of the type %d instead of %d", key, a.Kind, want)
		case want == AttrTensor:
			v = *a.T
			v.Name = n.Outputs[0]
		default:
			v = made(n.Outputs[0], a)
		}
		if _, ok := g.Consts[v.Name]; ok {
			return fault(n.Off, n.String(), "makes %q, which is there already", v.Name)
		}
		g.Consts[v.Name] = v
	}
	return nil
}

// call appends the nodes of fn to g in place of n, which is in the function called by
// outer.
func (r *reader) call(g *Graph, n *Node, fn *function, outer *call) error {
	c := &call{fn: fn, node: n, names: make(map[string]string), outer: outer}
	if outer != nil {
		c.depth = outer.depth + 1
	}
	if c.depth == maxCalls {
		return fault(n.Off, n.String(), "functions call functions deeper than %d", maxCalls)
	}
	for o := outer; o != nil; o = o.outer {
		if o.fn == fn {
			return fault(n.Off, n.String(), "the %v calls itself", fn)
		}
	}
	if err := spend(&r.nodes, 1, maxNodes, n.Off, "nodes"); err != nil {
		return err
	}
	r.calls++
	c.number = r.calls
	if err := r.bind(g, c); err != nil {
		return err
	}
	for _, inner := range fn.nodes {
		inner, err := r.instance(inner, c)
		if err != nil {
			return err
		}
		if err := r.add(g, inner, c); err != nil {
			return err
		}
	}
	return nil
}

// bind gives the inputs and outputs of the function the names that the call has for
// them. An output that is an input needs an operation of its own.
func (r *reader) bind(g *Graph, c *call) error {
	n, fn := c.node, c.fn
	if len(n.Inputs) > len(fn.inputs) || len(n.Outputs) > len(fn.outputs) {
		return fault(n.Off, n.String(), "%d inputs and %d outputs, but the %v has %d and %d", len(n.Inputs), len(n.Outputs), fn, len(fn.inputs), len(fn.outputs))
	}
	for name := range n.Attrs {
		if _, ok := fn.attrs[name]; !ok {
			return fault(n.Off, n.String(), "the %v has no attribute %q", fn, name)
		}
	}
	for i, name := range fn.inputs {
		c.names[name] = ""
		if i < len(n.Inputs) {
			c.names[name] = n.Inputs[i]
		}
	}
	for i, name := range n.Outputs {
		if name == "" {
			continue
		}
		if slices.Contains(fn.inputs, fn.outputs[i]) {
			version := max(n.Version, minOpset)
			g.Nodes = append(g.Nodes, &Node{Op: "Identity", Version: version, Inputs: []string{c.names[fn.outputs[i]]}, Outputs: []string{name}, Off: n.Off})
			continue
		}
		c.names[fn.outputs[i]] = name
	}
	return nil
}

// name is what a function's name stands for in the call: a new one for what the
// function makes.
func (r *reader) name(c *call, name string, at int) (string, error) {
	if name == "" {
		return "", nil
	}
	if as, ok := c.names[name]; ok {
		return as, nil
	}
	as := fmt.Sprintf("%s.%d", name, c.number)
	for r.names[as] != "" {
		as += "'"
	}
	r.names[as], c.names[name] = as, as
	return as, spend(&r.inlined, len(as), maxInlined, at, "bytes of names in functions")
}

// instance is n with the names and attributes that it has in the call.
func (r *reader) instance(n *Node, c *call) (*Node, error) {
	if err := spend(&r.nodes, 1, maxNodes, n.Off, "nodes"); err != nil {
		return nil, err
	}
	if err := spend(&r.edges, len(n.Inputs)+len(n.Outputs)+len(n.Attrs), maxEdges, n.Off, edgesOf); err != nil {
		return nil, err
	}
	own := *n
	if n.Name != "" && c.node.Name != "" {
		own.Name = c.node.Name + "/" + n.Name
	}
	if err := spend(&r.inlined, len(own.Name), maxInlined, n.Off, "bytes of names in functions"); err != nil {
		return nil, err
	}
	own.Inputs, own.Outputs = slices.Clone(n.Inputs), slices.Clone(n.Outputs)
	for _, list := range [][]string{own.Inputs, own.Outputs} {
		for i := range list {
			var err error
			if list[i], err = r.name(c, list[i], n.Off); err != nil {
				return nil, err
			}
		}
	}
	own.Attrs = maps.Clone(n.Attrs)
	for name, a := range n.Attrs {
		if err := r.resolve(&own, name, a, c); err != nil {
			return nil, err
		}
	}
	return &own, nil
}

// resolve gives the attribute called name of own the value that it has in the call.
func (r *reader) resolve(own *Node, name string, a Attr, c *call) error {
	if a.G != nil {
		g, err := r.inner(a.G, c)
		a.G = g
		own.Attrs[name] = a
		return err
	}
	if a.ref == "" {
		return nil
	}
	value, ok := c.node.Attrs[a.ref]
	if d := c.fn.attrs[a.ref]; !ok && d != nil {
		value, ok = *d, true
	}
	if _, declared := c.fn.attrs[a.ref]; !declared {
		return fault(own.Off, own.String(), "attribute %q: the %v has no attribute %q", name, c.fn, a.ref)
	}
	if !ok {
		delete(own.Attrs, name)
		return nil
	}
	if a.Kind != 0 && a.Kind != value.Kind {
		return fault(own.Off, own.String(), "attribute %q is of the type %d, but %q of the type %d", name, a.Kind, a.ref, value.Kind)
	}
	own.Attrs[name] = value
	return nil
}

// inner is a graph within a function as it is in the call.
func (r *reader) inner(g *Graph, c *call) (*Graph, error) {
	if err := spend(&r.edges, len(g.Inputs)+len(g.Outputs)+len(g.Consts), maxEdges, c.node.Off, edgesOf); err != nil {
		return nil, err
	}
	own := &Graph{Name: g.Name, Consts: make(map[string]tensor.View, len(g.Consts))}
	for _, list := range []struct{ from, to *[]Value }{{&g.Inputs, &own.Inputs}, {&g.Outputs, &own.Outputs}} {
		for _, v := range *list.from {
			var err error
			if v.Name, err = r.name(c, v.Name, c.node.Off); err != nil {
				return nil, err
			}
			*list.to = append(*list.to, v)
		}
	}
	for name, v := range g.Consts {
		var err error
		if v.Name, err = r.name(c, name, c.node.Off); err != nil {
			return nil, err
		}
		own.Consts[v.Name] = v
	}
	for _, n := range g.Nodes {
		n, err := r.instance(n, c)
		if err != nil {
			return nil, err
		}
		if err := r.add(own, n, c); err != nil {
			return nil, err
		}
	}
	return own, nil
}
