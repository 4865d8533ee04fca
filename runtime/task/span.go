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

// Reader finds the best spans for a question, as the question answering pipeline of
// transformers 4.57 does: the likeliest spans of each window, twice as many as are wanted
// and ten more, are widened to whole words, and spans of equal text add their scores up.
type Reader struct {
	MaxTokens int // of an answer; 0 is 15
	Answers   int // the most that are wanted; 0 is 1
	// Impossible lets "there is no answer" be one: an empty span at 0, scored by the first
	// token, which stands for it.
	Impossible bool
}

// Window is one run of the model over the question and a part of the text.
type Window struct {
	Tokens     []Token
	Start, End []float32 // logits, [T]
}

const (
	longestAnswer = 15     // tokens
	masked        = -10000 // the logit of tokens outside the text
)

// perWindow is how many spans of a window are looked at: more than are wanted, for those
// that widening makes equal.
func (r Reader) perWindow() int { return 2*max(r.Answers, 1) + 10 }

// Find returns the best spans of text over all windows, best first.
func (r Reader) Find(text string, windows []Window) []Span {
	runes := []rune(text)
	var found []Span
	null := Span{Score: 1}
	at := map[string]int{} // by the lower-case text of a span
	for _, w := range windows {
		spans, none := r.spans(w)
		null.Score = min(null.Score, none)
		for _, s := range spans {
			key := strings.ToLower(string(runes[s.Start:s.End]))
			if i, ok := at[key]; ok {
				found[i].Score += s.Score
				continue
			}
			at[key] = len(found)
			found = append(found, s)
		}
	}
	if r.Impossible && len(windows) > 0 {
		found = append(found, null)
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Score > found[j].Score })
	return found[:min(len(found), max(r.Answers, 1))]
}

// spans are the likeliest spans of one window, widened, best first: the score is the
// product of the probabilities of its start and its end. none is the score of the window
// having no answer.
func (r Reader) spans(w Window) (out []Span, none float32) {
	longest := r.MaxTokens
	if longest == 0 {
		longest = longestAnswer
	}
	starts, ends := probabilities(w.Tokens, w.Start), probabilities(w.Tokens, w.End)
	if len(starts) > 0 {
		none = starts[0] * ends[0]
		starts[0], ends[0] = 0, 0 // it is no part of the text
	}
	most := r.perWindow()
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
			if at == most {
				continue
			}
			best = append(best, pair{})
			copy(best[at+1:], best[at:])
			best[at] = pair{s, e, score}
			best = best[:min(len(best), most)]
		}
	}
	for _, p := range best {
		if w.Tokens[p.from].Sequence == 1 && w.Tokens[p.to].Sequence == 1 {
			out = append(out, widen(w.Tokens, p.from, p.to, p.score))
		}
	}
	return out, none
}

// probabilities is the softmax of logits with the tokens outside the text masked, but for
// the first, which stands for "no answer".
func probabilities(tokens []Token, logits []float32) []float32 {
	out := make([]float32, len(logits))
	for i, x := range logits {
		if out[i] = x; tokens[i].Sequence != 1 && i != 0 {
			out[i] = masked
		}
	}
	softmax(out, out)
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
