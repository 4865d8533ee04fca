package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// TensorInfo describes a stored tensor.
type TensorInfo struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Bytes int    `json:"bytes"`
}

// readWeights opens the weights of the folder's part sub, compares every
// tensor with what the architecture's table asks for, and only then fills m.
func readWeights(ctx context.Context, f *folder, sub string, cfg *config, m *graph.Model, c *contents) error {
	file, err := f.weights(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{File: path.Join(sub, safetensors.SingleName), Problem: "no weights: neither this file nor " + torch.SingleName + ", nor the index of either, nor an ONNX file",
			Cure: "safetensors, PyTorch and ONNX files are read", Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	b := newBinder(file, path.Join(sub, fileOf(file)))
	if err := b.findPrefix(cfg.arch); err != nil {
		return err
	}
	if err := b.model(cfg, m); err != nil {
		return err
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	c.tensors, c.unused, c.notes = describe(file), b.unused, notesOf(file, b.widened)
	return noteFiles(ctx, f, sub, file)
}

// describe lists the tensors of a file.
func describe(file checkpoint) []TensorInfo {
	list := make([]TensorInfo, 0, len(file.Names()))
	for _, name := range file.Names() {
		v, _ := file.Stored(name)
		list = append(list, TensorInfo{name, v.DType.String(), v.Shape, v.Len() * v.DType.Size()})
	}
	return list
}

// binder pairs the tensors of a file with what a model asks for. After the first
// error it only keeps that.
type binder struct {
	file     checkpoint
	fileName string
	outer    string // prefix of every name
	encoder  string // prefix of the encoder's names
	prefix   string // of the names that are asked for at present
	left     map[string]bool
	bound    []binding
	then     []func()
	unused   []string
	widened  []string // stored as codes, and read as float32
	err      error
}

// binding is a tensor whose dtype and shape are right, and where its values go.
type binding struct {
	name  string
	size  int // elements
	to    *[]float32
	codes **graph.Int8 // where the codes go, if the file has such; may be nil
}

func newBinder(file checkpoint, name string) *binder {
	b := &binder{file: file, fileName: name, left: make(map[string]bool)}
	for _, name := range file.Names() {
		b.left[name] = true
	}
	return b
}

// findPrefix looks where the encoder's names start.
func (b *binder) findPrefix(a *arch) error {
	if len(b.left) == 0 {
		return invalid(b.fileName, "", "", "holds no tensors")
	}
	found := make(map[string]bool)
	for _, outer := range []string{"", "model.", "module."} {
		for _, root := range []string{a.root, ""} {
			if encoder := outer + root; b.left[encoder+a.probe] && !found[encoder] {
				b.outer, b.encoder = outer, encoder
				found[encoder] = true
			}
		}
	}
	switch len(found) {
	case 0:
		return invalid(b.fileName, a.probe, "is this the checkpoint of another architecture?", "no such tensor, with or without the prefix %q", a.root)
	case 1:
		return nil
	}
	return invalid(b.fileName, a.probe, "", "comes under more than one prefix")
}

// model appends the operations of the architecture and its head to m, and pairs
// every tensor, or says what is missing, misshapen or unexpected.
func (b *binder) model(cfg *config, m *graph.Model) error {
	g := &build{config: cfg, m: m, binder: b, hidden: m.Hidden, layers: m.Layers, seen: make(map[string]any)}
	b.prefix = b.encoder
	cfg.arch.encoder(g)
	for _, name := range cfg.arch.spare {
		b.spare(name)
	}
	b.prefix = b.outer
	m.Answer = m.Last
	if cfg.head.build != nil {
		cfg.head.build(g)
		m.Head = &graph.Head{Task: cfg.head.task, Labels: cfg.labels, Problem: cfg.problem, Thresholds: cfg.thresholds.values,
			RankSigmoid: cfg.head.task == graph.TaskClassify && cfg.numLabels == 1 && !cfg.rankLinear}
	} else {
		for _, name := range cfg.arch.extra {
			b.spare(name)
		}
	}
	for _, name := range cfg.head.spare {
		b.spare(name)
	}
	if b.err == nil {
		b.err = b.unexpected(cfg)
	}
	return b.err
}

// want asks for the tensor of the first of names that exists; its values will go
// to to. Without a to it is only compared.
func (b *binder) want(to *[]float32, names []string, shape ...int) {
	b.wantCodes(to, nil, names, shape...)
}

// wantCodes is want for a matrix of which the codes are kept, where the file has such.
func (b *binder) wantCodes(to *[]float32, codes **graph.Int8, names []string, shape ...int) {
	if b.err != nil {
		return
	}
	for _, name := range names {
		if v, ok := b.file.Stored(b.prefix + name); ok && b.left[v.Name] {
			delete(b.left, v.Name)
			b.err = b.fits(v, shape)
			b.bound = append(b.bound, binding{v.Name, v.Len(), to, codes})
			return
		}
	}
	b.missing(b.prefix + names[0])
}

// missing is the error for a tensor that is not there.
func (b *binder) missing(name string) {
	if b.err == nil {
		b.err = invalid(b.fileName, name, "the checkpoint is incomplete or config.json belongs to another one", "the tensor is missing")
	}
}

// exists reports whether there is a tensor that may be asked for.
func (b *binder) exists(name string) bool { return b.left[b.prefix+name] }

// after runs f when all tensors have their values.
func (b *binder) after(f func()) { b.then = append(b.then, f) }

// spare lets tensors be that nothing needs: the one called name or, where name
// ends with a dot, all that start with it.
func (b *binder) spare(name string) {
	name = b.prefix + name
	for _, n := range b.file.Names() {
		if b.left[n] && (n == name || strings.HasSuffix(name, ".") && strings.HasPrefix(n, name)) {
			delete(b.left, n)
			b.unused = append(b.unused, n)
		}
	}
}

// fits checks element type and shape.
func (b *binder) fits(v tensor.View, want []int) error {
	_, coded := quantised(b.file, v.Name)
	switch {
	case coded, v.DType == tensor.F32, v.DType == tensor.F16, v.DType == tensor.BF16, v.DType == tensor.F64:
	default:
		return unsupported(b.fileName, v.Name, "F32, F16, BF16 and F64 weights can be imported", "the tensor is %v", v.DType)
	}
	if slices.Equal(want, v.Shape) {
		return nil
	}
	cure := "config.json and weights do not belong together"
	if len(want) == 2 && slices.Equal(v.Shape, []int{want[1], want[0]}) {
		cure = "it is transposed"
	}
	return invalid(b.fileName, v.Name, cure, "shape %v, config.json says %v", v.Shape, want)
}

// unexpected refuses tensors that no table names.
func (b *binder) unexpected(cfg *config) error {
	for _, name := range b.file.Names() {
		if !b.left[name] {
			continue
		}
		if layer, ok := b.layerOf(cfg.arch.stem, name); ok && layer >= cfg.num("num_hidden_layers") {
			return invalid(b.fileName, name, "config.json belongs to another checkpoint",
				"a tensor of layer %d, but num_hidden_layers is %d", layer, cfg.num("num_hidden_layers"))
		}
		return unsupported(b.fileName, name, fmt.Sprintf("%s of class %q has no such tensor", cfg.modelType, cfg.architecture), "an unexpected tensor")
	}
	return nil
}

// layerOf is the number of the layer that an encoder tensor belongs to.
func (b *binder) layerOf(stem, name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, b.encoder+stem)
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// load converts every bound tensor. Its memory is that of the result, four bytes a
// stored element: shapes were compared with the file's bytes before, and what was read
// of a file is released.
func (b *binder) load(ctx context.Context) error {
	x := make([]float32, piece)
	for _, t := range b.bound {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.read(t, x); err != nil {
			return err
		}
		b.keepCodes(t)
	}
	for _, f := range b.then {
		f()
	}
	return nil
}

// read converts a tensor, by way of x, and puts it where it goes.
func (b *binder) read(t binding, x []float32) error {
	var data []float32
	if t.to != nil {
		data = make([]float32, t.size)
		*t.to = data
	}
	err := b.file.Floats(t.name, x, func(at int, x []float32) error {
		if i, ok := finite(x); !ok {
			return invalid(b.fileName, t.name, "the training went wrong; take another checkpoint", "element %d is %v", at+i, x[i])
		}
		if data != nil {
			copy(data[at:], x)
		}
		return nil
	})
	if own := (*Error)(nil); err != nil && !errors.As(err, &own) {
		return &Error{File: b.fileName, Err: err}
	}
	return err
}

// keepCodes gives a matrix the codes that the file has of it.
func (b *binder) keepCodes(t binding) {
	q, ok := quantised(b.file, t.name)
	if !ok || t.to == nil {
		return
	}
	if t.codes != nil && keepable(q) {
		*t.codes = int8Of(q)
		b.file.Release(q.Codes.Data)
		return
	}
	b.widened = append(b.widened, t.name)
}

// coded reports whether there is a tensor that is stored as codes and that may be asked for.
func (b *binder) coded(name string) bool {
	_, ok := quantised(b.file, b.prefix+name)
	return ok && b.exists(name)
}

// finite reports whether all of data is, or the index of the first that is not.
func finite(data []float32) (int, bool) {
	for i, x := range data {
		if math.Float32bits(x)&0x7f800000 == 0x7f800000 {
			return i, false
		}
	}
	return 0, true
}
