package engine

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"skiff/runtime/emit"
	"skiff/runtime/kernel"
)

const pageBytes = 65536

// wasmBackend is one module of the program's kernels over one fixed memory. wazero's
// functions are not safe for concurrent use, but every handle has a stack of its own,
// and the kernels keep no state: so workers share the instance and its memory.
type wasmBackend struct {
	runtime wazero.Runtime
	module  api.Module
	kernels []*kernel.Kernel
}

// best is the kind Auto stands for. wazero's interpreter is slower than the Go
// references, so it is chosen only where those cannot run.
func best() Kind {
	switch {
	case CanCompile():
		return Wasm
	case littleEndian():
		return Go
	}
	return Interp
}

// CanCompile says whether wazero has a compiler for this CPU; it answers by panicking.
func CanCompile() (ok bool) {
	defer func() { ok = recover() == nil }()
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigCompiler())
	return r.Close(context.Background()) == nil
}

func newWasmBackend(ctx context.Context, kind Kind, kernels []*kernel.Kernel, bytes uint64) (*wasmBackend, error) {
	cfg := wazero.NewRuntimeConfigInterpreter()
	if kind == Wasm {
		if !CanCompile() {
			return nil, ErrNoCompiler
		}
		cfg = wazero.NewRuntimeConfigCompiler()
	}
	b := &wasmBackend{kernels: kernels, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	exports := make([]emit.Export, len(kernels))
	for i, k := range kernels {
		exports[i] = emit.Export{Name: exportName(i), Params: k.Params(), Body: k.Body()}
	}
	pages := uint32((bytes + pageBytes - 1) / pageBytes)
	var err error
	b.module, err = b.runtime.Instantiate(ctx, emit.Module(pages, exports))
	if err != nil {
		b.runtime.Close(ctx)
		return nil, fmt.Errorf("instantiate kernels: %w", err)
	}
	return b, nil
}

func exportName(i int) string { return "k" + strconv.Itoa(i) }

func (b *wasmBackend) memory() []byte {
	mem := b.module.Memory()
	view, _ := mem.Read(0, mem.Size()) // the whole of it is always in range
	return view
}

func (b *wasmBackend) caller() (caller, error) {
	c := &wasmCaller{}
	deepest := 0
	for i, k := range b.kernels {
		f := b.module.ExportedFunction(exportName(i))
		if f == nil {
			return nil, fmt.Errorf("kernel %s: not exported", k.Name())
		}
		c.functions = append(c.functions, f)
		deepest = max(deepest, k.Params())
	}
	c.stack = make([]uint64, deepest)
	return c, nil
}

func (b *wasmBackend) close(ctx context.Context) error { return b.runtime.Close(ctx) }

// wasmCaller is one worker's handles.
type wasmCaller struct {
	functions []api.Function
	stack     []uint64
}

func (c *wasmCaller) call(ctx context.Context, k int, lo, hi, scratch uint32, args []uint32) error {
	stack := c.stack[:3+len(args)]
	stack[0], stack[1], stack[2] = uint64(lo), uint64(hi), uint64(scratch)
	for i, a := range args {
		stack[3+i] = uint64(a)
	}
	return c.functions[k].CallWithStack(ctx, stack)
}
