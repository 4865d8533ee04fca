package engine

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"skiff/runtime/emit"
	"skiff/runtime/kernel"
)

const pageBytes = 65536

// wasmBackend is one module of kernels over the machine's memory. wazero's functions are
// not safe for concurrent use, but every handle has a stack of its own, and the kernels
// keep no state: so workers share the instance and its memory.
type wasmBackend struct {
	runtime wazero.Runtime
	module  api.Module
	kernels []*kernel.Kernel // those it runs, others nil
}

// newWasmBackend runs the kernels that are not nil over mem, whole pages that are never
// more nor fewer.
func newWasmBackend(ctx context.Context, kind Kind, kernels []*kernel.Kernel, mem []byte) (*wasmBackend, error) {
	cfg := wazero.NewRuntimeConfigInterpreter()
	if kind == Wasm {
		cfg = wazero.NewRuntimeConfigCompiler()
	}
	b := &wasmBackend{kernels: kernels, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	var exports []emit.Export
	for i, k := range kernels {
		if k != nil {
			exports = append(exports, emit.Export{Name: exportName(i), Params: k.Params(), Body: k.Body()})
		}
	}
	var err error
	own := experimental.WithMemoryAllocator(ctx, lent(mem))
	b.module, err = b.runtime.Instantiate(own, emit.Module(uint32(len(mem)/pageBytes), exports))
	if err != nil {
		b.runtime.Close(ctx)
		return nil, fmt.Errorf("instantiate kernels: %w", err)
	}
	return b, nil
}

// lent gives wazero a memory that stays the machine's.
type lent []byte

// Allocate returns the memory itself, whose size is what the module asks for.
func (l lent) Allocate(_, _ uint64) experimental.LinearMemory { return l }

// Reallocate returns the memory at the one size it has.
func (l lent) Reallocate(size uint64) []byte {
	if size != uint64(len(l)) {
		return nil
	}
	return l
}

// Free does nothing: the machine frees it.
func (l lent) Free() {}

func exportName(i int) string { return "k" + strconv.Itoa(i) }

func (b *wasmBackend) caller([]byte) (caller, error) {
	c := &wasmCaller{functions: make([]api.Function, len(b.kernels))}
	deepest := 0
	for i, k := range b.kernels {
		if k == nil {
			continue
		}
		if c.functions[i] = b.module.ExportedFunction(exportName(i)); c.functions[i] == nil {
			return nil, fmt.Errorf("kernel %s: not exported", k.Name())
		}
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
