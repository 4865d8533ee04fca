package main

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileFields are the fields of native's tile, in order.
func tileFields() []string {
	return []string{
		"codes", "codeStride", "weights", "panelStride", "k8", "rows", "cols", "scales", "sums", "wscale", "bias",
		"zero", "outX", "outW", "outWStride", "outliers", "out", "outStride", "ahead",
	}
}

// multiplyReference is what multiply does.
func multiplyReference(name string) []string {
	return []string{
		name + " is a tile's product and epilogue:",
		"",
		"	for r := range t.rows {",
		"		for n := range t.cols {",
		"			acc := int32(0)",
		"			for k := range t.k8 {",
		"				acc += int32(t.codes[r][k]) * int32(w[n][k])",
		"			}",
		"			if t.zero != nil {",
		"				acc -= t.zero[n] * t.sums[r]",
		"			}",
		"			v := float32(acc) * (t.scales[r] * t.wscale[n])",
		"			for o := range t.outliers {",
		"				v += t.outX[o][r] * t.outW[o][n]",
		"			}",
		"			t.out[r][n] = v + t.bias[n]",
		"		}",
		"	}",
	}
}

// quantizeReference is what quantize does.
func quantizeReference(name, code string) []string {
	return []string{
		name + " quantises a row to codes of " + code + ":",
		"",
		"	most := int32(0)",
		"	for k := range k8 {",
		"		most = max(most, bits(x[k]) & math.MaxInt32)",
		"	}",
		"	if amax := float(most); most >= bits(0x1p-100) {",
		"		scale = amax / 127",
		"		for k := range k8 {",
		"			codes[k] = bits(x[k]*(127/amax) + 0x1.8p23) - bits(0x1.8p23)",
		"			sum += codes[k]",
		"		}",
		"	} else {",
		"		clear(codes[:k8])",
		"	}",
		"",
		"No code leaves ±127 unless the row has a NaN or an infinity; then the scale is one too.",
	}
}

// function begins a function that is headed by its reference.
func function(c *build.Context, name, signature string, reference []string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Signature(parse(signature))
	c.Doc(reference...)
	c.Comment(reference[2:]...)
}

// parse reads a signature that may name the tile and unsafe.Pointer.
func parse(signature string) *gotypes.Signature {
	p := types.NewPackage("native", "native")
	name := types.NewTypeName(token.NoPos, p, "tile", nil)
	types.NewNamed(name, types.NewStruct(nil, nil), nil)
	p.Scope().Insert(name)
	p.Scope().Insert(types.NewPkgName(token.NoPos, p, "unsafe", types.Unsafe))
	s, err := gotypes.ParseSignatureInPackage(p, signature)
	if err != nil {
		panic(err)
	}
	return s
}

// tileGen writes one multiply.
type tileGen struct {
	*build.Context
	t reg.GPVirtual // the tile
}

// field is where a field of the tile lies.
func (g *tileGen) field(name string) operand.Mem {
	i := slices.Index(tileFields(), name)
	if i < 0 {
		panic(fmt.Sprintf("tile has no %s", name))
	}
	return operand.Mem{Base: g.t, Disp: 8 * i}
}

// load is a field in a register of its own.
func (g *tileGen) load(name string) reg.GPVirtual {
	r := g.GP64()
	g.MOVQ(g.field(name), r)
	return r
}

// stride is a base register and multiples of a distance: element i lies i distances on.
type stride struct {
	base             reg.Register
	one, three, five reg.Register
}

// newStride needs three times the distance from 4 elements, five times from 6.
func (g *tileGen) newStride(base, one reg.GPVirtual, elements int) stride {
	s := stride{base: base, one: one}
	if elements > 3 {
		three := g.GP64()
		g.LEAQ(operand.Mem{Base: one, Index: one, Scale: 2}, three)
		s.three = three
	}
	if elements > 5 {
		five := g.GP64()
		g.LEAQ(operand.Mem{Base: one, Index: one, Scale: 4}, five)
		s.five = five
	}
	return s
}

// at is where element i, at most the sixth, lies, and so many bytes behind.
func (s stride) at(i, disp int) operand.Mem {
	m := operand.Mem{Base: s.base, Disp: disp}
	switch i {
	case 0:
		return m
	case 1, 2, 4:
		return m.Idx(s.one, uint8(i))
	case 3:
		return m.Idx(s.three, 1)
	}
	return m.Idx(s.five, 1)
}
