package importer

import (
	"fmt"
	"math"

	"skiff/packager/graph"
)

// build makes the operations of a model while it asks the binder for the tensors
// they need. After the first error every tensor is empty and only the error
// counts.
type build struct {
	*config
	m *graph.Model
	*binder
	hidden, layers int
	word           *graph.Table // for a decoder tied to it
	seen           map[string]any
}

// eps is the epsilon of layer norms.
func (b *build) eps() float32 { return float32(b.number("layer_norm_eps")) }

// once returns what was made for a tensor before, so that it stays shared.
func once[T any](b *build, tensor string, make func() *T) *T {
	tensor = b.prefix + tensor
	if w, ok := b.seen[tensor].(*T); ok {
		return w
	}
	w := make()
	b.seen[tensor] = w
	return w
}

// table is the lookup table stored as tensor.weight, which the graph calls as.
func (b *build) table(tensor, as string, rows, cols int) *graph.Table {
	return once(b, tensor, func() *graph.Table {
		t := &graph.Table{Name: as, Rows: rows, Cols: cols}
		b.wantCodes(&t.Data, &t.Int8, []string{tensor + ".weight"}, rows, cols)
		return t
	})
}

// linear is the layer stored as tensor.weight and tensor.bias.
func (b *build) linear(tensor, as string, out, in int) *graph.LinearWeights {
	return once(b, tensor, func() *graph.LinearWeights {
		w := b.matrix(tensor, as, out, in)
		b.want(&w.Bias, []string{tensor + ".bias"}, out)
		return w
	})
}

// matrix is the layer stored as tensor.weight, without a bias.
func (b *build) matrix(tensor, as string, out, in int) *graph.LinearWeights {
	w := &graph.LinearWeights{Name: as, In: in, Out: out}
	b.wantCodes(&w.Weight, &w.Int8, []string{tensor + ".weight"}, out, in)
	return w
}

// biased is linear or matrix.
func (b *build) biased(bias bool, tensor, as string, out, in int) *graph.LinearWeights {
	if bias {
		return b.linear(tensor, as, out, in)
	}
	return once(b, tensor, func() *graph.LinearWeights { return b.matrix(tensor, as, out, in) })
}

// norm is the layer norm stored as tensor.weight and tensor.bias, which old
// checkpoints name gamma and beta.
func (b *build) norm(tensor, as string, cols int) *graph.NormWeights {
	return b.normEps(tensor, as, cols, b.eps())
}

// normEps is norm with an epsilon of its own.
func (b *build) normEps(tensor, as string, cols int, eps float32) *graph.NormWeights {
	return once(b, tensor, func() *graph.NormWeights {
		n := &graph.NormWeights{Name: as, Kind: graph.LayerNorm, Eps: eps}
		b.want(&n.Gain, []string{tensor + ".weight", tensor + ".gamma"}, cols)
		b.want(&n.Bias, []string{tensor + ".bias", tensor + ".beta"}, cols)
		return n
	})
}

// words notes the table of the vocabulary.
func (b *build) words(tensor string, cols int) graph.Lookup {
	b.word = b.table(tensor, "embed.word", b.num("vocab_size"), cols)
	return graph.Lookup{Table: b.word, By: graph.ByID}
}

// types is the lookup of token types.
func (b *build) types(tensor string, cols int) graph.Lookup {
	return graph.Lookup{Table: b.table(tensor, "embed.type", b.num("type_vocab_size"), cols), By: graph.ByType}
}

// places is the lookup of positions.
func (b *build) places(tensor string, cols int) graph.Lookup {
	return graph.Lookup{Table: b.table(tensor, "embed.position", b.num("max_position_embeddings"), cols), By: graph.ByPosition}
}

// paddedPlaces is places for models that number positions from pad+1, and give
// padding itself the row pad.
func (b *build) paddedPlaces(tensor string, cols, pad int) graph.Lookup {
	l := b.places(tensor, cols)
	l.Offset, l.Pad, l.PadID = pad+1, true, int32(pad)
	b.m.MaxPositions = l.Table.Rows - l.Offset
	return l
}

// state notes x as the next hidden state.
func (b *build) state(x graph.ID) graph.ID {
	b.m.States = append(b.m.States, x)
	b.m.Last = x
	return x
}

// block names the tensors of a layer with the norms behind its two halves:
//
//	y = attnNorm(x + out(attention(query x, key x, value x)))
//	z = ffnNorm(y + ffnOut(act(ffnIn y)))
type block struct {
	query, key, value, out, attnNorm string
	ffnIn, ffnOut, ffnNorm           string
	relative                         graph.Relative
	scale                            float64 // 0: one over the root of the head size
}

// postNorm appends a layer whose tensors start with at, under the name as.
func (b *build) postNorm(x graph.ID, at, as string, n block) graph.ID {
	if b.err != nil {
		return x // no more operations than tensors
	}
	h, f := b.hidden, b.num("intermediate_size")
	y := b.selfAttention(x, at, as, n)
	y = b.m.Norm(y, x, b.norm(at+n.attnNorm, as+".attn_norm", h))
	z := b.m.Linear(y, b.linear(at+n.ffnIn, as+".ffn_in", f, h), b.act("hidden_act"))
	z = b.m.Linear(z, b.linear(at+n.ffnOut, as+".ffn_out", h, f), 0)
	return b.m.Norm(z, y, b.norm(at+n.ffnNorm, as+".ffn_norm", h))
}

// selfAttention appends query, key, value, attention and out.
func (b *build) selfAttention(x graph.ID, at, as string, n block) graph.ID {
	h, heads := b.hidden, b.num("num_attention_heads")
	q := b.m.Linear(x, b.linear(at+n.query, as+".query", h, h), 0)
	k := b.m.Linear(x, b.linear(at+n.key, as+".key", h, h), 0)
	v := b.m.Linear(x, b.linear(at+n.value, as+".value", h, h), 0)
	y := b.m.Attend(graph.Attention{
		Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v},
		Heads: heads, HeadSize: h / heads, Scale: b.scale(h/heads, n.scale), Relative: n.relative,
	})
	return b.m.Linear(y, b.linear(at+n.out, as+".out", h, h), 0)
}

// scale is given, or one over the root of the head size.
func (b *build) scale(headSize int, given float64) float64 {
	if given != 0 {
		return given
	}
	return 1 / math.Sqrt(float64(headSize))
}

// blockName is the name of layer i.
func blockName(i int) string { return fmt.Sprintf("blocks.%d", i) }
