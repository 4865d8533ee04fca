package program

import (
	"encoding/binary"
)

// Limits on what Decode accepts; they bound what a hostile program can cost.
const (
	MaxEncoded = 1 << 20 // bytes of an encoded program
	maxName    = 200     // bytes of a name
	maxArgs    = 24      // arguments of a step
)

// magic opens every encoded program; the version follows it. Version 2 has the fields of
// picked tokens and of output rows besides, version 3 that of skipped ones, version 4 that of
// padding. A program is of the first version that can say it.
const (
	magic     = "SKPG"
	plain     = 1
	withRows  = 2
	withSkips = 3
	withPads  = 4
	headerLen = len(magic) + 1
)

// version is the first that has every field that p uses.
func (p *Program) version() byte {
	switch {
	case p.Pads != 0:
		return withPads
	case p.Skips != 0:
		return withSkips
	case p.MaxPicks != 0 || p.Picked != 0 || p.Rows != uint32(Seqs):
		return withRows
	}
	return plain
}

// Encode writes the program as magic, then the fields in the order of the struct as
// unsigned varints; a string is its length and bytes, a list its count and items.
// The encoding is canonical: Decode accepts no other form of the same program.
func (p *Program) Encode() []byte {
	version := p.version()
	e := encoder{buf: append([]byte(magic), version)}
	for _, f := range p.fields(version) {
		e.uint(*f)
	}
	e.uint(uint32(len(p.Kernels)))
	for _, k := range p.Kernels {
		e.string(k)
	}
	e.uint(uint32(len(p.Weights)))
	for _, w := range p.Weights {
		e.string(w.Tensor)
		e.uint(uint32(w.Layout), w.Rows, w.Cols, w.Offset)
	}
	e.uint(uint32(len(p.Steps)))
	for _, s := range p.Steps {
		e.uint(s.Kernel, b2u(s.Barrier)|uint32(s.Over)<<1, uint32(len(s.Args)))
		e.uint(s.Args...)
	}
	e.uint(uint32(len(p.Taps)))
	for _, t := range p.Taps {
		e.string(t.Name)
		e.uint(t.Step, t.Offset, t.Stride)
	}
	return e.buf
}

// Decode reads an encoded program. It checks the form only; Check proves the content.
// Errors wrap ErrInvalid and name the byte offset.
func Decode(data []byte) (*Program, error) {
	if len(data) > MaxEncoded {
		return nil, invalid("%d bytes, more than %d", len(data), MaxEncoded)
	}
	if len(data) < headerLen || string(data[:len(magic)]) != magic || data[len(magic)] < plain || data[len(magic)] > withPads {
		return nil, invalid("offset 0: not a program of version %d to %d", plain, withPads)
	}
	d := decoder{buf: data, off: headerLen}
	p := &Program{Rows: uint32(Seqs)}
	for _, f := range p.fields(data[len(magic)]) {
		*f = d.uint()
	}
	if version := data[len(magic)]; d.err == nil && version != p.version() {
		d.fail("version %d without need", version)
	}
	p.Kernels = list(&d, 1, func() string { return d.string() })
	p.Weights = list(&d, 5, func() Weight {
		return Weight{Tensor: d.string(), Layout: Layout(d.small(uint32(Ints))), Rows: d.uint(), Cols: d.uint(), Offset: d.uint()}
	})
	p.Steps = list(&d, 3, func() Step {
		s := Step{Kernel: d.uint()}
		flags := d.small(2*uint32(Picks) + 1)
		s.Barrier, s.Over = flags&1 == 1, Over(flags>>1)
		s.Args = list(&d, 1, d.uint)
		if len(s.Args) > maxArgs {
			d.fail("step with %d arguments", len(s.Args))
		}
		return s
	})
	p.Taps = list(&d, 4, func() Tap {
		return Tap{Name: d.string(), Step: d.uint(), Offset: d.uint(), Stride: d.uint()}
	})
	if d.err == nil && d.off != len(data) {
		d.fail("%d bytes after the end", len(data)-d.off)
	}
	if d.err != nil {
		return nil, d.err
	}
	return p, nil
}

// fields are the fixed numbers of a version in their encoded order.
func (p *Program) fields(version byte) []*uint32 {
	out := []*uint32{
		&p.MaxTokens, &p.MaxSeqs, &p.MaxLength, &p.Vocab, &p.Types, &p.Hidden,
		&p.IDs, &p.TypeIDs, &p.Positions, &p.Starts, &p.Output,
		&p.WeightsEnd, &p.ArenaEnd, &p.Scratch,
	}
	if version >= withRows {
		out = append(out, &p.MaxPicks, &p.Picked, &p.Rows)
	}
	if version >= withSkips {
		out = append(out, &p.Skips)
	}
	if version >= withPads {
		out = append(out, &p.Pads)
	}
	return out
}

type encoder struct{ buf []byte }

func (e *encoder) uint(values ...uint32) {
	for _, v := range values {
		e.buf = binary.AppendUvarint(e.buf, uint64(v))
	}
}

func (e *encoder) string(s string) {
	e.uint(uint32(len(s)))
	e.buf = append(e.buf, s...)
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// decoder reads from buf and keeps the first error; after one, every read is zero.
type decoder struct {
	buf []byte
	off int
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = invalid("offset %d: "+format, append([]any{d.off}, args...)...)
	}
}

func (d *decoder) uint() uint32 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.buf[d.off:])
	// A varint that could be shorter would give one program two encodings.
	if n <= 0 || v > 1<<32-1 || (n > 1 && d.buf[d.off+n-1] == 0) {
		d.fail("bad number")
		return 0
	}
	d.off += n
	return uint32(v)
}

func (d *decoder) small(max uint32) uint32 {
	v := d.uint()
	if v > max {
		d.fail("value %d over %d", v, max)
	}
	return v
}

func (d *decoder) string() string {
	n := int(d.small(maxName))
	if d.err != nil {
		return ""
	}
	if n > len(d.buf)-d.off {
		d.fail("string of %d bytes runs past the end", n)
		return ""
	}
	s := string(d.buf[d.off : d.off+n])
	d.off += n
	return s
}

// list reads a count and its items; each item takes at least min bytes, so a count
// beyond what is left is refused before anything is allocated for it.
func list[T any](d *decoder, min int, item func() T) []T {
	n := d.uint()
	if d.err != nil || n == 0 {
		return nil
	}
	if uint64(n)*uint64(min) > uint64(len(d.buf)-d.off) {
		d.fail("%d items run past the end", n)
		return nil
	}
	out := make([]T, 0, n)
	for range n {
		out = append(out, item())
		if d.err != nil {
			return nil
		}
	}
	return out
}
