package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"

	"skiff/formats/strictjson"
	"skiff/formats/tensor"
)

// The names under which a model folder keeps its weights.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Limits on a shard index.
const (
	maxIndex  = 64 << 20 // bytes
	maxShards = 1000
)

// opener gives the bytes of a file of one folder. A missing file is
// fs.ErrNotExist; a file of more than max bytes is an error.
type opener func(name string, max int64) (part, error)

// Open maps the file at path into memory, where the system can, and parses it.
func Open(path string) (*File, error) {
	return openSingle(dirOpener(filepath.Dir(path)), filepath.Base(path))
}

// OpenFolder opens the weights of the model folder dir: model.safetensors or,
// where that does not exist, the shards of model.safetensors.index.json. A
// folder with neither gives an error that is fs.ErrNotExist.
func OpenFolder(dir string) (*File, error) { return openFolder(dirOpener(dir)) }

// OpenFS is OpenFolder for the root of fsys, whose files are read into memory.
func OpenFS(fsys fs.FS) (*File, error) { return openFolder(fsOpener(fsys)) }

// dirOpener opens files of a folder of the operating system.
func dirOpener(dir string) opener {
	return func(name string, max int64) (part, error) {
		data, closer, err := mapFile(filepath.Join(dir, name), max)
		return part{name, data, closer}, err
	}
}

// fsOpener reads files of the root of fsys.
func fsOpener(fsys fs.FS) opener {
	return func(name string, max int64) (part, error) {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return part{}, err
		}
		if err := regular(info, name, max); err != nil {
			return part{}, err
		}
		data, err := fs.ReadFile(fsys, name)
		return part{name, data, func() error { return nil }}, err
	}
}

// regular refuses what is no plain file or too long.
func regular(info fs.FileInfo, name string, max int64) error {
	if !info.Mode().IsRegular() {
		return &Error{File: name, Off: -1, Msg: "not a regular file"}
	}
	if info.Size() > max {
		return &Error{File: name, Off: -1, Msg: fmt.Sprintf("%d bytes, more than %d", info.Size(), max)}
	}
	return nil
}

func openFolder(open opener) (*File, error) {
	f, err := openSingle(open, SingleName)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	index, err := open(IndexName, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("neither %s nor %s: %w", SingleName, IndexName, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	f = &File{tensors: make(map[string]tensor.View), parts: []part{index}}
	if err := f.openShards(open, index.data); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openSingle opens and parses one file.
func openSingle(open opener, name string) (*File, error) {
	p, err := open(name, 1<<62)
	if err != nil {
		return nil, err
	}
	f, err := Parse(p.data)
	if err != nil {
		if bad := (*Error)(nil); errors.As(err, &bad) {
			bad.File = name
		}
		return nil, errors.Join(err, p.close())
	}
	f.parts = []part{p}
	return f, nil
}

// openShards adds the shards that the index names and compares the two.
func (f *File) openShards(open opener, index []byte) error {
	want, err := parseIndex(index)
	if err != nil {
		return err
	}
	for _, shard := range shardsOf(want) {
		part, err := openSingle(open, shard)
		if errors.Is(err, fs.ErrNotExist) {
			return &Error{File: IndexName, Off: -1, Msg: fmt.Sprintf("names the shard %q, which is not in the folder; download it", shard)}
		}
		if err != nil {
			return err
		}
		f.parts = append(f.parts, part.parts...)
		if err := f.merge(shard, part, want); err != nil {
			return err
		}
	}
	for name, shard := range want {
		if _, ok := f.tensors[name]; !ok {
			return &Error{File: IndexName, Off: -1, Msg: fmt.Sprintf("places tensor %q in %s, which does not hold it", name, shard)}
		}
	}
	sort.Strings(f.names)
	return nil
}

// shardsOf lists the files that an index names, sorted.
func shardsOf(want map[string]string) []string {
	set := make(map[string]struct{})
	for _, shard := range want {
		set[shard] = struct{}{}
	}
	list := make([]string, 0, len(set))
	for shard := range set {
		list = append(list, shard)
	}
	sort.Strings(list)
	return list
}

// merge adds one shard's tensors, each of which the index must place there.
func (f *File) merge(shard string, part *File, want map[string]string) error {
	for _, name := range part.names {
		switch place, ok := want[name]; {
		case !ok:
			return &Error{File: shard, Off: -1, Msg: fmt.Sprintf("holds tensor %q, which %s does not name", name, IndexName)}
		case place != shard:
			return &Error{File: shard, Off: -1, Msg: fmt.Sprintf("holds tensor %q, which %s places in %s", name, IndexName, place)}
		}
		f.names = append(f.names, name)
		f.tensors[name] = part.tensors[name]
	}
	for k, v := range part.meta {
		if f.meta == nil {
			f.meta = make(map[string]string)
		}
		f.meta[k] = v
	}
	return nil
}

// parseIndex reads tensor name -> shard name from a shard index.
func parseIndex(data []byte) (map[string]string, error) {
	want := make(map[string]string)
	err := func() error {
		s, err := strictjson.New(data, maxDepth)
		if err != nil {
			return err
		}
		found := false
		err = s.Object(func(key string) error {
			if key != "weight_map" {
				return s.Skip() // "metadata" tells sizes that the shards tell better
			}
			found = true
			return weightMap(s, want)
		})
		if err == nil && !found {
			err = s.Errorf(0, "no \"weight_map\"")
		}
		if err != nil {
			return err
		}
		return s.End()
	}()
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		return nil, &Error{File: IndexName, Off: int64(bad.Off), Msg: bad.Text()}
	}
	return want, err
}

// weightMap reads the object of that name into want.
func weightMap(s *strictjson.Scanner, want map[string]string) error {
	shards := make(map[string]string) // one copy of each name
	return s.Object(func(name string) error {
		off := s.Offset()
		shard, err := s.String()
		if err != nil {
			return err
		}
		if !plainName(shard) {
			return s.Errorf(off, "%q is not a file of this folder", shard)
		}
		if _, ok := shards[shard]; !ok && len(shards) == maxShards {
			return s.Errorf(off, "more than %d shards", maxShards)
		}
		if _, ok := shards[shard]; !ok {
			shards[shard] = shard
		}
		want[name] = shards[shard]
		return nil
	})
}

// plainName reports whether name is a safetensors file directly in a folder:
// no separator of any system, no drive, no dot name.
func plainName(name string) bool {
	return strings.HasSuffix(name, ".safetensors") && !strings.HasPrefix(name, ".") &&
		!strings.ContainsAny(name, "/\\:\x00") && filepath.IsLocal(name)
}
