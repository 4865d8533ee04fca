// Package task turns the numbers of a model into answers: scores of labels, entities
// with their places, spans of a text, candidates for a mask. It is the decoding that
// transformers' pipelines do, as functions of logits and tokens alone, so that the
// float32 reference and the kernels answer through the same code.
//
// Law: like a kernel's, these results are the same bits on every CPU: float32, sums in
// ascending order, nothing fused, exp of runtime/kernel.
//
// The package must not know programs, bundles or tokenizers.
//
// Shapes: T tokens, L labels, V vocabulary. Places in a text are code points.
package task

import (
	"fmt"

	"skiff/runtime/kernel"
)

// Function is what makes scores of logits.
type Function uint8

const (
	// None leaves the logits as they are: regression.
	None Function = iota + 1
	// Softmax makes one distribution: one label holds.
	Softmax
	// Sigmoid judges each label by itself: any number of labels holds.
	Sigmoid
)

// String is the function's name, as bundles carry it.
func (f Function) String() string {
	switch f {
	case None:
		return "none"
	case Softmax:
		return "softmax"
	case Sigmoid:
		return "sigmoid"
	}
	return fmt.Sprintf("Function(%d)", uint8(f))
}

// ParseFunction reads a function's name.
func ParseFunction(name string) (Function, error) {
	for _, f := range []Function{None, Softmax, Sigmoid} {
		if name == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("score function %q: want none, softmax or sigmoid", name)
}

// Apply writes the scores of logits to dst, which has their length and may be logits.
func (f Function) Apply(dst, logits []float32) {
	switch f {
	case Softmax:
		softmax(dst, logits)
	case Sigmoid:
		for i, x := range logits {
			dst[i] = 1 / (1 + kernel.Exp(-x))
		}
	default:
		copy(dst, logits)
	}
}

func softmax(dst, logits []float32) {
	if len(logits) == 0 {
		return
	}
	top := logits[Top(logits)]
	var sum float32
	for i, x := range logits {
		dst[i] = kernel.Exp(x - top)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// Top is the index of the largest value, the first of equals; -1 for no values.
func Top(values []float32) int {
	best := -1
	for i, v := range values {
		if best < 0 || v > values[best] {
			best = i
		}
	}
	return best
}

// Reached lists the labels whose score reaches its threshold, in order. Thresholds are one
// a label, or one for all; with none the list is nil.
func Reached(labels []string, scores []float32, thresholds []float64) []string {
	if len(thresholds) == 0 {
		return nil
	}
	out := []string{}
	for i, label := range labels {
		if scores[i] >= float32(thresholds[min(i, len(thresholds)-1)]) {
			out = append(out, label)
		}
	}
	return out
}

// Candidate is one entry of a list of the best.
type Candidate struct {
	ID    int
	Score float32
}

// Best lists the k entries with the highest softmax scores, highest first, lower index
// first among equals: the words for a mask, or the labels of a text.
func Best(logits []float32, k int) []Candidate {
	scores := make([]float32, len(logits))
	softmax(scores, logits)
	var best []Candidate
	for id, s := range scores {
		at := len(best)
		for at > 0 && best[at-1].Score < s {
			at--
		}
		if at >= k {
			continue
		}
		best = append(best, Candidate{})
		copy(best[at+1:], best[at:])
		best[at] = Candidate{ID: id, Score: s}
		best = best[:min(len(best), k)]
	}
	return best
}

// Token is what decoding needs to know of one token.
type Token struct {
	Text       string // as the vocabulary spells it
	Start, End int    // place in its text, code points
	Word       int    // index of the pre-tokenizer's word it is of, in its text; -1 for a special token
	Sequence   int    // 0 or 1: the text it is of; -1 for a special token
	Unknown    bool   // it stands for a word that the vocabulary cannot spell
}
