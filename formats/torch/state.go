package torch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"skiff/formats/tensor"
)

// The names that quantize_dynamic gives to the parts of a Linear X: before X.
const (
	packedPair   = "._packed_params._packed_params" // a tuple of weight and bias
	packedWeight = "._packed_params.weight"         // and, in older files, each on its own
	packedBias   = "._packed_params.bias"
	packedType   = "._packed_params.dtype"
)

// maxNotes bounds what is told of entries without a tensor.
const maxNotes = 20

// newFile collects the tensors of the value of a pickle, whose storages have
// their data.
func newFile(entry string, top any) (*File, error) {
	d, ok := top.(*dict)
	if !ok {
		return nil, fault(entry, -1, "the pickle holds no state dict, which is a dictionary of names and tensors")
	}
	d = inner(d)
	f := &File{tensors: make(map[string]*array, len(d.pairs))}
	b := &builder{File: f, entry: entry}
	for _, p := range d.pairs {
		if err := b.entryOf(p); err != nil {
			return nil, err
		}
	}
	if err := b.finishLinears(); err != nil {
		return nil, err
	}
	if len(f.tensors) == 0 {
		return nil, fault(entry, -1, "the state dict holds no tensors")
	}
	f.names = slices.Sorted(maps.Keys(f.tensors))
	for _, name := range f.names {
		if err := b.checkQuant(name, f.tensors[name]); err != nil {
			return nil, err
		}
	}
	b.finishNotes()
	return f, nil
}

// inner finds the state dict within a training checkpoint: a dictionary that
// holds no tensor itself, but another dictionary under one of the usual names.
func inner(d *dict) *dict {
	for _, p := range d.pairs {
		if _, ok := p.value.(*array); ok {
			return d
		}
	}
	for _, key := range []string{"state_dict", "model_state_dict", "model", "module"} {
		v, _ := d.get(key)
		if s, ok := v.(*dict); ok {
			return s
		}
	}
	return d
}

// builder turns the entries of a state dict into the tensors of a File.
type builder struct {
	*File
	entry   string
	linears []string // packed ones
	skipped int
}

// entryOf takes one entry of the state dict.
func (b *builder) entryOf(p pair) error {
	name, ok := p.key.(string)
	if !ok {
		return fault(b.entry, -1, "a key of the state dict is no string: %v", p.key)
	}
	if x, ok := strings.CutSuffix(name, packedPair); ok {
		return b.packed(x, p.value)
	}
	if _, ok := strings.CutSuffix(name, packedType); ok {
		return nil
	}
	if x, ok := strings.CutSuffix(name, packedWeight); ok {
		b.linears = append(b.linears, x)
		name = x + ".weight"
	}
	if x, ok := strings.CutSuffix(name, packedBias); ok {
		name = x + ".bias"
	}
	a, ok := p.value.(*array)
	if !ok {
		if b.skipped++; b.skipped <= maxNotes {
			b.notes = append(b.notes, fmt.Sprintf("the entry %.200q holds no tensor", name))
		}
		return nil
	}
	return b.add(name, a)
}

// add names an array.
func (b *builder) add(name string, a *array) error {
	if b.tensors[name] != nil {
		return fault(b.entry, -1, "tensor %.200q is there twice", name)
	}
	b.tensors[name] = a
	return nil
}

// packed takes the parameters of a quantised Linear X: weight and bias or None.
// The weight is plain where quantize_dynamic was told to take float16.
func (b *builder) packed(x string, v any) error {
	t, ok := v.(*seq)
	if !ok || len(t.items) != 2 {
		return fault(b.entry, -1, "%.200q is no pair of weight and bias", x+packedPair)
	}
	w, ok := t.items[0].(*array)
	if !ok {
		return fault(b.entry, -1, "the weight of %.200q is no tensor", x+packedPair)
	}
	b.linears = append(b.linears, x)
	if err := b.add(x+".weight", w); err != nil || t.items[1] == nil {
		return err
	}
	bias, ok := t.items[1].(*array)
	if !ok || bias.quant != nil {
		return fault(b.entry, -1, "the bias of %.200q is no tensor", x+packedPair)
	}
	return b.add(x+".bias", bias)
}

// finishLinears drops X.scale and X.zero_point of packed Linears. A Linear that
// is quantised dynamically has 1 and 0 there; anything else is a scale of its
// output, which only a static quantisation has.
func (b *builder) finishLinears() error {
	for _, x := range b.linears {
		for want, name := range []string{x + ".zero_point", x + ".scale"} {
			a := b.tensors[name]
			if a == nil {
				continue
			}
			if got, ok := a.scalar(); !ok || got != float64(want) {
				return fault(b.entry, -1, "tensor %.200q is not %d: a static quantisation, of which only the weights could be read", name, want)
			}
			delete(b.tensors, name)
		}
	}
	return nil
}

// finishNotes sorts the notes and counts those that were left out.
func (b *builder) finishNotes() {
	slices.Sort(b.notes)
	if b.skipped > maxNotes {
		b.notes = append(b.notes, fmt.Sprintf("%d more entries hold no tensor", b.skipped-maxNotes))
	}
}

// scalar is the value of an array of one number.
func (a *array) scalar() (float64, bool) {
	if n, _ := tensor.Elements(a.shape, 1); n != 1 || a.quant != nil {
		return 0, false
	}
	switch a.dtype {
	case tensor.F32, tensor.F64:
		return a.floats()[0], true
	case tensor.I32, tensor.I64:
		return float64(a.integers()[0]), true
	}
	return 0, false
}

// checkQuant checks the scales of a quantised tensor.
func (b *builder) checkQuant(name string, a *array) error {
	if a.quant == nil || a.quant.axis < 0 {
		return nil // one scale was checked where it was read
	}
	for i, s := range a.quant.scales.floats() {
		if !goodScale(s) {
			return fault(b.entry, -1, "tensor %.200q: scale %d is %v", name, i, s)
		}
	}
	for i, z := range a.quant.zeros.integers() {
		if !goodZero(a.dtype, z) {
			return fault(b.entry, -1, "tensor %.200q: zero point %d is %d", name, i, z)
		}
	}
	return nil
}
