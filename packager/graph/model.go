// Package graph is the packager's model: a straight list of operations over
// token rows with float32 weights, and the reference interpreter that says what
// the model means. Importers fill a Model; the quantiser and the compiler read
// it; every later form of the model is measured against Reference. It knows no
// file format but the tokenizer it carries, and no kernel.
//
//	importer -> Model -> Reference (truth) / quantise, compile (what ships)
//
// A Model has no loops and no branches: a layer that runs twelve times is twelve
// times the same operations, which may point to the same weights (a shared
// weight is stored once). An operation reads values made before it and makes
// one. Operations whose value nothing asks for, such as a pooler that an
// embedding does not use, are simply not run.
//
// Shapes: T tokens, H hidden, A heads, D head size, F feed-forward, V
// vocabulary, P positions, S token types, L layers. A matrix is row-major:
// [Out][In] of a linear layer is Weight[o*In+i].
package graph

import "skiff/formats/tokenizer"

// The tasks a Model may be for.
const (
	TaskEmbed    = "embed"     // one vector a text
	TaskEncode   = "encode"    // hidden states only: no pooling is declared
	TaskClassify = "classify"  // one score a label
	TaskTag      = "tag"       // one score a label and token
	TaskAnswer   = "answer"    // start and end of a span
	TaskFillMask = "fill-mask" // one score a vocabulary word
)

// Problem says what the logits of a classifier are.
type Problem uint8

// The problems. The zero value is a model that does not classify.
const (
	SingleLabel Problem = iota + 1 // one label is right: scores are the softmax
	MultiLabel                     // each label is right or wrong: scores are the sigmoid
	Regression                     // scores are the logits
)

// String is the problem's name.
func (p Problem) String() string {
	switch p {
	case SingleLabel:
		return "single"
	case MultiLabel:
		return "multi"
	case Regression:
		return "regression"
	}
	return "none"
}

// Head says how the answer of a model that does not embed is to be read.
type Head struct {
	Task    string   // the task it serves
	Labels  []string // in the order of the answer's columns; nil where there are none
	Problem Problem  // of a classifier
	// Thresholds are the scores from which a label holds, where each is judged by
	// itself: one a label, or one for all; nil where the model says none.
	Thresholds []float64
	// RankSigmoid: a cross-encoder's score is the sigmoid of its one logit, as
	// sentence-transformers does unless the model says otherwise.
	RankSigmoid bool
}

// Model is a transformer encoder with everything needed to turn a text into
// its answer. It is filled once by an importer and read-only from then on;
// reading it from several goroutines is safe.
type Model struct {
	Name string // a short name, from the folder
	Arch string // "bert": the architecture's name in config.json
	Task string // one of the Task constants

	// For people and for limits; what is computed is in Ops.
	Hidden, Layers, Heads, Inner int // H, L, A, F
	Vocab                        int // V: ids are below it
	MaxPositions                 int // tokens that a text may have at most
	Types                        int // S: token types are below it; 0 where the model takes none
	Eps                          float32

	Values []Value // by ID; the first is no value
	Ops    []Op    // in the order in which they run

	States []ID  // [T][H] each: the embeddings and the output of each layer, L+1 in all
	Last   ID    // [T][H]: what the heads read; States[L] or its normalisation
	Pooler ID    // [H]: what transformers calls pooler_output; 0 where there is none
	Pooled ID    // [H]: a sentence vector before Dense layers and normalisation; 0 without pooling
	Answer ID    // the task's: vector, logits a text, or logits a token; Last for TaskEncode
	Head   *Head // nil for TaskEmbed and TaskEncode

	MaxTokens int               // longest input in tokens, special ones included; at most MaxPositions
	Prefix    string            // put before every text by Embed: the default prompt
	Prompts   map[string]string // the prompts that the model knows by name; may be nil

	Tokenizer     *tokenizer.Tokenizer
	TokenizerJSON []byte   // tokenizer.json as it was read
	Source        [32]byte // SHA-256 over (name, size, SHA-256) of the files it came from
	Notes         []string // what a person should know of the import: what was replaced, ignored or chosen
}

// Dim is the number of columns of the answer: the length of the vector, the
// number of labels, 2 for a span, the number of words.
func (m *Model) Dim() int { return m.Values[m.Answer].Cols }

// Pooling is how the sentence vector is made; none where there is none.
func (m *Model) Pooling() Poolings {
	if p := m.pool(); p != nil {
		return p.How
	}
	return nil
}

// LeavesPrompt reports whether the sentence vector is made without the tokens of
// the prompt.
func (m *Model) LeavesPrompt() bool {
	p := m.pool()
	return p != nil && p.AfterPrompt
}

// pool is the operation that makes Pooled; nil where none does.
func (m *Model) pool() *Pool {
	for _, op := range m.Ops {
		if p, ok := op.(*Pool); ok && m.Pooled != 0 && p.Out == m.Pooled {
			return p
		}
	}
	return nil
}

// PromptTokens is how many of a text's tokens are those of a prompt before it, as
// pooling without them counts.
func (m *Model) PromptTokens(prompt string) int {
	if !m.LeavesPrompt() {
		return 0
	}
	return m.Tokenizer.PromptLength(prompt, m.MaxTokens)
}

// Normalized reports whether the answer is divided by its Euclidean length.
func (m *Model) Normalized() bool {
	for _, op := range m.Ops {
		if n, ok := op.(*Normalize); ok && n.Out == m.Answer {
			return true
		}
	}
	return false
}

// Linears are the linear layers that ops run, each once, in the order in which
// they first run. Tables of a relative attention are not among them.
func Linears(ops []Op) []*LinearWeights {
	var all []*LinearWeights
	seen := make(map[*LinearWeights]bool)
	for _, op := range ops {
		if l, ok := op.(*Linear); ok && !seen[l.W] {
			seen[l.W] = true
			all = append(all, l.W)
		}
	}
	return all
}
