// Package builtin carries the model that skiff has without downloading anything:
// skiff-mini-embed, a distilled English sentence encoder of 3.66 million
// parameters (Apache-2.0; its model card and licence lie beside the weights).
//
// The folder is linked into the operator's binary as it is, in the Hugging Face
// layout, and read by packager/importer like any folder on disk. It must not be
// imported by anything a device links: a device gets its model in a bundle.
package builtin

import (
	"embed"
	"io/fs"
)

// Name is the model's name, used when a bundle of it is not given another.
const Name = "skiff-mini-embed"

//go:embed all:skiff-mini-embed
var files embed.FS

// Model returns the model's folder: config.json, model.safetensors,
// tokenizer.json, the sentence-transformers modules, the model card and the
// licence. The file system is read-only and safe for concurrent use.
func Model() (fs.FS, error) {
	return fs.Sub(files, Name)
}

// File returns one file of the model by its name in the folder.
func File(name string) ([]byte, error) {
	return files.ReadFile(Name + "/" + name)
}
