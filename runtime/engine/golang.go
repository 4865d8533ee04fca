package engine

import (
	"context"
	"encoding/binary"
	"fmt"

	"skiff/runtime/kernel"
)

// goBackend runs the Go references.
type goBackend struct {
	kernels []*kernel.Kernel
	mem     []byte
}

// littleEndian says whether this CPU keeps numbers as linear memory does; the references
// look at memory in the CPU's own order.
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func (b *goBackend) caller([]byte) (caller, error) { return goCaller{b}, nil }
func (b *goBackend) close(context.Context) error   { return nil }

type goCaller struct{ *goBackend }

// call runs a reference. Program.Check has proved the arguments, so a panic is a bug in a
// kernel; it must not take the device's process down with it.
func (c goCaller) call(_ context.Context, k int, lo, hi, scratch uint32, args []uint32) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("kernel panicked: %v", r)
		}
	}()
	c.kernels[k].Run(c.mem, lo, hi, scratch, args)
	return nil
}
