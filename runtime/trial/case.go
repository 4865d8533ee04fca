// Package trial makes cases that kernels are tried on: every argument filled with random
// numbers, guard zones between them, and what must come out by the Go reference.
//
//	kernel.Kernel, Shape, Numbers, seed -> Case -> Check(run) -> the first byte that differs
//
// A case is made from what a kernel says of itself (Form, Args, Extents): one builder does
// for every kernel. The same inputs give the same case everywhere. Tests draw kernels and
// shapes at random; native machine code is tried on a few cases at each start.
//
// The package must not import an engine, wazero or package testing, and does no I/O.
//
// Shapes: M token rows, N columns, K depth, H hidden, T tokens of one sequence.
package trial

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"skiff/runtime/kernel"
)

// Guard is how many bytes lie between regions of a case, and before and after all. As
// floats they are NaN: a result that was made with one shows it.
const Guard = 64

const (
	guardByte = 0xff // what guards hold
	dirtyByte = 0x5a // what outputs and scratch hold before
	alignment = 64   // of regions
)

// Shape is the size of a case. What a kernel has no use for is ignored.
type Shape struct {
	Rows        int   // M; sequences of a kernel that has rows but no starts
	Cols, Depth int   // N and K of a linear
	Lengths     []int // tokens of each sequence, of kernels that have starts
	Slack       bool  // rows lie further apart than they must, NaN between them
}

// Case is one call of a kernel over its whole domain, with its memory. It is read-only once
// made, and may then be shared.
type Case struct {
	Kernel *kernel.Kernel
	Args   []uint32
	Tokens int
	Seqs   int
	// Mem is the linear memory: arguments in random order, each 64-byte aligned, guards
	// between them, and from Scratch on the scratch of the reference.
	Mem     []byte
	Scratch uint32

	codes []byte // int8 [N][K] of a linear
	depth int    // K
}

// Pack lays rows of an int8 matrix [N][k], starting at row first, into panels, as
// kernel.PackWeights does.
type Pack func(dst, codes []byte, first, k int) error

// Run does the units [lo, hi) of a case in its memory, which has no room for scratch.
type Run func(mem []byte, lo, hi int, args []uint32)

// Units is the size of the case's domain.
func (c *Case) Units() int { return c.Kernel.Units(c.Tokens, c.Seqs) }

// InPlace is the case with its output where the input of a name is; false where the kernel
// does not allow that. The two share their memory.
func (c *Case) InPlace(name string) (*Case, bool) {
	in, out := c.Kernel.Place(name), c.Kernel.Place("out")
	if in < 0 || c.Args[in] == c.Args[out] {
		return nil, false
	}
	same := *c
	same.Args = append([]uint32(nil), c.Args...)
	same.Args[out] = c.Args[in]
	if _, err := c.Kernel.Extents(same.Args, c.Tokens, c.Seqs); err != nil {
		return nil, false
	}
	return &same, true
}

// Check runs the case cut into ranges of units at the given places, ascending, and compares
// all of the memory with the reference, bit for bit: outputs, inputs and guards. The error
// names the first byte that differs.
func (c *Case) Check(pack Pack, run Run, cuts ...int) error {
	t, err := c.Trial(pack)
	if err != nil {
		return err
	}
	return t.Check(run, cuts...)
}

// Trial is a case made ready to be run several times. It is not safe for concurrent use.
type Trial struct {
	*Case
	mem    []byte // what Run is given, 64-byte aligned; its contents are those of the last run
	panels []byte // the weights of a linear as pack lays them; nil as they are in the case
	after  []byte // what mem must be
}

// Trial makes a case ready. pack lays the weights of a linear; nil means as
// kernel.PackWeights does.
func (c *Case) Trial(pack Pack) (*Trial, error) {
	t := &Trial{Case: c, mem: Aligned(int(c.Scratch))}
	whole := Aligned(len(c.Mem))
	copy(whole, c.Mem)
	c.Kernel.Run(whole, 0, uint32(c.Units()), c.Scratch, c.Args)
	t.after = whole[:c.Scratch]
	if pack != nil && c.codes != nil {
		t.panels = make([]byte, kernel.PanelBytes(len(c.codes)/c.depth, c.depth))
		if err := pack(t.panels, c.codes, 0, c.depth); err != nil {
			return nil, fmt.Errorf("pack weights: %w", err)
		}
		t.layWeights(t.after)
	}
	return t, nil
}

// layWeights puts the trial's own panels where the case has its.
func (t *Trial) layWeights(mem []byte) {
	if t.panels != nil {
		copy(mem[t.Args[t.Kernel.Place("w")]:], t.panels)
	}
}

// Aligned is n bytes of zeros whose first is 64-byte aligned, as linear memory is.
func Aligned(n int) []byte {
	mem := make([]byte, n+alignment)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % alignment
	return mem[skip:][:n:n]
}

// Check is Case.Check.
func (t *Trial) Check(run Run, cuts ...int) error {
	copy(t.mem, t.Mem)
	t.layWeights(t.mem)
	from := 0
	for _, to := range append(cuts, t.Units()) {
		if to > from {
			run(t.mem, from, to, t.Args)
			from = to
		}
	}
	return t.compare()
}

// compare names the first byte of memory that is not what it must be.
func (t *Trial) compare() error {
	if bytes.Equal(t.mem, t.after) {
		return nil
	}
	at := 0
	for t.mem[at] == t.after[at] {
		at++
	}
	word := at &^ 3
	got, want := binary.LittleEndian.Uint32(t.mem[word:]), binary.LittleEndian.Uint32(t.after[word:])
	return fmt.Errorf("%s: %s is %08x (%v), the reference has %08x (%v)", t.Kernel.Name(), t.where(at),
		got, math.Float32frombits(got), want, math.Float32frombits(want))
}

// where says in words what lies at an offset.
func (t *Trial) where(at int) string {
	extents, _ := t.Kernel.Extents(t.Args, t.Tokens, t.Seqs)
	for _, e := range extents {
		if uint64(at) >= uint64(e.Off) && uint64(at) < uint64(e.Off)+e.Len {
			return fmt.Sprintf("byte %d of argument %s", at-int(e.Off), t.Kernel.Args()[e.Arg].Name)
		}
	}
	return fmt.Sprintf("byte %d, outside of every argument,", at)
}
