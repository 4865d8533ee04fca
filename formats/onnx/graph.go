package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/tensor"
)

// graph reads a graph with its constants; its nodes are as the file has them.
func (r *reader) graph(s span, sets map[string]int64, depth int) (*Graph, error) {
	if depth > maxDepth {
		return nil, fault(s.at, "", "graphs nest deeper than %d", maxDepth)
	}
	g := &Graph{Consts: make(map[string]tensor.View)}
	var inputs []Value
	m := message{"GraphProto", []protowire.Number{2, 10}}
	err := r.fields(m, s, func(f field) error { return r.graphMember(m, f, g, &inputs, sets, depth) })
	if err != nil {
		return nil, err
	}
	declared := make(map[string]bool, len(inputs))
	for _, v := range inputs {
		if v.Name == "" || declared[v.Name] {
			return nil, fault(s.at, "", "two inputs called %q, or one without a name", v.Name)
		}
		declared[v.Name] = true
		if _, ok := g.Consts[v.Name]; !ok {
			g.Inputs = append(g.Inputs, v)
		}
	}
	return g, nil
}

func (r *reader) graphMember(m message, f field, g *Graph, inputs *[]Value, sets map[string]int64, depth int) error {
	if err := f.is(m, protowire.BytesType); err != nil {
		return err
	}
	switch f.num {
	case 1:
		n, err := r.node(f.span, sets, depth)
		g.Nodes = append(g.Nodes, n)
		return err
	case 2:
		return r.text(m, f, &g.Name)
	case 5:
		return r.initializer(f.span, g)
	case 10, 13, 14, 16: // documentation, types of values, annotations, metadata
		return nil
	case 11, 12:
		v, err := r.value(f.span)
		if f.num == 11 {
			*inputs = append(*inputs, v)
		} else {
			g.Outputs = append(g.Outputs, v)
		}
		return err
	case 15:
		return r.sparse(f.span)
	}
	return r.unknown(m, f)
}

// initializer reads a constant of g.
func (r *reader) initializer(s span, g *Graph) error {
	v, err := r.tensor(s)
	if err != nil {
		return err
	}
	if v.Name == "" {
		return fault(s.at, "", "an initializer without a name")
	}
	if _, ok := g.Consts[v.Name]; ok {
		return fault(s.at, fmt.Sprintf("tensor %q", v.Name), "two initializers of that name")
	}
	g.Consts[v.Name] = v
	return nil
}

// sparse refuses a sparse initializer by its name, which is that of its values.
func (r *reader) sparse(s span) error {
	name := ""
	for rest := s; rest.at < rest.end && name == ""; {
		f, err := r.field(&rest)
		if err != nil {
			return prefix("SparseTensorProto", err)
		}
		if f.num == 1 && f.typ == protowire.BytesType {
			name = r.nameIn(f.span, 8)
		}
	}
	return fault(s.at, fmt.Sprintf("tensor %q", name), "a sparse tensor; only dense ones are read")
}

// node reads an operation.
func (r *reader) node(s span, sets map[string]int64, depth int) (*Node, error) {
	if err := spend(&r.nodes, 1, maxNodes, s.at, "nodes"); err != nil {
		return nil, err
	}
	n := &Node{Off: s.at}
	overload := ""
	m := message{"NodeProto", []protowire.Number{3, 4, 6, 7, 8}}
	err := r.fields(m, s, func(f field) error {
		if err := f.is(m, protowire.BytesType); err != nil {
			return err
		}
		switch f.num {
		case 1:
			return r.edge(m, f, &n.Inputs)
		case 2:
			return r.edge(m, f, &n.Outputs)
		case 3:
			return r.text(m, f, &n.Name)
		case 4:
			return r.text(m, f, &n.Op)
		case 5:
			return r.attribute(f.span, n, sets, depth)
		case 6, 9, 10: // documentation, metadata, configurations of devices
			return nil
		case 7:
			return r.text(m, f, &n.Domain)
		case 8:
			return r.text(m, f, &overload)
		}
		return r.unknown(m, f)
	})
	if err != nil {
		n.Name, n.Op, n.Outputs = r.nameIn(s, 3), r.nameIn(s, 4), []string{r.nameIn(s, 2)}
		return nil, within(n.String(), err)
	}
	n.Domain = domainOf(n.Domain)
	n.overload = overload
	if n.Op == "" {
		return nil, fault(s.at, n.String(), "names no operator")
	}
	n.Version = sets[n.Domain]
	return n, nil
}

// edge reads the name of an input or output.
func (r *reader) edge(m message, f field, to *[]string) error {
	if err := spend(&r.edges, 1, maxEdges, f.at, edgesOf); err != nil {
		return err
	}
	name := ""
	err := r.text(m, f, &name)
	*to = append(*to, name)
	return err
}

// value reads the declaration of an input or output.
func (r *reader) value(s span) (Value, error) {
	v := Value{}
	if err := spend(&r.values, 1, maxValues, s.at, "inputs and outputs"); err != nil {
		return v, err
	}
	var typ *span
	m := message{"ValueInfoProto", []protowire.Number{1, 2, 3}}
	err := r.fields(m, s, func(f field) error {
		switch f.num {
		case 1:
			return r.text(m, f, &v.Name)
		case 2:
			typ = &f.span
			return f.is(m, protowire.BytesType)
		case 3, 4:
			return f.is(m, protowire.BytesType)
		}
		return r.unknown(m, f)
	})
	if err == nil && typ != nil {
		err = r.valueType(*typ, &v)
	}
	if err != nil {
		err = within(fmt.Sprintf("value %q", r.nameIn(s, 1)), err)
	}
	return v, err
}

// valueType reads a TypeProto, which must be that of a tensor.
func (r *reader) valueType(s span, v *Value) error {
	m := message{"TypeProto", []protowire.Number{1, 6}}
	return r.fields(m, s, func(f field) error {
		if err := f.is(m, protowire.BytesType); err != nil {
			return err
		}
		switch f.num {
		case 1:
			return r.tensorType(f.span, v)
		case 4, 5, 7, 8, 9:
			kind := map[protowire.Number]string{4: "a sequence", 5: "a map", 7: "of an opaque type", 8: "a sparse tensor", 9: "optional"}[f.num]
			return fault(f.at, "", "%s; only tensors are read", kind)
		case 6:
			return nil
		}
		return r.unknown(m, f)
	})
}

func (r *reader) tensorType(s span, v *Value) error {
	m := message{"TypeProto.Tensor", []protowire.Number{1, 2}}
	return r.fields(m, s, func(f field) error {
		switch f.num {
		case 1:
			var n int64
			if err := r.int(m, f, &n); err != nil || n == 0 {
				return err
			}
			var err error
			v.DType, err = dtypeOf(f.at, n)
			return err
		case 2:
			if err := f.is(m, protowire.BytesType); err != nil {
				return err
			}
			v.Shape = []Dim{}
			return r.shape(f.span, v)
		}
		return r.unknown(m, f)
	})
}

func (r *reader) shape(s span, v *Value) error {
	m := message{"TensorShapeProto", nil}
	return r.fields(m, s, func(f field) error {
		if f.num != 1 {
			return r.unknown(m, f)
		}
		if err := f.is(m, protowire.BytesType); err != nil {
			return err
		}
		if len(v.Shape) == maxRank {
			return fault(f.at, "", "more than %d dimensions", maxRank)
		}
		d, err := r.dim(f.span)
		v.Shape = append(v.Shape, d)
		return err
	})
}

// dim reads a dimension. Some exporters write -1 for any.
func (r *reader) dim(s span) (Dim, error) {
	d := Dim{Size: -1}
	m := message{"TensorShapeProto.Dimension", []protowire.Number{1, 2, 3}}
	err := r.fields(m, s, func(f field) error {
		switch f.num {
		case 1:
			var n int64
			if err := r.int(m, f, &n); err != nil {
				return err
			}
			if d.Size = int(max(n, -1)); int64(d.Size) != max(n, -1) {
				return fault(f.at, "", "a dimension of %d", n)
			}
			return nil
		case 2:
			return r.text(m, f, &d.Name)
		case 3:
			return f.is(m, protowire.BytesType)
		}
		return r.unknown(m, f)
	})
	return d, err
}
