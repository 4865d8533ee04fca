package onnx

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"

	"skiff/formats/internal/parts"
)

// Opener gives the bytes of the file of external data that lies at location, a
// clean path with slashes relative to the model's folder, and what gives them
// back. A missing file is fs.ErrNotExist.
type Opener func(location string) (data []byte, closer func() error, err error)

// opener is an Opener of this package.
type opener func(location string) (parts.Part, error)

// Open maps the file at path into memory, where the system can, and the files of
// external data that it names, and parses it. External data must lie in the
// model's folder or below; a symbolic link may lead out of it only to where the
// link of the model itself leads, as in a cache that keeps files by digest.
func Open(path string) (*Model, error) {
	dir, name := filepath.Split(path)
	part, err := parts.Dir(filepath.Clean(dir))(name, 1<<62)
	if err != nil {
		return nil, inFile(name, err)
	}
	return parsePart(part, openInside(path))
}

// OpenFS is Open for the file called name, with slashes, of fsys. Files are read
// into memory.
func OpenFS(fsys fs.FS, name string) (*Model, error) {
	below, err := fs.Sub(fsys, path.Dir(name))
	if err != nil {
		return nil, err
	}
	part, err := parts.FS(below)(path.Base(name), 1<<62)
	if err != nil {
		return nil, inFile(path.Base(name), err)
	}
	return parsePart(part, func(location string) (parts.Part, error) { return parts.FS(below)(location, 1<<62) })
}

// parsePart parses an open file, which the Model takes over.
func parsePart(part parts.Part, open opener) (*Model, error) {
	r := newReader(part.Data, open)
	r.m.File = part.Name
	m, err := r.model()
	r.m.parts = append(parts.Set{part}, r.files...)
	if err != nil {
		return nil, errors.Join(inFile(part.Name, err), r.m.parts.Close())
	}
	return m, nil
}

// Parse reads a whole file held in data, which the Model borrows. open gives the
// files of external data; where it is nil there are none.
func Parse(data []byte, open Opener) (*Model, error) {
	var from opener
	if open != nil {
		from = func(location string) (p parts.Part, err error) {
			p.Data, p.Close, err = open(location)
			return p, err
		}
	}
	return parsePart(parts.Part{Data: data, Close: func() error { return nil }}, from)
}

// Each calls visit with the name and the bytes of every file behind m: the model,
// then its files of external data in the order in which it names them.
func (m *Model) Each(visit func(name string, data []byte) error) error { return m.parts.Each(visit) }

// Release lets go of the memory that holds data, a part of one of the files: bytes that
// are not needed for now, which the system reads again when they are next looked at.
func (m *Model) Release(data []byte) { m.parts.Release(data) }

// Close gives the files back. Views of m must not be used afterwards.
func (m *Model) Close() error {
	err := m.parts.Close()
	m.parts, m.Graph = nil, nil
	return err
}
