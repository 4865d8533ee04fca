package serve

import (
	"context"
	"errors"
)

// The tasks a model may be for, and with them the request that it answers.
const (
	taskEmbed    = "embed"     // POST /v1/embeddings
	taskClassify = "classify"  // POST /v1/classify
	taskRank     = "rank"      // POST /v1/rank
	taskTag      = "tag"       // POST /v1/tag
	taskAnswer   = "answer"    // POST /v1/answer
	taskFillMask = "fill-mask" // POST /v1/fill-mask
)

// ErrInput is wrapped by the errors of a model that are the client's: an input it can never answer.
var ErrInput = errors.New("input does not suit the model")

// MaxMasks is how many masks one text may have.
const MaxMasks = 16

// Model answers for a loaded bundle. Implementations must allow concurrent calls. A model for another task than embedding also is
// a Classifier, a Ranker, a Tagger, a Finder or a Filler; its Info says which of them counts.
type Model interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	Tokens(text string) int // after truncation, specials included
	Info() Info
	Close(ctx context.Context) error
}

// Info describes a model.
type Info struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Digest    string `json:"digest"` // of the bundle, 64 hexadecimal digits
	Task      string `json:"task"`   // embed, classify, rank, tag, answer or fill-mask; empty is embed
	Dim       int    `json:"dim"`
	MaxTokens int    `json:"max_tokens"` // per text; longer ones are truncated
	Kernels   string `json:"kernels"`    // which engine runs: "wasm", "interp", "go"
}

// task is what the model is for.
func (i Info) task() string {
	if i.Task == "" {
		return taskEmbed
	}
	return i.Task
}

// Text is an input: one text, or a pair of them.
type Text struct {
	First  string
	Second *string // nil for one text
}

// Classification is the answer for one input: the best label with its score, and the scores of all.
type Classification struct {
	Label  string             `json:"label"`
	Score  float32            `json:"score"`
	Scores map[string]float32 `json:"scores"`
}

// Classifier gives one answer per input, in order.
type Classifier interface {
	Classify(ctx context.Context, inputs []Text) ([]Classification, error)
}

// Ranker gives one score per document, in order; higher is better.
type Ranker interface {
	Rank(ctx context.Context, query string, documents []string) ([]float32, error)
}

// Entity is a labelled part of a text. Start and End are code points, Text is what lies between.
type Entity struct {
	Label string  `json:"label"`
	Text  string  `json:"text"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float32 `json:"score"`
}

// Tagger gives the entities of each text, in order. The aggregation is none, simple, first, average or max.
type Tagger interface {
	Tag(ctx context.Context, texts []string, aggregation string) ([][]Entity, error)
}

// Answer is the part of a text that answers a question. Start and End are code points; nothing found is all zero.
type Answer struct {
	Text  string  `json:"answer"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float32 `json:"score"`
}

// Finder finds the answer to a question in a text.
type Finder interface {
	Find(ctx context.Context, question, text string) (Answer, error)
}

// Candidate is a word for a mask.
type Candidate struct {
	Token string  `json:"token"`
	ID    int32   `json:"id"`
	Score float32 `json:"score"`
}

// Filler gives the k best words for each mask of each text, best first. An error wraps ErrInput where a text has more than MaxMasks.
type Filler interface {
	FillMask(ctx context.Context, texts []string, k int) ([][][]Candidate, error)
}
