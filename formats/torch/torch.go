// Package torch reads the weights of PyTorch's .bin and .pt files: state dicts
// as torch.save writes them, in the zip format and in the stream format before
// version 1.6. A file is a pickle, a program; this one is not run. A machine
// with the few opcodes and the few names that weights need interprets it, and
// any other name is refused, by name.
//
//	zip (zip.go): stored entries         legacy (legacy.go): one stream
//	  P/data.pkl   the pickle              three pickles of constants
//	  P/data/KEY   a storage each          the pickle, the list of keys
//	  P/byteorder  "little"                each storage, after its length
//	      |                                    |
//	      +--> pickle.go: bytes -> values <----+   rebuild.go: calls -> arrays
//	             \-> state.go: dict -> names -> File
//
// A tensor is a view of a storage: offset, sizes and strides, each checked
// against the storage. Its Data is a part of the file where the view is
// contiguous and a copy made on demand where it is not. Quantised tensors and
// the packed Linears of quantize_dynamic keep codes, scales and zero points
// (QTensor); asked for as a tensor they are float32.
//
// Opening reads every byte of a zip file once, for the checksums, and copies none of
// them; what was read is released again.
// The package knows no architecture.
package torch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"skiff/formats/internal/parts"
	"skiff/formats/tensor"
)

// The names under which a model folder keeps its weights.
const (
	SingleName = "pytorch_model.bin"
	IndexName  = "pytorch_model.bin.index.json"
)

// ErrFormat is returned, wrapped in an *Error, when bytes are no weights that
// this package reads.
var ErrFormat = errors.New("malformed PyTorch file")

// Error is a fault at a place. It matches ErrFormat.
type Error struct {
	File  string // base name; empty for bytes given to Parse
	Entry string // of the archive; empty for the file itself
	Off   int64  // byte offset in the entry or the file; -1 where the fault has no single place
	Msg   string
}

// Error says file, entry, place and fault.
func (e *Error) Error() string {
	text := e.File
	if text == "" {
		text = "PyTorch file"
	}
	if e.Entry != "" {
		text += ": " + e.Entry
	}
	if e.Off >= 0 {
		text += fmt.Sprintf(": byte %d", e.Off)
	}
	return text + ": " + e.Msg
}

// Unwrap makes errors.Is(err, ErrFormat) true.
func (e *Error) Unwrap() error { return ErrFormat }

// fault is an *Error without its file, which is set by whoever knows it.
func fault(entry string, off int, format string, args ...any) error {
	return &Error{Entry: entry, Off: int64(off), Msg: fmt.Sprintf(format, args...)}
}

// File is one file of weights, or all shards of one model. It is read-only, so
// any number of goroutines may use it until Close.
type File struct {
	names   []string
	tensors map[string]*array
	notes   []string
	parts   parts.Set
}

// Names lists the tensors, sorted; a packed Linear X is X.weight and X.bias.
// The caller must not change the slice.
func (f *File) Names() []string { return f.names }

// Tensor returns the tensor called name. Its Data is a part of the file, or a
// new copy where the file holds the elements in another order; a quantised
// tensor is dequantised to F32, new at each call.
func (f *File) Tensor(name string) (tensor.View, bool) {
	a, ok := f.tensors[name]
	if !ok {
		return tensor.View{}, false
	}
	if a.quant != nil {
		return a.qtensor(name).Dequantised(), true
	}
	return a.view(name), true
}

// Stored is the tensor called name as it is stored, without its Data: I8, U8 or I32 where
// it is quantised.
func (f *File) Stored(name string) (tensor.View, bool) {
	a, ok := f.tensors[name]
	if !ok {
		return tensor.View{}, false
	}
	return tensor.View{Name: name, DType: a.dtype, Shape: a.shape}, true
}

// Floats gives visit the elements of the tensor called name as float32, in order, whatever
// that is in the file, and as many at a time as x holds, which is at least one; at is the
// index of the first. The file's bytes are released behind it. The first error ends it; a
// tensor that does not exist, or is not floating point, is one.
func (f *File) Floats(name string, x []float32, visit func(at int, x []float32) error) error {
	a, ok := f.tensors[name]
	if !ok {
		return fmt.Errorf("no tensor %q", name)
	}
	n, _ := tensor.Elements(a.shape, 1)
	switch {
	case a.quant != nil:
		q := a.qtensor(name)
		defer f.parts.Release(a.data)
		return tensor.Pieces(n, x, func(at int, x []float32) error { q.fill(x, at); return nil }, visit)
	case a.contiguous():
		v := a.view(name)
		return tensor.Pieces(n, x, func(at int, x []float32) error {
			p := v.Part(at, at+len(x))
			defer f.parts.Release(p.Data)
			return p.Fill(x)
		}, visit)
	}
	defer f.parts.Release(a.data) // every piece may need any part of it
	v := tensor.View{Name: name, DType: a.dtype, Shape: []int{0}}
	var raw [4096]byte // some elements in their right order
	return tensor.Pieces(n, x, func(at int, x []float32) error {
		for size := a.dtype.Size(); len(x) > 0; x = x[v.Shape[0]:] {
			v.Shape[0] = min(len(x), len(raw)/size)
			v.Data = raw[:v.Shape[0]*size]
			a.gather(v.Data, at)
			if err := v.Fill(x); err != nil {
				return err
			}
			at += v.Shape[0]
		}
		return nil
	}, visit)
}

// Release lets go of the memory that holds data, a part of one of the files; it comes
// back from the file when it is next looked at.
func (f *File) Release(data []byte) { f.parts.Release(data) }

// Notes says what is odd but not wrong: entries that hold no tensor.
func (f *File) Notes() []string { return f.notes }

// Each calls visit with the name and the bytes of every file behind f: one, or
// the index and then each shard, sorted.
func (f *File) Each(visit func(name string, data []byte) error) error { return f.parts.Each(visit) }

// Close gives the files back. Views of f must not be used afterwards.
func (f *File) Close() error {
	err := f.parts.Close()
	f.parts, f.tensors, f.names = nil, nil, nil
	return err
}

// Open maps the file at path into memory, where the system can, and parses it.
func Open(path string) (*File, error) {
	return open(parts.Layout{Single: filepath.Base(path)}, parts.Dir(filepath.Dir(path)))
}

// OpenFolder opens the weights of the model folder dir: pytorch_model.bin or,
// where that does not exist, the shards of pytorch_model.bin.index.json. A
// folder with neither gives an error that is fs.ErrNotExist.
func OpenFolder(dir string) (*File, error) { return open(layout(), parts.Dir(dir)) }

// OpenFS is OpenFolder for the root of fsys, whose files are read into memory.
func OpenFS(fsys fs.FS) (*File, error) { return open(layout(), parts.FS(fsys)) }

func layout() parts.Layout {
	return parts.Layout{Single: SingleName, Index: IndexName, Suffix: ".bin"}
}

func open(l parts.Layout, from parts.Opener) (*File, error) {
	f := &File{tensors: make(map[string]*array)}
	var err error
	if f.parts, err = l.Read(from, f.take); err != nil {
		return nil, malformed(err)
	}
	slices.Sort(f.names)
	return f, nil
}

// take parses one file and takes over its tensors and its notes.
func (f *File) take(p parts.Part) ([]string, error) {
	one, err := parse(p.Data, p.Release)
	if err != nil {
		if bad := (*Error)(nil); errors.As(err, &bad) {
			bad.File = p.Name
		}
		return nil, err
	}
	f.names = append(f.names, one.names...)
	maps.Copy(f.tensors, one.tensors)
	f.notes = append(f.notes, one.notes...)
	return one.names, nil
}

// malformed makes a fault of a file or an index an *Error of this package.
func malformed(err error) error {
	if bad := (*parts.Error)(nil); errors.As(err, &bad) {
		return &Error{File: bad.File, Off: bad.Off, Msg: bad.Msg}
	}
	return err
}
