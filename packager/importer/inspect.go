package importer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"skiff/formats/safetensors"
	"skiff/formats/strictjson"
	"skiff/formats/tensor"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// The kinds of a Description.
const (
	KindModel       = "model"
	KindConfig      = "config"
	KindSafetensors = "safetensors"
	KindPyTorch     = "pytorch"
	KindONNX        = "onnx"
	KindTokenizer   = "tokenizer"
)

// cureFile says what Inspect takes.
const cureFile = "give a folder, a .safetensors, a PyTorch .bin or .pt, an .onnx, a config.json or a tokenizer.json"

// Description is what Inspect found. Parts that the kind has not are nil.
type Description struct {
	Path      string         `json:"path"`
	Kind      string         `json:"kind"`
	Model     *ModelInfo     `json:"model,omitempty"`
	ONNX      *ONNXInfo      `json:"onnx,omitempty"`
	Weights   *WeightsInfo   `json:"weights,omitempty"`
	Tokenizer *TokenizerInfo `json:"tokenizer,omitempty"`
	Files     []FileInfo     `json:"files,omitempty"`
	Notes     []string       `json:"notes,omitempty"` // what is odd but not wrong
}

// ModelInfo is an architecture and what is done with its result.
type ModelInfo struct {
	Arch         string   `json:"arch"`
	Class        string   `json:"class,omitempty"`
	Task         string   `json:"task"`
	Layers       int      `json:"layers"`
	Hidden       int      `json:"hidden"`
	Heads        int      `json:"heads"`
	Inner        int      `json:"inner"`
	Vocab        int      `json:"vocab"`
	MaxPositions int      `json:"max_positions"`
	Types        int      `json:"types"`
	Activation   string   `json:"activation"`
	Eps          float64  `json:"eps"`
	Labels       []string `json:"labels,omitempty"`
	Pooling      string   `json:"pooling,omitempty"`
	Normalize    bool     `json:"normalize,omitempty"`
	MaxTokens    int      `json:"max_tokens,omitempty"`
	Prefix       string   `json:"prefix,omitempty"`
	Source       string   `json:"source,omitempty"` // SHA-256 over the used files

	Thresholds []float64         `json:"thresholds,omitempty"` // of the labels; one for all where there is one
	Prompts    map[string]string `json:"prompts,omitempty"`
	SkipPrompt bool              `json:"skip_prompt,omitempty"` // pooling leaves prompts out
}

// ONNXInfo is what an ONNX file says of itself.
type ONNXInfo struct {
	IR        int64             `json:"ir_version"`
	Producer  string            `json:"producer,omitempty"`
	Opsets    map[string]int64  `json:"opsets"` // version by domain
	Nodes     int               `json:"nodes"`  // without constants, functions written out
	Operators map[string]int    `json:"operators"`
	Inputs    []PortInfo        `json:"inputs"`
	Outputs   []PortInfo        `json:"outputs"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

// PortInfo is an input or output of a graph.
type PortInfo struct {
	Name  string   `json:"name"`
	DType string   `json:"dtype,omitempty"`
	Shape []string `json:"shape"`          // a number, a name, or "?"
	Role  string   `json:"role,omitempty"` // what the model has it for; empty where there is no model
}

// WeightsInfo sums up stored tensors.
type WeightsInfo struct {
	Parameters int               `json:"parameters"`
	Bytes      int               `json:"bytes"`
	DTypes     map[string]int    `json:"dtypes"` // elements of each type
	Metadata   map[string]string `json:"metadata,omitempty"`
	Tensors    []TensorInfo      `json:"tensors"`
}

// Inspect checks the model folder or the single file at path wholly and
// describes it. A file is a .safetensors, a PyTorch .bin, .pt or .pth, an .onnx, a
// config.json or a tokenizer.json; each is described on its own. It never writes; its
// memory is a small multiple of what it reads.
func Inspect(ctx context.Context, path string) (*Description, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		f, err := osFolder(path)
		if err != nil {
			return nil, err
		}
		return inspectFolder(ctx, f, path)
	}
	switch ext := filepath.Ext(path); {
	case ext == ".safetensors":
		return inspectSafetensors(ctx, path)
	case ext == ".bin", ext == ".pt", ext == ".pth":
		return inspectPyTorch(ctx, path)
	case IsONNX(path):
		return inspectONNX(ctx, path)
	}
	if !strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".index.json") {
		return nil, unsupported(filepath.Base(path), "", cureFile, "not a model file that can be read")
	}
	return inspectJSON(path)
}

// InspectFS is Inspect for a model at the root of fsys, which is called name.
func InspectFS(ctx context.Context, fsys fs.FS, name string) (*Description, error) {
	return inspectFolder(ctx, fsFolder(fsys, name), name)
}

// inspectFolder describes a model folder by opening it.
func inspectFolder(ctx context.Context, f *folder, path string) (*Description, error) {
	m, c, err := open(ctx, f)
	if err != nil {
		return nil, err
	}
	d := &Description{Path: path, Kind: KindModel, Model: c.info(m), ONNX: c.onnx, Weights: summary(c.tensors), Tokenizer: c.tokenizer, Files: c.files}
	for _, name := range c.unused {
		d.Notes = append(d.Notes, "not needed: "+name)
	}
	d.Notes = append(d.Notes, c.notes...)
	if m.Task == graph.TaskEncode {
		d.Notes = append(d.Notes, "no "+modulesName+": the encoder has no pooling, so it cannot be packed for embedding")
	}
	return d, nil
}

// info describes the model m of the configuration.
func (c *config) info(m *graph.Model) *ModelInfo {
	i := &ModelInfo{
		Arch: m.Arch, Class: c.architecture, Task: m.Task, Layers: m.Layers, Hidden: m.Hidden, Heads: m.Heads,
		Inner: m.Inner, Vocab: m.Vocab, MaxPositions: m.MaxPositions, Types: m.Types, Activation: c.act("hidden_act").String(),
		Eps: c.number("layer_norm_eps"), Labels: c.labels, MaxTokens: m.MaxTokens,
	}
	i.outcome(m)
	return i
}

// outcome fills in what is done with the rows of a model.
func (i *ModelInfo) outcome(m *graph.Model) {
	i.Normalize, i.Prefix, i.Prompts, i.SkipPrompt = m.Normalized(), m.Prefix, m.Prompts, m.LeavesPrompt()
	if m.Head != nil {
		i.Thresholds = m.Head.Thresholds
	}
	if how := m.Pooling(); how != nil {
		i.Pooling = how.String()
	}
	if m.Source != [32]byte{} {
		i.Source = hex.EncodeToString(m.Source[:])
	}
}

// summary adds up a list of tensors.
func summary(list []TensorInfo) *WeightsInfo {
	w := &WeightsInfo{DTypes: make(map[string]int), Tensors: list}
	for _, t := range list {
		d, _ := tensor.Parse(t.DType)
		n, _ := tensor.Elements(t.Shape, d.Size())
		w.Parameters += n
		w.Bytes += t.Bytes
		w.DTypes[t.DType] += n
	}
	return w
}

// inspectSafetensors describes a weights file on its own.
func inspectSafetensors(ctx context.Context, path string) (*Description, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d, err := inspectWeights(ctx, file, path, KindSafetensors)
	if err == nil {
		d.Weights.Metadata = file.Metadata()
	}
	return d, err
}

// inspectPyTorch describes a weights file on its own.
func inspectPyTorch(ctx context.Context, path string) (*Description, error) {
	file, err := torch.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return inspectWeights(ctx, file, path, KindPyTorch)
}

// inspectWeights describes tensors on their own; values that are not finite are
// noted, since only a model says whether they matter.
func inspectWeights(ctx context.Context, file checkpoint, path, kind string) (*Description, error) {
	d := &Description{Path: path, Kind: kind, Weights: summary(describe(file)), Notes: notesOf(file, notKept(file))}
	x := make([]float32, piece)
	for _, name := range file.Names() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d.noteOdd(name, func(visit func(at int, x []float32) error) error { return file.Floats(name, x, visit) })
	}
	return d, nil
}

// noteOdd notes the first element of the tensor called name that is not finite; floats
// gives its elements. One that is not floating point has none.
func (d *Description) noteOdd(name string, floats func(visit func(at int, x []float32) error) error) {
	seen := errors.New("not finite")
	_ = floats(func(at int, x []float32) error { // any other error: not floating point
		if i, ok := finite(x); !ok {
			d.Notes = append(d.Notes, fmt.Sprintf("tensor %s: element %d is %v", name, at+i, x[i]))
			return seen
		}
		return nil
	})
}

// inspectJSON describes a config.json or a tokenizer.json, whatever its name is.
func inspectJSON(path string) (*Description, error) {
	f, err := osFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	data, err := f.read(name, maxTokenizer)
	if err != nil {
		return nil, err
	}
	kind, err := sniff(name, data)
	if err != nil {
		return nil, err
	}
	d := &Description{Path: path, Kind: kind, Files: f.used}
	if kind == KindTokenizer {
		_, d.Tokenizer, err = parseTokenizer(name, data)
		return d, err
	}
	if len(data) > maxConfig {
		return nil, invalid(name, "", "", "%d bytes, more than %d", len(data), maxConfig)
	}
	c, err := parseConfig(name, data)
	if err != nil {
		return nil, err
	}
	d.Model = c.info(c.model())
	return d, nil
}

// sniff tells a configuration from a tokenizer, by the name or by the keys.
func sniff(name string, data []byte) (string, error) {
	switch name {
	case configName:
		return KindConfig, nil
	case tokenizerName:
		return KindTokenizer, nil
	}
	kind := ""
	err := func() error {
		s, err := strictjson.New(data, maxTokenizerDepth)
		if err != nil {
			return err
		}
		return s.Object(func(key string) error {
			switch key {
			case "model_type":
				kind = KindConfig
			case "pre_tokenizer":
				kind = KindTokenizer
			}
			return s.Skip()
		})
	}()
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		return "", jsonError(name, err)
	}
	if kind == "" {
		return "", unsupported(name, "", cureFile, "neither a configuration nor a tokenizer")
	}
	return kind, nil
}
