package importer

import (
	"fmt"
	"slices"

	"skiff/packager/graph"
)

// mobilebert is MobileBERT: thin blocks between bottlenecks, several feed-forwards
// in each, embeddings of three neighbouring words, and norms that need not
// normalise.
func mobilebert() *arch {
	return &arch{
		names: []string{"mobilebert"},
		keys: append(encoderKeys(), size("type_vocab_size", maxTypes), size("embedding_size", maxHidden).or(128),
			size("intra_bottleneck_size", maxHidden).or(128), size("true_hidden_size", maxHidden).or(0),
			between("num_feedforward_networks", 1, 64, 4),
			flagKey("trigram_input", true), flagKey("use_bottleneck", true), flagKey("use_bottleneck_attention", false),
			flagKey("key_query_shared_bottleneck", true), flagKey("classifier_activation", true),
			wordKey("normalization_type", "no_norm", "no_norm", "layer_norm")),
		width: func(c *config) string {
			if c.on("use_bottleneck") {
				return "intra_bottleneck_size"
			}
			return "hidden_size"
		},
		check:   checkMobile,
		root:    "mobilebert.",
		probe:   "embeddings.word_embeddings.weight",
		stem:    "encoder.layer.",
		pooler:  "pooler.dense",
		spare:   []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		extra:   []string{"cls.", "classifier.", "qa_outputs."},
		encoder: buildMobile,
		heads: classes{
			prefixes: []string{"MobileBert"},
			classify: poolerHead, tag: tagHead, answer: answerHead,
			words: mobileWords, masked: []string{"cls.seq_relationship."}, pretraining: []string{},
		}.heads(),
	}
}

// checkMobile compares the widths of the blocks.
func checkMobile(c *config) error {
	width := c.num(c.arch.width(c))
	if said := c.num("true_hidden_size"); said != 0 && said != width {
		return invalid(c.file, "true_hidden_size", "", "%d, but the blocks are %d wide", said, width)
	}
	return nil
}

// mobile is a layer under construction.
type mobile struct {
	*build
	width  int    // of the block
	at, as string // the layer's tensors and name
}

// anyNorm is a norm of the kind that the config says.
func (b *build) anyNorm(tensor, as string, cols int, eps float32) *graph.NormWeights {
	n := b.normEps(tensor, as, cols, eps)
	if b.text("normalization_type") == "no_norm" {
		n.Kind = graph.NoNorm
	}
	return n
}

// torchEps is the epsilon of a layer norm that is given none.
const torchEps = 1e-5

func buildMobile(b *build) {
	h, e := b.hidden, b.num("embedding_size")
	x := b.m.Embed(b.words("embeddings.word_embeddings", e))
	wide := e
	if b.on("trigram_input") {
		x, wide = b.m.Trigram(x), 3*e
	}
	if b.on("trigram_input") || e != h {
		x = b.m.Linear(x, b.linear("embeddings.embedding_transformation", "embed.project", h, wide), 0)
	} else {
		b.spare("embeddings.embedding_transformation.")
	}
	rest := b.m.Embed(b.places("embeddings.position_embeddings", h), b.types("embeddings.token_type_embeddings", h))
	x = b.state(b.m.Norm(x, rest, b.anyNorm("embeddings.LayerNorm", "embed.norm", h, torchEps)))
	for i := range b.layers {
		l := mobile{b, b.num(b.arch.width(b.config)), fmt.Sprintf("encoder.layer.%d.", i), blockName(i)}
		x = b.state(l.layer(x))
	}
	switch {
	case !b.on("classifier_activation"):
		b.m.Pooler = b.first()
		b.spare("pooler.")
	default:
		b.tanhPooler("pooler.dense")
	}
}

// layer appends a layer: into the bottleneck, attention, feed-forwards, out of it.
func (l mobile) layer(x graph.ID) graph.ID {
	if l.err != nil {
		return x // no more operations than tensors
	}
	query, value, thin := l.bottleneck(x)
	y := l.attention(query, value, thin)
	for f := range l.num("num_feedforward_networks") - 1 {
		name := fmt.Sprintf("ffn.%d.", f)
		y = l.feedForward(y, name, fmt.Sprintf("ffn%d_", f), l.eps())
	}
	y = l.feedForward(y, "", "ffn_", torchEps)
	if !l.on("use_bottleneck") {
		return y
	}
	y = l.m.Linear(y, l.linear(l.at+"output.bottleneck.dense", l.as+".widen", l.hidden, l.width), 0)
	return l.m.Norm(y, x, l.anyNorm(l.at+"output.bottleneck.LayerNorm", l.as+".widen_norm", l.hidden, l.eps()))
}

// bottleneck returns what queries and keys are made of, what values are made of,
// and the residual of the block.
func (l mobile) bottleneck(x graph.ID) (query, value, thin graph.ID) {
	if !l.on("use_bottleneck") {
		return x, x, x
	}
	thin = l.narrow(x, "bottleneck.input", "narrow")
	shared := l.on("key_query_shared_bottleneck")
	switch {
	case l.on("use_bottleneck_attention"):
		if shared {
			l.spare(l.at + "bottleneck.attention.")
		}
		return thin, thin, thin
	case shared:
		return l.narrow(x, "bottleneck.attention", "narrow_attn"), x, thin
	}
	return x, x, thin
}

func (l mobile) narrow(x graph.ID, tensor, as string) graph.ID {
	y := l.m.Linear(x, l.linear(l.at+tensor+".dense", l.as+"."+as, l.width, l.hidden), 0)
	return l.m.Norm(y, 0, l.anyNorm(l.at+tensor+".LayerNorm", l.as+"."+as+"_norm", l.width, l.eps()))
}

func (l mobile) attention(query, value, residual graph.ID) graph.ID {
	heads, m, w := l.num("num_attention_heads"), l.m, l.width
	values := l.hidden
	if l.on("use_bottleneck_attention") {
		values = w
	}
	q := m.Linear(query, l.linear(l.at+"attention.self.query", l.as+".query", w, w), 0)
	k := m.Linear(query, l.linear(l.at+"attention.self.key", l.as+".key", w, w), 0)
	v := m.Linear(value, l.linear(l.at+"attention.self.value", l.as+".value", w, values), 0)
	y := m.Attend(graph.Attention{
		Q: graph.Slice{X: q}, K: graph.Slice{X: k}, V: graph.Slice{X: v}, Heads: heads, HeadSize: w / heads, Scale: l.scale(w/heads, 0),
	})
	y = m.Linear(y, l.linear(l.at+"attention.output.dense", l.as+".out", w, w), 0)
	return m.Norm(y, residual, l.anyNorm(l.at+"attention.output.LayerNorm", l.as+".attn_norm", w, l.eps()))
}

// feedForward appends one of the layer's feed-forwards with its norm.
func (l mobile) feedForward(x graph.ID, tensor, as string, eps float32) graph.ID {
	f := l.num("intermediate_size")
	y := l.m.Linear(x, l.linear(l.at+tensor+"intermediate.dense", l.as+"."+as+"in", f, l.width), l.act("hidden_act"))
	y = l.m.Linear(y, l.linear(l.at+tensor+"output.dense", l.as+"."+as+"out", l.width, f), 0)
	return l.m.Norm(y, x, l.anyNorm(l.at+tensor+"output.LayerNorm", l.as+"."+as+"norm", l.width, eps))
}

// mobileWords predicts words by the word table, which is narrower than the blocks,
// beside a table for the other columns, which is stored transposed.
func mobileWords(b *build) {
	x := b.transform("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", b.hidden, b.act("hidden_act"))
	e, v := b.num("embedding_size"), b.num("vocab_size")
	w := &graph.LinearWeights{Name: "head.decoder", In: b.hidden, Out: v}
	biases := []string{"cls.predictions.bias", "cls.predictions.decoder.bias"}
	if !b.tied {
		slices.Reverse(biases) // a decoder of its own adds its own bias, should they differ
	}
	b.want(&w.Bias, biases, v)
	table := new([]float32)
	if b.tied {
		b.spare("cls.predictions.decoder.")
		b.after(func() { *table = b.word.Data })
	} else {
		b.want(table, []string{"cls.predictions.decoder.weight"}, v, e)
		b.spare("cls.predictions.bias")
	}
	rest := new([]float32)
	if b.hidden > e {
		b.want(rest, []string{"cls.predictions.dense.weight"}, b.hidden-e, v)
	} else {
		b.spare("cls.predictions.dense.")
	}
	b.after(func() { w.Weight = beside(*table, *rest, v, e, b.hidden) })
	b.m.Answer = b.m.Linear(x, w, 0)
}

// beside is [v][h] from left [v][e] and right, transposed, [h-e][v].
func beside(left, right []float32, v, e, h int) []float32 {
	out := make([]float32, v*h)
	for i := range v {
		copy(out[i*h:][:e], left[i*e:])
		for j := e; j < h; j++ {
			out[i*h+j] = right[(j-e)*v+i]
		}
	}
	return out
}
