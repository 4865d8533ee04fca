package trial

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"skiff/runtime/kernel"
)

// New is a case of a kernel. Numbers are of sort n where they are activations or codes, and
// plain where they are parameters. Errors are those of kernel.Kernel.Extents: the shape is
// none that the kernel can do.
func New(k *kernel.Kernel, s Shape, n Numbers, seed uint64) (*Case, error) {
	b := &builder{Random: Random{seed}, Numbers: n, shape: s, form: k.Form(), c: &Case{Kernel: k, Tokens: s.Rows, Seqs: 1}}
	if k.Place("starts") >= 0 {
		b.c.Tokens, b.c.Seqs = 0, len(s.Lengths)
		for _, n := range s.Lengths {
			b.c.Tokens += n
		}
	} else if k.Domain() == kernel.Seqs {
		b.c.Seqs = s.Rows
	}
	extents, err := b.size()
	if err != nil {
		return nil, fmt.Errorf("size case: %w", err)
	}
	b.layOut(extents)
	for _, e := range extents {
		b.fill(k.Args()[e.Arg].Name, b.c.Mem[b.c.Args[e.Arg]:][:e.Len])
	}
	return b.c, nil
}

// builder is a case under construction.
type builder struct {
	Random
	Numbers
	shape Shape
	form  kernel.Form
	c     *Case
}

// size sets the scalars and returns how large every argument is. For that they need some
// addresses, far apart.
func (b *builder) size() ([]kernel.Extent, error) {
	args := b.c.Kernel.Args()
	b.c.Args = make([]uint32, len(args))
	for i, a := range args {
		b.c.Args[i] = uint32(i+1) << 26
		if a.Access == kernel.Scalar {
			b.c.Args[i] = b.scalar(a.Name)
		}
	}
	return b.c.Kernel.Extents(b.c.Args, b.c.Tokens, b.c.Seqs)
}

// tableRows is how many rows tables have, and how far those of distances and places reach.
const tableRows = 13

// scalar is the value of a scalar argument.
func (b *builder) scalar(name string) uint32 {
	switch name {
	case "K8":
		return uint32(b.shape.Depth+7) &^ 7
	case "N16":
		return uint32(pad16(b.shape.Cols))
	case "qColumn", "kColumn", "vColumn":
		return uint32(len(b.shape.Lengths)) // any but 0 will do
	}
	rows, ok := strings.CutSuffix(name, "Stride")
	if !ok {
		return tableRows
	}
	stride := 4 * pad16(b.columns(rows))
	if b.shape.Slack {
		stride += 64
	}
	return uint32(stride)
}

// columns is how many numbers a row of an argument holds, besides pads.
func (b *builder) columns(name string) int {
	f := b.form
	switch f.Op + " " + name {
	case "linear x":
		return b.shape.Depth
	case "linear wscale", "linear bias", "linear outW", "linear zero", "linear out":
		return b.shape.Cols
	case "attention qkv":
		return 3 * f.Heads * f.HeadSize
	case "attention out", "attend out", "attend keys", "attend queries":
		return f.Heads * f.HeadSize
	case "attend q", "attend k", "attend v":
		return len(b.shape.Lengths) + f.Heads*f.HeadSize
	case "attend bias", "attend cos", "attend sin":
		return 16 // no rows, no pads: any row of no pads will do
	case "glu x":
		return 2 * f.Hidden
	}
	return f.Hidden
}

// arg is the value of an argument, scalar or address; 0 where the kernel has none.
func (b *builder) arg(name string) int {
	if i := b.c.Kernel.Place(name); i >= 0 {
		return int(b.c.Args[i])
	}
	return 0
}

// layOut gives every argument its place and makes the memory, all guards and scratch.
func (b *builder) layOut(extents []kernel.Extent) {
	for i, a := range b.c.Kernel.Args() {
		if a.Access != kernel.Scalar {
			b.c.Args[i] = Guard // of those that have no bytes
		}
	}
	at, order := Guard, make([]int, len(extents))
	for i := range order { // a random order: each argument is now and then the last
		j := b.Intn(i + 1)
		order[i], order[j] = order[j], i
	}
	for _, i := range order {
		b.c.Args[extents[i].Arg] = uint32(at)
		at += int(extents[i].Len+alignment-1)&^(alignment-1) + Guard
	}
	b.c.Scratch = uint32(at)
	b.c.Mem = make([]byte, at+int(b.c.Kernel.ScratchBytes(b.c.Args, b.c.Tokens)))
	set(b.c.Mem[:at], guardByte)
	set(b.c.Mem[at:], dirtyByte)
}

// fill writes an argument. Names are the same in every kernel that has such.
func (b *builder) fill(name string, mem []byte) {
	table := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz") // "1" of "codes1", "Codes" of "wordCodes"
	switch {
	case name == "out":
		set(mem, dirtyByte)
	case name == "starts":
		b.starts(mem)
	case name == "w":
		b.weights(mem)
	case name == "skips":
		b.ints(mem, func(i int) int { return b.Intn(b.shape.Lengths[i] + 3) })
	case name == "outIdx":
		b.ints(mem, b.outlier)
	case name == "zero" && b.form.Op == "linear":
		b.ints(mem[:4*b.shape.Cols], func(int) int { return b.zero(b.Numbers) })
		clear(mem[4*b.shape.Cols:])
	case name == "zero"+table:
		b.ints(mem, func(int) int { return b.zero(b.Numbers) })
	case name == "ids", name == "types", name == "positions", name == "index"+table, name == "deltas":
		b.ints(mem, func(int) int { return b.Intn(tableRows + 1) }) // now and then one past the end
	case table == "Codes", name == "codes"+table && table != "":
		b.codes(mem)
	case table == "Scale", name == "scale"+table:
		b.ints(mem, func(int) int { return bits(b.scale()) })
	default:
		b.rows(name, mem)
	}
}

// rows fills rows of floats: numbers, then zeros up to a multiple of 16, then what guards
// hold.
func (b *builder) rows(name string, mem []byte) {
	cols := b.columns(name)
	width := 4 * pad16(cols)
	stride := max(b.arg(name+"Stride"), width)
	for ; len(mem) > 0; mem = mem[min(stride, len(mem)):] {
		row := mem[:min(width, len(mem))]
		clear(row)
		b.ints(row[:min(4*cols, len(row))], func(int) int { return bits(b.number(name)) })
	}
}

// number is one value of an argument: an activation, a scale or a parameter.
func (b *builder) number(name string) float32 {
	switch name {
	case "x", "y", "residual", "qkv", "q", "k", "v":
		return b.value(b.Numbers)
	case "wscale":
		return b.scale()
	}
	return b.Float()
}

// bits are those of a float32.
func bits(x float32) int { return int(int32(math.Float32bits(x))) }

// ints fills memory with int32.
func (b *builder) ints(mem []byte, value func(i int) int) {
	for i := range len(mem) / 4 {
		binary.LittleEndian.PutUint32(mem[4*i:], uint32(value(i)))
	}
}

// starts fills in the first row of each sequence, and the end.
func (b *builder) starts(mem []byte) {
	at := 0
	b.ints(mem, func(i int) int {
		if i > 0 {
			at += b.shape.Lengths[i-1]
		}
		return at
	})
}

// outlier is the column of an outlier, now and then any number.
func (b *builder) outlier(int) int {
	if b.Intn(8) == 0 {
		return int(int32(b.Next()))
	}
	return b.Intn(b.shape.Depth)
}

// codes fills a table of int8 rows.
func (b *builder) codes(mem []byte) {
	clear(mem)
	stride := pad16(b.form.Hidden)
	for ; len(mem) > 0; mem = mem[stride:] {
		for i := range b.form.Hidden {
			mem[i] = b.code(b.Numbers)
		}
	}
}

// weights draws a linear's and lays them as the reference reads them.
func (b *builder) weights(mem []byte) {
	clear(mem)
	c := b.c
	c.codes, c.depth = make([]byte, b.shape.Cols*b.shape.Depth), b.shape.Depth
	for i := range c.codes {
		c.codes[i] = b.code(b.Numbers)
	}
	// Panels of this size hold these rows: Extents is of the same.
	_ = kernel.PackWeights(mem, c.codes, 0, c.depth)
}

// set makes every byte of memory the same.
func set(mem []byte, b byte) {
	if len(mem) == 0 {
		return
	}
	mem[0] = b
	for n := 1; n < len(mem); n *= 2 {
		copy(mem[n:], mem[:n])
	}
}

// pad16 rounds a column count up to the width of a row.
func pad16(n int) int { return (n + 15) &^ 15 }
