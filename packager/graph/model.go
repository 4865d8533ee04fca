// Package graph is the packager's model: a list of transformer blocks with
// float32 weights, and the reference interpreter that says what the model
// means. Importers fill a Model; the quantiser and the compiler read it; every
// later form of the model is measured against Reference. It knows no file
// format but the tokenizer it carries, and no kernel.
//
//	importer -> Model -> Reference (truth) / quantise, compile (what ships)
//
// Shapes: T tokens, H hidden, A heads, D = H/A, F feed-forward, V vocabulary,
// P positions, S token types. A matrix is row-major: [Out][In] of a Linear is
// Weight[o*In+i].
package graph

import (
	"fmt"

	"skiff/formats/tokenizer"
)

// Activation is the function between the two feed-forward Linears.
type Activation uint8

// The activations.
const (
	Gelu     Activation = iota + 1 // x * Phi(x), by erf
	GeluTanh                       // the tanh approximation of Gelu
	Relu
	Silu
	Tanh
)

// String is the activation's name.
func (a Activation) String() string {
	switch a {
	case Gelu:
		return "gelu"
	case GeluTanh:
		return "gelu_tanh"
	case Relu:
		return "relu"
	case Silu:
		return "silu"
	case Tanh:
		return "tanh"
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

// Pooling makes one vector of T token vectors. The zero value is none.
type Pooling uint8

// The poolings.
const (
	PoolNone Pooling = iota // the model has no sentence vector
	PoolMean                // the mean over all T tokens, special ones included
)

// String is the pooling's name.
func (p Pooling) String() string {
	switch p {
	case PoolNone:
		return "none"
	case PoolMean:
		return "mean"
	}
	return fmt.Sprintf("Pooling(%d)", uint8(p))
}

// The tasks a Model may be for. Only TaskEmbed has an answer of its own in
// Reference; the others are recognised, checked and kept.
const (
	TaskEmbed    = "embed"     // one vector a text
	TaskEncode   = "encode"    // hidden states only: no pooling is declared
	TaskClassify = "classify"  // one score a label
	TaskTag      = "tag"       // one score a label and token
	TaskAnswer   = "answer"    // start and end of a span
	TaskFillMask = "fill-mask" // one score a vocabulary word
)

// Linear is y = Weight x + Bias.
type Linear struct {
	In, Out int
	Weight  []float32 // [Out][In]
	Bias    []float32 // [Out]
}

// Norm is LayerNorm over H: (x - mean) / sqrt(var + Eps) * Gain + Bias.
type Norm struct {
	Gain, Bias []float32 // [H]
	Eps        float32
}

// Embedding turns ids into the first hidden state:
// Norm(Word[id] + Position[t] + Type[type]).
type Embedding struct {
	Word     []float32 // [V][H]
	Position []float32 // [P][H]
	Type     []float32 // [S][H]
	Norm     Norm
}

// Block is one post-norm transformer layer:
//
//	y = AttnNorm(x + Out(attention(Query x, Key x, Value x)))
//	z = FFNNorm(y + FFNOut(Act(FFNIn y)))
type Block struct {
	Query, Key, Value, Out Linear // H -> H
	AttnNorm               Norm
	FFNIn                  Linear // H -> F
	Act                    Activation
	FFNOut                 Linear // F -> H
	FFNNorm                Norm
}

// LinearName is a Linear of a Block with its name, "blocks.3.query".
type LinearName struct {
	Name string
	*Linear
}

// Linears lists the block's matrices in the order in which they run; layer is
// the block's index and becomes part of the names, which are also the names
// that Reference gives its tap.
func (b *Block) Linears(layer int) []LinearName {
	at := func(s string) string { return fmt.Sprintf("blocks.%d.%s", layer, s) }
	return []LinearName{
		{at("query"), &b.Query}, {at("key"), &b.Key}, {at("value"), &b.Value}, {at("out"), &b.Out},
		{at("ffn_in"), &b.FFNIn}, {at("ffn_out"), &b.FFNOut},
	}
}

// Head is what follows the encoder in a model that does not embed. It is kept
// for inspection and for tasks that do not run yet.
type Head struct {
	Kind   string   // the task it serves
	Labels []string // in the order of the rows of Dense; nil where there are none
	Pooler *Linear  // H -> H with tanh over the first token; nil where absent
	Dense  *Linear  // the last matrix; nil for fill-mask
}

// Model is a transformer encoder with everything needed to turn a text into
// its answer. It is filled once by an importer and read-only from then on;
// reading it from several goroutines is safe.
type Model struct {
	Name string // a short name, from the folder
	Arch string // "bert"
	Task string // one of the Task constants

	Hidden, Layers, Heads, Inner int // H, number of Blocks, A, F
	Vocab, MaxPositions, Types   int // V, P, S
	Eps                          float32
	Embed                        Embedding
	Blocks                       []Block
	Head                         *Head // nil for TaskEmbed and TaskEncode

	Pool      Pooling
	Normalize bool   // divide the pooled vector by its Euclidean length
	MaxTokens int    // longest input in tokens, special ones included; at most P
	Prefix    string // put before every text by Embed

	Tokenizer     *tokenizer.Tokenizer
	TokenizerJSON []byte   // tokenizer.json as it was read
	Source        [32]byte // SHA-256 over (name, size, SHA-256) of the files it came from
}

// HeadSize is D, the width of one attention head.
func (m *Model) HeadSize() int { return m.Hidden / m.Heads }

// Dim is the length of the sentence vector, H.
func (m *Model) Dim() int { return m.Hidden }
