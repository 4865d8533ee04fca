package importer

import (
	"fmt"
	"math"
	"slices"

	"skiff/packager/graph"
)

// deberta is DeBERTa v2 and v3: BERT's blocks with attention that scores content
// and distance apart, and mostly no positions in the embeddings.
func deberta() *arch {
	kinds := []string{"c2p", "p2c"}
	return &arch{
		names: []string{"deberta-v2"},
		keys: append(encoderKeys(), between("type_vocab_size", 0, maxTypes, 0), size("embedding_size", maxHidden).or(0),
			flagKey("relative_attention", false), flagKey("share_att_key", false), flagKey("position_biased_input", true),
			between("max_relative_positions", -1, maxPlaces, -1), between("position_buckets", -1, maxPlaces, -1),
			key{name: "pos_att_type", as: "pos_att_type", form: list, words: kinds, absent: []string{}},
			wordKey("norm_rel_ebd", "none", "none", "layer_norm"),
			actKey("pooler_hidden_act", "pooler_hidden_act", graph.Gelu), size("pooler_hidden_size", maxHidden).or(0),
			between("conv_kernel_size", 0, 0, 0), flagKey("legacy", true)),
		idle:  "pooler_dropout conv_act conv_groups padding_idx talking_head",
		check: checkDeberta,
		root:  "deberta.",
		probe: "embeddings.word_embeddings.weight",
		stem:  "encoder.layer.",
		spare: []string{"embeddings.position_ids"},
		extra: []string{"cls.", "lm_predictions.", "mask_predictions.", "pooler.", "classifier.", "qa_outputs."},

		encoder: buildDeberta,
		heads: classes{
			prefixes: []string{"DebertaV2"},
			classify: func(b *build) {
				b.m.Pooler = b.hiddenLinear(b.first(), "pooler.dense", "pooler", b.act("pooler_hidden_act"))
				b.logits(b.m.Pooler, "classifier")
			},
			tag: tagHead, answer: answerHead, words: debertaWords,
			masked: []string{"mask_predictions."},
		}.heads(),
	}
}

// reach is how far distances count.
func (c *config) reach() int {
	if n := c.num("position_buckets"); n > 0 {
		return n
	}
	return c.farthest()
}

// farthest is the distance at which the logarithmic buckets end.
func (c *config) farthest() int {
	if n := c.num("max_relative_positions"); n > 0 {
		return n
	}
	return c.num("max_position_embeddings")
}

func checkDeberta(c *config) error {
	if n := c.num("pooler_hidden_size"); n != 0 && n != c.num("hidden_size") {
		return unsupported(c.file, "pooler_hidden_size", "", "%d, but hidden_size is %d", n, c.num("hidden_size"))
	}
	if n := c.num("position_buckets"); n > 0 && (n < 4 || n >= 2*c.farthest()-2) {
		return invalid(c.file, "position_buckets", "", "%d buckets for distances up to %d", n, c.farthest())
	}
	return nil
}

func buildDeberta(b *build) {
	h, e := b.hidden, b.embedding()
	lookups := []graph.Lookup{b.words("embeddings.word_embeddings", e)}
	if b.on("position_biased_input") {
		lookups = append(lookups, b.places("embeddings.position_embeddings", e))
	} else {
		b.spare("embeddings.position_embeddings.")
	}
	if b.num("type_vocab_size") > 0 {
		lookups = append(lookups, b.types("embeddings.token_type_embeddings", e))
	}
	x := b.m.Embed(lookups...)
	if e != h {
		x = b.m.Linear(x, b.biased(false, "embeddings.embed_proj", "embed.project", h, e), 0)
	}
	x = b.state(b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", h)))
	scale := 1 / math.Sqrt(float64(h/b.num("num_attention_heads")*(1+len(b.marks("pos_att_type")))))
	for i := range b.layers {
		at := fmt.Sprintf("encoder.layer.%d.", i)
		x = b.state(b.postNorm(x, at, blockName(i), block{
			query: "attention.self.query_proj", key: "attention.self.key_proj", value: "attention.self.value_proj",
			out: "attention.output.dense", attnNorm: "attention.output.LayerNorm",
			ffnIn: "intermediate.dense", ffnOut: "output.dense", ffnNorm: "output.LayerNorm",
			relative: b.disentangled(at+"attention.self.", blockName(i)), scale: scale,
		}))
	}
}

// embedding is the width of the word table.
func (b *build) embedding() int {
	if e := b.num("embedding_size"); e != 0 {
		return e
	}
	return b.hidden
}

// disentangled is the relative part of a layer's attention.
func (b *build) disentangled(at, as string) graph.Relative {
	if !b.on("relative_attention") || len(b.marks("pos_att_type")) == 0 {
		b.spare("encoder.rel_embeddings.") // scores by content alone
		b.spare("encoder.LayerNorm.")
		return nil
	}
	h := b.hidden
	d := &graph.Disentangled{
		Table: b.table("encoder.rel_embeddings", "encoder.relative", 2*b.reach(), h),
		Span:  b.reach(), Buckets: b.num("position_buckets"), MaxPosition: b.farthest(),
	}
	if b.text("norm_rel_ebd") == "layer_norm" {
		d.Norm = b.norm("encoder.LayerNorm", "encoder.relative_norm", h)
	}
	shared := b.on("share_att_key")
	project := func(own, sharedWith, name string, bias bool) *graph.LinearWeights {
		if shared {
			return b.linear(at+sharedWith, as+"."+sharedWith, h, h)
		}
		return b.biased(bias, at+own, as+"."+name, h, h)
	}
	if slices.Contains(b.marks("pos_att_type"), "c2p") {
		d.Keys = project("pos_key_proj", "key_proj", "relative_key", true)
	}
	if slices.Contains(b.marks("pos_att_type"), "p2c") {
		d.Queries = project("pos_query_proj", "query_proj", "relative_query", true)
	}
	return d
}

// debertaWords predicts words, by the head of either generation.
func debertaWords(b *build) {
	if !b.on("legacy") {
		x := b.transform("lm_predictions.lm_head.dense", "lm_predictions.lm_head.LayerNorm", b.hidden, b.act("hidden_act"))
		b.tied = true // this head is given the word table, whatever the configuration says
		b.decoder(x, "lm_predictions.lm_head.decoder", "lm_predictions.lm_head.bias")
		return
	}
	x := b.transform("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", b.embedding(), b.act("hidden_act"))
	b.decoder(x, "cls.predictions.decoder", "cls.predictions.bias", "cls.predictions.decoder.bias")
}
