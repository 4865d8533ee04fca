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

// InputError is such an error that knows which parameter of the request it is about.
type InputError struct {
	Param string // "question", "doc_stride"
	Err   error
}

// Error is the cause alone: the parameter is told beside it.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the cause and ErrInput.
func (e *InputError) Unwrap() []error { return []error{ErrInput, e.Err} }

// MaxMasks is how many masks one text may have.
const MaxMasks = 16

// Embedder makes vectors of texts.
type Embedder interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	Tokens(text string) int // after truncation, specials and a prompt included
}

// Prompter is a Model that can put a prompt before every text. Its Info lists their names.
type Prompter interface {
	// Prompted is the model with the prompt of that name in place of its default one. The error is an *InputError.
	Prompted(name string) (Embedder, error)
}

// Model answers for a loaded bundle. Implementations must allow concurrent calls. A model for another task than embedding also is
// a Classifier, a Ranker, a Tagger, a Finder or a Filler; its Info says which of them counts.
type Model interface {
	Embedder
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
	Kernels   string `json:"kernels"`    // which run: a set of assembly as "avx512", "wasm", "interp", "go", or two as "avx512+wasm"

	Off     []string `json:"kernels_off,omitempty"` // faster ones that do not answer, and why
	Prompts []string `json:"prompts,omitempty"`     // names that a request for vectors may choose from
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

// Classification is the answer for one input: the best label with its score, the scores of all, and, where there are thresholds,
// the labels that reach theirs.
type Classification struct {
	Label  string             `json:"label"`
	Score  float32            `json:"score"`
	Labels []string           `json:"labels,omitzero"` // nil: no threshold
	Scores map[string]float32 `json:"scores"`
}

// Classifier gives one answer per input, in order. threshold, if not nil, is in place of the model's own.
type Classifier interface {
	Classify(ctx context.Context, inputs []Text, threshold *float64) ([]Classification, error)
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

// Answer is the part of a text that answers a question. Start and End are code points; nothing found is an empty text.
type Answer struct {
	Text  string  `json:"answer"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float32 `json:"score"`
}

// Search says how an answer is looked for. What is 0 is left to the model.
type Search struct {
	Top        int  // answers wanted
	MaxAnswer  int  // tokens of an answer
	Window     int  // tokens that are read at once
	Stride     int  // tokens that two windows share
	Impossible bool // that there is no answer may be one
}

// Finder finds the answers to a question in a text, best first; none where there is no text. Errors may be *InputError.
type Finder interface {
	Find(ctx context.Context, question, text string, how Search) ([]Answer, error)
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
