package emit

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
)

// run executes a body of the given parameters on both engines and returns 256 bytes of
// memory from 0; input stands from 128.
func run(t *testing.T, input []byte, params []uint64, body []byte) []byte {
	t.Helper()
	ctx := context.Background()
	var results [][]byte
	for _, config := range []wazero.RuntimeConfig{wazero.NewRuntimeConfigInterpreter(), wazero.NewRuntimeConfig()} {
		r := wazero.NewRuntimeWithConfig(ctx, config)
		defer r.Close(ctx)
		mod, err := r.Instantiate(ctx, Module(1, []Export{{"f", len(params), body}}))
		if err != nil {
			t.Fatal(err)
		}
		mem := mod.ExportedMemory(MemoryName)
		mem.Write(128, input)
		if err := mod.ExportedFunction("f").CallWithStack(ctx, append([]uint64(nil), params...)); err != nil {
			t.Fatal(err)
		}
		got, _ := mem.Read(0, 256)
		results = append(results, bytes.Clone(got))
	}
	if !bytes.Equal(results[0], results[1]) {
		t.Fatalf("engines differ: %x, %x", results[0], results[1])
	}
	return results[0]
}

// TestScalars evaluates every scalar operation.
func TestScalars(t *testing.T) {
	x, y := ConstI32(-7), ConstI32(3)
	truth := map[bool]uint32{true: 1}
	f, g := ConstF32(2.25), ConstF32(-0.5)
	bits := math.Float32bits
	for _, c := range []struct {
		name string
		got  I32
		want uint32
	}{
		{"const", ConstI32(-1 << 31), 1 << 31},
		{"add", x.Add(y), 1<<32 - 4},
		{"sub", x.Sub(y), 1<<32 - 10},
		{"mul", x.Mul(y), 1<<32 - 21},
		{"div", x.DivU(y), (1<<32 - 7) / 3},
		{"and", x.And(y), 1},
		{"shl", x.Shl(4), 1<<32 - 7*16},
		{"shr", x.ShrU(28), 15},
		{"eq", x.Eq(x), truth[true]},
		{"lt", x.LtS(y), truth[-7 < 3]},
		{"lt unsigned", x.LtU(y), 0},
		{"ge", x.GeS(y), 0},
		{"eqz", ConstI32(0).Eqz(), 1},
		{"select yes", SelectI32(y, ConstI32(5), ConstI32(6)), 5},
		{"select no", SelectI32(ConstI32(0), ConstI32(5), ConstI32(6)), 6},
		{"f add", asBits(f.Add(g)), bits(1.75)},
		{"f sub", asBits(f.Sub(g)), bits(2.75)},
		{"f mul", asBits(f.Mul(g)), bits(-1.125)},
		{"f div", asBits(f.Div(g)), bits(-4.5)},
		{"f sqrt", asBits(f.Sqrt()), bits(1.5)},
		{"f eq", f.Eq(g), 0},
		{"f lt", g.Lt(f), 1},
		{"f select", asBits(SelectF32(ConstI32(0), f, g)), bits(-0.5)},
		{"float", asBits(x.Float()), bits(-7)},
		{"as float", asBits(ConstI32(0x40100000).AsF32()), bits(2.25)},
		{"load", ConstI32(0).LoadI32(128), 0x04030201},
		{"load float", asBits(ConstI32(100).LoadF32(28)), 0x04030201},
	} {
		fn := NewFunc(0)
		fn.StoreI32(ConstI32(8), 4, c.got)
		got := run(t, []byte{1, 2, 3, 4}, nil, fn.Body())
		if v := binary.LittleEndian.Uint32(got[12:]); v != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, v, c.want)
		}
	}
}

// asBits reads a float's bits by way of a vector.
func asBits(x F32) I32 { return x.Splat().LaneI32(3) }

// TestVectors evaluates every vector operation on four lanes.
func TestVectors(t *testing.T) {
	floats := func(x ...float32) V128 {
		var lanes [4]uint32
		for i := range lanes {
			lanes[i] = math.Float32bits(x[i])
		}
		return Lanes(lanes)
	}
	ints := func(a, b, c, d int32) V128 { return Lanes([4]uint32{uint32(a), uint32(b), uint32(c), uint32(d)}) }
	x, y := floats(1, -2, 3, 0.5), floats(2, -4, -1, 0.5)
	i, j := ints(1, -2, 70000, -70000), ints(3, 5, -7, 2)
	for _, c := range []struct {
		name      string
		got, want V128
	}{
		{"add", x.AddF32(y), floats(3, -6, 2, 1)},
		{"sub", x.SubF32(y), floats(-1, 2, 4, 0)},
		{"mul", x.MulF32(y), floats(2, 8, -3, 0.25)},
		{"div", x.DivF32(y), floats(0.5, 0.5, -3, 1)},
		{"pmin", x.PMinF32(y), floats(1, -4, -1, 0.5)},
		{"pmax", x.PMaxF32(y), floats(2, -2, 3, 0.5)},
		{"lt", x.LtF32(y), ints(-1, 0, 0, 0)},
		{"and", i.And(j), ints(1, 4, 70000&^7|70000&-7&7, -70000&2)},
		{"or", i.Or(j), ints(1|3, -2|5, 70000|-7, -70000|2)},
		{"select", SelectV128(ints(-1, 0, 0xff, -1), i, j), ints(1, 5, 70000&0xff|-7&^0xff, -70000)},
		{"andnot", AllI32(7).AndNot(j), ints(4, 2, 6, 5)},
		{"iadd", i.AddI32(j), ints(4, 3, 69993, -69998)},
		{"isub", i.SubI32(j), ints(-2, -7, 70007, -70002)},
		{"imul", i.MulI32(j), ints(3, -10, -490000, -140000)},
		{"imax", i.MaxI32(j), ints(3, 5, 70000, 2)},
		{"narrow", i.NarrowI32(j), ints(-2<<16|1, -1<<31|32767, 5<<16|3, 2<<16|65529)},
		{"min16", AllI16(-3).MinI16(AllI16(4)), AllI16(-3)},
		{"max16", AllI16(-3).MaxI16(AllI16(4)), AllI16(4)},
		{"dot", AllI16(-3).Dot(AllI16(4)), AllI32(1<<32 - 24)},
		{"low16", ints(-2<<16|1, 7, 8, 9).LowI16(), ints(1, -2, 7, 0)},
		{"high16", ints(0, 0, -2<<16|1, 7).HighI16(), ints(1, -2, 7, 0)},
		{"float", i.Float(), floats(1, -2, 70000, -70000)},
		{"splat", ConstI32(9).Splat(), AllI32(9)},
		{"splat float", ConstF32(2).Splat(), AllF32(2)},
		{"lane", x.LaneF32(2).Splat(), AllF32(3)},
		{"swizzle", i.Swizzle(AllI32(0x03020100)), AllI32(1)},
		{"load", ConstI32(128).LoadV128(0), ints(0x04030201, 0x7f8081ff, 0, 0)},
		{"load8", ConstI32(128).LoadI8x8(0), ints(2<<16|1, 4<<16|3, -127<<16|0xffff, 127<<16|0xff80)},
	} {
		fn := NewFunc(0)
		fn.StoreV128(ConstI32(0), 16, c.got)
		fn.StoreV128(ConstI32(0), 32, c.want)
		got := run(t, []byte{1, 2, 3, 4, 0xff, 0x81, 0x80, 0x7f}, nil, fn.Body())
		if diff := cmp.Diff(got[32:48], got[16:32]); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestControl sums 1 to n with a loop, skipping 3, and stops above a limit.
func TestControl(t *testing.T) {
	f := NewFunc(2)
	n, limit, i, sum := f.Param(0), f.Param(1), f.I32(), f.I32()
	scale, vec := f.F32(), f.V128()
	f.Block(func(exit Label) {
		f.Loop(func(again Label) {
			f.BrIf(exit, n.Get().LtS(i.Get().Add(ConstI32(1))))
			i.Set(i.Get().Add(ConstI32(1)))
			f.BrIf(again, i.Get().Eq(ConstI32(3)))
			sum.Set(sum.Get().Add(i.Get()))
			f.If(limit.Get().LtS(sum.Get()), func() { f.Br(exit) })
			f.Br(again)
		})
	})
	scale.Set(sum.Get().Float())
	vec.Set(scale.Get().Splat())
	f.StoreI32(ConstI32(0), 0, sum.Get())
	f.StoreF32(ConstI32(0), 4, vec.Get().LaneF32(1))
	for _, c := range []struct{ n, limit, want uint64 }{{0, 100, 0}, {2, 100, 3}, {3, 100, 3}, {5, 100, 12}, {1000, 10, 12}} {
		got := run(t, nil, []uint64{c.n, c.limit}, f.Body())
		if v := binary.LittleEndian.Uint32(got); uint64(v) != c.want {
			t.Errorf("n %d limit %d: %d, want %d", c.n, c.limit, v, c.want)
		}
		if v := math.Float32frombits(binary.LittleEndian.Uint32(got[4:])); v != float32(c.want) {
			t.Errorf("n %d limit %d: %v as a float", c.n, c.limit, v)
		}
	}
}

// TestModuleBytes pins a small module byte for byte.
func TestModuleBytes(t *testing.T) {
	f := NewFunc(1)
	a, b := f.I32(), f.V128()
	f.V128()
	a.Set(f.Param(0).Get())
	b.Set(AllI32(0))
	got := Module(300, []Export{{"one", 1, f.Body()}, {"none", 0, NewFunc(0).Body()}, {"two", 1, f.Body()}})
	want := "0061736d01000000" + // magic, version
		"01080260017f00600000" + // types: (i32) -> (), () -> ()
		"030403000100" + // functions
		"0506" + "0101ac02ac02" + // memory, 300 pages
		"071d04036f6e650000046e6f6e6500010374776f0002066d656d6f72790200" + // exports
		"0a42031e02017f027b20002101fd0c0000000000000000000000000000000021020b02000b1e02017f027b20002101fd0c0000000000000000000000000000000021020b"
	if fmt.Sprintf("%x", got) != want {
		t.Errorf("module\n%x, want\n%s", got, want)
	}
	if !bytes.Equal(f.Body(), f.Body()) {
		t.Error("Body changes")
	}
}

// TestSigned checks signed LEB128 at its boundaries.
func TestSigned(t *testing.T) {
	for x, want := range map[int64]string{
		0: "00", 63: "3f", 64: "c000", -1: "7f", -64: "40", -65: "bf7f", 128: "8001", math.MaxInt32: "ffffffff07", math.MinInt32: "8080808078",
	} {
		if got := fmt.Sprintf("%x", appendSigned(nil, x)); got != want {
			t.Errorf("%d: %s, want %s", x, got, want)
		}
	}
}
