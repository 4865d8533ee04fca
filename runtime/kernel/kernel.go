// Package kernel is the kernel family: the leaf functions every model is run with.
//
// Each kernel exists twice. Run is the Go reference and the specification of every
// bit; Body is the same arithmetic as WebAssembly SIMD128, made by runtime/emit.
// Tests hold the two equal, bit for bit. A bundle carries names and bodies, the
// engine builds one module of them over one linear memory.
//
//	ids -> embed -> [linear(q,k,v) -> attention -> linear -> addnorm -> linear+gelu -> linear -> addnorm]* -> meanpool -> l2norm
//
// What other models do otherwise has kernels of its own: lookup is embed without its
// norm, trigram MobileBERT's embedding, attend attention with windows, biases, rotation
// or distances, norm and nonorm and add the parts of addnorm, glu a gated activation,
// activation one alone, pool every other pooling, poolafter the same without a prompt,
// concat several side by side. A linear may end with any activation that keeps zero zero.
// Codes with zero points, as some model files bring them, have a linear and a lookup of
// their own.
//
// # Memory
//
// Addresses are byte offsets into one little-endian memory. Activations are
// row-major float32; a row takes Pad16(columns) floats, starts 64-byte aligned, and
// its pad lanes are +0: every kernel writes them so, hence every kernel may run over
// them. Kernels take (lo, hi, scratch, args...) and do the units [lo, hi) of their
// domain; what they answer for a unit never depends on how the domain was split.
// They call nothing, import nothing and touch only their arguments' extents and
// scratch.
//
// # Order of float operations
//
// The order is law, since it decides bits. No operation is fused: the reference
// writes float32(a*b)+c, for the Go compiler fuses a*b+c on some targets.
//
//   - A sum over a row is 16 interleaved partial sums p[l] += x[16i+l] from +0, then
//     the tree p[l]+p[l+8], +4, +2, +1.
//   - A matrix product adds over ascending k into one accumulator per output.
//   - A mean divides by float32(count); a reciprocal square root is 1/sqrt(x).
//   - Maximum and minimum are a<b ? b : a and b<a ? b : a.
//
// # Edges
//
//	absolute maximum of a row below 2^-100   codes 0, scale 0
//	absolute maximum                         over sign-cleared bits, compared as int32
//	weight code -128                         multiplied as -128
//	zero point of a column or table row      any int32: the difference from it is mod 2^32
//	exp(x), x < -87                          +0: no denormals
//	exp(x), x > 88                           exp(88)
//	erf(x), |x| beyond its clamp             +1 or -1 exactly
//	tanh(x), |x| beyond its clamp            +1 or -1 exactly
//	sigmoid(x), x < -87                      +0; of it silu(x) is -0
//	mean, or other pool, of no rows          zeros
//	row of zero norm                         zeros (each x / 1e-12)
//	softmax over no keys, or of zero sum     zeros
//	id, type, position or column past a table  the table's last entry
//	distance past a table                    the last entry on its side
//	NaN or Inf in a row                      NaN or Inf in what depends on it, bits unspecified
//
// The package must not import the engine or wazero, and does no I/O.
//
// Shapes: B sequences, M token rows, N columns, K depth, H hidden, A heads, D head
// size, T tokens of one sequence.
package kernel

import (
	"fmt"
	"math"
)

// Domain is what a kernel's units are.
type Domain uint8

const (
	// Rows has one unit per token row: M.
	Rows Domain = iota + 1
	// Heads has one unit per sequence and head, unit = sequence*A + head: B*A.
	Heads
	// Seqs has one unit per sequence: B.
	Seqs
)

// Access is what a kernel does with an argument.
type Access uint8

const (
	// Scalar is a number used by value.
	Scalar Access = iota + 1
	// Read is the address of memory that is only read.
	Read
	// Write is the address of memory that is written, and perhaps read.
	Write
)

// Arg describes one argument after (lo, hi, scratch).
type Arg struct {
	Name   string
	Access Access
	bytes  func(c call) uint64 // extent, nil for a scalar
}

// Extent is the memory one argument of one call spans.
type Extent struct {
	Arg   int // index into Args
	Write bool
	Off   uint32
	Len   uint64 // bytes
}

// call is what the size of an extent may depend on.
type call struct {
	args         []uint32
	tokens, seqs uint64
}

// at is argument i as a size.
func (c call) at(i int) uint64 { return uint64(c.args[i]) }

// Kernel is one kernel with its parameters baked in. It is immutable and safe for
// concurrent use; Run is too, as long as units and scratch of the calls are disjoint.
type Kernel struct {
	name    string
	args    []Arg
	domain  Domain
	heads   int                                            // A, for the domain Heads
	grain   int                                            // units that run best together
	inPlace bool                                           // the output may be exactly an input
	check   func(c call) error                             // scalars and limits
	scratch func(c call) uint64                            // bytes a worker needs
	cost    func(c call) uint64                            // multiply-accumulates per unit
	body    func() []byte                                  // WebAssembly
	run     func(mem []byte, lo, hi, s int, args []uint32) // Go reference
}

// Name is the canonical name, which Parse reads: op.version.digest/parameters.
func (k *Kernel) Name() string { return k.name }

// Args describes the arguments after (lo, hi, scratch), in order. The caller must not
// change the result.
func (k *Kernel) Args() []Arg { return k.args }

// Domain is what the units are.
func (k *Kernel) Domain() Domain { return k.domain }

// Units is the size of the domain for a batch.
func (k *Kernel) Units(tokens, seqs int) int {
	switch k.domain {
	case Rows:
		return tokens
	case Heads:
		return seqs * k.heads
	}
	return seqs
}

// Grain is how many consecutive units run best in one call; a split at multiples of
// it loses no speed. Results do not depend on it.
func (k *Kernel) Grain() int { return k.grain }

// Cost is the approximate work of one unit in multiply-accumulates, for a batch of so
// many tokens and sequences. It is at least 1.
func (k *Kernel) Cost(args []uint32, tokens, seqs int) int {
	c := k.cost(call{args, uint64(tokens), uint64(max(seqs, 1))})
	return int(min(max(c, 1), math.MaxInt32))
}

// ScratchBytes is the scratch one worker needs for calls with these arguments and at
// most so many tokens, a multiple of 64.
func (k *Kernel) ScratchBytes(args []uint32, tokens int) uint64 {
	return (k.scratch(call{args, uint64(tokens), 1}) + 63) &^ 63
}

// Extents proves what a call over at most so many tokens and sequences can touch
// besides its scratch: it checks the scalars, the 64-byte alignment of every address
// and that what is written overlaps nothing else (or is exactly an input, where the
// kernel allows it). The caller checks that the extents lie where they may.
// The proof needs starts to be ascending and at most tokens, which the caller ensures.
func (k *Kernel) Extents(args []uint32, tokens, seqs int) ([]Extent, error) {
	if len(args) != len(k.args) {
		return nil, fmt.Errorf("%s: %d arguments, not %d", k.name, len(args), len(k.args))
	}
	c := call{args, uint64(tokens), uint64(seqs)}
	if err := k.check(c); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	var out []Extent
	for i, a := range k.args {
		if a.Access == Scalar {
			continue
		}
		e := Extent{Arg: i, Write: a.Access == Write, Off: args[i], Len: a.bytes(c)}
		if e.Len == 0 {
			continue
		}
		if e.Off%64 != 0 || uint64(e.Off)+e.Len > 1<<32 {
			return nil, fmt.Errorf("%s: argument %s: %d bytes at offset %d: unaligned or past 4 GiB", k.name, a.Name, e.Len, e.Off)
		}
		out = append(out, e)
	}
	return out, k.checkOverlap(out)
}

// checkOverlap refuses a written extent that shares bytes with another.
func (k *Kernel) checkOverlap(extents []Extent) error {
	for _, w := range extents {
		if !w.Write {
			continue
		}
		for _, e := range extents {
			apart := uint64(w.Off)+w.Len <= uint64(e.Off) || uint64(e.Off)+e.Len <= uint64(w.Off)
			same := k.inPlace && e.Off == w.Off && e.Len == w.Len
			if e.Arg != w.Arg && !apart && !same {
				return fmt.Errorf("%s: arguments %s and %s overlap", k.name, k.args[w.Arg].Name, k.args[e.Arg].Name)
			}
		}
	}
	return nil
}

// Body is the kernel as WebAssembly: the locals and code of one function whose
// parameters are Params i32. It is deterministic: these bytes are what bundles carry.
func (k *Kernel) Body() []byte { return k.body() }

// Params is the number of i32 parameters of the function Body is of.
func (k *Kernel) Params() int { return 3 + len(k.args) }

// Run is the Go reference: it does the units [lo, hi) in mem, whose first byte must be
// 4-byte aligned, with ScratchBytes of private memory at scratch. It allocates nothing.
// Arguments that Extents accepts for memory of this size never make it panic.
// mem holds numbers in the byte order of the machine.
func (k *Kernel) Run(mem []byte, lo, hi, scratch uint32, args []uint32) {
	k.run(mem, int(lo), int(hi), int(scratch), args)
}

// pad16 rounds a column count up to the padded width of a row.
func pad16[T int | uint64](n T) T { return (n + 15) &^ 15 }

// pad rounds n up to a multiple of a power of two.
func pad[T int | uint64](n, to T) T { return (n + to - 1) &^ (to - 1) }

// scalarArg and addressArg make the two sorts of argument.
func scalarArg(name string) Arg { return Arg{Name: name, Access: Scalar} }

func readArg(name string, bytes func(c call) uint64) Arg {
	return Arg{Name: name, Access: Read, bytes: bytes}
}

func writeArg(name string, bytes func(c call) uint64) Arg {
	return Arg{Name: name, Access: Write, bytes: bytes}
}

// fixed is an extent that depends on nothing.
func fixed(bytes int) func(call) uint64 {
	return func(call) uint64 { return uint64(bytes) }
}

// perToken and perSeq are extents of one item of so many bytes per row or sequence.
func perToken(bytes int) func(call) uint64 {
	return func(c call) uint64 { return c.tokens * uint64(bytes) }
}

func perSeq(bytes int) func(call) uint64 {
	return func(c call) uint64 { return c.seqs * uint64(bytes) }
}

// checkStride wants a row stride that holds so many bytes and keeps rows aligned.
func checkStride(name string, stride, bytes uint64) error {
	if stride%64 != 0 || stride < bytes || stride > maxStride {
		return fmt.Errorf("argument %s: stride %d: want a multiple of 64 from %d to %d", name, stride, bytes, maxStride)
	}
	return nil
}
