package importer

import (
	"errors"
	"fmt"
	"io/fs"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/formats/torch"
)

// checkpoint is what holds the tensors of a model: files of safetensors or of
// PyTorch.
type checkpoint interface {
	Names() []string                                       // sorted
	Tensor(name string) (tensor.View, bool)                // may be a copy, made at each call
	Each(visit func(name string, data []byte) error) error // the files behind it
	Close() error
}

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

// notesOf tells what is odd about a checkpoint.
func notesOf(file checkpoint) []string {
	t, ok := file.(*torch.File)
	if !ok {
		return nil
	}
	quantised := 0
	for _, name := range t.Names() {
		if _, ok := t.Quantised(name); ok {
			quantised++
		}
	}
	if quantised == 0 {
		return t.Notes()
	}
	return append([]string{fmt.Sprintf("%d tensors are stored quantised and are read as float32", quantised)}, t.Notes()...)
}
