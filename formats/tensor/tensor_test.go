package tensor

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// half is IEEE half precision by its definition, in float64.
func half(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&0x1f), float64(h&0x3ff)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

// TestF16 compares every half with the definition.
func TestF16(t *testing.T) {
	for i := range 1 << 16 {
		got, want := FromF16(uint16(i)), float32(half(uint16(i)))
		if math.IsNaN(float64(want)) != math.IsNaN(float64(got)) ||
			!math.IsNaN(float64(want)) && math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("FromF16(%#04x) = %v, want %v", i, got, want)
		}
	}
}

func TestFloat32s(t *testing.T) {
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.1))
	for _, c := range []struct {
		view View
		want []float32
		msg  string
	}{
		{View{"a", F32, []int{1}, []byte{0, 0, 0x80, 0x3f}}, []float32{1}, ""},
		{View{"a", F16, []int{2, 1}, []byte{0, 0x3c, 0, 0xc0}}, []float32{1, -2}, ""},
		{View{"a", BF16, []int{}, []byte{0x80, 0x3f}}, []float32{1}, ""},
		{View{"a", F64, []int{1}, f64}, []float32{1.1}, ""},
		{View{"a", F32, []int{0}, nil}, []float32{}, ""},
		{View{"w", I64, []int{1}, f64}, nil, `"w": I64`},
		{View{"w", F32, []int{2}, []byte{0, 0, 0, 0}}, nil, `"w": 4 bytes`},
		{View{"w", F32, []int{-1}, nil}, nil, `"w"`},
		{View{"w", 0, []int{1}, nil}, nil, `"w"`},
	} {
		got, err := c.view.Float32s()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.view, diff)
		}
		if (err == nil) != (c.msg == "") || err != nil && !strings.Contains(err.Error(), c.msg) {
			t.Errorf("%v: got %v, want %q", c.view, err, c.msg)
		}
	}
}

func TestNames(t *testing.T) {
	for d := F32; d <= F8E5M2; d++ {
		if got, ok := Parse(d.String()); !ok || got != d || d.Size() == 0 {
			t.Errorf("%v parses as %v, size %d", d, got, d.Size())
		}
	}
	if _, ok := Parse("F17"); ok || DType(99).Size() != 0 || DType(99).String() != "DType(99)" {
		t.Error("an unknown type has a name or a size")
	}
}

func TestElements(t *testing.T) {
	const most, root = math.MaxInt, 1 << (bits.UintSize / 2)
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true}, {[]int{2, 3}, 6, true}, {[]int{0, most/2 + 1, most/2 + 1}, 0, true},
		{[]int{-1, -1}, 0, false}, {[]int{root, root}, 0, false}, {[]int{most/4 + 1}, 0, false}, {[]int{most/2 + 1, 4}, 0, false},
	} {
		if n, ok := Elements(c.shape, 4); n != c.n || ok != c.ok {
			t.Errorf("Elements(%v, 4) = %d, %v", c.shape, n, ok)
		}
	}
}

// TestPieces: every element once and in order, the last piece shorter; an error of either
// function ends it.
func TestPieces(t *testing.T) {
	v := View{"a", F16, []int{7}, []byte{0, 0x3c, 0, 0x40, 0, 0x42, 0, 0x44, 0, 0x45, 0, 0x46, 0, 0x47}}
	fill := func(at int, x []float32) error { return v.Part(at, at+len(x)).Fill(x) }
	for n := 1; n < 9; n++ {
		var got []float32
		err := Pieces(7, make([]float32, n), fill, func(at int, x []float32) error {
			if at != len(got) || len(x) != min(n, 7-at) {
				t.Errorf("%d at a time: %d at %d", n, len(x), at)
			}
			got = append(got, x...)
			return nil
		})
		if diff := cmp.Diff([]float32{1, 2, 3, 4, 5, 6, 7}, got); diff != "" || err != nil {
			t.Errorf("%d at a time: %v %s", n, err, diff)
		}
	}
	stop, calls := errors.New("stop"), 0
	count := func(int, []float32) error { calls++; return stop }
	if err := Pieces(7, make([]float32, 2), fill, count); err != stop || calls != 1 {
		t.Errorf("visit: %v after %d calls", err, calls)
	}
	if err := Pieces(7, make([]float32, 2), count, fill); err != stop || calls != 2 {
		t.Errorf("fill: %v after %d calls", err, calls)
	}
	if err := (View{"w", I64, []int{1}, make([]byte, 8)}).Fill(make([]float32, 1)); err == nil || !strings.Contains(err.Error(), `"w": I64`) {
		t.Errorf("got %v", err)
	}
}
