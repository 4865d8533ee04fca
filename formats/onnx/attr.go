package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Types of attributes that are not read.
const (
	attrTensors       = 9
	attrGraphs        = 10
	attrSparseTensor  = 11
	attrSparseTensors = 12
	attrType          = 13
	attrTypes         = 14
)

// attribute reads an attribute of n.
func (r *reader) attribute(s span, n *Node, sets map[string]int64, depth int) error {
	name, a, err := r.attr(s, sets, depth)
	if err != nil {
		return err
	}
	if _, ok := n.Attrs[name]; ok {
		return fault(s.at, "", "the attribute %q twice", name)
	}
	if n.Attrs == nil {
		n.Attrs = make(map[string]Attr)
	}
	n.Attrs[name] = a
	return nil
}

// attrReader is an attribute that is being read.
type attrReader struct {
	Attr
	name string
	typ  int64    // 0 where the file does not say
	has  AttrKind // which field there was
}

// attr reads an attribute and its name.
func (r *reader) attr(s span, sets map[string]int64, depth int) (string, Attr, error) {
	if err := spend(&r.edges, 1, maxEdges, s.at, edgesOf); err != nil {
		return "", Attr{}, err
	}
	a := attrReader{}
	m := message{"AttributeProto", []protowire.Number{1, 2, 3, 4, 5, 6, 13, 14, 20, 21}}
	err := r.fields(m, s, func(f field) error { return r.attrMember(m, f, &a, sets, depth) })
	if err == nil {
		err = a.settle(s.at)
	}
	if err != nil {
		err = prefix(fmt.Sprintf("attribute %q", r.nameIn(s, 1)), err)
	}
	return a.name, a.Attr, err
}

func (r *reader) attrMember(m message, f field, a *attrReader, sets map[string]int64, depth int) error {
	kind := map[protowire.Number]AttrKind{2: AttrFloat, 3: AttrInt, 4: AttrString, 5: AttrTensor, 6: AttrGraph, 7: AttrFloats, 8: AttrInts, 9: AttrStrings}[f.num]
	if kind != 0 {
		if a.has != 0 && a.has != kind {
			return fault(f.at, "", "values of two types")
		}
		a.has = kind
		return r.attrValue(m, f, a, sets, depth)
	}
	switch f.num {
	case 1:
		return r.text(m, f, &a.name)
	case 13:
		return f.is(m, protowire.BytesType)
	case 20:
		return r.int(m, f, &a.typ)
	case 21:
		return r.text(m, f, &a.ref)
	case 10, 11, 14, 15, 22, 23:
		what := map[protowire.Number]string{10: "tensors", 11: "graphs", 14: "a type", 15: "types", 22: "a sparse tensor", 23: "sparse tensors"}[f.num]
		return fault(f.at, "", "holds %s; that is not read", what)
	}
	return r.unknown(m, f)
}

// attrValue reads one of the fields that hold the value.
func (r *reader) attrValue(m message, f field, a *attrReader, sets map[string]int64, depth int) error {
	switch a.has {
	case AttrFloat:
		a.F = math.Float32frombits(uint32(f.bits))
		return f.is(m, protowire.Fixed32Type)
	case AttrInt:
		return r.int(m, f, &a.I)
	case AttrFloats:
		return r.list(m, f, protowire.Fixed32Type, func(bits uint64) error {
			a.Floats = append(a.Floats, math.Float32frombits(uint32(bits)))
			return nil
		})
	case AttrInts:
		return r.list(m, f, protowire.VarintType, func(bits uint64) error {
			a.Ints = append(a.Ints, int64(bits))
			return nil
		})
	}
	if err := f.is(m, protowire.BytesType); err != nil {
		return err
	}
	switch a.has {
	case AttrString:
		a.S = string(r.data[f.at:f.end])
	case AttrTensor:
		v, err := r.tensor(f.span)
		a.T = &v
		return err
	case AttrGraph:
		g, err := r.graph(f.span, sets, depth+1)
		a.G = g
		return err
	case AttrStrings:
		a.Strs = append(a.Strs, string(r.data[f.at:f.end]))
	}
	return nil
}

// settle compares the declared type with the value.
func (a *attrReader) settle(at int) error {
	switch {
	case a.name == "":
		return fault(at, "", "an attribute without a name")
	case a.typ == attrSparseTensor || a.typ == attrSparseTensors:
		return fault(at, "", "a sparse tensor; only dense ones are read")
	case a.typ == attrTensors || a.typ == attrGraphs || a.typ == attrType || a.typ == attrTypes:
		return fault(at, "", "of the type %d, which is not read", a.typ)
	case a.typ < 0 || a.typ > int64(AttrStrings):
		return fault(at, "", "of the unknown type %d", a.typ)
	case a.ref != "" && a.has != 0:
		return fault(at, "", "a value, and a reference to %q", a.ref)
	case a.ref != "":
		a.Kind = AttrKind(a.typ)
		return nil
	case a.typ == 0 && a.has == 0:
		return fault(at, "", "neither a type nor a value")
	case a.typ != 0 && a.has != 0 && a.typ != int64(a.has):
		return fault(at, "", "declared of the type %d, but the value is of the type %d", a.typ, a.has)
	}
	if a.Kind = AttrKind(a.typ); a.Kind == 0 {
		a.Kind = a.has
	}
	if a.has == 0 && (a.Kind == AttrTensor || a.Kind == AttrGraph) {
		return fault(at, "", "no value")
	}
	return nil
}
