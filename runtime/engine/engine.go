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
	"math"
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

// Machine is a program in memory, ready to run. Run is not safe for concurrent use, but
// any number of machines may run at once: they share nothing.
type Machine struct {
	prog    *program.Program
	kernels []*kernel.Kernel
	stages  []stage
	choice  Choice
	backend backend
	all     []byte    // linear memory, then the workers' native scratch
	mem     []byte    // linear memory
	workers []*worker // at least two
	active  int       // workers that Run uses
	pool    *pool
	trace   Trace // nil but in a copy made by Traced
}

// Trace is told of every call of a kernel: units [lo, hi) of a step took d on a worker. The
// workers, numbered from 0, call it concurrently.
type Trace func(worker, step, lo, hi int, d time.Duration)

// backend is one kind of machine: callers of kernels over the machine's memory.
type backend interface {
	// caller makes one worker's, with memory of its own where Choice asks for some.
	caller(scratch []byte) (caller, error)
	close(ctx context.Context) error
}

// caller calls kernels for one worker. It is used by one goroutine at a time.
type caller interface {
	// call does the units [lo, hi) of a kernel; scratch is an offset in linear memory.
	call(ctx context.Context, kernel int, lo, hi, scratch uint32, args []uint32) error
}

// worker is a caller with its own scratch.
type worker struct {
	caller
	index   int
	scratch uint32
}

// New proves p, allocates the memory and starts the workers. Bodies are emitted by this
// build, and assembly is proved against the references first; nothing from outside is
// executed. Close must be called.
func New(ctx context.Context, p *program.Program, cfg Config) (*Machine, error) {
	return newMachine(ctx, p, cfg, assemblies())
}

func newMachine(ctx context.Context, p *program.Program, cfg Config, sets []assembly) (*Machine, error) {
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
	m := &Machine{prog: p, kernels: kernels, active: n}
	m.stages = cutStages(p, kernels)
	if m.choice, err = choose(kernels, cfg, sets); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.choice.kind, err)
	}
	if err := m.start(ctx, max(n, 2)); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.choice.Kernels, err)
	}
	return m, nil
}

// start makes the memory and everything that needs it. Nothing is left of an error.
func (m *Machine) start(ctx context.Context, workers int) error {
	linear := (m.prog.MemoryBytes(workers) + pageBytes - 1) / pageBytes * pageBytes
	scratch := m.nativeScratch()
	if need := linear + uint64(workers)*uint64(scratch); need > min(MaxMemory, math.MaxInt) {
		return fmt.Errorf("%w: %d bytes", ErrMemory, need)
	}
	var err error
	if m.all, err = newMemory(int(linear) + workers*scratch); err != nil {
		return err
	}
	largePages(m.all[:m.prog.WeightsEnd])
	m.mem = m.all[:linear:linear]
	if m.backend, err = m.newBackend(ctx, m.choice.kind, m.kernels); err != nil {
		return errors.Join(err, freeMemory(m.all))
	}
	for i := range workers {
		at := int(linear) + i*scratch
		c, err := m.backend.caller(m.all[at : at+scratch : at+scratch])
		if err != nil {
			return errors.Join(err, m.backend.close(ctx), freeMemory(m.all))
		}
		m.workers = append(m.workers, &worker{caller: c, index: i, scratch: m.prog.ScratchOf(i)})
	}
	m.pool = startPool(m.workers[1:])
	return nil
}

// newBackend starts what runs the kernels that are not nil.
func (m *Machine) newBackend(ctx context.Context, kind Kind, kernels []*kernel.Kernel) (backend, error) {
	switch kind {
	case Go:
		return &goBackend{kernels: kernels, mem: m.mem}, nil
	case Wasm, Interp:
		return newWasmBackend(ctx, kind, kernels, m.mem)
	}
	b := &nativeBackend{bound: m.choice.bound, mem: m.mem}
	if m.choice.rest == Auto {
		return b, nil
	}
	others := make([]*kernel.Kernel, len(kernels))
	for i, k := range kernels {
		if b.bound[i].Run == nil {
			others[i] = k
		}
	}
	var err error
	if b.rest, err = m.newBackend(ctx, m.choice.rest, others); err != nil {
		return nil, err
	}
	return b, nil
}

// Kind is what runs the kernels; never Auto.
func (m *Machine) Kind() Kind { return m.choice.kind }

// Choice says what runs the kernels, and why not something faster.
func (m *Machine) Choice() Choice { return m.choice }

// Kernels names what runs the kernels: see Choice.
func (m *Machine) Kernels() string { return m.choice.Kernels }

// PackWeights lays rows of an int8 matrix [N][k] into the panels at dst that this
// machine's linears read: see kernel.PackWeights.
func (m *Machine) PackWeights(dst, codes []byte, first, k int) error {
	if m.choice.kind == Native {
		return m.choice.set.PackWeights(dst, codes, first, k)
	}
	return kernel.PackWeights(dst, codes, first, k)
}

// Workers is the number of workers that Run uses.
func (m *Machine) Workers() int { return m.active }

// Wake tells the workers that a Run is near, so that they are awake when it begins. Where the
// last Run had no use for them it does nothing.
func (m *Machine) Wake() {
	if m.pool.used {
		m.pool.rouse(m.active - 1)
	}
}

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

// Close stops the workers and frees the memory, which nobody may look at any more.
func (m *Machine) Close(ctx context.Context) error {
	m.pool.stop()
	err := errors.Join(m.backend.close(ctx), freeMemory(m.all))
	m.mem, m.all = nil, nil
	return err
}
