package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/builtin"
	"skiff/packager/graph"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// builtinName is what MODEL is called that comes with the binary.
const builtinName = "builtin"

// bundleMagic is how a bundle's first bytes begin.
const bundleMagic = "\x89SKIFF"

// isBundle reports whether an argument is a BUNDLE rather than a MODEL: by its
// name, or by how the file begins. A broken .skiff file is a broken bundle.
func isBundle(arg string) (bool, error) {
	if arg == builtinName || onHub(arg) {
		return false, nil
	}
	info, err := os.Stat(arg)
	if err != nil || info.IsDir() {
		return false, err
	}
	if strings.HasSuffix(arg, ".skiff") {
		return true, nil
	}
	f, err := openRegular(arg)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, len(bundleMagic))
	if _, err := io.ReadFull(f, start); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("read %s: %w", arg, err)
	}
	return string(start) == bundleMagic, nil
}

// openRegular opens a file to read. What is no regular file is refused before it is
// opened: a named pipe would wait for a writer, and a device may have no end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: not a regular file", path)
	}
	return os.Open(path)
}

// openBundle opens a bundle signed by a key of the trust file, or by the default
// key when there is none. The caller closes it.
func openBundle(path, trustFile string) (*bundle.Bundle, error) {
	trust, err := trusted(trustFile)
	if err != nil {
		return nil, err
	}
	b, err := bundle.OpenFile(path, trust)
	if errors.Is(err, sign.ErrUntrusted) {
		return nil, fmt.Errorf("open %s: %w; --trust names a file of public keys", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return b, nil
}

// importModel reads MODEL: a folder, a file, one of a hub, or the built-in one.
func importModel(ctx context.Context, arg string, p *progress) (*graph.Model, error) {
	if arg != builtinName {
		return importFolder(ctx, arg, p)
	}
	files, err := builtin.Model()
	if err != nil {
		return nil, err
	}
	return importer.OpenFS(ctx, files, builtin.Name)
}

// importFolder reads a MODEL that is on disk, or is after it was pulled.
func importFolder(ctx context.Context, arg string, p *progress) (*graph.Model, error) {
	dir, name, err := pulled(ctx, arg, false, p)
	if err != nil {
		return nil, err
	}
	collectOften()
	m, err := importer.Open(ctx, dir)
	if err == nil && name != "" {
		m.Name = name // its folder is called like a commit
	}
	return m, err
}

// collectOften is for what comes before weights are read. They are most of the memory from
// there on, and hold no pointers: collecting often costs next to nothing, seldom would let
// the garbage of packing grow to their size.
func collectOften() { debug.SetGCPercent(10) }

// openOrPack gives the bundle of an argument: a BUNDLE from its file, a MODEL
// packed in memory with the defaults of skiff pack, so that it answers with the
// bits of its bundle. The key that signs the latter leaves with the process. The
// caller closes the bundle.
func openOrPack(ctx context.Context, arg, trustFile string, p *progress) (*bundle.Bundle, error) {
	isFile, err := isBundle(arg)
	if err != nil {
		return nil, err
	}
	if isFile {
		return openBundle(arg, trustFile)
	}
	m, err := importModel(ctx, arg, p)
	if err != nil {
		return nil, err
	}
	key, err := sign.Generate()
	if err != nil {
		return nil, err
	}
	stages := p.stages()
	b, _, err := packager.Pack(ctx, m, packager.Config{Key: key, Progress: stages.report})
	if err != nil {
		return nil, err
	}
	stages.done()
	return b, nil
}

// loadModel makes a MODEL or a BUNDLE ready to run.
func loadModel(ctx context.Context, arg, trustFile string, cfg infer.Config, p *progress) (*infer.Model, error) {
	b, err := openOrPack(ctx, arg, trustFile, p)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	m, err := infer.Load(ctx, b, cfg)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", arg, err)
	}
	for _, note := range m.Notes() {
		p.say("kernels are switched off, since they do not give the bits of their reference: %s", note)
	}
	return m, nil
}
