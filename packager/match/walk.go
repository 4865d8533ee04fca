package match

import (
	"context"
	"errors"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// walk reads the graph as it is for one text of some length.
type walk struct {
	*source
	*store
	ctx    context.Context
	text   text
	env    map[string]value
	left   map[string]int   // by tensor: how many nodes will still read it
	coded  []*matrix        // tables of codes that known numbers were taken from
	biases map[string]*bias // by what is added to scores: what was found before
	limit  int              // the longest text that this walk tells about; 0: there is no end in sight
}

func newWalk(ctx context.Context, s *source, tokens int) *walk {
	w := &walk{
		source: s, store: &store{tokens: tokens, made: map[string]*atom{}}, ctx: ctx,
		text: s.sample(tokens, 16), env: map[string]value{}, left: map[string]int{},
		biases: map[string]*bias{},
	}
	for name, readers := range s.read {
		w.left[name] = len(readers)
	}
	for _, o := range s.m.Graph.Outputs {
		w.left[o.Name]++
	}
	for _, in := range s.inputs {
		a := in.fill(w.text)
		k := &known{name: in.name, shape: a.Shape, arr: a}
		switch in.role {
		case roleIDs:
			k.from = fromIDs
		case roleTypes:
			k.from = fromTypes
		}
		w.env[in.name] = k
	}
	return w
}

// value is what the tensor called name is. Nodes are computed when they are first
// asked for, so that their order in the file does not matter.
func (w *walk) value(name string) (value, error) {
	if v := w.env[name]; v != nil {
		return v, nil
	}
	if c, ok := w.consts[name]; ok {
		k, err := w.constant(name, c)
		if err != nil {
			return nil, &Error{Msg: err.Error()}
		}
		w.env[name] = k
		return k, nil
	}
	n := w.source.made[name]
	if n == nil {
		return nil, &Error{Msg: "tensor " + name + " is made by nothing"}
	}
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.compute(n); err != nil {
		return nil, err
	}
	if w.env[name] == nil {
		return nil, w.refuse(n, "its output %q has no meaning here", name)
	}
	return w.env[name], nil
}

// compute reads one node.
func (w *walk) compute(n *onnx.Node) error {
	in := make([]value, len(n.Inputs))
	for i, name := range n.Inputs {
		if name == "" {
			continue
		}
		v, err := w.value(name)
		if err != nil {
			return err
		}
		in[i] = v
	}
	w.node = labelOf(n)
	out, err := w.apply(n, in)
	if err != nil {
		if e := (*Error)(nil); errors.As(err, &e) {
			return err
		}
		return w.refuse(n, "%v", err)
	}
	for i, v := range out {
		if i < len(n.Outputs) && n.Outputs[i] != "" && v != nil {
			if size, ok := tensor.Elements(v.dims(), 8); !ok || size > largest || size == 0 && isTens(v) {
				return w.refuse(n, "%v are no numbers, or too many", v.dims())
			}
			if k, ok := v.(*known); ok && k.name == "" {
				k.name = n.Outputs[i]
			}
			w.env[n.Outputs[i]] = v
		}
	}
	for _, name := range n.Inputs {
		if w.left[name]--; w.left[name] == 0 && name != "" {
			w.release(name)
		}
	}
	return nil
}

// keep is how many numbers a known array may have to be kept when nothing reads it
// any more: sizes may be asked for again.
const keep = 64

// release forgets a tensor that can be computed again.
func (w *walk) release(name string) {
	if k, ok := w.env[name].(*known); ok && count(k.shape) <= keep {
		return
	}
	if _, ok := w.consts[name]; ok || w.source.made[name] != nil {
		delete(w.env, name)
	}
}

func isTens(v value) bool {
	_, ok := v.(*tens)
	return ok
}

// apply is the outputs of n.
func (w *walk) apply(n *onnx.Node, in []value) ([]value, error) {
	switch n.Domain {
	case "", "ai.onnx":
	case "com.microsoft":
		return w.contributed(n, in)
	default:
		return nil, w.refuse(n, "operators of the domain %s are not read", n.Domain)
	}
	switch n.Op {
	case "Shape", "Size":
		return w.shapeOf(n, in)
	case "DynamicQuantizeLinear":
		return w.unquantised(in[0])
	case "MatMulInteger":
		return one(w.integerProduct(n, in))
	case "DequantizeLinear":
		return one(w.dequantised(n, in))
	case "QuantizeLinear", "QLinearMatMul", "QLinearConv", "ConvInteger":
		return nil, w.refuse(n, "statically quantised activations are not read; quantise dynamically, or give the float file")
	case "Gather":
		return one(w.gather(n, in))
	case "If":
		return w.branch(n, in)
	}
	ks, all := knowns(in)
	if all {
		return w.fold(n, ks)
	}
	return w.data(n, in)
}

// one is the outputs of a node that has one.
func one[T value](v T, err error) ([]value, error) {
	if err != nil {
		return nil, err
	}
	return []value{v}, nil
}

// knowns are the inputs, where all that are there are known.
func knowns(in []value) ([]*known, bool) {
	ks := make([]*known, len(in))
	for i, v := range in {
		switch k := v.(type) {
		case *known:
			ks[i] = k
		case nil:
		default:
			return nil, false
		}
	}
	return ks, true
}

// fold computes a node whose inputs are known. Matrices of the file stay there as long
// as they are only turned over.
func (w *walk) fold(n *onnx.Node, in []*known) ([]value, error) {
	if len(in) > 0 && in[0] != nil && in[0].mat != nil && in[0].arr == nil {
		switch {
		case n.Op == "Identity", n.Op == "Cast" && staysFloat(n, in[0]):
			k := *in[0]
			return []value{&k}, nil
		case n.Op == "Transpose":
			m := in[0].mat.flipped()
			return []value{&known{shape: m.dims(), mat: m}}, nil
		}
	}
	if len(in) == 2 && (n.Op == "Add" || n.Op == "Sum") && in[0].rows != nil && in[1].rows != nil {
		return one(w.sumOfRows(in[0], in[1]))
	}
	arrays := make([]*array, len(in))
	from := inputs(0)
	for i, k := range in {
		if k == nil {
			continue
		}
		a, err := k.array()
		if err != nil {
			return nil, err
		}
		arrays[i] = a
		from |= k.from
	}
	if len(n.Captures) > 0 {
		return nil, w.refuse(n, "loops are not read")
	}
	out, err := onnxref.Eval(n, arrays, budget)
	if err != nil {
		return nil, err
	}
	w.sees(n, arrays, out[0])
	values := make([]value, len(out))
	for i, a := range out {
		k := &known{shape: a.Shape, arr: a, from: from}
		if len(in) > 0 && in[0] != nil && in[0].rows != nil && movesNothing(n.Op) && a.Len() == in[0].arr.Len() && last(a.Shape) == last(in[0].shape) {
			k.rows = in[0].rows
		}
		if len(in) > 0 && in[0] != nil && (movesNothing(n.Op) || n.Op == "Transpose" || n.Op == "Slice") {
			k.of = in[0].of
		}
		values[i] = k
	}
	return values, nil
}

// sees notes what the walk is too short to see: distances that are compared with a
// number that none of them reaches.
func (w *walk) sees(n *onnx.Node, in []*array, out *array) {
	if len(in) != 2 || out.Len() < w.tokens*w.tokens || !slices.Contains([]string{"Less", "LessOrEqual", "Greater", "GreaterOrEqual"}, n.Op) {
		return
	}
	if _, same := uniform(out); !same {
		return
	}
	for _, a := range in {
		if v, ok := uniform(a); ok && a.Len() == 1 && math.Abs(v) >= float64(w.tokens-1) && math.Abs(v) < unbounded {
			w.limit = least(w.limit, int(math.Abs(v)))
		}
	}
}

// movesNothing tells the operators that leave numbers and their order as they are.
func movesNothing(op string) bool {
	return slices.Contains([]string{"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Dropout", "Expand"}, op)
}

// staysFloat reports whether a Cast of a matrix is from a float type to another.
func staysFloat(n *onnx.Node, k *known) bool {
	return (!k.mat.integer() || k.mat.codes != nil) && floatCode(n.Attrs["to"].I)
}

// branch is an If whose condition does not depend on the words: the branch it takes.
func (w *walk) branch(n *onnx.Node, in []value) ([]value, error) {
	k, ok := in[0].(*known)
	if !ok || k.from != 0 {
		return nil, w.refuse(n, "a branch that depends on the words")
	}
	a, err := k.array()
	if err != nil {
		return nil, err
	}
	name := "else_branch"
	if v, ok := uniform(a); ok && v != 0 {
		name = "then_branch"
	}
	g := n.Attrs[name].G
	if g == nil {
		return nil, w.refuse(n, "no %s", name)
	}
	var out []value
	for _, o := range g.Outputs {
		v, err := w.value(o.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// shapeOf is the shape of a tensor, or its number of elements.
func (w *walk) shapeOf(n *onnx.Node, in []value) ([]value, error) {
	if in[0] == nil {
		return nil, errors.New("no input")
	}
	shape := in[0].dims()
	if n.Op == "Size" {
		return []value{&known{shape: []int{}, arr: onnxref.Ints(tensor.I64, []int{}, int64(count(shape)))}}, nil
	}
	first, end := 0, len(shape)
	if a, ok := n.Attrs["start"]; ok {
		first = clampAxis(int(a.I), len(shape))
	}
	if a, ok := n.Attrs["end"]; ok {
		end = clampAxis(int(a.I), len(shape))
	}
	var out []int64
	for i := first; i < end; i++ {
		out = append(out, int64(shape[i]))
	}
	if out == nil {
		out = []int64{}
	}
	return []value{&known{shape: []int{len(out)}, arr: onnxref.Ints(tensor.I64, []int{len(out)}, out...)}}, nil
}

// clampAxis is an axis counted from the start, within 0 to rank.
func clampAxis(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	return max(0, min(axis, rank))
}
