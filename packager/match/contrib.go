package match

import (
	"errors"
	"math"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// contributed is what an operator of com.microsoft stands for, which onnxruntime's
// optimiser puts in the place of standard ones: these are read instead.
func (w *walk) contributed(n *onnx.Node, in []value) ([]value, error) {
	arg := func(i int) value {
		if i < len(in) {
			return in[i]
		}
		return nil
	}
	switch n.Op {
	case "Gelu":
		return one(w.step(n, "Gelu", nil, in[0]))
	case "BiasGelu", "FastGelu":
		x, err := w.maybePlus(in[0], arg(1))
		if err != nil {
			return nil, err
		}
		how := onnx.Attr{S: "none"}
		if n.Op == "FastGelu" {
			how.S = "tanh"
		}
		return one(w.step(n, "Gelu", attrs{"approximate": how}, x))
	case "SkipLayerNormalization":
		return w.skipNorm(n, in[0], in[1], arg(2), arg(3), arg(4))
	case "EmbedLayerNormalization", "QEmbedLayerNormalization":
		return w.embedNorm(n, arg)
	case "FusedGemm":
		return one(w.fusedGemm(n, in))
	case "FusedMatMul", "TransposeMatMul":
		return one(w.fusedMatMul(n, in[0], in[1]))
	case "MatMulIntegerToFloat":
		y, err := w.step(n, "MatMulInteger", nil, in[0], in[1], arg(4), arg(5))
		return one(w.scaledSum(y, err, arg(2), arg(3), arg(6)))
	case "DynamicQuantizeMatMul":
		y, err := w.step(n, "MatMulInteger", nil, in[0], in[1], nil, arg(3))
		return one(w.scaledSum(y, err, arg(2), nil, arg(4)))
	case "Attention":
		y, err := w.step(n, "MatMul", nil, in[0], in[1])
		return one(w.packedAttention(n, y, err, arg(2), arg(3), arg(5)))
	case "QAttention":
		y, err := w.step(n, "MatMulInteger", nil, in[0], in[1], arg(6), arg(7))
		y, err = w.scaledSum(y, err, in[3], in[4], nil)
		return one(w.packedAttention(n, y, err, arg(2), arg(5), nil))
	case "MultiHeadAttention":
		return one(w.manyHeads(n, arg))
	}
	return nil, w.refuse(n, "this operator of the domain %s is not read; export without fusing", n.Domain)
}

type attrs = map[string]onnx.Attr

// step is what a standard operator makes in the place of n.
func (w *walk) step(n *onnx.Node, op string, a attrs, in ...value) (value, error) {
	s := &onnx.Node{Name: labelOf(n), Op: op, Version: 17, Attrs: a, Inputs: make([]string, len(in)), Outputs: []string{labelOf(n)}, Off: n.Off}
	for i, v := range in {
		if k, ok := v.(*known); ok {
			s.Inputs[i] = k.name
		}
	}
	out, err := w.apply(s, in)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// maybePlus is x and what is there of the others.
func (w *walk) maybePlus(x value, more ...value) (value, error) {
	for _, y := range more {
		if y == nil {
			continue
		}
		var err error
		if x, err = w.plus(x, y); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// skipNorm is the norm of x, skip and bias, and their sum as a fourth output.
func (w *walk) skipNorm(n *onnx.Node, x, skip, gain, beta, bias value) ([]value, error) {
	sum, err := w.maybePlus(x, bias)
	if err != nil {
		return nil, err
	}
	if sum, err = w.maybePlus(sum, skip); err != nil {
		return nil, err
	}
	eps := onnx.Attr{F: 1e-12}
	if a, ok := n.Attrs["epsilon"]; ok {
		eps = a
	}
	y, err := w.step(n, "LayerNormalization", attrs{"epsilon": eps}, sum, gain, beta)
	return []value{y, nil, nil, sum}, err
}

// embedNorm is the norm of the embeddings, whose tables may be codes: then their scales
// follow the mask, and their zero points the scales.
func (w *walk) embedNorm(n *onnx.Node, arg func(int) value) ([]value, error) {
	coded := n.Op == "QEmbedLayerNormalization"
	part := func(i int) (value, error) { // weight i, decoded
		if !coded || arg(i) == nil {
			return arg(i), nil
		}
		return w.step(n, "DequantizeLinear", nil, arg(i), arg(i+6), arg(i+11))
	}
	places := arg(8)
	if coded || places == nil {
		all := make([]int64, w.tokens)
		for i := range all {
			all[i] = int64(i)
		}
		places = &known{shape: []int{1, w.tokens}, arr: onnxref.Ints(tensor.I64, []int{1, w.tokens}, all...)}
	}
	var sum value
	for i, index := range []value{arg(0), places, arg(1)} {
		at := []int{2, 3, 4}[i]
		if index == nil || arg(at) == nil {
			continue
		}
		table, err := part(at)
		if err != nil {
			return nil, err
		}
		rows, err := w.step(n, "Gather", attrs{"axis": {}}, table, index)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = rows
		} else if sum, err = w.plus(sum, rows); err != nil {
			return nil, err
		}
	}
	gain, err := part(5)
	if err != nil {
		return nil, err
	}
	beta, err := part(6)
	if err != nil || sum == nil {
		return nil, err
	}
	y, err := w.skipNorm(n, sum, nil, gain, beta, nil)
	if err != nil {
		return nil, err
	}
	lengths := &known{shape: []int{1}, arr: onnxref.Ints(tensor.I32, []int{1}, int64(w.tokens))}
	return []value{y[0], lengths, sum}, nil
}

// fusedGemm is a Gemm with an activation.
func (w *walk) fusedGemm(n *onnx.Node, in []value) (value, error) {
	y, err := w.step(n, "Gemm", n.Attrs, in...)
	if err != nil || n.Attrs["activation"].S == "" {
		return y, err
	}
	return w.step(n, n.Attrs["activation"].S, nil, y)
}

// fusedMatMul is a product with either side turned over, times alpha.
func (w *walk) fusedMatMul(n *onnx.Node, a, b value) (value, error) {
	if n.Attrs["transBatchA"].I != 0 || n.Attrs["transBatchB"].I != 0 {
		return nil, w.refuse(n, "batches that are turned over")
	}
	for _, side := range []struct {
		name string
		to   *value
	}{{"transA", &a}, {"transB", &b}} {
		if n.Attrs[side.name].I == 0 {
			continue
		}
		rank := len((*side.to).dims())
		perm := make([]int64, rank)
		for i := range perm {
			perm[i] = int64(i)
		}
		if rank < 2 {
			return nil, w.refuse(n, "a vector turned over")
		}
		perm[rank-1], perm[rank-2] = perm[rank-2], perm[rank-1]
		turned, err := w.step(n, "Transpose", attrs{"perm": {Ints: perm}}, *side.to)
		if err != nil {
			return nil, err
		}
		*side.to = turned
	}
	y, err := w.step(n, "MatMul", nil, a, b)
	if alpha, ok := n.Attrs["alpha"]; ok && err == nil {
		return w.product(y, scalarOf(alpha.F))
	}
	return y, err
}

// scaledSum is y times what there is of two scales, and a bias.
func (w *walk) scaledSum(y value, err error, a, b, bias value) (value, error) {
	scale := value(scalarOf(1))
	for _, v := range []value{a, b} {
		if v != nil && err == nil {
			scale, err = w.product(scale, v)
		}
	}
	if err != nil {
		return nil, err
	}
	if y, err = w.product(y, scale); err != nil {
		return nil, err
	}
	return w.maybePlus(y, bias)
}

// packedAttention is an attention whose queries, keys and values lie side by side in y.
func (w *walk) packedAttention(n *onnx.Node, y value, err error, bias, mask, scores value) (value, error) {
	if err != nil {
		return nil, err
	}
	if a := n.Attrs["qkv_hidden_sizes"].Ints; len(a) == 3 && (a[0] != a[1] || a[1] != a[2]) {
		return nil, w.refuse(n, "queries, keys and values of %v columns", a)
	}
	if y, err = w.maybePlus(y, bias); err != nil {
		return nil, err
	}
	var qkv [3]value
	c := last(y.dims()) / 3
	for i := range qkv {
		if qkv[i], err = w.slice(n, y, i*c, c); err != nil {
			return nil, err
		}
	}
	return w.attend(n, qkv, mask, scores)
}

// slice is n columns of y from first.
func (w *walk) slice(n *onnx.Node, y value, first, columns int) (value, error) {
	number := func(v int) value {
		return &known{shape: []int{1}, arr: onnxref.Ints(tensor.I64, []int{1}, int64(v))}
	}
	return w.step(n, "Slice", nil, y, number(first), number(first+columns), number(-1))
}

// manyHeads is an attention of queries, keys and values, with a bias for all three.
func (w *walk) manyHeads(n *onnx.Node, arg func(int) value) (value, error) {
	var qkv [3]value
	for i := range qkv {
		qkv[i] = arg(i)
		if qkv[i] == nil || len(qkv[i].dims()) != 3 {
			return nil, w.refuse(n, "queries, keys and values that are packed")
		}
		if arg(3) == nil {
			continue
		}
		c := last(arg(3).dims()) / 3
		bias, err := w.slice(n, arg(3), i*c, c)
		if err != nil {
			return nil, err
		}
		if qkv[i], err = w.plus(qkv[i], bias); err != nil {
			return nil, err
		}
	}
	if arg(6) != nil || arg(7) != nil {
		return nil, w.refuse(n, "keys and values of earlier tokens")
	}
	return w.attend(n, qkv, arg(4), arg(5))
}

// attend is an attention of rows of queries, keys and values.
func (w *walk) attend(n *onnx.Node, qkv [3]value, mask, bias value) (value, error) {
	heads := int(n.Attrs["num_heads"].I)
	width := last(qkv[0].dims())
	if heads < 1 || width%heads != 0 || n.Attrs["unidirectional"].I != 0 || n.Attrs["do_rotary"].I != 0 {
		return nil, w.refuse(n, "%d heads of %d columns, causal or rotated", heads, width)
	}
	if err := w.allSeen(mask); err != nil {
		return nil, w.refuse(n, "%v", err)
	}
	for i, v := range qkv {
		t, ok := v.(*tens)
		if !ok {
			return nil, w.refuse(n, "no values of the model")
		}
		parted, err := t.as([]int{1, w.tokens, heads, last(t.shape) / heads})
		if err != nil {
			return nil, err
		}
		perm := []int64{0, 2, 1, 3}
		if i == 1 {
			perm = []int64{0, 2, 3, 1}
		}
		if qkv[i], err = w.step(n, "Transpose", attrs{"perm": {Ints: perm}}, parted); err != nil {
			return nil, err
		}
	}
	scores, err := w.step(n, "MatMul", nil, qkv[0], qkv[1])
	if err != nil {
		return nil, err
	}
	scale := float32(1 / math.Sqrt(float64(width/heads)))
	if a, ok := n.Attrs["scale"]; ok && a.F != 0 {
		scale = a.F
	}
	if scores, err = w.product(scores, scalarOf(scale)); err != nil {
		return nil, err
	}
	if scores, err = w.maybePlus(scores, bias); err != nil {
		return nil, err
	}
	probs, err := w.step(n, "Softmax", nil, scores)
	if err != nil {
		return nil, err
	}
	y, err := w.step(n, "MatMul", nil, probs, qkv[2])
	if err != nil {
		return nil, err
	}
	if y, err = w.step(n, "Transpose", attrs{"perm": {Ints: []int64{0, 2, 1, 3}}}, y); err != nil {
		return nil, err
	}
	return y.(*tens).as([]int{1, w.tokens, width})
}

// allSeen refuses a mask that hides a token of a text without padding: masks are ones,
// or the number of tokens.
func (w *walk) allSeen(mask value) error {
	if mask == nil {
		return nil
	}
	k, ok := mask.(*known)
	if !ok || k.from != 0 {
		return errors.New("a mask made of values of the model or of words")
	}
	a, err := k.array()
	if err != nil {
		return err
	}
	v, ok := uniform(a)
	if ok && (v == 1 && a.Len() > 1 || a.Len() == 1 && v == float64(w.tokens)) {
		return nil
	}
	return errors.New("a mask that is neither ones nor the number of tokens")
}
