package importer

import (
	"fmt"

	"skiff/packager/graph"
)

// bert is BERT and what was distilled from it without changing its shape
// (MiniLM, TinyBERT, BGE, E5, GTE of that type).
func bert() *arch {
	return &arch{
		names:  []string{"bert"},
		keys:   append(encoderKeys(), size("type_vocab_size", maxTypes)),
		idle:   "cell emb_size pre_trained structure training", // TinyBERT's
		root:   "bert.",
		probe:  "embeddings.word_embeddings.weight",
		stem:   "encoder.layer.",
		pooler: "pooler.dense",
		spare:  []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		extra:  []string{"cls.", "classifier.", "qa_outputs.", "fit_dense."},
		encoder: func(b *build) {
			x := b.m.Embed(b.words("embeddings.word_embeddings", b.hidden), b.types("embeddings.token_type_embeddings", b.hidden),
				b.places("embeddings.position_embeddings", b.hidden))
			x = b.state(b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", b.hidden)))
			for i := range b.layers {
				x = b.state(b.postNorm(x, fmt.Sprintf("encoder.layer.%d.", i), blockName(i), bertBlock()))
			}
			b.tanhPooler("pooler.dense")
		},
		heads: classes{
			prefixes: []string{"Bert"},
			classify: poolerHead, tag: tagHead, answer: answerHead,
			words: bertWords, masked: []string{"cls.seq_relationship."}, pretraining: []string{},
		}.heads(),
	}
}

// bertBlock are the names of a layer's tensors in BERT and its near kin.
func bertBlock() block {
	return block{
		query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
		out: "attention.output.dense", attnNorm: "attention.output.LayerNorm",
		ffnIn: "intermediate.dense", ffnOut: "output.dense", ffnNorm: "output.LayerNorm",
	}
}

// tanhPooler appends the pooler, where the checkpoint has one.
func (b *build) tanhPooler(tensor string) {
	if b.exists(tensor + ".weight") {
		b.m.Pooler = b.hiddenLinear(b.first(), tensor, "pooler", graph.Tanh)
	}
}

// bertWords is the head that predicts words.
func bertWords(b *build) {
	x := b.transform("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", b.hidden, b.act("hidden_act"))
	b.decoder(x, "cls.predictions.decoder", "cls.predictions.bias", "cls.predictions.decoder.bias")
}
