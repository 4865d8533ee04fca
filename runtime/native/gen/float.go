package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector writes float code for one width of register: 16 lanes with AVX-512, where 32
// registers hold every constant and masks are registers of their own, or 8 with AVX2,
// where constants stand in memory. Both are one description.
type vector struct {
	*build.Context
	lanes  int
	suffix string                 // of functions' names
	data   map[uint32]operand.Mem // constants in memory, by their bits
	ramp   *operand.Mem           // 0, 1, 2, ..., 31
	labels int
}

// floats writes all float primitives of a width.
func floats(c *build.Context, lanes int) {
	v := &vector{Context: c, lanes: lanes, suffix: "AVX2", data: map[uint32]operand.Mem{}}
	if lanes == 16 {
		v.suffix = "AVX512"
	}
	v.activations()
	v.elementwise()
	v.norm()
	v.packKeys()
	v.packValues()
	v.product()
	v.softmax()
}

// wide tells AVX-512.
func (v *vector) wide() bool { return v.lanes == 16 }

// bytes is the size of a register.
func (v *vector) bytes() int { return 4 * v.lanes }

// function begins a function; its reference follows as a comment.
func (v *vector) function(name, params string, reference ...string) {
	name += v.suffix
	v.Function(name)
	v.Attributes(attr.NOSPLIT)
	v.Pragma("noescape")
	v.SignatureExpr("func(" + params + ")")
	doc := append([]string{name + ":", ""}, reference...)
	for i := 2; i < len(doc); i++ {
		doc[i] = "\t" + doc[i]
	}
	v.Doc(doc...)
	v.Comment(reference...)
}

// ret ends a function.
func (v *vector) ret() {
	v.VZEROUPPER()
	v.RET()
}

// param is a parameter in a register.
func (v *vector) param(name string) reg.GPVirtual {
	r := v.GP64()
	v.Load(v.Param(name), r)
	return r
}

// label is a new label's name.
func (v *vector) label(name string) string {
	v.labels++
	return fmt.Sprintf("%s%d", name, v.labels)
}

// register is a new vector register.
func (v *vector) register() reg.VecVirtual {
	if v.wide() {
		return v.ZMM()
	}
	return v.YMM()
}

// registers are n new ones.
func (v *vector) registers(n int) []reg.VecVirtual {
	out := make([]reg.VecVirtual, n)
	for i := range out {
		out[i] = v.register()
	}
	return out
}

// zero is a register of +0, new or not.
func (v *vector) zero(r reg.VecVirtual) reg.VecVirtual {
	// Of the upper 16 registers EVEX alone reaches the lower lanes, too.
	if v.wide() {
		v.VPXORD(r, r, r)
	} else {
		v.VXORPS(r, r, r)
	}
	return r
}

// bitsAt is a constant in memory, in every lane of a register.
func (v *vector) bitsAt(bits uint32) operand.Mem {
	if m, ok := v.data[bits]; ok {
		return m
	}
	m := v.StaticGlobal(fmt.Sprintf("all%d_%08x", v.lanes, bits))
	v.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range v.lanes {
		v.AddDatum(4*i, operand.U32(bits))
	}
	v.data[bits] = m
	return m
}

// held is a constant in a register.
func (v *vector) held(x float32) reg.VecVirtual {
	r := v.register()
	v.VBROADCASTSS(v.bitsAt(math.Float32bits(x)), r)
	return r
}

// constant is one that may be an instruction's first operand: in a register where there
// are enough of them.
func (v *vector) constant(x float32) operand.Op {
	if v.wide() {
		return v.held(x)
	}
	return v.bitsAt(math.Float32bits(x))
}

// constants are several.
func (v *vector) constants(x ...float32) []operand.Op {
	out := make([]operand.Op, len(x))
	for i := range x {
		out[i] = v.constant(x[i])
	}
	return out
}

// distant are constants in memory, for what has more of them than there are registers.
func (v *vector) distant(x ...float32) []operand.Op {
	out := make([]operand.Op, len(x))
	for i := range x {
		out[i] = v.bitsAt(math.Float32bits(x[i]))
	}
	return out
}

// load is memory in a new register.
func (v *vector) load(m operand.Mem) reg.VecVirtual {
	r := v.register()
	v.VMOVUPS(m, r)
	return r
}

// mul, add, sub and div are new registers; the second operand of a sub or div may be
// memory.
func (v *vector) mul(x reg.Register, y operand.Op) reg.VecVirtual {
	r := v.register()
	v.VMULPS(y, x, r)
	return r
}

func (v *vector) add(x reg.Register, y operand.Op) reg.VecVirtual {
	r := v.register()
	v.VADDPS(y, x, r)
	return r
}

func (v *vector) sub(x reg.Register, y operand.Op) reg.VecVirtual {
	r := v.register()
	v.VSUBPS(y, x, r)
	return r
}

func (v *vector) div(x reg.Register, y operand.Op) reg.VecVirtual {
	r := v.register()
	v.VDIVPS(y, x, r)
	return r
}

// horner is c[0]·y + c[1], that times y + c[2] and so on, in a new register.
func (v *vector) horner(y reg.Register, c ...operand.Op) reg.VecVirtual {
	x := v.add(v.mul(y, c[0]), c[1])
	for _, next := range c[2:] {
		v.VMULPS(y, x, x)
		v.VADDPS(next, x, x)
	}
	return x
}

// mask is which lanes of a register count.
type mask struct{ reg.Register }

// chains writes the same code for several independent values, one instruction of each in
// turn: a scheduler does not see far enough to overlap what is written one after another.
func (v *vector) chains(n int, of func(i int)) {
	file, err := v.Result()
	if err != nil {
		panic(err)
	}
	functions := file.Functions()
	f := functions[len(functions)-1]
	start := len(f.Nodes)
	code := make([][]ir.Node, n)
	for i := range code {
		of(i)
		code[i] = slices.Clone(f.Nodes[start:])
		f.Nodes = f.Nodes[:start]
	}
	for at := range code[0] {
		for i := range code {
			f.Nodes = append(f.Nodes, code[i][at])
		}
	}
}

// first is the mask of lane l where l + from < count. It leaves count as it is.
func (v *vector) first(count reg.GPVirtual, from int) mask {
	all, lane := v.spread(count.As32()), v.iota().Offset(4*from)
	if v.wide() {
		k := v.K()
		v.VPCMPD(operand.U8(6), lane, all, k) // greater
		return mask{k}
	}
	v.VPCMPGTD(lane, all, all)
	return mask{all}
}

// spread is an integer in every lane of a new register.
func (v *vector) spread(x reg.Register) reg.VecVirtual {
	all := v.register()
	if v.wide() {
		v.VPBROADCASTD(x, all)
		return all
	}
	low := v.XMM()
	v.VMOVD(x, low)
	v.VPBROADCASTD(low, all)
	return all
}

// iota is 0, 1, 2, ..., 31 in memory.
func (v *vector) iota() operand.Mem {
	if v.ramp != nil {
		return *v.ramp
	}
	m := v.StaticGlobal(fmt.Sprintf("iota%d", v.lanes))
	v.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 32 {
		v.AddDatum(4*i, operand.U32(i))
	}
	v.ramp = &m
	return m
}

// clear makes the lanes of r +0 that are not in the mask.
func (v *vector) clear(r reg.VecVirtual, m mask) {
	if v.wide() {
		v.VMOVAPS_Z(r, m.Register, r)
	} else {
		v.VANDPS(m.Register, r, r)
	}
}

// maskedLoad is the lanes of the mask in a new register, +0 in others, whose memory it
// does not touch.
func (v *vector) maskedLoad(at operand.Mem, m mask) reg.VecVirtual {
	r := v.register()
	if v.wide() {
		v.VMOVUPS_Z(at, m.Register, r)
	} else {
		v.VMASKMOVPS(at, m.Register, r)
	}
	return r
}

// fold is the tree over the 16 partial sums of a row, in lane 0 of the result: one
// register of 16, or two of 8.
func (v *vector) fold(sums []reg.VecVirtual) reg.VecVirtual {
	y := v.YMM()
	if v.wide() {
		v.VEXTRACTF32X8(operand.U8(1), sums[0], y)
		v.VADDPS(y, sums[0].AsY(), y)
	} else {
		v.VADDPS(sums[1], sums[0], y)
	}
	x, t := v.upper(y), v.XMM()
	v.VADDPS(x, y.AsX(), x)
	v.VMOVHLPS(x, x, t)
	v.VADDPS(t, x, x)
	v.VMOVSHDUP(x, t)
	v.VADDPS(t, x, x)
	return x
}

// upper is the upper half of 8 lanes.
func (v *vector) upper(y reg.Register) reg.VecVirtual {
	x := v.XMM()
	if v.wide() {
		v.VEXTRACTF32X4(operand.U8(1), y, x)
	} else {
		v.VEXTRACTF128(operand.U8(1), y, x)
	}
	return x
}

// at is memory at a pointer.
func at(base reg.Register, off int) operand.Mem { return operand.Mem{Base: base, Disp: off} }

// indexed is memory at a pointer and an index in bytes.
func indexed(base, index reg.Register, scale uint8, off int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: off}
}
