package importer

import (
	"fmt"

	"skiff/packager/graph"
)

// The buckets of MPNet's relative positions, which it takes whatever its config says.
const (
	mpnetBuckets  = 32
	mpnetDistance = 128
)

// mpnet is MPNet: BERT's blocks without token types, with positions as RoBERTa
// counts them, and one bias by distance for all layers.
func mpnet() *arch {
	return &arch{
		names: []string{"mpnet"},
		keys:  append(encoderKeys(), between("relative_attention_num_buckets", mpnetBuckets, 1<<12, mpnetBuckets)),
		check: func(c *config) error {
			if c.num("max_position_embeddings") < 3 {
				return invalid(c.file, "max_position_embeddings", "", "%d leaves no position behind the padding's", c.num("max_position_embeddings"))
			}
			return nil
		},
		root:   "mpnet.",
		probe:  "embeddings.word_embeddings.weight",
		stem:   "encoder.layer.",
		pooler: "pooler.dense",
		spare:  []string{"embeddings.position_ids"},
		extra:  []string{"lm_head.", "classifier.", "qa_outputs."},
		encoder: func(b *build) {
			x := b.m.Embed(b.words("embeddings.word_embeddings", b.hidden), b.paddedPlaces("embeddings.position_embeddings", b.hidden, 1))
			x = b.state(b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", b.hidden)))
			bias := &graph.Bias{
				Table:   b.table("encoder.relative_attention_bias", "encoder.bias", b.num("relative_attention_num_buckets"), b.num("num_attention_heads")),
				Buckets: mpnetBuckets, MaxDistance: mpnetDistance,
			}
			for i := range b.layers {
				x = b.state(b.postNorm(x, fmt.Sprintf("encoder.layer.%d.", i), blockName(i), block{
					query: "attention.attn.q", key: "attention.attn.k", value: "attention.attn.v",
					out: "attention.attn.o", attnNorm: "attention.LayerNorm",
					ffnIn: "intermediate.dense", ffnOut: "output.dense", ffnNorm: "output.LayerNorm",
					relative: bias,
				}))
			}
			b.tanhPooler("pooler.dense")
		},
		heads: classes{
			prefixes: []string{"MPNet"},
			classify: denseHead(graph.Tanh), tag: tagHead, answer: answerHead, words: lmHead,
		}.heads(),
	}
}
