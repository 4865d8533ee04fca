package engine

import (
	"context"
	"fmt"
	"testing"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// TestWasmTrials holds WebAssembly to the references on the cases that assembly is held to:
// rows with NaN between them, arguments in any order, numbers past every bound.
func TestWasmTrials(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	for _, kind := range kinds() {
		if kind != Wasm && kind != Interp {
			continue
		}
		for i, op := range trial.Ops() {
			r := trial.Random{State: uint64(i) << 32}
			if err := tryWasm(t, kind, op, rounds, &r); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

// tryWasm tries some kernels of an op, in one module over one memory.
func tryWasm(t *testing.T, kind Kind, op string, rounds int, r *trial.Random) error {
	ctx, most := t.Context(), 70
	if kind == Interp {
		most, rounds = 20, rounds/4
	}
	kernels := make([]*kernel.Kernel, rounds)
	for i := range kernels {
		kernels[i] = r.Kernel(op, most)
	}
	mem := trial.Aligned(32 * pageBytes)
	b, err := newWasmBackend(ctx, kind, kernels, mem)
	if err != nil {
		return err
	}
	defer b.close(context.Background())
	call, err := b.caller(nil)
	if err != nil {
		return err
	}
	for i, k := range kernels {
		shape, numbers := r.Shape(most), trial.Numbers(i)%trial.Sorts
		c, err := trial.New(k, shape, numbers, r.Next())
		if err != nil {
			return err
		}
		run := func(all []byte, lo, hi int, args []uint32) {
			copy(mem, c.Mem)
			copy(mem, all)
			if err := call.call(ctx, i, uint32(lo), uint32(hi), c.Scratch, args); err != nil {
				t.Errorf("%s: %v", k.Name(), err)
			}
			copy(all, mem)
		}
		if err := c.Check(nil, run, r.Cuts(c.Units())...); err != nil {
			return fmt.Errorf("%+v, numbers %d: %w", shape, numbers, err)
		}
	}
	return nil
}
