package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"

	"skiff/runtime/emit"
	"skiff/runtime/kernel"
)

// compile is the machine code of a kernel, alone in a module. wazero shows it nowhere but
// in the file of its cache, hence by way of a folder that is removed again.
func compile(ctx context.Context, k *kernel.Kernel) (code []byte, err error) {
	dir, err := os.MkdirTemp("", "machinecode")
	if err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := fill(ctx, dir, k); err != nil {
		return nil, err
	}
	file, err := onlyFile(dir)
	if err != nil {
		return nil, fmt.Errorf("read cache: %w", err)
	}
	return parseCache(file)
}

// fill compiles the kernel with a cache in dir.
func fill(ctx context.Context, dir string, k *kernel.Kernel) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("open cache: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	module := emit.Module(1, []emit.Export{{Name: "k", Params: k.Params(), Body: k.Body()}})
	if _, err := r.CompileModule(ctx, module); err != nil {
		return fmt.Errorf("compile %s: %w", k.Name(), err)
	}
	return nil
}

// onlyFile is the content of the one file below dir.
func onlyFile(dir string) ([]byte, error) {
	var found []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found, err = os.ReadFile(path)
		return err
	})
	if err == nil && found == nil {
		err = fs.ErrNotExist
	}
	return found, err
}

// parseCache is the machine code within a file of wazero's cache:
//
//	"WAZEVO" | u8 length, version | u32 count, count x u64 offset of a function | u64 length, code | ...
func parseCache(file []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(file, []byte("WAZEVO"))
	if !ok || len(rest) < 1 {
		return nil, errors.New("cache file: unknown magic")
	}
	skip := 1 + int(rest[0])
	if len(rest) < skip+4 {
		return nil, errors.New("cache file: cut short in its header")
	}
	count := uint64(binary.LittleEndian.Uint32(rest[skip:]))
	rest = rest[skip+4:]
	if uint64(len(rest)) < 8*count+8 {
		return nil, fmt.Errorf("cache file: cut short in %d offsets", count)
	}
	rest = rest[8*count:]
	n := binary.LittleEndian.Uint64(rest)
	if rest = rest[8:]; n > uint64(len(rest)) {
		return nil, fmt.Errorf("cache file: %d bytes of code in %d", n, len(rest))
	}
	return rest[:n], nil
}
