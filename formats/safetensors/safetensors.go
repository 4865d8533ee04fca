// Package safetensors reads safetensors files without copying them: a header
// that names tensors, and one block of bytes that the tensors tile exactly.
// Everything the header says is checked before a tensor can be asked for, so
// that a View of this package is safe to read whatever the file holds.
//
//	bytes 0-7    header length N, little-endian, 1 <= N <= 100,000,000
//	bytes 8-8+N  header: one JSON object, tensor name -> {"dtype", "shape",
//	             "data_offsets": [begin, end]}, and optionally "__metadata__"
//	             with strings; white space may follow the object
//	the rest     data; offsets count from here. Sorted by begin, each tensor
//	             starts where the one before it ends, the last at the file's end
//
// Refused beyond that: a name twice, an unknown dtype, more than 16
// dimensions, a byte length that does not follow from dtype and shape.
//
// It converts nothing (that is tensor.View) and knows no architecture.
package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"skiff/formats/internal/parts"
	"skiff/formats/strictjson"
	"skiff/formats/tensor"
)

// Limits on what a header may say. The first is the reference library's.
const (
	maxHeader = 100_000_000
	maxRank   = 16
	maxDepth  = 4 // of the header's JSON; a valid one needs 3
)

// ErrFormat is returned, wrapped in an *Error, when bytes are no valid
// safetensors file or when shards and their index do not fit together.
var ErrFormat = errors.New("malformed safetensors")

// Error is a fault at a place. It matches ErrFormat.
type Error struct {
	File string // base name; empty for bytes given to Parse
	Off  int64  // byte offset in File; -1 where the fault has no single place
	Msg  string
}

// Error says file, place and fault.
func (e *Error) Error() string {
	file := e.File
	if file == "" {
		file = "safetensors"
	}
	if e.Off < 0 {
		return fmt.Sprintf("%s: %s", file, e.Msg)
	}
	return fmt.Sprintf("%s: byte %d: %s", file, e.Off, e.Msg)
}

// Unwrap makes errors.Is(err, ErrFormat) true.
func (e *Error) Unwrap() error { return ErrFormat }

// fault is an *Error without its file, which is set by whoever knows it.
func fault(off int, format string, args ...any) error {
	return &Error{Off: int64(off), Msg: fmt.Sprintf(format, args...)}
}

// File is one safetensors file, or all shards of one model. It is read-only,
// so any number of goroutines may use it until Close.
type File struct {
	names   []string
	tensors map[string]tensor.View
	meta    map[string]string
	parts   parts.Set
}

// Names lists the tensors, sorted. The caller must not change the slice.
func (f *File) Names() []string { return f.names }

// Tensor returns the tensor called name. Its Data is a part of the file.
func (f *File) Tensor(name string) (tensor.View, bool) {
	v, ok := f.tensors[name]
	return v, ok
}

// Stored is the tensor called name without its Data.
func (f *File) Stored(name string) (tensor.View, bool) {
	v, ok := f.tensors[name]
	v.Data = nil
	return v, ok
}

// Floats gives visit the elements of the tensor called name as View.Float32s converts
// them, in order and as many at a time as x holds, which is at least one; at is the index
// of the first. The file's bytes are released behind it, so that x is all its memory. The
// first error ends it; a tensor that does not exist is one.
func (f *File) Floats(name string, x []float32, visit func(at int, x []float32) error) error {
	v, ok := f.tensors[name]
	if !ok {
		return fmt.Errorf("no tensor %q", name)
	}
	return tensor.Pieces(v.Len(), x, func(at int, x []float32) error {
		p := v.Part(at, at+len(x))
		defer f.parts.Release(p.Data)
		return p.Fill(x)
	}, visit)
}

// Release lets go of the memory that holds data, a part of one of the files; it comes
// back from the file when it is next looked at.
func (f *File) Release(data []byte) { f.parts.Release(data) }

// Metadata is the header's "__metadata__", merged over all shards; nil where
// there is none. The caller must not change it.
func (f *File) Metadata() map[string]string { return f.meta }

// Each calls visit with the name and the bytes of every file behind f: one, or
// the index and then each shard, sorted.
func (f *File) Each(visit func(name string, data []byte) error) error { return f.parts.Each(visit) }

// Close gives the files back. Views of f must not be used afterwards.
func (f *File) Close() error {
	err := f.parts.Close()
	f.parts, f.tensors, f.names = nil, nil, nil
	return err
}

// Parse reads a whole file held in data, which the File borrows.
func Parse(data []byte) (*File, error) {
	n, err := headerLength(data)
	if err != nil {
		return nil, err
	}
	head, body := data[8:8+n], data[8+n:]
	h := header{size: len(body), tensors: make(map[string]extent)}
	if err := h.parse(head); err != nil {
		return nil, err
	}
	if err := h.tile(); err != nil {
		return nil, err
	}
	f := &File{tensors: make(map[string]tensor.View, len(h.tensors)), meta: h.meta}
	for name, e := range h.tensors {
		f.names = append(f.names, name)
		e.view.Data = body[e.begin:e.end:e.end]
		f.tensors[name] = e.view
	}
	sort.Strings(f.names)
	f.parts = []parts.Part{{Data: data, Close: func() error { return nil }}}
	return f, nil
}

// headerLength checks the first eight bytes against the length of the file.
func headerLength(data []byte) (int, error) {
	if len(data) < 8 {
		return 0, fault(0, "the file has %d bytes, fewer than the 8 of the header length", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	switch rest := uint64(len(data) - 8); {
	case n == 0:
		return 0, fault(0, "the header length is 0")
	case n > rest:
		return 0, fault(0, "the header length is %d, but only %d bytes follow", n, rest)
	case n > maxHeader:
		return 0, fault(0, "the header length is %d, more than %d", n, maxHeader)
	}
	return int(n), nil
}

// extent is a tensor and where it lies in the data.
type extent struct {
	view       tensor.View
	begin, end int
	off        int // of its header entry, in the file
}

// header is what the JSON says, checked entry by entry.
type header struct {
	size    int // of the data
	tensors map[string]extent
	meta    map[string]string
}

// parse reads the JSON of a header that starts at byte 8 of the file.
func (h *header) parse(data []byte) error {
	err := func() error {
		s, err := strictjson.New(data, maxDepth)
		if err != nil {
			return err
		}
		if err := s.Object(func(key string) error { return h.member(s, key) }); err != nil {
			return err
		}
		return s.End()
	}()
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		return fault(8+bad.Off, "header: %s", bad.Text())
	}
	return err
}

// member reads one value of the header's object.
func (h *header) member(s *strictjson.Scanner, key string) (err error) {
	if key == "__metadata__" {
		h.meta, err = metadata(s)
		return err
	}
	e := extent{view: tensor.View{Name: key}, off: 8 + s.Offset()}
	if err := e.read(s); err != nil {
		return err
	}
	if err := e.check(h.size); err != nil {
		return err
	}
	h.tensors[key] = e
	return nil
}

// metadata reads "__metadata__": strings only.
func metadata(s *strictjson.Scanner) (map[string]string, error) {
	meta := make(map[string]string)
	err := s.Object(func(key string) error {
		v, err := s.String()
		meta[key] = v
		return err
	})
	return meta, err
}

// read fills e from the entry's object.
func (e *extent) read(s *strictjson.Scanner) error {
	off := s.Offset()
	var has struct{ dtype, shape, offsets bool }
	err := s.Object(func(key string) error {
		switch key {
		case "dtype":
			has.dtype = true
			return e.dtype(s)
		case "shape":
			has.shape = true
			return e.shape(s)
		case "data_offsets":
			has.offsets = true
			return e.offsets(s)
		}
		return s.Errorf(s.Offset(), "tensor %q has the unknown key %q", e.view.Name, key)
	})
	if err != nil {
		return err
	}
	for _, k := range []struct {
		has  bool
		name string
	}{{has.dtype, "dtype"}, {has.shape, "shape"}, {has.offsets, "data_offsets"}} {
		if !k.has {
			return s.Errorf(off, "tensor %q has no %q", e.view.Name, k.name)
		}
	}
	return nil
}

func (e *extent) dtype(s *strictjson.Scanner) error {
	off := s.Offset()
	name, err := s.String()
	if err != nil {
		return err
	}
	t, ok := tensor.Parse(name)
	if !ok {
		return s.Errorf(off, "tensor %q has the unknown dtype %q", e.view.Name, name)
	}
	e.view.DType = t
	return nil
}

func (e *extent) shape(s *strictjson.Scanner) error {
	e.view.Shape = []int{}
	return s.Array(func(i int) error {
		off := s.Offset()
		if i == maxRank {
			return s.Errorf(off, "tensor %q has more than %d dimensions", e.view.Name, maxRank)
		}
		d, err := natural(s)
		e.view.Shape = append(e.view.Shape, d)
		return err
	})
}

func (e *extent) offsets(s *strictjson.Scanner) error {
	off, count := s.Offset(), 0
	err := s.Array(func(i int) error {
		n, err := natural(s)
		switch i {
		case 0:
			e.begin = n
		case 1:
			e.end = n
		}
		count++
		return err
	})
	if err == nil && count != 2 {
		return s.Errorf(off, "tensor %q has %d data_offsets instead of 2", e.view.Name, count)
	}
	return err
}

// natural reads an integer that is not negative and fits an int.
func natural(s *strictjson.Scanner) (int, error) {
	off := s.Offset()
	n, err := s.Int()
	if err != nil {
		return 0, err
	}
	if n < 0 || int64(int(n)) != n {
		return 0, s.Errorf(off, "%d where a size should stand", n)
	}
	return int(n), nil
}

// check compares the entry with itself and with the size of the data.
func (e *extent) check(size int) error {
	v := e.view
	if e.begin > e.end || e.end > size {
		return fault(e.off, "tensor %q lies at %d to %d of %d bytes of data", v.Name, e.begin, e.end, size)
	}
	n, ok := tensor.Elements(v.Shape, v.DType.Size())
	if !ok || n*v.DType.Size() != e.end-e.begin {
		return fault(e.off, "tensor %q: %d bytes do not hold shape %v of %v", v.Name, e.end-e.begin, v.Shape, v.DType)
	}
	return nil
}

// tile checks that the tensors cover the data without a gap or an overlap.
func (h *header) tile() error {
	all := make([]extent, 0, len(h.tensors))
	for _, e := range h.tensors {
		all = append(all, e)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		if a.end != b.end {
			return a.end < b.end // an empty tensor before the one it touches
		}
		return a.off < b.off
	})
	end := 0
	for _, e := range all {
		switch {
		case e.begin < end:
			return fault(e.off, "tensor %q starts at %d of the data, inside another one that ends at %d", e.view.Name, e.begin, end)
		case e.begin > end:
			return fault(e.off, "bytes %d to %d of the data, before tensor %q, belong to no tensor", end, e.begin, e.view.Name)
		}
		end = e.end
	}
	if end != h.size {
		return fault(-1, "%d bytes follow the last tensor", h.size-end)
	}
	return nil
}
