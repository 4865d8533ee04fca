// Package importer turns a folder of somebody else's model into a graph.Model,
// or refuses it by name. It believes nothing: every key of every configuration
// is one that it knows, every tensor is expected and of the expected shape, and
// every weight is a finite number.
//
//	config.json ----------------> sizes, activation, head     (config.go, keys.go)
//	modules.json, 1_Pooling/ ---> pooling, dense, normalise   (modules.go, dense.go)
//	*.safetensors, *.bin -------> operations and weights, by the table of the
//	                              architecture (arch.go; bert.go and its kin are a
//	                              page each; build.go appends, weights.go binds)
//	*.onnx ---------------------> packager/match, where there are no other weights or
//	                              the file is what was asked for; config.json only
//	                              names labels then (onnx.go, side.go)
//	tokenizer.json -------------> formats/tokenizer
//
// Folders are read in the layout of Hugging Face with the modules of
// sentence-transformers, classic or as version 5.7 writes them, from disk or
// from an fs.FS. A folder with a task head (sequence or token classification,
// question answering, masked words) is checked whole and opened with its task
// and Head set; its encoder runs, but it has no sentence vector.
//
// The package must not import a kernel, a bundle or anything of the network.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/formats/strictjson"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// ErrUnsupported is returned, wrapped in an *Error, when a model says something
// well-formed that this importer does not implement.
var ErrUnsupported = errors.New("not supported")

// Error is what is wrong with a model, where, and what to do about it.
type Error struct {
	File    string // relative to the model's folder
	Place   string // key, tensor or byte offset; may be empty
	Problem string
	Cure    string // what the user can do; may be empty
	Err     error  // ErrUnsupported, or the error of the reader below; may be nil
}

// Error says file, place, problem and cure.
func (e *Error) Error() string {
	text := e.File
	if e.Place != "" {
		text += ": " + e.Place
	}
	if text != "" {
		text += ": "
	}
	text += e.Problem
	if e.Err != nil && !errors.Is(ErrUnsupported, e.Err) {
		if e.Problem != "" {
			text += ": "
		}
		text += e.Err.Error()
	}
	if e.Cure != "" {
		text += " (" + e.Cure + ")"
	}
	return text
}

// Unwrap gives errors.Is the cause.
func (e *Error) Unwrap() error { return e.Err }

// unsupported is an *Error that matches ErrUnsupported.
func unsupported(file, place, cure, format string, args ...any) error {
	return &Error{File: file, Place: place, Problem: fmt.Sprintf(format, args...), Cure: cure, Err: ErrUnsupported}
}

// invalid is an *Error about a value that can never be right.
func invalid(file, place, cure, format string, args ...any) error {
	return &Error{File: file, Place: place, Problem: fmt.Sprintf(format, args...), Cure: cure}
}

// jsonError gives a JSON reader's error the file it happened in.
func jsonError(file string, err error) error {
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		return &Error{File: file, Place: fmt.Sprintf("byte %d", bad.Off), Problem: bad.Text()}
	}
	return err
}

// Open reads the model in the folder at path, or the ONNX file at path with the
// tokenizer and what else is beside it. The Model owns all its memory; no file
// stays open. Errors of what is not a good model are *Error, *safetensors.Error,
// *torch.Error or *onnx.Error, those of the disk wrap *fs.PathError.
func Open(ctx context.Context, path string) (*graph.Model, error) {
	f, err := modelAt(path)
	if err != nil {
		return nil, err
	}
	m, _, err := open(ctx, f)
	return m, err
}

// OpenFS is Open for a model at the root of fsys, which is called name.
func OpenFS(ctx context.Context, fsys fs.FS, name string) (*graph.Model, error) {
	m, _, err := open(ctx, fsFolder(fsys, name))
	return m, err
}

// modelAt is the folder at path, or that of the ONNX file at path.
func modelAt(path string) (*folder, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && IsONNX(path) {
		return fileFolder(path)
	}
	return osFolder(path)
}

// osFolder is the folder at dir, which must exist.
func osFolder(dir string) (*folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, invalid(dir, "", "give a model's folder, or an .onnx file", "not a folder")
	}
	weights := func(sub string) (checkpoint, error) {
		at := filepath.Join(abs, filepath.FromSlash(sub))
		return openCheckpoint(func() (*safetensors.File, error) { return safetensors.OpenFolder(at) },
			func() (*torch.File, error) { return torch.OpenFolder(at) })
	}
	exported := func(name string) (*onnx.Model, error) { return onnx.Open(filepath.Join(abs, filepath.FromSlash(name))) }
	return &folder{name: filepath.Base(abs), fsys: os.DirFS(abs), weights: weights, onnx: exported}, nil
}

// fsFolder is the root of fsys.
func fsFolder(fsys fs.FS, name string) *folder {
	weights := func(sub string) (checkpoint, error) {
		below, err := fs.Sub(fsys, path.Clean("./"+sub))
		if err != nil {
			return nil, err
		}
		return openCheckpoint(func() (*safetensors.File, error) { return safetensors.OpenFS(below) },
			func() (*torch.File, error) { return torch.OpenFS(below) })
	}
	exported := func(name string) (*onnx.Model, error) { return onnx.OpenFS(fsys, name) }
	return &folder{name: name, fsys: fsys, weights: weights, onnx: exported}
}

// open reads every part of a model and puts them together. The folder's used
// files and the description of the weights are left in the contents.
func open(ctx context.Context, f *folder) (*graph.Model, *contents, error) {
	return openWith(ctx, f, readTokenizer)
}

// tokenizerReader reads the tokenizer of a model.
type tokenizerReader func(*folder, *pipeline, *graph.Model, *contents) error

// openWith is open with a choice of how the tokenizer is read.
func openWith(ctx context.Context, f *folder, readTokenizer tokenizerReader) (*graph.Model, *contents, error) {
	p, err := readModules(f)
	if err != nil {
		return nil, nil, err
	}
	name, err := f.findONNX(p.sub)
	if err != nil {
		return nil, nil, err
	}
	if name != "" {
		return openONNX(ctx, f, p, name, readTokenizer)
	}
	cfg, err := readConfig(f, p.sub)
	if err != nil {
		return nil, nil, err
	}
	if p.present {
		cfg.head = head{task: graph.TaskEncode} // a sentence vector needs no other head
	}
	if p.linear != nil {
		cfg.rankLinear = *p.linear
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	m := cfg.model()
	m.Name = f.name
	c := &contents{info: cfg.info}
	if err := readWeights(ctx, f, p.sub, cfg, m, c); err != nil {
		return nil, nil, err
	}
	if err := p.finish(ctx, f, m); err != nil {
		return nil, nil, err
	}
	if err := m.Check(); err != nil {
		return nil, nil, &Error{File: cfg.file, Problem: "the parts do not fit", Err: err}
	}
	if err := readTokenizer(f, p, m, c); err != nil {
		return nil, nil, err
	}
	c.files = f.used
	m.Source, m.Notes = f.digest(), c.notes
	return m, c, nil
}

// contents is what Inspect tells beyond the Model.
type contents struct {
	info      func(m *graph.Model) *ModelInfo
	onnx      *ONNXInfo // nil where the weights are others
	tokenizer *TokenizerInfo
	tensors   []TensorInfo
	unused    []string // tensors that nothing needs
	notes     []string // what is odd about the weights
	files     []FileInfo
}
