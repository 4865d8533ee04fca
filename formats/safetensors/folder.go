package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sort"

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
	return openSingle(parts.Dir(filepath.Dir(path)), filepath.Base(path))
}

// OpenFolder opens the weights of the model folder dir: model.safetensors or,
// where that does not exist, the shards of model.safetensors.index.json. A
// folder with neither gives an error that is fs.ErrNotExist.
func OpenFolder(dir string) (*File, error) { return openFolder(parts.Dir(dir)) }

// OpenFS is OpenFolder for the root of fsys, whose files are read into memory.
func OpenFS(fsys fs.FS) (*File, error) { return openFolder(parts.FS(fsys)) }

func openFolder(open parts.Opener) (*File, error) {
	f, err := openSingle(open, SingleName)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	index, err := open(IndexName, parts.MaxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("neither %s nor %s: %w", SingleName, IndexName, fs.ErrNotExist)
	}
	if err != nil {
		return nil, malformed(err)
	}
	f = &File{tensors: make(map[string]tensor.View), parts: []parts.Part{index}}
	if err := f.openShards(open, index.Data); err != nil {
		return nil, errors.Join(malformed(err), f.Close())
	}
	return f, nil
}

// openSingle opens and parses one file.
func openSingle(open parts.Opener, name string) (*File, error) {
	p, err := open(name, 1<<62)
	if err != nil {
		return nil, malformed(err)
	}
	f, err := Parse(p.Data)
	if err != nil {
		if bad := (*Error)(nil); errors.As(err, &bad) {
			bad.File = name
		}
		return nil, errors.Join(err, p.Close())
	}
	f.parts = []parts.Part{p}
	return f, nil
}

// malformed makes a fault of a file or an index an *Error of this package.
func malformed(err error) error {
	if bad := (*parts.Error)(nil); errors.As(err, &bad) {
		return &Error{File: bad.File, Off: bad.Off, Msg: bad.Msg}
	}
	return err
}

// openShards adds the shards that the index names and compares the two.
func (f *File) openShards(open parts.Opener, data []byte) error {
	index, err := parts.ParseIndex(IndexName, data, ".safetensors")
	if err != nil {
		return err
	}
	for _, shard := range index.Shards {
		part, err := openSingle(open, shard)
		if errors.Is(err, fs.ErrNotExist) {
			return index.Missing(shard)
		}
		if err != nil {
			return err
		}
		f.parts = append(f.parts, part.parts...)
		if err := index.Merge(shard, part.names); err != nil {
			return err
		}
		f.add(part)
	}
	if err := index.Complete(func(name string) bool { _, ok := f.tensors[name]; return ok }); err != nil {
		return err
	}
	sort.Strings(f.names)
	return nil
}

// add takes over the tensors and the metadata of one shard.
func (f *File) add(part *File) {
	f.names = append(f.names, part.names...)
	maps.Copy(f.tensors, part.tensors)
	if f.meta == nil && part.meta != nil {
		f.meta = make(map[string]string)
	}
	maps.Copy(f.meta, part.meta)
}
