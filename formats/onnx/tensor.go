package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/tensor"
)

// store is a field of a TensorProto that holds elements.
type store uint8

const (
	inFloats store = 1 << iota
	inInt32s
	inInt64s
	inDoubles
	inUint64s
)

// String is the field's name.
func (s store) String() string {
	return map[store]string{inFloats: "float_data", inInt32s: "int32_data", inInt64s: "int64_data", inDoubles: "double_data", inUint64s: "uint64_data"}[s]
}

// dtypeOf is the element type that ONNX numbers n.
func dtypeOf(at int, n int64) (tensor.DType, error) {
	types := [...]tensor.DType{1: tensor.F32, 2: tensor.U8, 3: tensor.I8, 4: tensor.U16, 5: tensor.I16, 6: tensor.I32, 7: tensor.I64, 9: tensor.Bool,
		10: tensor.F16, 11: tensor.F64, 12: tensor.U32, 13: tensor.U64, 16: tensor.BF16, 17: tensor.F8E4M3, 19: tensor.F8E5M2}
	if n > 0 && n < int64(len(types)) && types[n] != 0 {
		return types[n], nil
	}
	names := map[int64]string{8: "STRING", 14: "COMPLEX64", 15: "COMPLEX128", 18: "FLOAT8E4M3FNUZ", 20: "FLOAT8E5M2FNUZ", 21: "UINT4", 22: "INT4", 23: "FLOAT4E2M1",
		24: "FLOAT8E8M0", 25: "UINT2", 26: "INT2", 27: "FLOAT6E2M3", 28: "FLOAT6E3M2"}
	if name, ok := names[n]; ok {
		return 0, fault(at, "", "elements of the type %s, which is not read", name)
	}
	return 0, fault(at, "", "elements of the unknown type %d", n)
}

// storeOf is the field that holds elements of type t where raw_data does not.
func storeOf(t tensor.DType) store {
	switch t {
	case tensor.F32:
		return inFloats
	case tensor.F64:
		return inDoubles
	case tensor.I64:
		return inInt64s
	case tensor.U32, tensor.U64:
		return inUint64s
	}
	return inInt32s
}

// stored is a TensorProto that is being read.
type stored struct {
	name   string
	dims   []int
	typ    int64
	raw    *span
	in     store  // the fields that hold elements
	pieces []span // of them: packed lists, or single numbers
	beside bool   // the data is external
	ext    external
	extAt  int // 0 where there are no entries
}

// tensor reads a TensorProto. Its Data is a part of the file, but a copy where the
// file spells the elements as numbers of variable length.
func (r *reader) tensor(s span) (tensor.View, error) {
	if err := spend(&r.tensors, 1, maxTensors, s.at, "tensors"); err != nil {
		return tensor.View{}, err
	}
	t := stored{ext: external{length: -1}}
	m := message{"TensorProto", []protowire.Number{2, 3, 8, 9, 12, 14}}
	err := r.fields(m, s, func(f field) error { return r.tensorMember(m, f, &t) })
	var v tensor.View
	if err == nil {
		v, err = r.view(s.at, &t)
	}
	if err != nil {
		if name := r.nameIn(s, 8); name != "" {
			err = within(fmt.Sprintf("tensor %q", name), err)
		}
	}
	return v, err
}

func (r *reader) tensorMember(m message, f field, t *stored) error {
	switch f.num {
	case 1:
		return r.list(m, f, protowire.VarintType, func(bits uint64) error { return t.dim(f.at, int64(bits)) })
	case 2:
		return r.int(m, f, &t.typ)
	case 3:
		return fault(f.at, "", "a segment of a tensor; only whole ones are read")
	case 4, 5, 7, 10, 11:
		return t.piece(m, f)
	case 6:
		return fault(f.at, "", "strings, which are not read")
	case 8:
		return r.text(m, f, &t.name)
	case 9:
		t.raw = &f.span
		return f.is(m, protowire.BytesType)
	case 12, 16:
		return f.is(m, protowire.BytesType)
	case 13:
		key, value, err := r.entry(m, f)
		if err != nil {
			return err
		}
		t.extAt = f.at
		return t.ext.set(f.at, key, value)
	case 14:
		var where int64
		if err := r.int(m, f, &where); err != nil {
			return err
		}
		if where != 0 && where != 1 {
			return fault(f.at, "", "data at the unknown place %d", where)
		}
		t.beside = where == 1
		return nil
	}
	return r.unknown(m, f)
}

func (t *stored) dim(at int, n int64) error {
	if len(t.dims) == maxRank {
		return fault(at, "", "more than %d dimensions", maxRank)
	}
	if n < 0 || int64(int(n)) != n {
		return fault(at, "", "a dimension of %d", n)
	}
	t.dims = append(t.dims, int(n))
	return nil
}

// piece notes elements, packed or one alone.
func (t *stored) piece(m message, f field) error {
	in, single := inFloats, protowire.Fixed32Type
	switch f.num {
	case 5:
		in, single = inInt32s, protowire.VarintType
	case 7:
		in, single = inInt64s, protowire.VarintType
	case 10:
		in, single = inDoubles, protowire.Fixed64Type
	case 11:
		in, single = inUint64s, protowire.VarintType
	}
	if f.typ != single {
		if err := f.is(m, protowire.BytesType); err != nil {
			return err
		}
	}
	if f.at < f.end {
		t.in |= in
		t.pieces = append(t.pieces, f.span)
	}
	return nil
}

// view checks a tensor's size and finds its elements.
func (r *reader) view(at int, t *stored) (tensor.View, error) {
	v := tensor.View{Name: t.name, Shape: t.dims}
	if v.Shape == nil {
		v.Shape = []int{}
	}
	var err error
	if v.DType, err = dtypeOf(at, t.typ); err != nil {
		return v, err
	}
	n, ok := tensor.Elements(v.Shape, v.DType.Size())
	if !ok {
		return v, fault(at, "", "a shape %v that no memory holds", v.Shape)
	}
	if v.Data, err = r.elements(at, t, v.DType); err != nil {
		return v, err
	}
	if len(v.Data) != n*v.DType.Size() {
		return v, fault(at, "", "%d bytes of data do not hold shape %v of %v", len(v.Data), v.Shape, v.DType)
	}
	if v.DType == tensor.Bool {
		for i, b := range v.Data {
			if b > 1 {
				return v, fault(at, "", "element %d is %d, which is no BOOL", i, b)
			}
		}
	}
	return v, nil
}

// elements are the bytes of a tensor, from the one place that holds them.
func (r *reader) elements(at int, t *stored, d tensor.DType) ([]byte, error) {
	want := storeOf(d)
	switch {
	case t.beside && (t.raw != nil || t.in != 0):
		return nil, fault(at, "", "external data, and data in the file")
	case t.beside:
		return r.external(at, &t.ext)
	case t.extAt != 0:
		return nil, fault(t.extAt, "", "entries of external data, but the data is not external")
	case t.raw != nil && t.in != 0:
		return nil, fault(at, "", "both raw_data and %v", t.in)
	case t.raw != nil:
		return r.data[t.raw.at:t.raw.end:t.raw.end], nil
	case t.in == 0:
		return nil, nil
	case t.in != want:
		return nil, fault(at, "", "the elements are %v; they belong in %v", d, want)
	case want == inFloats || want == inDoubles:
		return r.joined(t.pieces), nil
	}
	return r.numbers(t, d)
}

// joined are pieces one after the other; a single one stays where it is.
func (r *reader) joined(pieces []span) []byte {
	if len(pieces) == 1 {
		return r.data[pieces[0].at:pieces[0].end:pieces[0].end]
	}
	n := 0
	for _, p := range pieces {
		n += p.end - p.at
	}
	out := make([]byte, 0, n)
	for _, p := range pieces {
		out = append(out, r.data[p.at:p.end]...)
	}
	return out
}

// numbers decodes elements of variable length, each of which must fit type d.
func (r *reader) numbers(t *stored, d tensor.DType) ([]byte, error) {
	n := 0
	for _, p := range t.pieces {
		for _, b := range r.data[p.at:p.end] {
			if b < 0x80 {
				n++
			}
		}
	}
	out := make([]byte, 0, n*d.Size())
	for _, p := range t.pieces {
		for p.at < p.end {
			at := p.at
			v, err := r.varint(&p)
			if err != nil {
				return nil, err
			}
			if !fits(v, d) {
				return nil, fault(at, "", "the element %d is no %v", int64(v), d)
			}
			out = appendInt(out, v, d.Size())
		}
	}
	return out, nil
}

// fits reports whether the number v is an element of type d; of a floating type it
// is the bits.
func fits(v uint64, d tensor.DType) bool {
	lo, hi := int64(0), int64(1)<<(8*d.Size()&63)-1
	switch d {
	case tensor.I64, tensor.U64:
		return true
	case tensor.I8, tensor.I16, tensor.I32:
		lo, hi = -(hi+1)/2, hi/2
	case tensor.Bool:
		hi = 1
	}
	return int64(v) >= lo && int64(v) <= hi
}

// appendInt appends the low size bytes of v.
func appendInt(out []byte, v uint64, size int) []byte {
	le := binary.LittleEndian
	switch size {
	case 1:
		return append(out, byte(v))
	case 2:
		return le.AppendUint16(out, uint16(v))
	case 4:
		return le.AppendUint32(out, uint32(v))
	}
	return le.AppendUint64(out, v)
}

// made is a constant of floats or integers that a node spells out; a scalar where
// list is false.
func made(name string, a Attr) tensor.View {
	v := tensor.View{Name: name, Shape: []int{}}
	floats, ints := []float32{a.F}, []int64{a.I}
	switch a.Kind {
	case AttrFloats:
		floats, v.Shape = a.Floats, []int{len(a.Floats)}
	case AttrInts:
		ints, v.Shape = a.Ints, []int{len(a.Ints)}
	}
	if a.Kind == AttrFloat || a.Kind == AttrFloats {
		v.DType = tensor.F32
		for _, x := range floats {
			v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(x))
		}
		return v
	}
	v.DType = tensor.I64
	for _, x := range ints {
		v.Data = binary.LittleEndian.AppendUint64(v.Data, uint64(x))
	}
	return v
}
