package torch

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"skiff/formats/tensor"
)

// The globals that can be called.
const (
	orderedDict    global = "collections.OrderedDict"
	rebuildTensor  global = "torch._utils._rebuild_tensor"
	rebuildTensor2 global = "torch._utils._rebuild_tensor_v2"
	rebuildTensor3 global = "torch._utils._rebuild_tensor_v3"
	rebuildParam   global = "torch._utils._rebuild_parameter"
	rebuildParam2  global = "torch._utils._rebuild_parameter_with_state"
	rebuildQTensor global = "torch._utils._rebuild_qtensor"
	rebuildTyped   global = "torch._tensor._rebuild_from_type_v2"
	torchSize      global = "torch.Size"
	torchDevice    global = "torch.device"
)

// The globals that are values.
const (
	plainTensor   global = "torch.Tensor"
	parameter     global = "torch.nn.parameter.Parameter"
	perTensor     global = "torch.per_tensor_affine"
	perChannel    global = "torch.per_channel_affine"
	untyped       global = "torch.storage.UntypedStorage"
	untypedShort  global = "torch.UntypedStorage"
	storageSuffix        = "Storage"
)

// allowed reports whether a pickle may name g.
func (g global) allowed() bool {
	switch g {
	case orderedDict, rebuildTensor, rebuildTensor2, rebuildTensor3, rebuildParam, rebuildParam2, rebuildQTensor, rebuildTyped,
		torchSize, torchDevice, plainTensor, parameter, perTensor, perChannel, untyped, untypedShort:
		return true
	}
	if _, ok := g.storageOf(); ok {
		return true
	}
	return g.isDType()
}

// class is the element type of a storage and whether elements are codes.
type class struct {
	dtype     tensor.DType
	quantised bool
}

// storageOf is the class that g names as the type of a storage.
func (g global) storageOf() (class, bool) {
	name, ok := strings.CutPrefix(string(g), "torch.")
	name, ok2 := strings.CutSuffix(name, storageSuffix)
	if !ok || !ok2 {
		return class{}, false
	}
	switch name {
	case "Float":
		return class{tensor.F32, false}, true
	case "Double":
		return class{tensor.F64, false}, true
	case "Half":
		return class{tensor.F16, false}, true
	case "BFloat16":
		return class{tensor.BF16, false}, true
	case "Long":
		return class{tensor.I64, false}, true
	case "Int":
		return class{tensor.I32, false}, true
	case "Short":
		return class{tensor.I16, false}, true
	case "Char":
		return class{tensor.I8, false}, true
	case "Byte", "Untyped", "storage.Untyped":
		return class{tensor.U8, false}, true
	case "Bool":
		return class{tensor.Bool, false}, true
	case "QInt8":
		return class{tensor.I8, true}, true
	case "QUInt8":
		return class{tensor.U8, true}, true
	case "QInt32":
		return class{tensor.I32, true}, true
	}
	return class{}, false
}

// isDType reports whether g names an element type; plain ones have a dtypeOf.
func (g global) isDType() bool {
	switch g {
	case "torch.qint8", "torch.quint8", "torch.qint32":
		return true
	}
	_, ok := g.dtypeOf()
	return ok
}

// dtypeOf is the element type that g names.
func (g global) dtypeOf() (tensor.DType, bool) {
	switch g {
	case "torch.float32":
		return tensor.F32, true
	case "torch.float64":
		return tensor.F64, true
	case "torch.float16":
		return tensor.F16, true
	case "torch.bfloat16":
		return tensor.BF16, true
	case "torch.int64":
		return tensor.I64, true
	case "torch.int32":
		return tensor.I32, true
	case "torch.int16":
		return tensor.I16, true
	case "torch.int8":
		return tensor.I8, true
	case "torch.uint8":
		return tensor.U8, true
	case "torch.bool":
		return tensor.Bool, true
	case "torch.uint16":
		return tensor.U16, true
	case "torch.uint32":
		return tensor.U32, true
	case "torch.uint64":
		return tensor.U64, true
	case "torch.float8_e4m3fn":
		return tensor.F8E4M3, true
	case "torch.float8_e5m2":
		return tensor.F8E5M2, true
	}
	return 0, false
}

// reduce performs a call.
func (m *machine) reduce() error {
	top, err := m.pop(2)
	if err != nil {
		return err
	}
	g, ok := top[0].(global)
	args, ok2 := top[1].(*seq)
	if !ok || !ok2 || args.list {
		return m.errorf("calls what is no function, or with what are no arguments")
	}
	v, err := m.call(g, args.items)
	if err != nil {
		return err
	}
	return m.push(v)
}

// call performs one of the few functions there are.
func (m *machine) call(g global, args []any) (any, error) {
	switch g {
	case orderedDict:
		return m.ordered(args)
	case rebuildTensor, rebuildTensor2, rebuildTensor3, rebuildQTensor:
		return m.rebuild(g, args)
	case rebuildParam, rebuildParam2:
		if len(args) > 0 {
			if a, ok := args[0].(*array); ok {
				return a, nil
			}
		}
		return nil, m.errorf("a parameter without a tensor")
	case rebuildTyped: // function, type, its arguments, attributes
		if len(args) != 4 || args[1] != plainTensor && args[1] != parameter {
			return nil, m.errorf("%s of a type that is neither a tensor nor a parameter", g)
		}
		f, ok := args[0].(global)
		inner, ok2 := args[2].(*seq)
		if !ok || !ok2 || f == rebuildTyped {
			return nil, m.errorf("%s without a function and its arguments", g)
		}
		return m.call(f, inner.items)
	case torchSize:
		if len(args) == 1 {
			if s, ok := args[0].(*seq); ok {
				return s, nil
			}
		}
	case torchDevice:
		return nil, nil
	}
	return nil, m.errorf("calls %s with %d arguments", g, len(args))
}

// ordered makes an OrderedDict, empty or of a list of pairs.
func (m *machine) ordered(args []any) (any, error) {
	d := &dict{depth: 1}
	if len(args) == 0 {
		return d, m.charge(32)
	}
	list, ok := args[0].(*seq)
	if !ok || len(args) != 1 {
		return nil, m.errorf("an OrderedDict of what is no list")
	}
	if err := m.charge(32 + 64*len(list.items)); err != nil {
		return nil, err
	}
	for _, item := range list.items {
		p, ok := item.(*seq)
		if !ok || len(p.items) != 2 {
			return nil, m.errorf("an OrderedDict of what are no pairs")
		}
		if err := m.insert(d, p.items); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// storage is a row of elements in the file, which many tensors may share. Its
// data is known once the pickle was read.
type storage struct {
	class
	key   string
	count int // of elements
	at    int // where the pickle first names it
	data  []byte
}

// span is the part of a storage that a persistent id names: all of it but in
// legacy files, which know views of storages.
type span struct {
	*storage
	offset, count int
}

// persistent finds the storage that a persistent id names: ("storage", type,
// key, device, count) and in legacy files a view or None.
func (m *machine) persistent(id any) (any, error) {
	t, ok := id.(*seq)
	if !ok || len(t.items) < 5 || len(t.items) > 6 || t.items[0] != "storage" {
		return nil, m.errorf("a persistent id that names no storage")
	}
	g, _ := t.items[1].(global)
	c, ok := g.storageOf()
	if !ok {
		return nil, m.errorf("%.100q is no type of storage that is known", string(g))
	}
	key, ok := t.items[2].(string)
	if !ok || !plainKey(key) {
		return nil, m.errorf("the key %.100q of a storage is no plain word", key)
	}
	count, ok := t.items[4].(int64)
	if _, fits := tensor.Elements([]int{int(count)}, c.dtype.Size()); !ok || int64(int(count)) != count || !fits {
		return nil, m.errorf("storage %q has an impossible number of elements", key)
	}
	s := m.storages[key]
	if s == nil {
		if err := m.charge(256); err != nil {
			return nil, err
		}
		s = &storage{class: c, key: key, count: int(count), at: m.at}
		m.storages[key] = s
	}
	if s.class != c || s.count != int(count) {
		return nil, m.errorf("storage %q has %d elements of %v here and %d of %v before", key, count, c.dtype, s.count, s.dtype)
	}
	if len(t.items) == 6 && t.items[5] != nil {
		return m.storageView(s, t.items[5])
	}
	return &span{s, 0, s.count}, m.charge(32)
}

// storageView is a part of a storage: (key, offset, count).
func (m *machine) storageView(s *storage, view any) (any, error) {
	v, ok := view.(*seq)
	if !ok || len(v.items) != 3 {
		return nil, m.errorf("a view of storage %q that is no key, offset and length", s.key)
	}
	offset, ok := v.items[1].(int64)
	count, ok2 := v.items[2].(int64)
	if !ok || !ok2 || offset < 0 || count < 0 || offset > int64(s.count) || count > int64(s.count)-offset {
		return nil, m.errorf("a view that reaches beyond storage %q of %d elements", s.key, s.count)
	}
	return &span{s, int(offset), int(count)}, m.charge(32)
}

// plainKey reports whether a key can be part of an entry's name.
func plainKey(key string) bool {
	return key != "" && len(key) <= 64 && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-'
	})
}

// ints reads a tuple of sizes or strides: integers that are not negative.
func (m *machine) ints(v any, what string) ([]int, error) {
	s, ok := v.(*seq)
	if !ok {
		return nil, m.errorf("%s that are no tuple", what)
	}
	if len(s.items) > maxRank {
		return nil, m.errorf("a tensor of more than %d dimensions", maxRank)
	}
	if err := m.charge(8 * len(s.items)); err != nil {
		return nil, err
	}
	out := make([]int, len(s.items))
	for i, item := range s.items {
		n, ok := item.(int64)
		if !ok || n < 0 || int64(int(n)) != n {
			return nil, m.errorf("%v among the %s of a tensor", item, what)
		}
		out[i] = int(n)
	}
	return out, nil
}

// rebuild makes an array of (storage, offset, sizes, strides, ...).
func (m *machine) rebuild(g global, args []any) (any, error) {
	if least := map[global]int{rebuildTensor: 4, rebuildTensor2: 6, rebuildTensor3: 7, rebuildQTensor: 7}[g]; len(args) < least {
		return nil, m.errorf("calls %s with %d arguments", g, len(args))
	}
	s, ok := args[0].(*span)
	if !ok {
		return nil, m.errorf("a tensor without a storage")
	}
	a := &array{storage: s.storage, dtype: s.dtype}
	if err := m.charge(128); err != nil {
		return nil, err
	}
	var err error
	if a.shape, err = m.ints(args[2], "sizes"); err != nil {
		return nil, err
	}
	if a.stride, err = m.ints(args[3], "strides"); err != nil {
		return nil, err
	}
	switch g {
	case rebuildTensor3:
		err = m.retype(a, args[6])
	case rebuildQTensor:
		err = m.quantise(a, args[4])
	default:
		if s.quantised {
			err = m.errorf("codes of storage %q without their scale", s.key)
		}
	}
	if err != nil {
		return nil, err
	}
	offset, ok := args[1].(int64)
	if !ok || offset < 0 || int64(int(offset)) != offset {
		return nil, m.errorf("the offset %v of a tensor", args[1])
	}
	// Offsets count elements, and those of an untyped storage are bytes.
	a.offset = int(offset)
	if err := a.check(s.count * s.dtype.Size() / a.dtype.Size()); err != "" {
		return nil, m.errorf("storage %q: %s", s.key, err)
	}
	if a.dtype != s.dtype && s.offset != 0 {
		return nil, m.errorf("a view of untyped storage %q", s.key)
	}
	a.offset += s.offset
	return a, m.claim(a)
}

// retype gives an array of an untyped storage its element type.
func (m *machine) retype(a *array, v any) error {
	g, _ := v.(global)
	t, ok := g.dtypeOf()
	if !ok || a.quantised {
		return m.errorf("a tensor of the unknown type %v", v)
	}
	if a.storage.dtype != tensor.U8 && a.storage.dtype != t {
		return m.errorf("a tensor of %v in a storage of %v", t, a.storage.dtype)
	}
	a.dtype = t
	return nil
}

// quantise reads the quantiser of an array: (per_tensor_affine, scale, zero
// point) or (per_channel_affine, scales, zero points, axis).
func (m *machine) quantise(a *array, v any) error {
	if !a.storage.quantised {
		return m.errorf("a quantised tensor in a storage of %v", a.dtype)
	}
	q, ok := v.(*seq)
	if !ok || len(q.items) == 0 {
		return m.errorf("a quantised tensor without a quantiser")
	}
	a.quant = &quant{axis: -1}
	switch items := q.items; {
	case items[0] == perTensor && len(items) == 3:
		scale, ok := items[1].(float64)
		zero, ok2 := items[2].(int64)
		a.quant.scale, a.quant.zero = scale, zero
		if !ok || !ok2 || !goodScale(scale) || !goodZero(a.dtype, zero) {
			return m.errorf("scale %v and zero point %v of a quantised tensor", items[1], items[2])
		}
		return m.charge(64)
	case items[0] == perChannel && len(items) == 4:
		return m.perChannel(a, items[1], items[2], items[3])
	}
	return m.errorf("the quantiser %v with %d values is not known", q.items[0], len(q.items))
}

// perChannel reads the scales and zero points of a dimension.
func (m *machine) perChannel(a *array, first, second, third any) error {
	scales, err := m.vector(first)
	if err != nil {
		return err
	}
	zeros, err := m.vector(second)
	if err != nil {
		return err
	}
	axis, ok := third.(int64)
	if !ok || axis < 0 || axis >= int64(len(a.shape)) {
		return m.errorf("the axis %v of a quantised tensor of shape %v", third, a.shape)
	}
	want := a.shape[axis : axis+1]
	if !slices.Equal(scales.shape, want) || !slices.Equal(zeros.shape, want) || scales.quant != nil || zeros.quant != nil ||
		(scales.dtype != tensor.F64 && scales.dtype != tensor.F32) || (zeros.dtype != tensor.I64 && zeros.dtype != tensor.I32) {
		return m.errorf("scales %v of %v and zero points %v of %v for axis %d of shape %v",
			scales.shape, scales.dtype, zeros.shape, zeros.dtype, axis, a.shape)
	}
	*a.quant = quant{axis: int(axis), scales: scales, zeros: zeros}
	return m.charge(64)
}

// vector is a tensor or, as old files have it, a list of numbers.
func (m *machine) vector(v any) (*array, error) {
	if a, ok := v.(*array); ok {
		return a, nil
	}
	list, ok := v.(*seq)
	if !ok {
		return nil, m.errorf("scales or zero points of a quantised tensor are no numbers")
	}
	n := len(list.items)
	if err := m.charge(256 + 8*n); err != nil {
		return nil, err
	}
	a := &array{storage: &storage{count: n, data: make([]byte, 8*n)}, dtype: tensor.I64, shape: []int{n}, stride: []int{1}}
	if n > 0 && isFloat(list.items[0]) {
		a.dtype = tensor.F64
	}
	for i, item := range list.items {
		var bits uint64
		switch x := item.(type) {
		case int64:
			bits, ok = uint64(x), a.dtype == tensor.I64
		case float64:
			bits, ok = math.Float64bits(x), a.dtype == tensor.F64
		default:
			ok = false
		}
		if !ok {
			return nil, m.errorf("scales or zero points of a quantised tensor are no numbers of one kind")
		}
		binary.LittleEndian.PutUint64(a.data[8*i:], bits)
	}
	return a, nil
}

func isFloat(v any) bool {
	_, ok := v.(float64)
	return ok
}

// claim counts the bytes of an array. Many views of one storage cost nothing in
// the file, and still have to be looked at one by one.
func (m *machine) claim(a *array) error {
	n, _ := tensor.Elements(a.shape, 4*a.dtype.Size())
	m.claimed += uint64(n) * uint64(a.dtype.Size())
	if a.quant != nil && a.quant.axis >= 0 {
		m.claimed += 16 * uint64(a.shape[a.quant.axis]) // scales and zero points may be shared, too
	}
	if m.claimed > m.most {
		return m.errorf("the tensors have more than %d bytes, too many for what the file stores", m.most)
	}
	return nil
}
