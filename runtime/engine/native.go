package engine

import (
	"context"
	"fmt"

	"skiff/runtime/native"
)

// nativeUnits is the most units of a call of assembly: its scratch is made for so many. Two
// thirds of a second-level cache hold that many rows of a common model and their codes.
const nativeUnits = 128

// nativeBackend runs what a set of assembly has, and leaves the rest to another backend
// over the same memory.
type nativeBackend struct {
	bound []native.Kernel
	mem   []byte
	rest  backend // nil where the set has all
}

func (b *nativeBackend) caller(scratch []byte) (caller, error) {
	c := &nativeCaller{bound: b.bound, mem: b.mem, scratch: scratch}
	if b.rest == nil {
		return c, nil
	}
	var err error
	c.rest, err = b.rest.caller(nil)
	return c, err
}

func (b *nativeBackend) close(ctx context.Context) error {
	if b.rest == nil {
		return nil
	}
	return b.rest.close(ctx)
}

// nativeCaller is one worker's.
type nativeCaller struct {
	bound        []native.Kernel
	mem, scratch []byte
	rest         caller
}

// call runs a kernel's assembly. A panic can only be a bug of its driver: it must not take
// the process down.
func (c *nativeCaller) call(ctx context.Context, k int, lo, hi, scratch uint32, args []uint32) (err error) {
	run := c.bound[k].Run
	if run == nil {
		return c.rest.call(ctx, k, lo, hi, scratch, args)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("kernel panicked: %v", r)
		}
	}()
	run(c.mem, c.scratch, int(lo), int(hi), args)
	return nil
}

// nativeScratch is the bytes of scratch that a worker's calls need, of whole cache lines.
func (m *Machine) nativeScratch() int {
	need := 0
	for i := range m.prog.Steps {
		s := &m.prog.Steps[i]
		if m.choice.kind != Native || m.choice.bound[s.Kernel].Run == nil {
			continue
		}
		need = max(need, m.choice.bound[s.Kernel].Scratch(s.Args, nativeUnits, int(m.prog.MaxLength)))
	}
	return (need + 63) &^ 63
}
