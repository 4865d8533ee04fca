package bundle

import (
	"strconv"

	"skiff/formats/sign"
	"skiff/formats/tensor"
)

// Manifest is what the signature is over: who the bundle is for, what it is, and the digests of all its bytes. The numbers
// of the fields are frozen. Fields with omitzero or omitempty are left out when they are zero; all others are required.
//
// Builder.Build fills KeyID, Objects and IndexParts; the rest is the caller's.
type Manifest struct {
	Product    string     `cbor:"1,keyasint"`            // what the bundle may be installed in
	Channels   []string   `cbor:"3,keyasint,omitempty"`  // audience; none means any channel
	Name       string     `cbor:"5,keyasint"`            // "all-MiniLM-L6-v2"
	Version    string     `cbor:"7,keyasint"`            // for people: "1.4.0"
	Release    uint64     `cbor:"9,keyasint"`            // for machines: rises with every release, a floor forbids going back
	KeyID      sign.KeyID `cbor:"11,keyasint"`           // the key that signed
	Task       string     `cbor:"13,keyasint"`           // "embed"
	Meta       Meta       `cbor:"15,keyasint"`           // executed metadata
	Objects    []Object   `cbor:"17,keyasint"`           // in the order they were added
	Goldens    []Golden   `cbor:"19,keyasint,omitempty"` // what a device must reproduce, bit for bit
	Memory     Memory     `cbor:"21,keyasint"`           // what running it takes
	MinRuntime uint32     `cbor:"23,keyasint"`           // oldest runtime version that can run it
	IndexParts []Part     `cbor:"25,keyasint"`           // the index, in order
	Quality    Quality    `cbor:"26,keyasint,omitzero"`  // what packing cost
	Lineage    Lineage    `cbor:"28,keyasint,omitzero"`  // where it comes from
}

// Meta is the metadata that running the model executes.
type Meta struct {
	MaxTokensPerText int      `cbor:"1,keyasint"`           // longer texts are truncated to this, specials included
	Hidden           int      `cbor:"3,keyasint"`           // width of the hidden states, and of an embedding
	Pooling          string   `cbor:"5,keyasint,omitempty"` // "mean"
	Normalize        bool     `cbor:"7,keyasint,omitempty"` // L2-normalise the result
	Prefix           string   `cbor:"9,keyasint,omitempty"` // put before every text
	Labels           []string `cbor:"11,keyasint,omitempty"`
	Width            int      `cbor:"12,keyasint,omitempty"` // of the hidden states, where it is not Hidden
	Scores           string   `cbor:"13,keyasint,omitempty"` // what makes scores of logits: "softmax", "sigmoid" or "none"
	Prompts          []Prompt `cbor:"14,keyasint,omitempty"` // what may be put before a text in place of Prefix, by ascending name
	MaskToken        string   `cbor:"15,keyasint,omitempty"` // the token that stands for a word to be found

	// Thresholds are the scores from which a label holds, in the order of Labels; one for all of them where its length is 1.
	Thresholds []float64 `cbor:"16,keyasint,omitempty"`
	SkipPrompt bool      `cbor:"17,keyasint,omitempty"` // pooling leaves out the tokens of Prefix, or of the prompt in its place
}

// Prompt is a text with a name.
type Prompt struct {
	Name string `cbor:"1,keyasint"`
	Text string `cbor:"3,keyasint,omitempty"`
}

// Kind says what an object is. The numbers are frozen.
type Kind uint8

// The kinds of objects.
const (
	KindTensor    Kind = 1 // weights, biases, scales: little-endian values of DType in Shape
	KindTokenizer Kind = 2 // a canonical tokenizer.json
	KindProgram   Kind = 3 // the list of kernel calls
	KindKernel    Kind = 4 // a WebAssembly module
	KindGolden    Kind = 5 // golden data beyond the digests in the manifest
)

// String returns the kind in one word, or the number of a kind unknown here.
func (k Kind) String() string {
	switch k {
	case KindTensor:
		return "tensor"
	case KindTokenizer:
		return "tokenizer"
	case KindProgram:
		return "program"
	case KindKernel:
		return "kernel"
	case KindGolden:
		return "golden"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText writes the kind as String does, for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Object is a named run of bytes, put together from extents of chunks. Kind and name are unique in a bundle. Only a tensor
// has DType and Shape.
type Object struct {
	Kind    Kind         `cbor:"1,keyasint"`
	Name    string       `cbor:"3,keyasint"`
	DType   tensor.DType `cbor:"5,keyasint,omitempty"`
	Shape   []int        `cbor:"7,keyasint,omitempty"` // outermost dimension first; a scalar has none
	Length  uint64       `cbor:"9,keyasint"`           // bytes, the sum of the extents
	Extents []Extent     `cbor:"11,keyasint"`
}

// Extent is a run of bytes of one decoded chunk.
type Extent struct {
	Chunk  uint32 `cbor:"1,keyasint"`
	Offset uint32 `cbor:"3,keyasint"` // bytes
	Length uint32 `cbor:"5,keyasint"` // bytes, at least 1
}

// Golden is one proof: a batch of texts and the digest of its exact answer. Answer is over the little-endian float32 values
// of all results in order; Blocks over the output of each block in turn, to tell where two machines part.
type Golden struct {
	Texts  []string `cbor:"1,keyasint"`
	Answer Digest   `cbor:"3,keyasint"`
	Blocks []Digest `cbor:"4,keyasint,omitempty"`
}

// Memory is the plan a device judges before it downloads. Sizes in bytes.
type Memory struct {
	Weights   uint64 `cbor:"1,keyasint"` // resident weights in linear memory
	Arena     uint64 `cbor:"3,keyasint"` // activations of one pass of MaxTokens
	Scratch   uint64 `cbor:"5,keyasint"` // per worker
	MaxTokens uint64 `cbor:"7,keyasint"` // tokens of one pass; larger batches are split
	MaxSeqs   uint64 `cbor:"9,keyasint"` // texts of one pass
}

// Quality is what the packager measured, int8 against float32. Nothing executes it.
type Quality struct {
	Metric     string  `cbor:"1,keyasint"`           // "spearman"; empty where only cosines were measured
	Data       Digest  `cbor:"2,keyasint,omitzero"`  // of the data set
	Count      int     `cbor:"4,keyasint,omitempty"` // texts or pairs
	FloatScore float64 `cbor:"6,keyasint,omitempty"`
	Int8Score  float64 `cbor:"8,keyasint,omitempty"`
	CosineMean float64 `cbor:"10,keyasint,omitempty"`
	CosineP1   float64 `cbor:"12,keyasint,omitempty"` // first percentile
	CosineMin  float64 `cbor:"14,keyasint,omitempty"`
}

// Lineage says what the bundle was made from and by what.
type Lineage struct {
	Source Digest `cbor:"1,keyasint"`           // of the source model
	Recipe string `cbor:"2,keyasint,omitempty"` // name or text of the recipe
	Tool   string `cbor:"4,keyasint,omitempty"` // "skiff 0.1.0"
}

// Part names one part of the index.
type Part struct {
	Digest Digest `cbor:"1,keyasint"`
	Length uint32 `cbor:"3,keyasint"` // bytes
}
