package importer

import (
	"fmt"

	"skiff/packager/graph"
)

// distilbert is DistilBERT: BERT's blocks under other names, without token types
// and without a pooler. The epsilon of its norms is fixed.
func distilbert() *arch {
	return &arch{
		names: []string{"distilbert"},
		keys: []key{
			size("dim", maxHidden).called("hidden_size"), size("hidden_dim", maxWidth).called("intermediate_size"),
			size("vocab_size", maxVocab), size("max_position_embeddings", maxPlaces),
			size("n_layers", maxLayers).called("num_hidden_layers"), size("n_heads", maxHeads).called("num_attention_heads"),
			actKey("activation", "hidden_act", nil), epsKey("layer_norm_eps", 1e-12),
		},
		idle:  "sinusoidal_pos_embds tie_weights_", // the table of positions is stored either way
		root:  "distilbert.",
		probe: "embeddings.word_embeddings.weight",
		stem:  "transformer.layer.",
		spare: []string{"embeddings.position_ids"},
		extra: []string{"vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier.", "qa_outputs."},
		encoder: func(b *build) {
			x := b.m.Embed(b.words("embeddings.word_embeddings", b.hidden), b.places("embeddings.position_embeddings", b.hidden))
			x = b.state(b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", b.hidden)))
			for i := range b.layers {
				x = b.state(b.postNorm(x, fmt.Sprintf("transformer.layer.%d.", i), blockName(i), block{
					query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
					out: "attention.out_lin", attnNorm: "sa_layer_norm",
					ffnIn: "ffn.lin1", ffnOut: "ffn.lin2", ffnNorm: "output_layer_norm",
				}))
			}
		},
		heads: classes{
			prefixes: []string{"DistilBert"},
			classify: func(b *build) {
				b.logits(b.hiddenLinear(b.first(), "pre_classifier", "head.dense", graph.Relu), "classifier")
			},
			tag: tagHead, answer: answerHead,
			words: func(b *build) {
				x := b.transform("vocab_transform", "vocab_layer_norm", b.hidden, b.act("hidden_act"))
				b.decoder(x, "vocab_projector", "vocab_projector.bias")
			},
		}.heads(),
	}
}
