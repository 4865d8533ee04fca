// Package parts opens the files behind a model's weights, whatever their
// format: one file, or the shards that an index names. Files of a folder of the
// operating system are mapped, where the system can, and never read whole; what was
// looked at can be released, so that it does not count as this process's memory.
//
//	Dir or FS -> Opener -> Part{Name, Data}
//	bytes of an index -> Index: tensor name -> shard -> Merge, Complete
//
// Only files directly in the folder can be named. The package knows nothing of
// what is in a shard.
package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"skiff/formats/strictjson"
)

// MaxIndex is the length of the longest shard index, in bytes.
const MaxIndex = 64 << 20

// Limits within an index.
const (
	maxShards = 1000
	maxDepth  = 4
)

// Error is a fault at a place of a file.
type Error struct {
	File string // base name
	Off  int64  // byte offset; -1 where the fault has no single place
	Msg  string
}

// Error says file, place and fault.
func (e *Error) Error() string {
	if e.Off < 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s: byte %d: %s", e.File, e.Off, e.Msg)
}

// fault is an *Error without a place.
func fault(file, format string, args ...any) error {
	return &Error{File: file, Off: -1, Msg: fmt.Sprintf(format, args...)}
}

// Part is one file: its bytes, valid until Close.
type Part struct {
	Name   string
	Data   []byte
	Close  func() error
	mapped bool
}

// Release lets go of the memory that holds data, a part of p.Data that is not needed for
// now. Where the file is mapped, the system reads it again when it is next looked at;
// elsewhere nothing happens. Any goroutine may call it at any time before Close.
func (p Part) Release(data []byte) {
	if !p.mapped || len(data) == 0 {
		return
	}
	first, at := uintptr(unsafe.Pointer(unsafe.SliceData(p.Data))), uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	if at < first || at-first >= uintptr(len(p.Data)) {
		return // of another file
	}
	lo := int(at - first)
	release(p.Data[lo&^(around-1) : min(lo+len(data), len(p.Data))])
}

// around is a multiple of the length of every system's pages, and of the neighbourhood
// that is mapped when one of them is read: without it the pages just before data, which
// were released already, would stay.
const around = 1 << 20

// Window is how much of a large file is worth looking at before it is released.
const Window = 1 << 20

// Windows gives visit the bytes of data in order, and then release: the Release of what
// data is a part of.
func Windows(data []byte, release, visit func([]byte)) {
	for len(data) > 0 {
		n := min(len(data), Window)
		visit(data[:n])
		release(data[:n])
		data = data[n:]
	}
}

// Opener gives the bytes of a file of one folder. A missing file is
// fs.ErrNotExist; a file of more than max bytes is an error.
type Opener func(name string, max int64) (Part, error)

// Dir opens files of a folder of the operating system.
func Dir(dir string) Opener {
	return func(name string, max int64) (Part, error) {
		data, closer, err := mapFile(filepath.Join(dir, name), max)
		return Part{name, data, closer, true}, err
	}
}

// FS reads files of the root of fsys into memory.
func FS(fsys fs.FS) Opener {
	return func(name string, max int64) (Part, error) {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return Part{}, err
		}
		if err := regular(info, name, max); err != nil {
			return Part{}, err
		}
		data, err := fs.ReadFile(fsys, name)
		return Part{name, data, func() error { return nil }, false}, err
	}
}

// regular refuses what is no plain file or too long.
func regular(info fs.FileInfo, name string, max int64) error {
	if !info.Mode().IsRegular() {
		return fault(name, "not a regular file")
	}
	if info.Size() > max {
		return fault(name, "%d bytes, more than %d", info.Size(), max)
	}
	return nil
}

// Index is what a shard index says: which tensor lies in which file.
type Index struct {
	Name   string // of the index file
	Want   map[string]string
	Shards []string // sorted
}

// ParseIndex reads the index file called name, whose shards' names end in
// suffix.
func ParseIndex(name string, data []byte, suffix string) (Index, error) {
	x := Index{Name: name, Want: make(map[string]string)}
	err := x.parse(data, suffix)
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		err = &Error{File: name, Off: int64(bad.Off), Msg: bad.Text()}
	}
	slices.Sort(x.Shards)
	return x, err
}

func (x *Index) parse(data []byte, suffix string) error {
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
		return x.weightMap(s, suffix)
	})
	if err == nil && !found {
		err = s.Errorf(0, "no \"weight_map\"")
	}
	if err != nil {
		return err
	}
	return s.End()
}

// weightMap reads the object of that name.
func (x *Index) weightMap(s *strictjson.Scanner, suffix string) error {
	shards := make(map[string]string) // one copy of each name
	return s.Object(func(name string) error {
		off := s.Offset()
		shard, err := s.String()
		if err != nil {
			return err
		}
		if !plainName(shard, suffix) {
			return s.Errorf(off, "%q is not a file of this folder that ends in %s", shard, suffix)
		}
		if _, ok := shards[shard]; !ok {
			if len(shards) == maxShards {
				return s.Errorf(off, "more than %d shards", maxShards)
			}
			shards[shard] = shard
			x.Shards = append(x.Shards, shard)
		}
		x.Want[name] = shards[shard]
		return nil
	})
}

// plainName reports whether name is a file directly in a folder: no separator
// of any system, no drive, no dot name.
func plainName(name, suffix string) bool {
	return strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") &&
		!strings.ContainsAny(name, "/\\:\x00") && filepath.IsLocal(name)
}

// Missing is the error of a shard that the index names and the folder has not.
func (x *Index) Missing(shard string) error {
	return fault(x.Name, "names the shard %q, which is not in the folder; download it", shard)
}

// Merge checks that the index places every tensor of a shard there.
func (x *Index) Merge(shard string, names []string) error {
	for _, name := range names {
		switch place, ok := x.Want[name]; {
		case !ok:
			return fault(shard, "holds tensor %q, which %s does not name", name, x.Name)
		case place != shard:
			return fault(shard, "holds tensor %q, which %s places in %s", name, x.Name, place)
		}
	}
	return nil
}

// Complete checks that every tensor of the index was found.
func (x *Index) Complete(found func(name string) bool) error {
	for name, shard := range x.Want {
		if !found(name) {
			return fault(x.Name, "places tensor %q in %s, which does not hold it", name, shard)
		}
	}
	return nil
}
