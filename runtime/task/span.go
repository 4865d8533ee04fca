package task

import (
	"sort"
	"strings"
)

// Span is an answer found in a text.
type Span struct {
	Start, End int // code points of the text
	Score      float32
}

// Reader finds the best span for a question, as the question answering pipeline of
// transformers 4.57 does with its defaults: the twelve likeliest spans of each window are
// widened to whole words, and spans of equal text add their scores up.
type Reader struct {
	MaxTokens int // of an answer; 0 is 15
}

// Window is one run of the model over the question and a part of the text.
type Window struct {
	Tokens     []Token
	Start, End []float32 // logits, [T]
}

const (
	spansPerWindow = 12     // 2 answers and 10 more, for those that widening makes equal
	longestAnswer  = 15     // tokens
	masked         = -10000 // the logit of tokens outside the text
)

// Best returns the best span of text over all windows, false where there is none.
func (r Reader) Best(text string, windows []Window) (Span, bool) {
	runes := []rune(text)
	var found []Span
	at := map[string]int{} // by the lower-case text of a span
	for _, w := range windows {
		for _, s := range r.spans(w) {
			key := strings.ToLower(string(runes[s.Start:s.End]))
			if i, ok := at[key]; ok {
				found[i].Score += s.Score
				continue
			}
			at[key] = len(found)
			found = append(found, s)
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Score > found[j].Score })
	if len(found) == 0 {
		return Span{}, false
	}
	return found[0], true
}

// spans are the likeliest spans of one window, widened, best first: the score is the
// product of the probabilities of its start and its end.
func (r Reader) spans(w Window) []Span {
	longest := r.MaxTokens
	if longest == 0 {
		longest = longestAnswer
	}
	starts, ends := probabilities(w.Tokens, w.Start), probabilities(w.Tokens, w.End)
	type pair struct {
		from, to int
		score    float32
	}
	var best []pair
	for s := range starts {
		for e := s; e < min(s+longest, len(ends)); e++ {
			score := starts[s] * ends[e]
			at := len(best)
			for at > 0 && best[at-1].score < score {
				at--
			}
			if at == spansPerWindow {
				continue
			}
			best = append(best, pair{})
			copy(best[at+1:], best[at:])
			best[at] = pair{s, e, score}
			best = best[:min(len(best), spansPerWindow)]
		}
	}
	var out []Span
	for _, p := range best {
		if w.Tokens[p.from].Sequence == 1 && w.Tokens[p.to].Sequence == 1 {
			out = append(out, widen(w.Tokens, p.from, p.to, p.score))
		}
	}
	return out
}

// probabilities is the softmax of logits with the tokens outside the text masked. The
// first token stands for "no answer", which is not asked for.
func probabilities(tokens []Token, logits []float32) []float32 {
	out := make([]float32, len(logits))
	for i, x := range logits {
		if out[i] = x; tokens[i].Sequence != 1 && i != 0 {
			out[i] = masked
		}
	}
	softmax(out, out)
	if len(out) > 0 {
		out[0] = 0
	}
	return out
}

// widen gives the place of the words that the tokens from and to are of.
func widen(tokens []Token, from, to int, score float32) Span {
	s := Span{Start: tokens[from].Start, End: tokens[to].End, Score: score}
	for _, t := range tokens {
		if t.Sequence != 1 {
			continue
		}
		if t.Word == tokens[from].Word {
			s.Start = min(s.Start, t.Start)
		}
		if t.Word == tokens[to].Word {
			s.End = max(s.End, t.End)
		}
	}
	return s
}
