package task

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Aggregation says how tokens become entities.
type Aggregation uint8

const (
	// AggregateNone gives every token that has a label.
	AggregateNone Aggregation = iota + 1
	// AggregateSimple joins neighbours of one label by their B- and I- tags.
	AggregateSimple
	// AggregateFirst gives each word the label of its first token, then joins.
	AggregateFirst
	// AggregateAverage gives each word the label with the highest mean score, then joins.
	AggregateAverage
	// AggregateMax gives each word the label of its surest token, then joins.
	AggregateMax
)

// String is the aggregation's name.
func (a Aggregation) String() string {
	names := []string{"none", "simple", "first", "average", "max"}
	if a < AggregateNone || a > AggregateMax {
		return fmt.Sprintf("Aggregation(%d)", uint8(a))
	}
	return names[a-1]
}

// ParseAggregation reads an aggregation's name.
func ParseAggregation(name string) (Aggregation, error) {
	for a := AggregateNone; a <= AggregateMax; a++ {
		if name == a.String() {
			return a, nil
		}
	}
	return 0, fmt.Errorf("aggregation %q: want none, simple, first, average or max", name)
}

// Entity is a labelled part of a text.
type Entity struct {
	Label      string
	Score      float32
	Start, End int // code points
}

// outside is the label of tokens that belong to no entity.
const outside = "O"

// Tagger turns the logits of tokens into entities, as the token classification pipeline of
// transformers 4.57 does.
type Tagger struct {
	Labels    []string
	Aggregate Aggregation
	// Prefixed says that the vocabulary marks the pieces that continue a word, as
	// WordPiece does by ##; else a piece continues one where no space is beside it.
	Prefixed bool
}

// piece is a token, or a word of several, with its scores.
type piece struct {
	Entity
	scores  []float32
	subword bool
}

// Entities returns the entities of text; logits are [T][L], one row per token.
func (g Tagger) Entities(text string, tokens []Token, logits [][]float32) []Entity {
	runes := []rune(text)
	var pieces []piece
	for i, t := range tokens {
		if t.Sequence < 0 {
			continue
		}
		p := piece{Entity: Entity{Start: t.Start, End: t.End}, scores: make([]float32, len(g.Labels))}
		softmax(p.scores, logits[i])
		p.subword = !t.Unknown && g.continues(t, runes)
		pieces = append(pieces, g.labelled(p, p.scores))
	}
	if g.Aggregate >= AggregateFirst {
		pieces = g.words(pieces)
	}
	var out []Entity
	for _, e := range g.groups(pieces) {
		if e.Label != outside {
			out = append(out, e)
		}
	}
	return out
}

// continues is the pipeline's own test, which compares lengths: a marked piece is longer
// than the text it stands for.
func (g Tagger) continues(t Token, runes []rune) bool {
	if g.Prefixed {
		return utf8.RuneCountInString(t.Text) != t.End-t.Start
	}
	return t.Start > 0 && !slices.Contains(runes[t.Start-1:min(t.Start+1, len(runes))], ' ')
}

// labelled gives p the best label of scores.
func (g Tagger) labelled(p piece, scores []float32) piece {
	best := Top(scores)
	p.Label, p.Score = g.Labels[best], scores[best]
	return p
}

// words joins the pieces of each word.
func (g Tagger) words(pieces []piece) []piece {
	var out []piece
	for lo := 0; lo < len(pieces); {
		hi := lo + 1
		for hi < len(pieces) && pieces[hi].subword {
			hi++
		}
		out = append(out, g.word(pieces[lo:hi]))
		lo = hi
	}
	return out
}

// word is one piece made of several.
func (g Tagger) word(parts []piece) piece {
	p := piece{Entity: Entity{Start: parts[0].Start, End: parts[len(parts)-1].End}}
	switch g.Aggregate {
	case AggregateFirst:
		return g.labelled(p, parts[0].scores)
	case AggregateMax:
		best := parts[0]
		for _, q := range parts[1:] {
			if q.scores[Top(q.scores)] > best.scores[Top(best.scores)] {
				best = q
			}
		}
		return g.labelled(p, best.scores)
	}
	average := make([]float32, len(g.Labels))
	for _, q := range parts {
		for i, s := range q.scores {
			average[i] += s
		}
	}
	for i := range average {
		average[i] /= float32(len(parts))
	}
	return g.labelled(p, average)
}

// groups joins neighbours of one tag, unless each token is to stand alone.
func (g Tagger) groups(pieces []piece) []Entity {
	var out []Entity
	for lo := 0; lo < len(pieces); {
		if g.Aggregate == AggregateNone {
			out = append(out, pieces[lo].Entity)
			lo++
			continue
		}
		hi := lo + 1
		for hi < len(pieces) && joins(pieces[hi-1].Label, pieces[hi].Label) {
			hi++
		}
		out = append(out, group(pieces[lo:hi]))
		lo = hi
	}
	return out
}

// joins says whether a token labelled next goes on with the entity of one labelled last.
func joins(last, next string) bool {
	_, lastTag := tag(last)
	begins, nextTag := tag(next)
	return lastTag == nextTag && !begins
}

// tag parts a label into its B- and the rest; a label without either mark is inside.
func tag(label string) (begins bool, rest string) {
	if rest, ok := strings.CutPrefix(label, "B-"); ok {
		return true, rest
	}
	return false, strings.TrimPrefix(label, "I-")
}

// group is one entity of neighbours; its score is their mean, its label the first one's
// without the mark before the first hyphen.
func group(parts []piece) Entity {
	e := parts[0].Entity
	if _, rest, marked := strings.Cut(e.Label, "-"); marked {
		e.Label = rest
	}
	e.End = parts[len(parts)-1].End
	var sum float32
	for _, p := range parts {
		sum += p.Score
	}
	e.Score = sum / float32(len(parts))
	return e
}
