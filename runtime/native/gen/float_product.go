package main

import (
	"math/bits"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tiles are the rows that product does at once: with two registers of columns as many as
// leave some for the factors.
func (v *vector) tiles() []int {
	if v.wide() {
		return []int{12, 8, 4, 2, 1}
	}
	return []int{6, 4, 2, 1}
}

// panel is the bytes of a panel's row: two registers.
func (v *vector) panel() int { return 2 * v.bytes() }

// factor is the left factor of a product under construction: pointers to every third row.
type factor struct {
	bases           []reg.GPVirtual
	stride, stride3 reg.GPVirtual
}

// row is memory of row i.
func (f factor) row(i int) operand.Mem {
	if i%3 == 0 {
		return at(f.bases[i/3], 0)
	}
	return indexed(f.bases[i/3], f.stride, uint8(i%3), 0)
}

func (v *vector) product() {
	v.function("product", "out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32",
		"for each of rows (of which there is one of the tiles), panel and column of it:",
		"acc = +0; for l := range k { acc = acc + a[row][l]*b[panel][l][column] }; out[row][panel][column] = acc*scale[row]")
	rows := v.param("rows")
	tiles := v.tiles()
	for _, n := range tiles[1:] {
		v.CMPQ(rows, operand.U32(n))
		v.JEQ(operand.LabelRef(v.tileLabel(n)))
	}
	for i, n := range tiles {
		if i > 0 {
			v.Label(v.tileLabel(n))
		}
		v.tile(n)
		v.ret()
	}
}

func (v *vector) tileLabel(rows int) string { return "tile" + string(rune('a'+rows)) }

// tile multiplies so many rows by all panels.
func (v *vector) tile(rows int) {
	a, b, panels := v.param("a"), v.param("b"), v.param("panels")
	f := factor{stride: v.param("aStride"), stride3: v.GP64()}
	v.LEAQ(indexed(f.stride, f.stride, 2, 0), f.stride3)
	for range (rows + 2) / 3 {
		f.bases = append(f.bases, v.GP64())
	}
	out := v.param("out")
	panel, loop := v.label("panel"), v.label("depth")
	v.Label(panel)
	v.MOVQ(a, f.bases[0])
	for i := 1; i < len(f.bases); i++ {
		v.LEAQ(indexed(f.bases[i-1], f.stride3, 1, 0), f.bases[i])
	}
	k := v.param("k")
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = v.registers(2)
		v.zero(acc[i][0])
		v.zero(acc[i][1])
	}
	v.Label(loop)
	v.step(f, b, acc)
	for _, p := range f.bases {
		v.ADDQ(operand.U32(4), p)
	}
	v.ADDQ(operand.U32(v.panel()), b)
	v.DECQ(k)
	v.JNZ(operand.LabelRef(loop))
	v.finishTile(out, acc)
	v.ADDQ(operand.U32(v.panel()), out)
	v.DECQ(panels)
	v.JNZ(operand.LabelRef(panel))
}

// step adds one product to each sum.
func (v *vector) step(f factor, b reg.GPVirtual, acc [][]reg.VecVirtual) {
	columns := []reg.VecVirtual{v.load(at(b, 0)), v.load(at(b, v.bytes()))}
	for i, sums := range acc {
		x := v.register()
		v.VBROADCASTSS(f.row(i), x)
		first := v.mul(x, columns[0])
		v.VMULPS(columns[1], x, x)
		v.VADDPS(first, sums[0], sums[0])
		v.VADDPS(x, sums[1], sums[1])
	}
}

// finishTile stores the sums times their rows' scales.
func (v *vector) finishTile(out reg.GPVirtual, acc [][]reg.VecVirtual) {
	scale, p, stride := v.param("scale"), v.GP64(), v.param("outStride")
	v.MOVQ(out, p)
	for i, sums := range acc {
		if i > 0 {
			v.ADDQ(stride, p)
		}
		s := v.register()
		v.VBROADCASTSS(at(scale, 4*i), s)
		for c, sum := range sums {
			v.VMULPS(s, sum, sum)
			v.VMOVUPS(sum, at(p, c*v.bytes()))
		}
	}
}

// packed is packKeys under construction.
type packed struct {
	*vector
	src, stride, stride3 reg.GPVirtual
	dst, panelBytes, j   reg.GPVirtual // the panel that j keys bring us to
	left                 reg.GPVirtual // keys
}

func (v *vector) packKeys() {
	v.function("packKeys", "dst, src *float32, stride uintptr, n, d int",
		"for j := range n { for c := range d { dst[j/panel][c][j%panel] = src[j][c] } }")
	p := packed{
		vector: v, src: v.param("src"), stride: v.param("stride"), stride3: v.GP64(),
		dst: v.param("dst"), panelBytes: v.param("d"), j: v.GP64(), left: v.param("n"),
	}
	v.LEAQ(indexed(p.stride, p.stride, 2, 0), p.stride3)
	v.SHLQ(operand.U8(bits.TrailingZeros(uint(v.panel()))), p.panelBytes)
	v.XORQ(p.j, p.j)
	sizes := []int{v.lanes, 4, 1}
	for _, n := range slices.Compact(sizes) {
		loop, done := v.label("keys"), v.label("packed")
		v.Label(loop)
		v.CMPQ(p.left, operand.U32(n))
		v.JLT(operand.LabelRef(done))
		p.group(n)
		v.SUBQ(operand.U32(n), p.left)
		v.JMP(operand.LabelRef(loop))
		v.Label(done)
	}
	v.ret()
}

// group packs so many keys, which lie within one panel, and moves on.
func (p packed) group(keys int) {
	bases := []reg.GPVirtual{p.GP64()}
	p.MOVQ(p.src, bases[0])
	for i := 1; i < keys/4; i++ {
		next := p.GP64()
		p.LEAQ(indexed(bases[i-1], p.stride, 4, 0), next)
		bases = append(bases, next)
	}
	q, d := p.GP64(), p.param("d")
	p.MOVQ(p.j, q)
	p.ANDQ(operand.U32(p.panel()/4-1), q)
	p.LEAQ(indexed(p.dst, q, 4, 0), q)
	if keys >= 4 {
		loop, done := p.label("square"), p.label("squares")
		p.Label(loop)
		p.CMPQ(d, operand.U32(4))
		p.JLT(operand.LabelRef(done))
		p.square(bases, q, keys)
		p.advance(bases, q, 4)
		p.SUBQ(operand.U32(4), d)
		p.JMP(operand.LabelRef(loop))
		p.Label(done)
	}
	p.column(bases, q, d, keys)
	p.ADDQ(operand.U32(keys), p.j)
	if keys >= 4 {
		p.LEAQ(indexed(bases[len(bases)-1], p.stride, 4, 0), p.src)
		// The pointers have moved by a row.
		back := p.param("d")
		p.SHLQ(operand.U8(2), back)
		p.SUBQ(back, p.src)
	} else {
		p.ADDQ(p.stride, p.src)
	}
	same := p.label("same")
	p.TESTQ(operand.U32(p.panel()/4-1), p.j)
	p.JNZ(operand.LabelRef(same))
	p.ADDQ(p.panelBytes, p.dst)
	p.Label(same)
}

// advance moves on by so many of d.
func (p packed) advance(bases []reg.GPVirtual, q reg.GPVirtual, d int) {
	for _, b := range bases {
		p.ADDQ(operand.U32(4*d), b)
	}
	p.ADDQ(operand.U32(d*p.panel()), q)
}

// key is memory of key i of a group.
func (p packed) key(bases []reg.GPVirtual, i int) operand.Mem {
	switch i % 4 {
	case 0:
		return at(bases[i/4], 0)
	case 3:
		return indexed(bases[i/4], p.stride3, 1, 0)
	}
	return indexed(bases[i/4], p.stride, uint8(i%4), 0)
}

// column packs what is left of d, a float at a time.
func (p packed) column(bases []reg.GPVirtual, q, d reg.GPVirtual, keys int) {
	loop, done := p.label("column"), p.label("columns")
	p.Label(loop)
	p.TESTQ(d, d)
	p.JZ(operand.LabelRef(done))
	for i := range keys {
		x := p.GP32()
		p.MOVL(p.key(bases, i), x)
		p.MOVL(x, at(q, 4*i))
	}
	p.advance(bases, q, 1)
	p.DECQ(d)
	p.JMP(operand.LabelRef(loop))
	p.Label(done)
}

// square transposes four of d of a group of keys: register i holds the keys i, 4+i, 8+i
// and 12+i, each in a quarter.
func (p packed) square(bases []reg.GPVirtual, q reg.GPVirtual, keys int) {
	part := func() reg.VecVirtual { // as wide as the keys
		switch keys {
		case 16:
			return p.ZMM()
		case 8:
			return p.YMM()
		}
		return p.XMM()
	}
	var x, t, y [4]reg.VecVirtual
	for i := range x {
		x[i], t[i], y[i] = part(), part(), part()
		p.VMOVUPS(p.key(bases, i), x[i].AsX())
		for lane := 1; lane < keys/4; lane++ {
			if keys == 16 {
				p.VINSERTF32X4(operand.U8(lane), p.key(bases, 4*lane+i), x[i], x[i])
			} else {
				p.VINSERTF128(operand.U8(lane), p.key(bases, 4*lane+i), x[i], x[i])
			}
		}
	}
	p.VUNPCKLPS(x[1], x[0], t[0]) // 00 10 01 11
	p.VUNPCKHPS(x[1], x[0], t[1]) // 02 12 03 13
	p.VUNPCKLPS(x[3], x[2], t[2])
	p.VUNPCKHPS(x[3], x[2], t[3])
	p.VUNPCKLPD(t[2], t[0], y[0])
	p.VUNPCKHPD(t[2], t[0], y[1])
	p.VUNPCKLPD(t[3], t[1], y[2])
	p.VUNPCKHPD(t[3], t[1], y[3])
	for c := range y {
		p.VMOVUPS(y[c], at(q, c*p.panel()))
	}
}

func (v *vector) packValues() {
	v.function("packValues", "dst, src *float32, stride uintptr, n, d int",
		"for c := range whole panels of d { for j := range n { dst[c/panel][j][c%panel] = c < d ? src[j][c] : +0 } }")
	dst, src, stride, d := v.param("dst"), v.param("src"), v.param("stride"), v.param("d")
	panel, last, done := v.label("panel"), v.label("last"), v.label("done")
	v.Label(panel)
	v.CMPQ(d, operand.U32(v.panel()/4))
	v.JLT(operand.LabelRef(last))
	v.valueRows(dst, src, stride, v.load)
	v.ADDQ(operand.U32(v.panel()), src)
	v.SUBQ(operand.U32(v.panel()/4), d)
	v.JMP(operand.LabelRef(panel))
	v.Label(last)
	v.TESTQ(d, d)
	v.JZ(operand.LabelRef(done))
	masks := []mask{v.first(d, 0), v.first(d, v.lanes)}
	i := 0
	v.valueRows(dst, src, stride, func(m operand.Mem) reg.VecVirtual {
		i++
		return v.maskedLoad(m, masks[i-1])
	})
	v.Label(done)
	v.ret()
}

// valueRows copies two registers of each of n rows.
func (v *vector) valueRows(dst, src, stride reg.GPVirtual, load func(operand.Mem) reg.VecVirtual) {
	p, n, loop := v.GP64(), v.param("n"), v.label("row")
	v.MOVQ(src, p)
	v.Label(loop)
	x, y := load(at(p, 0)), load(at(p, v.bytes()))
	v.VMOVUPS(x, at(dst, 0))
	v.VMOVUPS(y, at(dst, v.bytes()))
	v.ADDQ(stride, p)
	v.ADDQ(operand.U32(v.panel()), dst)
	v.DECQ(n)
	v.JNZ(operand.LabelRef(loop))
}
