package importer

import (
	"fmt"

	"skiff/packager/graph"
)

// roberta is RoBERTa, DistilRoBERTa, XLM-R and CamemBERT: BERT's blocks with
// positions that start behind the padding's number, and other heads.
func roberta() *arch {
	return &arch{
		names: []string{"roberta", "xlm-roberta", "camembert"},
		keys: append(encoderKeys(), size("type_vocab_size", maxTypes),
			between("pad_token_id", 0, maxPlaces-2, 1)),
		check: func(c *config) error {
			if c.num("max_position_embeddings") <= c.num("pad_token_id")+1 {
				return invalid(c.file, "max_position_embeddings", "", "%d leaves no position behind pad_token_id %d", c.num("max_position_embeddings"), c.num("pad_token_id"))
			}
			return nil
		},
		root:   "roberta.",
		probe:  "embeddings.word_embeddings.weight",
		stem:   "encoder.layer.",
		pooler: "pooler.dense",
		spare:  []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		extra:  []string{"lm_head.", "classifier.", "qa_outputs."},
		encoder: func(b *build) {
			x := b.m.Embed(b.words("embeddings.word_embeddings", b.hidden), b.types("embeddings.token_type_embeddings", b.hidden),
				b.paddedPlaces("embeddings.position_embeddings", b.hidden, b.num("pad_token_id")))
			x = b.state(b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", b.hidden)))
			for i := range b.layers {
				x = b.state(b.postNorm(x, fmt.Sprintf("encoder.layer.%d.", i), blockName(i), bertBlock()))
			}
			b.tanhPooler("pooler.dense")
		},
		heads: classes{
			prefixes: []string{"Roberta", "XLMRoberta", "Camembert"},
			classify: denseHead(graph.Tanh), tag: tagHead, answer: answerHead, words: lmHead,
		}.heads(),
	}
}

// lmHead is the head of RoBERTa and MPNet that predicts words.
func lmHead(b *build) {
	x := b.transform("lm_head.dense", "lm_head.layer_norm", b.hidden, graph.Gelu)
	b.decoder(x, "lm_head.decoder", "lm_head.bias", "lm_head.decoder.bias")
}
