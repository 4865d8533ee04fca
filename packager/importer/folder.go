package importer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"slices"
	"sort"

	"skiff/formats/onnx"
)

// The longest files that are read whole, in bytes.
const (
	maxConfig    = 4 << 20
	maxTokenizer = 128 << 20
)

// folder is a model folder and the list of the files that were used.
type folder struct {
	name     string
	fsys     fs.FS
	weights  func(sub string) (checkpoint, error)
	onnx     func(name string) (*onnx.Model, error)
	exported string // the ONNX file that was asked for; "" where the folder was
	used     []FileInfo
}

// FileInfo is a file that has a part in a model.
type FileInfo struct {
	Name   string `json:"name"` // relative to the folder, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// read returns the file's bytes and notes that it was used.
func (f *folder) read(name string, max int64) ([]byte, error) {
	info, err := fs.Stat(f.fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, invalid(name, "", "", "not a regular file")
	}
	if info.Size() > max {
		return nil, invalid(name, "", "", "%d bytes, more than %d", info.Size(), max)
	}
	data, err := fs.ReadFile(f.fsys, name)
	if err != nil {
		return nil, err
	}
	f.note(name, data)
	return data, nil
}

// readIfThere is read, with false for a file that does not exist.
func (f *folder) readIfThere(name string, max int64) ([]byte, bool, error) {
	data, err := f.read(name, max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// note adds a file to those that were used, once however often it is read.
func (f *folder) note(name string, data []byte) {
	if slices.ContainsFunc(f.used, func(u FileInfo) bool { return u.Name == name }) {
		return
	}
	sum := sha256.Sum256(data)
	f.used = append(f.used, FileInfo{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
}

// digest sorts the used files and is SHA-256 over, for each of them, the length
// of the name (u32, little-endian), the name, the size (u64) and the file's
// SHA-256 in hexadecimal.
func (f *folder) digest() [32]byte {
	sort.Slice(f.used, func(i, j int) bool { return f.used[i].Name < f.used[j].Name })
	var b []byte
	for _, u := range f.used {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(u.Name)))
		b = append(b, u.Name...)
		b = binary.LittleEndian.AppendUint64(b, uint64(u.Size))
		b = append(b, u.SHA256...)
	}
	return sha256.Sum256(b)
}
