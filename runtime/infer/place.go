package infer

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"skiff/formats/bundle"
	"skiff/formats/tensor"
	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// place lays every tensor the program names at its offset in memory, in the layout the
// kernels read. Memory must be zeroed: pads stay zero. Chunks are read, verified and laid
// by as many goroutines as the machine has workers, each chunk once, whatever the number
// of tensors in it.
func place(ctx context.Context, b *bundle.Bundle, p *program.Program, machine *engine.Machine) error {
	pl, err := plan(b, p.Weights, machine.Memory(), machine.PackWeights)
	if err != nil {
		return err
	}
	return pl.run(ctx, b, machine.Workers())
}

// packer lays rows of an int8 matrix [N][k] into panels. It is called concurrently for
// different rows.
type packer func(dst, codes []byte, first, k int) error

// run lays everything.
func (pl *placement) run(ctx context.Context, b *bundle.Bundle, workers int) error {
	unread, err := b.Chunks(ctx, pl.chunks, workers, pl.into, pl.lay)
	if unread >= 0 {
		return fmt.Errorf("tensor %s: %w", pl.pieces[unread][0].layer.weight.Tensor, err)
	}
	if err != nil {
		return err
	}
	for _, l := range pl.broken {
		if err := l.gather(ctx, b); err != nil {
			return fmt.Errorf("tensor %s: %w", l.weight.Tensor, err)
		}
	}
	return nil
}

// placement is which part of which chunk goes where.
type placement struct {
	pieces map[int][]piece // by chunk
	chunks []int           // keys of pieces, the largest first: digests of two that are equally long are cheaper
	broken []*layer        // tensors with a row that chunks share: these are laid one by one
}

// piece is whole rows of a tensor in a chunk.
type piece struct {
	layer    *layer
	off, end int // in the chunk
	whole    bool
	row      int // the first
}

// plan holds every tensor against the place the program has for it.
func plan(b *bundle.Bundle, weights []program.Weight, mem []byte, pack packer) (*placement, error) {
	objects := map[string]bundle.Object{}
	for _, o := range b.Objects(bundle.KindTensor) {
		objects[o.Name] = o
	}
	pl := &placement{pieces: map[int][]piece{}}
	for _, w := range weights {
		o, ok := objects[w.Tensor]
		if !ok {
			return nil, fmt.Errorf("tensor %s is not in the bundle", w.Tensor)
		}
		if err := checkTensor(o, w); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", w.Tensor, err)
		}
		pl.add(b.Index, &layer{weight: w, object: o, pack: pack, dst: mem[w.Offset : uint64(w.Offset)+w.Bytes()]})
	}
	for chunk := range pl.pieces {
		pl.chunks = append(pl.chunks, chunk)
	}
	slices.SortFunc(pl.chunks, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.Index[y].Length, b.Index[x].Length), cmp.Compare(x, y))
	})
	return pl, nil
}

// add cuts a tensor into the pieces that its chunks hold of it.
func (pl *placement) add(index []bundle.Chunk, l *layer) {
	from, _ := l.rowBytes()
	for _, x := range l.object.Extents {
		if int(x.Length)%from != 0 {
			pl.broken = append(pl.broken, l)
			return
		}
	}
	row := 0
	for _, x := range l.object.Extents {
		chunk := int(x.Chunk)
		pl.pieces[chunk] = append(pl.pieces[chunk], piece{l, int(x.Offset), int(x.Offset + x.Length), x.Length == index[chunk].Length, row})
		row += int(x.Length) / from
	}
}

// into is the place of a chunk that is nothing but rows that lie in memory as they lie in
// it, and nil for others: the word table, half of a model, is verified where it will stay.
func (pl *placement) into(chunk int) []byte {
	p := pl.pieces[chunk][0]
	if len(pl.pieces[chunk]) > 1 || !p.whole || p.layer.weight.Layout != program.Rows8 {
		return nil
	}
	from, to := p.layer.rowBytes()
	if from != to {
		return nil
	}
	return p.layer.dst[p.row*to:][:p.end]
}

// lay lays the pieces of one chunk. It is called concurrently for different chunks, and
// with them for different rows of a tensor.
func (pl *placement) lay(chunk int, data []byte) error {
	if pl.into(chunk) != nil {
		return nil // it was read there
	}
	for _, p := range pl.pieces[chunk] {
		if err := p.layer.lay(data[p.off:p.end], p.row); err != nil {
			return fmt.Errorf("tensor %s: %w", p.layer.weight.Tensor, err)
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

// layer lays one tensor down.
type layer struct {
	weight program.Weight
	object bundle.Object
	pack   packer // lays Panels
	dst    []byte
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

// gather lays a tensor piece by piece, in order, putting together the rows that chunks
// share.
func (l *layer) gather(ctx context.Context, b *bundle.Bundle) error {
	from, _ := l.rowBytes()
	var rest []byte // the start of a row that its chunk did not end
	row := 0
	err := b.Each(ctx, l.object, func(_ int, data []byte) error {
		if len(rest) > 0 {
			n := min(from-len(rest), len(data))
			rest = append(rest, data[:n]...)
			data = data[n:]
			if len(rest) < from {
				return nil
			}
			if err := l.lay(rest, row); err != nil {
				return err
			}
			rest, row = rest[:0], row+1
		}
		whole := len(data) / from * from
		if err := l.lay(data[:whole], row); err != nil {
			return err
		}
		row += whole / from
		rest = append(rest, data[whole:]...)
		return nil
	})
	if err == nil && len(rest) != 0 {
		return fmt.Errorf("ends within a row")
	}
	return err
}

// lay copies whole rows, the first of which is row. Different rows may be laid at once.
func (l *layer) lay(rows []byte, row int) error {
	if err := l.check(rows); err != nil {
		return err
	}
	from, to := l.rowBytes()
	switch {
	case l.weight.Layout == program.Panels:
		return l.pack(l.dst, rows, row, from)
	case from == to:
		copy(l.dst[row*to:], rows)
		return nil
	}
	for len(rows) > 0 {
		copy(l.dst[row*to:], rows[:from])
		rows = rows[from:]
		row++
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
