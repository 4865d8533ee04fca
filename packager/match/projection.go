package match

import (
	"errors"

	"skiff/formats/onnx"
)

// projection is how known rows were made: rows of a table through a layer.
type projection struct {
	table *array // [R][columns]
	w     *weights
}

// projectionOf finds the layer that k, known numbers [.., D, R], went through last: the
// part of the graph behind it is read again with its input in the place of tokens. It
// is nil where k was not made so, and then its numbers have to do.
func (w *walk) projectionOf(k *known, a, d int) *projection {
	table := w.projected(k.name, 0)
	if table == "" {
		return nil
	}
	v, err := w.value(table)
	rows, ok := v.(*known)
	if err != nil || !ok || rows.from != 0 || len(rows.shape) < 2 {
		return nil
	}
	m, err := rows.asMatrix()
	if err != nil || m == nil || m.integer() && m.codes == nil {
		return nil
	}
	arr, err := m.array()
	if err != nil {
		return nil
	}
	h := w.again(table, rows.shape, k, arr.Shape[1])
	if h == nil || h.a != a || h.d != d || h.scale != 1 || h.turn != nil || h.x.kind != linearKind || h.x.x[0].kind != tableRowsKind {
		return nil
	}
	cols := make([]int, a*d)
	for i := range cols {
		cols[i] = h.first + i
	}
	return &projection{table: arr, w: h.x.w.pick(cols)}
}

// again reads what makes k of the table, whose rows stand for tokens, as heads.
func (w *walk) again(table string, shape []int, k *known, cols int) *heads {
	tokens, n := w.tokens, count(shape)/cols
	defer func() { w.store.tokens = tokens }()
	w.store.tokens = n
	if last(k.shape) != n {
		return nil
	}
	rows := w.row(table, atom{kind: tableRowsKind, rows: true, cols: cols})
	over := &overlay{w: w, tokens: tokens, rows: n, made: map[string]value{table: whole(rows, shape)}, on: map[string]bool{table: true}, hand: map[string]bool{}}
	v, err := over.value(k.name, 0)
	t, ok := v.(*tens)
	if err != nil || !ok || len(t.shape) < 2 {
		return nil
	}
	if t, err = swapped(t); err != nil {
		return nil
	}
	h, err := w.headsOf(t)
	if err != nil {
		return nil
	}
	return h
}

// reach is how many nodes lie between a layer and the rows it made, at most.
const reach = 40

// projected is the input of the last layer that the tensor called name went through;
// "" where there is none.
func (w *walk) projected(name string, depth int) string {
	n := w.source.made[name]
	if n == nil || depth > reach {
		return ""
	}
	switch n.Op {
	case "MatMul", "Gemm", "MatMulInteger":
		if _, ok := w.consts[n.Inputs[1]]; !ok && !w.turnedConstant(n.Inputs[1]) {
			return ""
		}
		from := n.Inputs[0]
		if q := w.source.made[from]; q != nil && q.Op == "DynamicQuantizeLinear" {
			from = q.Inputs[0]
		}
		return from
	case "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Tile", "Expand", "Cast", "Identity", "Slice", "Split", "Gather":
		return w.projected(n.Inputs[0], depth+1)
	case "Add", "Mul", "Div":
		for _, i := range n.Inputs {
			if from := w.projected(i, depth+1); from != "" {
				return from
			}
		}
	}
	return ""
}

// turnedConstant reports whether a tensor is a constant that is only turned over.
func (w *walk) turnedConstant(name string) bool {
	n := w.source.made[name]
	if n == nil || n.Op != "Transpose" && n.Op != "Cast" && n.Op != "Identity" && n.Op != "DequantizeLinear" {
		return false
	}
	_, ok := w.consts[n.Inputs[0]]
	return ok
}

// overlay is tensors behind a table, read with its rows in the place of tokens.
type overlay struct {
	w            *walk
	tokens, rows int
	made         map[string]value
	on           map[string]bool // by tensor: whether the table went into it
	hand         map[string]bool // by tensor: whether it is at hand
}

// value is a tensor as the overlay has it: as the walk does, if the table has no part in it.
func (o *overlay) value(name string, depth int) (value, error) {
	if v := o.made[name]; v != nil {
		return v, nil
	}
	n := o.w.source.made[name]
	if n == nil || depth > reach || !o.behind(name, depth) {
		if !o.w.atHand(name, depth, o.hand) {
			return nil, errFar
		}
		o.w.store.tokens = o.tokens
		v, err := o.w.value(name)
		o.w.store.tokens = o.rows
		return v, err
	}
	in := make([]value, len(n.Inputs))
	for i, from := range n.Inputs {
		if from == "" {
			continue
		}
		v, err := o.value(from, depth+1)
		if err != nil {
			return nil, err
		}
		in[i] = v
	}
	out, err := o.w.apply(n, in)
	if err != nil {
		return nil, err
	}
	o.note(n, out)
	return o.made[name], nil
}

var errFar = errors.New("a part of the graph that was read long ago")

// atHand reports whether a tensor is in memory, or made of constants.
func (w *walk) atHand(name string, depth int, seen map[string]bool) bool {
	if _, ok := w.consts[name]; ok || w.env[name] != nil || name == "" {
		return true
	}
	if known, ok := seen[name]; ok {
		return known
	}
	n := w.source.made[name]
	yes := n != nil && depth <= reach
	if yes {
		for _, i := range n.Inputs {
			yes = yes && w.atHand(i, depth+1, seen)
		}
	}
	seen[name] = yes
	return yes
}

func (o *overlay) note(n *onnx.Node, out []value) {
	for i, v := range out {
		if i < len(n.Outputs) && v != nil {
			o.made[n.Outputs[i]] = v
		}
	}
}

// behind reports whether the table went into a tensor, but for its shape.
func (o *overlay) behind(name string, depth int) bool {
	if on, ok := o.on[name]; ok {
		return on
	}
	n := o.w.source.made[name]
	on := false
	if n != nil && n.Op != "Shape" && n.Op != "Size" && depth <= reach {
		for _, i := range n.Inputs {
			on = on || o.behind(i, depth+1)
		}
	}
	o.on[name] = on
	return on
}
