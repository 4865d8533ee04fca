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
// tensor with the architecture's table, and only then fills m.
func readWeights(ctx context.Context, f *folder, sub string, cfg *config, m *graph.Model, c *contents) error {
	file, err := f.weights(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{File: path.Join(sub, safetensors.SingleName), Problem: "no weights: neither this file nor " + torch.SingleName + ", nor the index of either",
			Cure: "safetensors and PyTorch files are read", Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	b := &binder{cfg: cfg, file: file, fileName: path.Join(sub, fileOf(file)), left: make(map[string]bool)}
	if err := b.bind(); err != nil {
		return err
	}
	if err := b.load(ctx, m); err != nil {
		return err
	}
	c.tensors, c.unused, c.notes = describe(file), b.unused, notesOf(file)
	return file.Each(func(name string, data []byte) error {
		f.note(path.Join(sub, name), data)
		return ctx.Err()
	})
}

// describe lists the tensors of a file.
func describe(file checkpoint) []TensorInfo {
	list := make([]TensorInfo, 0, len(file.Names()))
	for _, name := range file.Names() {
		v, _ := file.Tensor(name)
		list = append(list, TensorInfo{name, v.DType.String(), v.Shape, len(v.Data)})
	}
	return list
}

// binder pairs the tensors of a file with the parameters of an architecture.
type binder struct {
	cfg      *config
	file     checkpoint
	fileName string
	outer    string // prefix of every name
	encoder  string // prefix of the encoder's names
	left     map[string]bool
	bound    []binding
	unused   []string
}

// binding is a tensor whose dtype and shape are right for its parameter.
type binding struct {
	param
	layer int
	view  tensor.View // without its Data
}

// bind pairs everything, or says what is missing, misshapen or unexpected.
func (b *binder) bind() error {
	for _, name := range b.file.Names() {
		b.left[name] = true
	}
	if len(b.left) == 0 {
		return invalid(b.fileName, "", "", "holds no tensors")
	}
	if err := b.findPrefix(); err != nil {
		return err
	}
	a, h := b.cfg.arch, b.cfg.head
	if err := b.all(b.encoder, a.encoder, 0, true); err != nil {
		return err
	}
	for i := range b.cfg.layers {
		if err := b.all(b.encoder, a.layer, i, true); err != nil {
			return err
		}
	}
	if err := b.all(b.encoder, a.pooler, 0, h.pooler); err != nil {
		return err
	}
	if err := b.all(b.outer, h.params, 0, true); err != nil {
		return err
	}
	if err := b.all(b.outer, h.optional, 0, false); err != nil {
		return err
	}
	for _, name := range a.buffers {
		if b.left[b.encoder+name] {
			delete(b.left, b.encoder+name)
			b.unused = append(b.unused, b.encoder+name)
		}
	}
	return b.unexpected()
}

// findPrefix looks where the encoder's names start.
func (b *binder) findPrefix() error {
	found := 0
	for _, outer := range b.cfg.arch.outer {
		for _, root := range []string{b.cfg.arch.root, ""} {
			if b.left[outer+root+b.cfg.arch.probe] {
				b.outer, b.encoder = outer, outer+root
				found++
			}
		}
	}
	switch found {
	case 0:
		return invalid(b.fileName, b.cfg.arch.probe, "is this the checkpoint of another architecture?", "no such tensor, with or without the prefix %q", b.cfg.arch.root)
	case 1:
		return nil
	}
	return invalid(b.fileName, b.cfg.arch.probe, "", "comes under more than one prefix")
}

// all binds a list of parameters, which may be absent when not required.
func (b *binder) all(prefix string, list []param, layer int, required bool) error {
	for _, p := range list {
		p.name = prefix + strings.Replace(p.name, "#", strconv.Itoa(layer), 1)
		if p.old != "" {
			p.old = prefix + strings.Replace(p.old, "#", strconv.Itoa(layer), 1)
		}
		if err := b.one(p, layer, required); err != nil {
			return err
		}
	}
	return nil
}

// one binds a parameter whose names are complete.
func (b *binder) one(p param, layer int, required bool) error {
	v, ok := b.file.Tensor(p.name)
	if !ok && p.old != "" {
		v, ok = b.file.Tensor(p.old)
	}
	if !ok {
		if required {
			return invalid(b.fileName, p.name, "the checkpoint is incomplete or config.json belongs to another one", "the tensor is missing")
		}
		return nil
	}
	delete(b.left, v.Name)
	if err := b.fits(p, v); err != nil {
		return err
	}
	v.Data = nil // it may be a copy; load asks again
	b.bound = append(b.bound, binding{p, layer, v})
	return nil
}

// fits checks element type and shape.
func (b *binder) fits(p param, v tensor.View) error {
	switch v.DType {
	case tensor.F32, tensor.F16, tensor.BF16, tensor.F64:
	default:
		return unsupported(b.fileName, v.Name, "F32, F16, BF16 and F64 weights can be imported", "the tensor is %v", v.DType)
	}
	want := make([]int, len(p.shape))
	for i, a := range p.shape {
		want[i] = b.cfg.sizes[a]
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
func (b *binder) unexpected() error {
	for _, name := range b.file.Names() {
		if !b.left[name] {
			continue
		}
		if layer, ok := b.layerOf(name); ok && layer >= b.cfg.layers {
			return invalid(b.fileName, name, "config.json belongs to another checkpoint",
				"a tensor of layer %d, but num_hidden_layers is %d", layer, b.cfg.layers)
		}
		return unsupported(b.fileName, name, fmt.Sprintf("%s of class %q has no such tensor", b.cfg.modelType, b.cfg.architecture), "an unexpected tensor")
	}
	return nil
}

// layerOf is the number of the layer that an encoder tensor belongs to.
func (b *binder) layerOf(name string) (int, bool) {
	stem, _, _ := strings.Cut(b.cfg.arch.layer[0].name, "#")
	rest, ok := strings.CutPrefix(name, b.encoder+stem)
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// load converts every bound tensor. Its memory is at most four bytes a stored
// element: shapes were compared with the file's bytes before.
func (b *binder) load(ctx context.Context, m *graph.Model) error {
	m.Blocks = make([]graph.Block, b.cfg.layers)
	for i := range m.Blocks {
		m.Blocks[i].Act = b.cfg.act
	}
	if b.cfg.head.task != graph.TaskEncode {
		m.Head = &graph.Head{Kind: b.cfg.head.task, Labels: b.cfg.labels}
	}
	for _, t := range b.bound {
		if err := ctx.Err(); err != nil {
			return err
		}
		view, _ := b.file.Tensor(t.view.Name)
		data, err := view.Float32s()
		if err != nil {
			return &Error{File: b.fileName, Err: err}
		}
		if at, ok := finite(data); !ok {
			return invalid(b.fileName, t.view.Name, "the training went wrong; take another checkpoint", "element %d is %v", at, data[at])
		}
		dims := append(slices.Clone(t.view.Shape), 0)
		t.fill(m, t.layer, matrix{rows: dims[0], cols: dims[1], data: data})
	}
	return nil
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
