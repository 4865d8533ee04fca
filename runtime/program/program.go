// Package program is the list of kernel calls that runs a model, with every
// memory offset planned at pack time.
//
// The packager's compiler writes a Program, the bundle carries its encoding, and
// runtime/engine executes it. A program names its kernels (runtime/kernel), says
// where each tensor of the bundle is laid down in the one linear memory, and
// lists the steps in order; a step may be split over workers along its kernel's
// domain, and a step with Barrier waits for all of them first.
//
//	memory: [0, Base) guard | weights | arena | scratch of worker 0 | of worker 1 | ...
//
// Check proves once, at load, that no call can touch anything but what its kernel
// is for: reads inside weights and arena, writes inside the arena alone.
//
// The package does no arithmetic on tensors and no I/O, and must not import the
// engine, wazero or the bundle.
//
// Shapes: B sequences, M token rows, N columns, K depth, H hidden.
package program

import (
	"errors"
	"fmt"
)

// Base is the first usable offset of the linear memory; what lies below is never
// addressed, so that an offset of zero is always a fault.
const Base = 4096

// Align is the alignment, in bytes, of every tensor and buffer.
const Align = 64

// Layout says how a tensor of the bundle is laid down in linear memory.
type Layout uint8

const (
	// Vector is a float32 vector of Cols values, zero-padded to 16.
	Vector Layout = iota + 1
	// Rows8 is an int8 matrix [Rows][Cols], each row zero-padded to 16 columns.
	Rows8
	// RowsF32 is a float32 matrix [Rows][Cols], each row zero-padded to 16 columns.
	RowsF32
	// Panels is an int8 matrix [Rows=N][Cols=K] in the panels of the linear kernel.
	Panels
	// Index is Rows int32 column numbers, each below Cols.
	Index
	// Ints is an int32 vector of Cols values, any of them, zero-padded to 16.
	Ints
)

// Weight is one tensor of the bundle and its place.
type Weight struct {
	Tensor string // name of the bundle's object
	Layout Layout
	Rows   uint32
	Cols   uint32
	Offset uint32 // bytes from the start of memory
}

// Bytes is how much memory the weight takes, pads included.
func (w Weight) Bytes() uint64 {
	rows, cols := uint64(w.Rows), Pad16(uint64(w.Cols))
	switch w.Layout {
	case Vector, Ints:
		return 4 * cols
	case Rows8:
		return rows * cols
	case RowsF32:
		return 4 * rows * cols
	case Panels:
		return Pad16(rows) * pad8(uint64(w.Cols))
	case Index:
		return 4 * Pad16(rows)
	}
	return 0
}

// Over says what a step's rows are.
type Over uint8

const (
	// Tokens is all token rows of the pass, cut into its sequences.
	Tokens Over = iota
	// Seqs is one row per sequence: what a pool has made.
	Seqs
	// Picks is one row per picked token: the places of masks.
	Picks
)

// Step is one kernel call over its whole domain.
type Step struct {
	Kernel  uint32   // index into Program.Kernels
	Barrier bool     // wait for every worker to end the steps before this one
	Over    Over     // what its rows and sequences are; a stage has one
	Args    []uint32 // the kernel's own arguments, after (lo, hi, scratch)
}

// Tap is a place whose bits a proof digests: the rows of a buffer after a step.
type Tap struct {
	Name   string
	Step   uint32 // index of the step after which the rows are final; a barrier or the end follows it
	Offset uint32
	Stride uint32 // bytes from row to row
}

// Program is a compiled model. The zero value is of no use; Decode or the packager
// make one. It is read-only once made and may be shared.
type Program struct {
	MaxTokens uint32 // token rows a pass can hold
	MaxSeqs   uint32 // sequences a pass can hold
	MaxLength uint32 // tokens one sequence may have
	Vocab     uint32 // token ids are below this
	Pads      uint32 // id of padding, which has place 0 and is not counted from place 1 on, plus 1; 0 where all tokens are numbered from 0
	Types     uint32 // type ids are below this
	Hidden    uint32 // columns of the output
	MaxPicks  uint32 // picked tokens a pass can hold; 0 where nothing is picked

	IDs, TypeIDs, Positions uint32 // inputs: int32 [MaxTokens] each
	Starts                  uint32 // input: int32 [MaxSeqs+1], first row of each sequence, then the end
	Picked                  uint32 // input: int32 [MaxPicks+1], rows of the picked tokens, then the number of rows
	Skips                   uint32 // input: int32 [MaxSeqs], tokens of each sequence's prompt; 0 where pools leave none out
	Output                  uint32 // output: float32 [rows][Pad16(Hidden)]
	Rows                    uint32 // what the output's rows are: an Over

	WeightsEnd uint32 // end of the weights, start of the arena
	ArenaEnd   uint32 // end of the arena, start of worker 0's scratch
	Scratch    uint32 // bytes of scratch a worker needs

	Kernels []string
	Weights []Weight
	Steps   []Step
	Taps    []Tap
}

// ErrInvalid is wrapped by every error of Decode and Check.
var ErrInvalid = errors.New("invalid program")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Pad16 rounds a column count up to the padded width of a row.
func Pad16[T uint32 | uint64 | int](n T) T { return (n + 15) &^ 15 }

func pad8[T uint32 | uint64 | int](n T) T { return (n + 7) &^ 7 }

// Most is how many of what o names a pass can hold.
func (p *Program) Most(o Over) uint32 {
	switch o {
	case Seqs:
		return p.MaxSeqs
	case Picks:
		return p.MaxPicks
	}
	return p.MaxTokens
}

// MemoryBytes is the size of linear memory for a number of workers.
func (p *Program) MemoryBytes(workers int) uint64 {
	return uint64(p.ArenaEnd) + uint64(workers)*uint64(p.Scratch)
}

// ScratchOf is the offset of a worker's private scratch.
func (p *Program) ScratchOf(worker int) uint32 {
	return p.ArenaEnd + uint32(worker)*p.Scratch
}
