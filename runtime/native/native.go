// Package native is the kernels in assembly, for CPUs that have more than WebAssembly can
// use: the same bits, sooner.
//
// A Set is the assembly for one sort of CPU. Bind gives a kernel of a program (by its
// name, which fixes every bit of a result) as machine code over the same linear memory and
// the same arguments as its WebAssembly and its Go reference; only the weights of linears
// lie otherwise, in the set's own panels (PackWeights), and scratch is the worker's own.
//
//	kernel.Kernel -> Set.Bind -> Kernel.Run(mem, scratch, lo, hi, args)
//
// Go code drives: it walks blocks of rows and panels of columns and calls a few primitives
// (int8Ops, floatOps), which are all that is written in assembly, once for each set. The
// order of float operations is that of package kernel: no operation is fused, a sum over a
// row is 16 partial sums whatever the width of a register.
//
// The arguments were proved by program.Check; assembly checks nothing. Prove compares each
// bound kernel with its reference on this CPU before it may answer.
//
// The package must not import the engine, wazero or a bundle, and does no I/O.
//
// Shapes: M token rows, N columns, K depth, H hidden, A heads, D head size, T tokens of one
// sequence.
package native

import (
	"fmt"
	"strings"

	"skiff/runtime/kernel"
)

// Set is the assembly for one sort of CPU. It is immutable and safe for concurrent use.
type Set struct {
	name   string
	usable bool // this CPU has what it needs
	int8   int8Ops
	float  floatOps
	peak   Instruction
}

// Kernel is one kernel in machine code. Run is safe for concurrent use as long as the
// units and the scratch of the calls are disjoint.
type Kernel struct {
	// Run does the units [lo, hi) in mem, as kernel.Kernel.Run does. scratch is at least
	// Scratch bytes, 64-byte aligned, and holds nothing between calls.
	Run func(mem, scratch []byte, lo, hi int, args []uint32)
	// Scratch is the bytes Run needs for calls of up to so many units with these arguments,
	// on sequences of at most so many tokens.
	Scratch func(args []uint32, units, tokens int) int
	// Grain is how many consecutive units run best together.
	Grain int
}

// Name is the set's name: "avx512", "avx2", "i8mm", "sdot", "neon".
func (s *Set) Name() string { return s.name }

// Sets are the sets that this CPU can run, fastest first; none where this build has none.
func Sets() []*Set {
	var out []*Set
	for _, s := range sets() {
		if s.usable {
			out = append(out, s)
		}
	}
	return out
}

// Names are the names of all sets of this build, whatever the CPU.
func Names() []string {
	var out []string
	for _, s := range sets() {
		out = append(out, s.name)
	}
	return out
}

// Find is the set of a name, if this CPU can run it.
func Find(name string) (*Set, error) {
	for _, s := range sets() {
		if s.name == name && s.usable {
			return s, nil
		}
		if s.name == name {
			return nil, fmt.Errorf("kernels %q: this CPU cannot run them", name)
		}
	}
	return nil, fmt.Errorf("kernels %q: this build has %s", name, strings.Join(Names(), ", "))
}

// Bind is the machine code of a kernel. It is false for the few that have none: windows,
// biases and distances of attention, and what other machines do as fast.
func (s *Set) Bind(k *kernel.Kernel) (Kernel, bool) {
	switch k.Form().Op {
	case "linear":
		return s.bindLinear(k)
	}
	return s.bindFloat(k)
}
