package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// checkpoint is what holds the tensors of a model: files of safetensors or of
// PyTorch.
type checkpoint interface {
	Names() []string                                                              // sorted
	Stored(name string) (tensor.View, bool)                                       // without Data
	Floats(name string, x []float32, visit func(at int, x []float32) error) error // as many at a time as x holds
	Each(visit func(name string, data []byte) error) error                        // the files behind it
	Release(data []byte)                                                          // of what is not needed for now
	Close() error
}

// files are what is behind weights: a checkpoint, or an ONNX file.
type files interface {
	Each(visit func(name string, data []byte) error) error
	Release(data []byte)
}

// noteFiles adds the files behind the weights in the part sub of a folder to those that were
// used. Each is read once, a window at a time.
func noteFiles(ctx context.Context, f *folder, sub string, file files) error {
	return file.Each(func(name string, data []byte) error {
		sum := sha256.New()
		for rest := data; len(rest) > 0 && ctx.Err() == nil; {
			n := min(len(rest), window)
			sum.Write(rest[:n])
			file.Release(rest[:n])
			rest = rest[n:]
		}
		f.used = append(f.used, FileInfo{Name: path.Join(sub, name), Size: int64(len(data)), SHA256: hex.EncodeToString(sum.Sum(nil))})
		return ctx.Err()
	})
}

// How much is read of a file before it is released: bytes, and elements of a tensor.
const (
	window = 1 << 20
	piece  = 1 << 14
)

// openCheckpoint opens a folder's safetensors files or, where there are none,
// its PyTorch files. A folder with neither gives an error that is fs.ErrNotExist.
func openCheckpoint(first func() (*safetensors.File, error), second func() (*torch.File, error)) (checkpoint, error) {
	s, err := first()
	if err == nil {
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t, err := second()
	if err != nil {
		return nil, err
	}
	return t, nil
}

// fileOf is the name of the file that stands for a checkpoint in messages: the
// single one, or the index of the shards.
func fileOf(file checkpoint) string {
	found := ""
	stop := errors.New("found")
	if err := file.Each(func(name string, _ []byte) error { found = name; return stop }); err == nil {
		return safetensors.SingleName
	}
	return found
}

// quantised gives the codes of a tensor that is stored as such.
func quantised(file checkpoint, name string) (torch.QTensor, bool) {
	if t, ok := file.(*torch.File); ok {
		return t.Quantised(name)
	}
	return torch.QTensor{}, false
}

// keepable reports whether the codes of a matrix can stay as they are: 8 bits, and one
// scale for all or one for each row. Others are read as float32.
func keepable(q torch.QTensor) bool {
	return q.Codes.DType != tensor.I32 && len(q.Codes.Shape) == 2 && q.Axis <= 0
}

// int8Of copies the codes of a keepable tensor. Codes from 0 to 255 move down by 128, and
// so do their zero points.
func int8Of(q torch.QTensor) *graph.Int8 {
	c := &graph.Int8{Codes: make([]int8, len(q.Codes.Data)), Scale: make([]float32, len(q.Scales))}
	flip, down := byte(0), int64(0)
	if q.Codes.DType == tensor.U8 {
		flip, down = 0x80, 128
	}
	for i, x := range q.Codes.Data {
		c.Codes[i] = int8(x ^ flip)
	}
	for i, s := range q.Scales {
		c.Scale[i] = float32(s)
	}
	zeros := make([]int32, len(q.ZeroPoints))
	for i, z := range q.ZeroPoints {
		if zeros[i] = int32(z - down); zeros[i] != 0 {
			c.Zero = zeros
		}
	}
	return c
}

// notesOf tells what is odd about a checkpoint. Its tensors called widened are stored as
// codes that were not kept.
func notesOf(file checkpoint, widened []string) []string {
	t, ok := file.(*torch.File)
	if !ok {
		return nil
	}
	kept := -len(widened)
	for _, name := range t.Names() {
		if _, ok := t.Quantised(name); ok {
			kept++
		}
	}
	var notes []string
	if kept > 0 {
		notes = append(notes, fmt.Sprintf("%d tensors are stored as int8: their codes are kept; activation scales are skiff's own", kept))
	}
	if len(widened) > 0 {
		notes = append(notes, fmt.Sprintf("%d tensors are stored quantised and are read as float32: %s", len(widened), abridged(widened)))
	}
	return append(notes, t.Notes()...)
}

// abridged names the first few of a list.
func abridged(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few], ", ") + ", ..."
}

// notKept lists the tensors of a file on its own whose codes no model could keep.
func notKept(file checkpoint) []string {
	var names []string
	for _, name := range file.Names() {
		if q, ok := quantised(file, name); ok && !keepable(q) {
			names = append(names, name)
		}
	}
	return names
}
