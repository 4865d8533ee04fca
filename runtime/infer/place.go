package infer

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"skiff/formats/bundle"
	"skiff/formats/tensor"
	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// place streams every tensor the program names to its offset in memory, in the layout
// the kernels read. Memory must be zeroed: pads stay zero.
func place(ctx context.Context, b *bundle.Bundle, p *program.Program, machine *engine.Machine) error {
	mem := machine.Memory()
	for _, w := range p.Weights {
		o, ok := b.Object(bundle.KindTensor, w.Tensor)
		if !ok {
			return fmt.Errorf("tensor %s is not in the bundle", w.Tensor)
		}
		if err := checkTensor(o, w); err != nil {
			return fmt.Errorf("tensor %s: %w", w.Tensor, err)
		}
		l := layer{weight: w, pack: machine.PackWeights, dst: mem[w.Offset : uint64(w.Offset)+w.Bytes()]}
		if err := b.Each(ctx, o, l.add); err != nil {
			return fmt.Errorf("tensor %s: %w", w.Tensor, err)
		}
		if len(l.rest) != 0 {
			return fmt.Errorf("tensor %s: ends within a row", w.Tensor)
		}
	}
	return nil
}

// checkTensor holds a tensor against the place the program has for it.
func checkTensor(o bundle.Object, w program.Weight) error {
	dtype := tensor.F32
	switch w.Layout {
	case program.Rows8, program.Panels:
		dtype = tensor.I8
	case program.Index, program.Ints:
		dtype = tensor.I32
	}
	values := uint64(w.Rows) * uint64(w.Cols)
	if w.Layout == program.Vector || w.Layout == program.Ints {
		values = uint64(w.Cols)
	} else if w.Layout == program.Index {
		values = uint64(w.Rows)
	}
	if o.DType != dtype || o.Length != values*uint64(dtype.Size()) {
		return fmt.Errorf("%d bytes of %s, the program wants %d values of %s", o.Length, o.DType, values, dtype)
	}
	return nil
}

// layer lays one tensor down row by row as its pieces come.
type layer struct {
	weight program.Weight
	pack   func(dst, codes []byte, first, k int) error // rows into panels
	dst    []byte
	row    int    // rows laid
	rest   []byte // the start of a row that its chunk did not end
}

// rowBytes is the length of one row in the bundle and in memory.
func (l *layer) rowBytes() (from, to int) {
	cols := int(l.weight.Cols)
	switch l.weight.Layout {
	case program.Rows8:
		return cols, program.Pad16(cols)
	case program.Panels:
		return cols, 0
	case program.Index:
		return 4 * int(l.weight.Rows), 4 * int(l.weight.Rows)
	}
	return 4 * cols, 4 * program.Pad16(cols)
}

// add takes the next bytes of the tensor. Chunks hold whole rows where rows fit; a row
// longer than a chunk is gathered first.
func (l *layer) add(_ int, data []byte) error {
	from, to := l.rowBytes()
	if len(l.rest) > 0 {
		n := min(from-len(l.rest), len(data))
		l.rest = append(l.rest, data[:n]...)
		data = data[n:]
		if len(l.rest) < from {
			return nil
		}
		if err := l.lay(l.rest, from, to); err != nil {
			return err
		}
		l.rest = l.rest[:0]
	}
	whole := len(data) / from * from
	if err := l.lay(data[:whole], from, to); err != nil {
		return err
	}
	l.rest = append(l.rest, data[whole:]...)
	return nil
}

// lay copies whole rows.
func (l *layer) lay(rows []byte, from, to int) error {
	if err := l.check(rows); err != nil {
		return err
	}
	if l.weight.Layout == program.Panels {
		if err := l.pack(l.dst, rows, l.row, from); err != nil {
			return err
		}
		l.row += len(rows) / from
		return nil
	}
	for len(rows) > 0 {
		copy(l.dst[l.row*to:], rows[:from])
		rows = rows[from:]
		l.row++
	}
	return nil
}

// check refuses what no kernel may meet: a float32 that is not finite, a column past
// the end.
func (l *layer) check(rows []byte) error {
	switch l.weight.Layout {
	case program.Vector, program.RowsF32:
		for ; len(rows) >= 4; rows = rows[4:] {
			if binary.LittleEndian.Uint32(rows)&0x7f800000 == 0x7f800000 {
				return fmt.Errorf("a weight is %v", math.Float32frombits(binary.LittleEndian.Uint32(rows)))
			}
		}
	case program.Index:
		for ; len(rows) >= 4; rows = rows[4:] {
			if col := binary.LittleEndian.Uint32(rows); col >= l.weight.Cols {
				return fmt.Errorf("column %d of %d", col, l.weight.Cols)
			}
		}
	}
	return nil
}
