package importer

import (
	"fmt"

	"skiff/packager/graph"
)

// electra is ELECTRA: BERT's blocks behind embeddings of their own width, which
// a linear layer widens where it is not that of the blocks.
func electra() *arch {
	return &arch{
		names: []string{"electra"},
		keys:  append(encoderKeys(), size("type_vocab_size", maxTypes), size("embedding_size", maxHidden).or(128)),
		idle:  "summary_activation summary_last_dropout summary_type summary_use_proj generator_hidden_size",
		root:  "electra.",
		probe: "embeddings.word_embeddings.weight",
		stem:  "encoder.layer.",
		spare: []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		extra: []string{"discriminator_predictions.", "generator_predictions.", "generator_lm_head.", "classifier.", "qa_outputs."},
		encoder: func(b *build) {
			e := b.num("embedding_size")
			x := b.m.Embed(b.words("embeddings.word_embeddings", e), b.types("embeddings.token_type_embeddings", e),
				b.places("embeddings.position_embeddings", e))
			x = b.m.Norm(x, 0, b.norm("embeddings.LayerNorm", "embed.norm", e))
			if e != b.hidden {
				x = b.m.Linear(x, b.linear("embeddings_project", "embed.project", b.hidden, e), 0)
			}
			b.state(x)
			for i := range b.layers {
				x = b.state(b.postNorm(x, fmt.Sprintf("encoder.layer.%d.", i), blockName(i), bertBlock()))
			}
		},
		heads: electraHeads(),
	}
}

// electraHeads are the usual ones; ForPreTraining is the discriminator, whose one
// logit a token is no answer that anybody asks for: its encoder is taken.
func electraHeads() map[string]head {
	heads := classes{
		prefixes: []string{"Electra"},
		classify: denseHead(graph.Gelu), tag: tagHead, answer: answerHead,
		words: func(b *build) {
			x := b.transform("generator_predictions.dense", "generator_predictions.LayerNorm", b.num("embedding_size"), graph.Gelu)
			b.decoder(x, "generator_lm_head", "generator_lm_head.bias")
		},
	}.heads()
	heads["ElectraForPreTraining"] = head{task: graph.TaskEncode}
	return heads
}
