package main

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmax finds the maxima of all rows first and keeps them in inverse: so no row's
// exponentials wait for the end of the row before.
func (v *vector) softmax() {
	v.function("softmax", "s *float32, stride uintptr, rows, n int, inverse *float32",
		"for each row: m = max(s[:n]); s[j] = exp(s[j]-m), +0 from n on; p[l] = p[l] + s[16i+l]",
		"z = fold(p); inverse[row] = z == 0 ? 0 : 1/z")
	n := v.param("n")
	rest, whole := v.GP64(), v.GP64()
	v.MOVQ(n, rest)
	v.ANDQ(operand.U32(15), rest)
	v.MOVQ(n, whole)
	v.SUBQ(rest, whole)
	v.SHLQ(operand.U8(2), whole)
	var masks []mask
	for i := range 16 / v.lanes {
		masks = append(masks, v.first(rest, i*v.lanes))
	}
	v.eachRow(func(s, inverse reg.GPVirtual) { v.most(s, inverse, whole, rest, masks) })
	exp := v.exp()
	v.eachRow(func(s, inverse reg.GPVirtual) {
		sums := v.registers(16 / v.lanes)
		for _, sum := range sums {
			v.zero(sum)
		}
		most := v.register()
		v.VBROADCASTSS(at(inverse, 0), most)
		p := v.rowChunks(s, whole, softmaxChunks, func(p reg.GPVirtual, chunks int) {
			v.exponentials(p, chunks, most, exp, sums, nil)
		})
		v.ifAny(rest, func() { v.exponentials(p, 1, most, exp, sums, masks) })
		z, none, one := v.fold(sums), v.XMM(), v.XMM()
		v.VXORPS(none, none, none)
		v.VMOVSS(v.bitsAt(0x3f800000), one)
		if v.wide() {
			k := v.K()
			v.VCMPSS(operand.U8(4), none, z, k) // unequal, or NaN
			v.VDIVSS_Z(z, one, k, z)
		} else {
			v.VCMPSS(operand.U8(0), none, z, none) // equal
			v.VDIVSS(z, one, z)
			v.VANDNPS(z, none, z)
		}
		v.VMOVSS(z, at(inverse, 0))
	})
	v.ret()
}

// eachRow writes a loop over rows.
func (v *vector) eachRow(body func(s, inverse reg.GPVirtual)) {
	s, inverse, rows, loop := v.param("s"), v.param("inverse"), v.param("rows"), v.label("row")
	v.Label(loop)
	body(s, inverse)
	v.ADDQ(v.stack("stride"), s)
	v.ADDQ(operand.U32(4), inverse)
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(loop))
}

// softmaxChunks is how many chunks of 16 scores are in work at once.
const softmaxChunks = 4

// rowChunks writes loops over the whole chunks of 16 of a row, several at once and then
// one, and returns where they end.
func (v *vector) rowChunks(s, whole reg.GPVirtual, most int, body func(p reg.GPVirtual, chunks int)) reg.GPVirtual {
	p, left := v.GP64(), v.GP64()
	v.MOVQ(s, p)
	v.MOVQ(whole, left)
	for _, chunks := range slices.Compact([]int{most, 1}) {
		loop, done := v.label("chunk"), v.label("chunks")
		v.Label(loop)
		v.CMPQ(left, operand.U32(64*chunks))
		v.JLT(operand.LabelRef(done))
		body(p, chunks)
		v.ADDQ(operand.U32(64*chunks), p)
		v.SUBQ(operand.U32(64*chunks), left)
		v.JMP(operand.LabelRef(loop))
		v.Label(done)
	}
	return p
}

// ifAny does what follows the whole chunks, if there is anything.
func (v *vector) ifAny(rest reg.GPVirtual, body func()) {
	none := v.label("whole")
	v.TESTQ(rest, rest)
	v.JZ(operand.LabelRef(none))
	body()
	v.Label(none)
}

// most writes the maximum of a row to inverse.
func (v *vector) most(s, inverse, whole, rest reg.GPVirtual, masks []mask) {
	m := v.register()
	v.VBROADCASTSS(at(s, 0), m)
	p := v.rowChunks(s, whole, 1, func(p reg.GPVirtual, _ int) {
		for i := range 16 / v.lanes {
			v.VMAXPS(at(p, i*v.bytes()), m, m)
		}
	})
	v.ifAny(rest, func() {
		for i, mask := range masks {
			if v.wide() {
				v.VMAXPS(at(p, 0), m, mask.Register, m)
				continue
			}
			x := v.YMM()
			v.VBLENDVPS(mask.Register, at(p, i*v.bytes()), m, x)
			v.VMAXPS(x, m, m)
		}
	})
	y := m.AsY()
	if v.wide() {
		half := v.YMM()
		v.VEXTRACTF32X8(operand.U8(1), m, half)
		v.VMAXPS(half, y, y)
	}
	x, t := v.upper(y), v.XMM()
	v.VMAXPS(x, m.AsX(), x)
	v.VMOVHLPS(x, x, t)
	v.VMAXPS(t, x, x)
	v.VMOVSHDUP(x, t)
	v.VMAXSS(t, x, x)
	v.VMOVSS(x, at(inverse, 0))
}

// exponentials does chunks of 16 scores; those that masks leave out become +0.
func (v *vector) exponentials(p reg.GPVirtual, chunks int, most reg.VecVirtual, exp func(reg.VecVirtual) reg.VecVirtual, sums []reg.VecVirtual, masks []mask) {
	registers := chunks * len(sums)
	for first := 0; first < registers; first += v.lanes / 4 {
		v.chains(min(registers-first, v.lanes/4), func(i int) {
			i += first
			e := exp(v.sub(v.load(at(p, i*v.bytes())), most))
			if masks != nil {
				v.clear(e, masks[i])
			}
			v.VMOVUPS(e, at(p, i*v.bytes()))
			sum := sums[i%len(sums)]
			v.VADDPS(e, sum, sum)
		})
	}
}
