package importer

import "fmt"

// albert is ALBERT: embeddings of their own width, and few layers that run many
// times. Layer i runs the group i / (layers / groups); a group is a number of
// inner layers in a row. What is stored once is shared in the graph.
func albert() *arch {
	return &arch{
		names: []string{"albert"},
		keys: append(encoderKeys(), size("type_vocab_size", maxTypes), size("embedding_size", maxHidden).or(128),
			between("num_hidden_groups", 1, maxLayers, 1), between("inner_group_num", 1, maxLayers, 1)),
		idle: "down_scale_factor gap_size net_structure_type num_memory_blocks",
		check: func(c *config) error {
			if groups, layers := c.num("num_hidden_groups"), c.num("num_hidden_layers"); groups > layers {
				return invalid(c.file, "num_hidden_groups", "", "%d groups for %d layers", groups, layers)
			}
			return nil
		},
		root:   "albert.",
		probe:  "embeddings.word_embeddings.weight",
		stem:   "encoder.albert_layer_groups.",
		pooler: "pooler",
		spare:  []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		extra:  []string{"predictions.", "sop_classifier.", "classifier.", "qa_outputs."},
		encoder: func(b *build) {
			e := b.num("embedding_size")
			x := b.m.Embed(b.words("embeddings.word_embeddings", e), b.types("embeddings.token_type_embeddings", e),
				b.places("embeddings.position_embeddings", e))
			x = b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", e))
			x = b.state(b.m.Linear(x, b.linear("encoder.embedding_hidden_mapping_in", "embed.project", b.hidden, e), 0))
			for i := range b.layers {
				group := i * b.num("num_hidden_groups") / b.layers
				for inner := range b.num("inner_group_num") {
					x = b.postNorm(x, fmt.Sprintf("encoder.albert_layer_groups.%d.albert_layers.%d.", group, inner), fmt.Sprintf("groups.%d.%d", group, inner), block{
						query: "attention.query", key: "attention.key", value: "attention.value",
						out: "attention.dense", attnNorm: "attention.LayerNorm",
						ffnIn: "ffn", ffnOut: "ffn_output", ffnNorm: "full_layer_layer_norm",
					})
				}
				b.state(x)
			}
			b.tanhPooler("pooler")
		},
		heads: classes{
			prefixes: []string{"Albert"},
			classify: poolerHead, tag: tagHead, answer: answerHead,
			words: func(b *build) {
				x := b.transform("predictions.dense", "predictions.LayerNorm", b.num("embedding_size"), b.act("hidden_act"))
				b.decoder(x, "predictions.decoder", "predictions.bias", "predictions.decoder.bias")
			},
			masked: []string{"sop_classifier."}, pretraining: []string{},
		}.heads(),
	}
}
