package importer

import (
	"slices"

	"skiff/packager/graph"
)

// The parts that heads are made of. Their tensors are outside of the encoder.

// first is the first token's row.
func (b *build) first() graph.ID { return b.m.Pool(b.m.Last, graph.PoolCLS) }

// hiddenLinear appends a square layer over x, called as.
func (b *build) hiddenLinear(x graph.ID, tensor, as string, act graph.Activation) graph.ID {
	return b.m.Linear(x, b.linear(tensor, as, b.hidden, b.hidden), act)
}

// logits ends a head with one column a label.
func (b *build) logits(x graph.ID, tensor string) {
	b.m.Answer = b.m.Linear(x, b.linear(tensor, "head.logits", b.numLabels, b.m.Values[x].Cols), 0)
}

// span ends a head with the start and the end of an answer.
func (b *build) span(x graph.ID, tensor string) {
	b.m.Answer = b.m.Linear(x, b.linear(tensor, "head.span", 2, b.m.Values[x].Cols), 0)
}

// decoder ends a head with one column a word: by the word table where they are
// tied, else by a table of its own. One that is stored as codes is no longer the
// word table, whatever the configuration says.
func (b *build) decoder(x graph.ID, tensor string, biases ...string) {
	cols := b.m.Values[x].Cols
	w := &graph.LinearWeights{Name: "head.decoder", In: cols, Out: b.num("vocab_size")}
	own := !b.tied || b.coded(tensor+".weight")
	if own && len(biases) > 1 {
		slices.Reverse(biases) // a decoder of its own adds its own bias, should they differ
	}
	if len(biases) > 0 {
		b.want(&w.Bias, biases, w.Out)
	}
	if !own {
		b.after(func() { w.Weight, w.Int8 = b.word.Data, b.word.Int8 })
		b.spare(tensor + ".")
	} else {
		b.wantCodes(&w.Weight, &w.Int8, []string{tensor + ".weight"}, w.Out, cols)
		for _, name := range biases {
			b.spare(name) // the same bias under another name
		}
	}
	b.m.Answer = b.m.Linear(x, w, 0)
}

// transform is what comes before a decoder: a layer, its activation and a norm.
func (b *build) transform(dense, norm string, out int, act graph.Activation) graph.ID {
	x := b.m.Linear(b.m.Last, b.linear(dense, "head.transform", out, b.hidden), act)
	return b.m.Norm(x, 0, b.norm(norm, "head.norm", out))
}

// tagHead is the head of token classification: one layer, called classifier.
func tagHead(b *build) { b.logits(b.m.Last, "classifier") }

// answerHead is the head of question answering: one layer, called qa_outputs.
func answerHead(b *build) { b.span(b.m.Last, "qa_outputs") }

// poolerHead is the head of a classifier that reads the pooler.
func poolerHead(b *build) {
	if b.m.Pooler == 0 {
		b.missing(b.encoder + b.arch.pooler + ".weight")
		return
	}
	b.logits(b.m.Pooler, "classifier")
}

// denseHead is RoBERTa's: a layer over the first token, and one a label.
func denseHead(act graph.Activation) func(b *build) {
	return func(b *build) {
		b.logits(b.hiddenLinear(b.first(), "classifier.dense", "head.dense", act), "classifier.out_proj")
	}
}
