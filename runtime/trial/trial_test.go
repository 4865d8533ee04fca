package trial

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"skiff/runtime/kernel"
)

// by is the reference over memory of its own, with scratch behind it.
func by(k *kernel.Kernel, scratch int) Run {
	return func(mem []byte, lo, hi int, args []uint32) {
		whole := append(bytes.Clone(mem), make([]byte, scratch)...)
		k.Run(whole, uint32(lo), uint32(hi), uint32(len(mem)), args)
		copy(mem, whole)
	}
}

// TestEveryOp: the reference, split anyhow, is equal to itself and touches its output alone,
// on cases of every kernel.
func TestEveryOp(t *testing.T) {
	r := Random{1}
	for _, op := range Ops() {
		for i := range 40 {
			k := r.Kernel(op, 70)
			if k == nil || k.Form().Op != op {
				t.Fatalf("no kernel for %q", op)
			}
			s := r.Shape(30)
			c, err := New(k, s, Numbers(i)%Sorts, r.Next())
			if err != nil {
				t.Fatalf("%s %+v: %v", k.Name(), s, err)
			}
			onlyOutput(t, c)
			run := by(k, int(k.ScratchBytes(c.Args, c.Tokens)))
			if err := c.Check(nil, run, r.Cuts(c.Units())...); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
			for _, in := range []string{"x", "residual"} {
				same, ok := c.InPlace(in)
				if !ok {
					continue
				}
				if err := same.Check(nil, run); err != nil {
					t.Errorf("in place of %s: %v", in, err)
				}
			}
		}
	}
	if r.Kernel("conv", 8) != nil {
		t.Error("a kernel for an op that there is not")
	}
}

// onlyOutput wants the reference to leave all but outputs and scratch as they were.
func onlyOutput(t *testing.T, c *Case) {
	t.Helper()
	mem := Aligned(len(c.Mem))
	copy(mem, c.Mem)
	c.Kernel.Run(mem, 0, uint32(c.Units()), c.Scratch, c.Args)
	extents, err := c.Kernel.Extents(c.Args, c.Tokens, c.Seqs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range extents {
		if e.Write {
			copy(mem[e.Off:], c.Mem[e.Off:uint64(e.Off)+e.Len])
		}
	}
	if !bytes.Equal(mem[:c.Scratch], c.Mem[:c.Scratch]) {
		t.Errorf("%s: the reference wrote elsewhere", c.Kernel.Name())
	}
}

// TestCaughtOut: what does something else is told apart, wherever it did.
func TestCaughtOut(t *testing.T) {
	k, err := kernel.NewLinear(1, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(k, Shape{Rows: 3, Cols: 20, Depth: 9, Slack: true}, Plain, 1)
	if err != nil {
		t.Fatal(err)
	}
	right := by(k, int(k.ScratchBytes(c.Args, c.Tokens)))
	out := c.Args[k.Place("out")]
	for _, test := range []struct {
		at   uint32
		want string
	}{
		{out + 7, "byte 7 of argument out"},
		{out + 4*32 + 3, "byte 131 of argument out"}, // between rows
		{out - 1, "outside of every argument"},
		{c.Args[k.Place("w")], "byte 0 of argument w"},
		{c.Scratch - 1, "outside of every argument"},
	} {
		err := c.Check(nil, func(mem []byte, lo, hi int, args []uint32) {
			right(mem, lo, hi, args)
			mem[test.at] ^= 1
		})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("byte %d: %v, want %q", test.at, err, test.want)
		}
	}
	if err := c.Check(nil, func([]byte, int, int, []uint32) {}); err == nil {
		t.Error("nothing done is right")
	}
}

// TestPack: weights lie as pack lays them, and the comparison knows.
func TestPack(t *testing.T) {
	k, err := kernel.NewLinear(0, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(k, Shape{Rows: 3, Cols: 20, Depth: 9}, Plain, 1)
	if err != nil {
		t.Fatal(err)
	}
	w := c.Args[k.Place("w")]
	invert := func(mem []byte) {
		for i := range mem[w:][:kernel.PanelBytes(20, 9)] {
			mem[int(w)+i] ^= 0x80
		}
	}
	pack := func(dst, codes []byte, first, k int) error {
		if err := kernel.PackWeights(dst, codes, first, k); err != nil {
			return err
		}
		for i := range dst {
			dst[i] ^= 0x80
		}
		return nil
	}
	right := by(k, int(k.ScratchBytes(c.Args, c.Tokens)))
	if err := c.Check(pack, func(mem []byte, lo, hi int, args []uint32) {
		invert(mem)
		right(mem, lo, hi, args)
		invert(mem)
	}, 1); err != nil {
		t.Error(err)
	}
}

// TestShapesRefused: a shape that the kernel cannot do is an error.
func TestShapesRefused(t *testing.T) {
	k, err := kernel.NewLinear(0, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(k, Shape{Rows: 1, Cols: 1}, Plain, 1); err == nil {
		t.Error("a linear of no depth")
	}
}

// TestFixed: cases are the same everywhere and for ever, so that a failure on one machine
// can be looked at on another.
func TestFixed(t *testing.T) {
	r, sum := Random{5}, sha256.New()
	for _, op := range Ops() {
		k := r.Kernel(op, 40)
		c, err := New(k, r.Shape(9), Plain, 3)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write([]byte(k.Name()))
		sum.Write(c.Mem)
	}
	if got := hex.EncodeToString(sum.Sum(nil)[:8]); got != "6c677a8c2909caed" {
		t.Errorf("cases have digest %s", got)
	}
}
