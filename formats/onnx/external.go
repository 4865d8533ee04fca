package onnx

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"skiff/formats/internal/parts"
)

// errOutside is of a file of external data that a symbolic link puts elsewhere.
var errOutside = errors.New("a symbolic link leads out of the model's folder")

// openInside maps files in the folder of the model at path, or below. Their names
// are clean already, so only a link can lead out: that is followed where the
// link of the model itself leads to the same folder.
func openInside(model string) opener {
	return func(location string) (parts.Part, error) {
		target, err := filepath.EvalSymlinks(filepath.Join(filepath.Dir(model), filepath.FromSlash(location)))
		if err != nil {
			return parts.Part{}, err
		}
		folder, err := filepath.EvalSymlinks(filepath.Dir(model))
		if err != nil {
			return parts.Part{}, err
		}
		real, err := filepath.EvalSymlinks(model)
		if err != nil {
			return parts.Part{}, err
		}
		within, err := filepath.Rel(folder, target)
		if (err != nil || !filepath.IsLocal(within)) && filepath.Dir(target) != filepath.Dir(real) {
			return parts.Part{}, errOutside
		}
		return parts.Dir(filepath.Dir(target))(filepath.Base(target), 1<<62)
	}
}

// external is where a tensor's bytes lie in another file.
type external struct {
	location       string
	offset, length int64 // length -1: to the end
}

// set takes one entry of external_data.
func (x *external) set(at int, key, value string) (err error) {
	switch key {
	case "location":
		x.location = value
	case "offset":
		x.offset, err = strconv.ParseInt(value, 10, 64)
	case "length":
		x.length, err = strconv.ParseInt(value, 10, 64)
		if err == nil && x.length < 0 {
			err = strconv.ErrRange
		}
	case "checksum", "basepath": // the first is SHA-1 and of the whole file, the second means nothing to a reader
	default:
		if !strings.HasPrefix(key, "prepacked") { // what onnxruntime keeps for itself
			return fault(at, "", "unknown key %q of external data", key)
		}
	}
	if err != nil || x.offset < 0 {
		return fault(at, "", "external data with the %s %q", key, value)
	}
	return nil
}

// cleaned is the location without needless parts, or an error where it is not below
// the model's folder.
func (x *external) cleaned(at int) (string, error) {
	switch name := path.Clean(x.location); {
	case x.location == "":
		return "", fault(at, "", "external data without a location")
	case path.IsAbs(name) || strings.ContainsAny(name, "\\:\x00"):
		return "", fault(at, "", "external data at %q, which is no path within the model's folder", x.location)
	case !filepath.IsLocal(name) || name == ".":
		return "", fault(at, "", "external data at %q, outside of the model's folder", x.location)
	default:
		return name, nil
	}
}

// external gives the bytes that x names, each file opened once.
func (r *reader) external(at int, x *external) ([]byte, error) {
	name, err := x.cleaned(at)
	if err != nil {
		return nil, err
	}
	data, err := r.file(at, name)
	if err != nil {
		return nil, err
	}
	size := int64(len(data))
	if x.offset > size {
		return nil, fault(at, "", "external data at offset %d of %s, which has %d bytes", x.offset, name, size)
	}
	length := x.length
	if length < 0 {
		length = size - x.offset
	}
	if length > size-x.offset {
		return nil, fault(at, "", "%d bytes of external data at offset %d of %s, which has %d bytes", length, x.offset, name, size)
	}
	return data[x.offset : x.offset+length : x.offset+length], nil
}

// file is the file of external data called name.
func (r *reader) file(at int, name string) ([]byte, error) {
	if i, ok := r.fileAt[name]; ok {
		return r.files[i].Data, nil
	}
	if len(r.files) == maxFiles {
		return nil, fault(at, "", "external data in more than %d files", maxFiles)
	}
	if r.open == nil {
		return nil, fault(at, "", "external data in %q, but there is only the one file", name)
	}
	p, err := r.open(name)
	switch bad := (*parts.Error)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault(at, "", "external data in %q, which is not in the model's folder; download it and put it there, or for a model of a hub download all its files and give their folder", name)
	case errors.Is(err, errOutside):
		return nil, fault(at, "", "external data in %q: %v", name, err)
	case errors.As(err, &bad):
		return nil, fault(at, "", "external data in %q: %s", name, bad.Msg)
	case errors.As(err, new(*os.PathError)):
		return nil, fault(at, "", "external data in %q: %v", name, err)
	case err != nil:
		return nil, err
	}
	r.fileAt[name] = len(r.files)
	p.Name = name
	r.files = append(r.files, p)
	return p.Data, nil
}
