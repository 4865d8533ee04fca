// Package engine executes a program (runtime/program) over one linear memory, on one
// of four kinds of machine that give the same bits: assembly for this CPU (runtime/native),
// WebAssembly compiled by wazero, WebAssembly interpreted by wazero, and the kernels' Go
// references.
//
// Data flow: New proves the program, makes the memory and the workers; the caller lays
// the weights into Memory; Run writes token ids and sequence starts, then drives the
// stages of the program, each split over the workers by ranges of units, with a
// barrier between stages. What a unit computes never depends on how ranges were cut,
// so workers take them in any order.
//
// It is the only package that imports wazero. It must not know bundles, tokenizers or
// what a model is for.
//
// Shapes: B sequences, M token rows, H hidden.
package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"skiff/runtime/kernel"
	"skiff/runtime/native"
	"skiff/runtime/program"
)

// Kind is the sort of machine that runs the kernels.
type Kind uint8

const (
	// Auto is the fastest set of assembly that can run the program's linears on this CPU,
	// else the compiler where wazero has one, else the Go references, else, on a big-endian
	// CPU, the interpreter.
	Auto Kind = iota
	// Native is a set of assembly; New refuses where none can run the program.
	Native
	// Wasm is wazero's compiler; New refuses where there is none.
	Wasm
	// Interp is wazero's interpreter: slow, for comparison and for doubt.
	Interp
	// Go runs the kernels' Go references.
	Go
)

// String is the kind's name, as SKIFF_KERNELS and Parse know it.
func (k Kind) String() string {
	switch k {
	case Auto:
		return "auto"
	case Native:
		return "native"
	case Wasm:
		return "wasm"
	case Interp:
		return "interp"
	case Go:
		return "go"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Parse reads what kernels are asked for: the name of a Kind, or of a set of assembly that
// this build has and this CPU can run. The empty name is auto.
func Parse(kernels string) (Config, error) {
	if kernels == "" {
		return Config{}, nil
	}
	for _, k := range []Kind{Auto, Native, Wasm, Interp, Go} {
		if kernels == k.String() {
			return Config{Kind: k}, nil
		}
	}
	if !slices.Contains(native.Names(), kernels) {
		return Config{}, fmt.Errorf("kernels %q: want %s", kernels, strings.Join(Names(), ", "))
	}
	if _, err := native.Find(kernels); err != nil {
		return Config{}, err
	}
	return Config{Kind: Native, Set: kernels}, nil
}

// Names is what Parse knows in this build, whatever the CPU.
func Names() []string {
	return append([]string{"auto", "native", "wasm", "interp", "go"}, native.Names()...)
}

// MaxWorkers is the largest number of workers New starts.
const MaxWorkers = 256

// MaxMemory is the largest linear memory New makes, in bytes.
const MaxMemory = 2 << 30

// ErrMemory is returned when a program needs more memory than MaxMemory.
var ErrMemory = errors.New("program needs more memory than this build allows")

// ErrNoCompiler is returned when Wasm is asked for where wazero cannot compile.
var ErrNoCompiler = errors.New("no WebAssembly compiler for this CPU")

// ErrNoNative is returned when Native is asked for where no set can run the program.
var ErrNoNative = errors.New("no assembly for this program on this CPU")

// ErrByteOrder is returned when Go is asked for on a big-endian CPU.
var ErrByteOrder = errors.New("the Go kernels need a little-endian CPU")

// Config says how to run. The zero value is Auto with one worker per CPU, at most 4.
type Config struct {
	Kind    Kind
	Set     string // of Native: the one set to use; "" is the fastest that can run the program
	Workers int    // 0: one per CPU, at most 4
}

// Machine is a program in memory, ready to run. Run is not safe for concurrent use.
type Machine struct {
	prog    *program.Program
	kernels []*kernel.Kernel
	stages  []stage
	kind    Kind
	backend backend
	mem     []byte
	workers []*worker // at least two
	active  int       // workers that Run uses
	pool    *pool
	trace   Trace // nil but in a copy made by Traced
}

// Trace is told of every call of a kernel: units [lo, hi) of a step took d on a worker. The
// workers, numbered from 0, call it concurrently.
type Trace func(worker, step, lo, hi int, d time.Duration)

// backend is one kind of machine: a memory, and callers of the kernels over it.
type backend interface {
	memory() []byte
	caller() (caller, error)
	close(ctx context.Context) error
}

// caller calls kernels for one worker. It is used by one goroutine at a time.
type caller interface {
	call(ctx context.Context, kernel int, lo, hi, scratch uint32, args []uint32) error
}

// worker is a caller with its own scratch.
type worker struct {
	caller
	index   int
	scratch uint32
}

// New proves p, allocates the memory and starts the workers. Bodies are emitted by this
// build; nothing from outside is executed. Close must be called.
func New(ctx context.Context, p *program.Program, cfg Config) (*Machine, error) {
	kernels, err := p.Check()
	if err != nil {
		return nil, fmt.Errorf("check program: %w", err)
	}
	n := cfg.Workers
	if n <= 0 {
		n = min(runtime.GOMAXPROCS(0), 4)
	}
	if n > MaxWorkers {
		return nil, fmt.Errorf("%d workers: want up to %d", n, MaxWorkers)
	}
	if need := p.MemoryBytes(max(n, 2)); need > MaxMemory {
		return nil, fmt.Errorf("%w: %d bytes", ErrMemory, need)
	}
	m := &Machine{prog: p, kernels: kernels, kind: cfg.Kind, active: n}
	m.stages = cutStages(p, kernels)
	if err := m.start(ctx, max(n, 2)); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Machine) start(ctx context.Context, workers int) error {
	if m.kind == Native {
		return fmt.Errorf("start %s: %w", m.kind, ErrNoNative)
	}
	if m.kind == Auto {
		m.kind = best()
	}
	var err error
	bytes := m.prog.MemoryBytes(workers)
	if m.kind == Go {
		m.backend, err = newGoBackend(m.kernels, bytes)
	} else {
		m.backend, err = newWasmBackend(ctx, m.kind, m.kernels, bytes)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", m.kind, err)
	}
	m.mem = m.backend.memory()
	for i := range workers {
		c, err := m.backend.caller()
		if err != nil {
			return errors.Join(fmt.Errorf("start %s: %w", m.kind, err), m.backend.close(ctx))
		}
		m.workers = append(m.workers, &worker{caller: c, index: i, scratch: m.prog.ScratchOf(i)})
	}
	m.pool = startPool(m.workers[1:])
	return nil
}

// Kind is what runs the kernels; never Auto.
func (m *Machine) Kind() Kind { return m.kind }

// Kernels names what runs the kernels: a set of assembly, "wasm", "interp" or "go".
func (m *Machine) Kernels() string { return m.kind.String() }

// PackWeights lays rows of an int8 matrix [N][k] into the panels at dst that this
// machine's linears read: see kernel.PackWeights.
func (m *Machine) PackWeights(dst, codes []byte, first, k int) error {
	return kernel.PackWeights(dst, codes, first, k)
}

// Workers is the number of workers that Run uses.
func (m *Machine) Workers() int { return m.active }

// Memory is the linear memory. Weights are laid into it before the first Run; it is
// valid until Close and must not be touched during Run.
func (m *Machine) Memory() []byte { return m.mem }

// Using is the same machine with n of its workers, at most Most: memory and handles are
// shared, so the two must not run at once. It is not to be closed.
func (m *Machine) Using(n int) *Machine {
	view := *m
	view.active = max(1, min(n, len(m.workers)))
	return &view
}

// Traced is the same machine, reporting every call of a kernel to t: for profiles. Memory
// and handles are shared, so the two must not run at once. It is not to be closed.
func (m *Machine) Traced(t Trace) *Machine {
	view := *m
	view.trace = t
	return &view
}

// Most is the number of workers the machine could use; at least two, so that a proof can
// compare one worker with several on any device.
func (m *Machine) Most() int { return len(m.workers) }

// Close stops the workers and frees the memory.
func (m *Machine) Close(ctx context.Context) error {
	m.pool.stop()
	m.mem = nil
	return m.backend.close(ctx)
}
