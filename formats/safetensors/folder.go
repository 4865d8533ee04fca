package safetensors

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"skiff/formats/internal/parts"
	"skiff/formats/tensor"
)

// The names under which a model folder keeps its weights.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Open maps the file at path into memory, where the system can, and parses it.
func Open(path string) (*File, error) {
	return open(parts.Layout{Single: filepath.Base(path)}, parts.Dir(filepath.Dir(path)))
}

// OpenFolder opens the weights of the model folder dir: model.safetensors or,
// where that does not exist, the shards of model.safetensors.index.json. A
// folder with neither gives an error that is fs.ErrNotExist.
func OpenFolder(dir string) (*File, error) { return open(layout(), parts.Dir(dir)) }

// OpenFS is OpenFolder for the root of fsys, whose files are read into memory.
func OpenFS(fsys fs.FS) (*File, error) { return open(layout(), parts.FS(fsys)) }

func layout() parts.Layout {
	return parts.Layout{Single: SingleName, Index: IndexName, Suffix: ".safetensors"}
}

func open(l parts.Layout, from parts.Opener) (*File, error) {
	f := &File{tensors: make(map[string]tensor.View)}
	var err error
	if f.parts, err = l.Read(from, f.take); err != nil {
		return nil, malformed(err)
	}
	slices.Sort(f.names)
	return f, nil
}

// take parses one file and takes over its tensors and its metadata.
func (f *File) take(p parts.Part) ([]string, error) {
	one, err := Parse(p.Data)
	if err != nil {
		if bad := (*Error)(nil); errors.As(err, &bad) {
			bad.File = p.Name
		}
		return nil, err
	}
	f.names = append(f.names, one.names...)
	maps.Copy(f.tensors, one.tensors)
	if f.meta == nil && one.meta != nil {
		f.meta = make(map[string]string)
	}
	maps.Copy(f.meta, one.meta)
	return one.names, nil
}

// malformed makes a fault of a file or an index an *Error of this package.
func malformed(err error) error {
	if bad := (*parts.Error)(nil); errors.As(err, &bad) {
		return &Error{File: bad.File, Off: bad.Off, Msg: bad.Msg}
	}
	return err
}
