package emit

import (
	"encoding/binary"
	"math"
)

// raw is the common form of the expression types.
type raw struct{ code []byte }

// I32 is an expression of a 32-bit integer; addresses are I32.
type I32 struct{ code []byte }

// F32 is an expression of a float32.
type F32 struct{ code []byte }

// V128 is an expression of a vector, read as 4 float32, 4 int32 or 8 int16 by its methods.
type V128 struct{ code []byte }

// join is the code of operands in order, then an instruction.
func join(op []byte, operands ...[]byte) []byte {
	var out []byte
	for _, x := range operands {
		out = append(out, x...)
	}
	return append(out, op...)
}

// ConstI32 is a constant.
func ConstI32(x int) I32 { return I32{appendSigned([]byte{0x41}, int64(int32(uint32(x))))} }

// ConstF32 is a constant, by its bits.
func ConstF32(x float32) F32 {
	return F32{binary.LittleEndian.AppendUint32([]byte{0x43}, math.Float32bits(x))}
}

// Lanes is a constant vector of four 32-bit lanes.
func Lanes(lanes [4]uint32) V128 {
	code := []byte{simd, 0x0c}
	for _, x := range lanes {
		code = binary.LittleEndian.AppendUint32(code, x)
	}
	return V128{code}
}

// AllF32 is a constant vector of one float32.
func AllF32(x float32) V128 { return AllI32(math.Float32bits(x)) }

// AllI32 is a constant vector of one 32-bit integer.
func AllI32(x uint32) V128 { return Lanes([4]uint32{x, x, x, x}) }

// AllI16 is a constant vector of one 16-bit integer.
func AllI16(x int16) V128 { return AllI32(uint32(uint16(x)) * 0x10001) }

func (x I32) op(op byte, y I32) I32 { return I32{join([]byte{op}, x.code, y.code)} }

// Add is x + y.
func (x I32) Add(y I32) I32 { return x.op(0x6a, y) }

// Sub is x - y.
func (x I32) Sub(y I32) I32 { return x.op(0x6b, y) }

// Mul is x * y.
func (x I32) Mul(y I32) I32 { return x.op(0x6c, y) }

// DivU is x / y, unsigned.
func (x I32) DivU(y I32) I32 { return x.op(0x6e, y) }

// And is x & y.
func (x I32) And(y I32) I32 { return x.op(0x71, y) }

// Shl is x << n.
func (x I32) Shl(n int) I32 { return x.op(0x74, ConstI32(n)) }

// ShrU is x >> n, unsigned.
func (x I32) ShrU(n int) I32 { return x.op(0x76, ConstI32(n)) }

// Eq is 1 when x == y.
func (x I32) Eq(y I32) I32 { return x.op(0x46, y) }

// LtS is 1 when x < y, signed.
func (x I32) LtS(y I32) I32 { return x.op(0x48, y) }

// GeS is 1 when x >= y, signed.
func (x I32) GeS(y I32) I32 { return x.op(0x4e, y) }

// LtU is 1 when x < y, unsigned.
func (x I32) LtU(y I32) I32 { return x.op(0x49, y) }

// Eqz is 1 when x is 0.
func (x I32) Eqz() I32 { return I32{join([]byte{0x45}, x.code)} }

// SelectI32 is x when cond is not zero, else y; both are evaluated.
func SelectI32(cond, x, y I32) I32 { return I32{join([]byte{0x1b}, x.code, y.code, cond.code)} }

// Float is x as the nearest float32.
func (x I32) Float() F32 { return F32{join([]byte{0xb2}, x.code)} }

// AsF32 is the float32 of x's bits.
func (x I32) AsF32() F32 { return F32{join([]byte{0xbe}, x.code)} }

// Splat is x in every 32-bit lane.
func (x I32) Splat() V128 { return V128{join(vector(0x11), x.code)} }

func (x I32) load(off int, op ...byte) []byte { return appendAccess(join(op, x.code), off) }

// LoadI32 reads at x+off.
func (x I32) LoadI32(off int) I32 { return I32{x.load(off, 0x28)} }

// LoadF32 reads at x+off.
func (x I32) LoadF32(off int) F32 { return F32{x.load(off, 0x2a)} }

// LoadV128 reads 16 bytes at x+off.
func (x I32) LoadV128(off int) V128 { return V128{x.load(off, simd, 0x00)} }

// LoadI8x8 reads 8 int8 at x+off into 8 int16.
func (x I32) LoadI8x8(off int) V128 { return V128{x.load(off, simd, 0x01)} }

func (x F32) op(op byte, y F32) F32 { return F32{join([]byte{op}, x.code, y.code)} }

// Add is x + y.
func (x F32) Add(y F32) F32 { return x.op(0x92, y) }

// Sub is x - y.
func (x F32) Sub(y F32) F32 { return x.op(0x93, y) }

// Mul is x * y.
func (x F32) Mul(y F32) F32 { return x.op(0x94, y) }

// Div is x / y.
func (x F32) Div(y F32) F32 { return x.op(0x95, y) }

// Sqrt is the IEEE square root.
func (x F32) Sqrt() F32 { return F32{join([]byte{0x91}, x.code)} }

// Eq is 1 when x == y.
func (x F32) Eq(y F32) I32 { return I32{join([]byte{0x5b}, x.code, y.code)} }

// Lt is 1 when x < y.
func (x F32) Lt(y F32) I32 { return I32{join([]byte{0x5d}, x.code, y.code)} }

// SelectF32 is x when cond is not zero, else y; both are evaluated.
func SelectF32(cond I32, x, y F32) F32 { return F32{join([]byte{0x1b}, x.code, y.code, cond.code)} }

// Splat is x in every lane.
func (x F32) Splat() V128 { return V128{join(vector(0x13), x.code)} }

// simd opens every vector instruction.
const simd = 0xfd

func vector(op uint64) []byte { return binary.AppendUvarint([]byte{simd}, op) }

func (x V128) op(op uint64, y V128) V128 { return V128{join(vector(op), x.code, y.code)} }

// AddF32 is x + y.
func (x V128) AddF32(y V128) V128 { return x.op(0xe4, y) }

// SubF32 is x - y.
func (x V128) SubF32(y V128) V128 { return x.op(0xe5, y) }

// MulF32 is x * y.
func (x V128) MulF32(y V128) V128 { return x.op(0xe6, y) }

// DivF32 is x / y.
func (x V128) DivF32(y V128) V128 { return x.op(0xe7, y) }

// PMinF32 is y < x ? y : x.
func (x V128) PMinF32(y V128) V128 { return x.op(0xea, y) }

// PMaxF32 is x < y ? y : x.
func (x V128) PMaxF32(y V128) V128 { return x.op(0xeb, y) }

// LtF32 is all ones in lanes where x < y.
func (x V128) LtF32(y V128) V128 { return x.op(0x43, y) }

// And is x & y.
func (x V128) And(y V128) V128 { return x.op(0x4e, y) }

// AndNot is x &^ y.
func (x V128) AndNot(y V128) V128 { return x.op(0x4f, y) }

// Or is x | y.
func (x V128) Or(y V128) V128 { return x.op(0x50, y) }

// SelectV128 is x in the bits that are set in mask, y in the others.
func SelectV128(mask, x, y V128) V128 { return V128{join(vector(0x52), x.code, y.code, mask.code)} }

// AddI32 is x + y.
func (x V128) AddI32(y V128) V128 { return x.op(0xae, y) }

// SubI32 is x - y.
func (x V128) SubI32(y V128) V128 { return x.op(0xb1, y) }

// MulI32 is the low half of x * y.
func (x V128) MulI32(y V128) V128 { return x.op(0xb5, y) }

// MaxI32 is the greater, signed.
func (x V128) MaxI32(y V128) V128 { return x.op(0xb8, y) }

// MinI16 is the lesser of each int16.
func (x V128) MinI16(y V128) V128 { return x.op(0x96, y) }

// MaxI16 is the greater of each int16.
func (x V128) MaxI16(y V128) V128 { return x.op(0x98, y) }

// Dot multiplies 8 int16 and adds neighbours: 4 int32.
func (x V128) Dot(y V128) V128 { return x.op(0xba, y) }

// NarrowI32 is the int32 of x, then of y, saturated to int16.
func (x V128) NarrowI32(y V128) V128 { return x.op(0x85, y) }

// Swizzle is the bytes of x that the bytes of index name, 0 past the end.
func (x V128) Swizzle(index V128) V128 { return x.op(0x0e, index) }

// LowI16 is the lower 4 int16 as int32.
func (x V128) LowI16() V128 { return V128{join(vector(0xa7), x.code)} }

// HighI16 is the upper 4 int16 as int32.
func (x V128) HighI16() V128 { return V128{join(vector(0xa8), x.code)} }

// Float is each int32 as the nearest float32.
func (x V128) Float() V128 { return V128{join(vector(0xfa), x.code)} }

// LaneI32 is one int32 lane.
func (x V128) LaneI32(lane byte) I32 { return I32{join([]byte{simd, 0x1b, lane}, x.code)} }

// LaneF32 is one float32 lane.
func (x V128) LaneF32(lane byte) F32 { return F32{join([]byte{simd, 0x1f, lane}, x.code)} }

// appendSigned appends a signed LEB128.
func appendSigned(out []byte, x int64) []byte {
	for {
		b := byte(x & 0x7f)
		x >>= 7
		if (x == 0 && b&0x40 == 0) || (x == -1 && b&0x40 != 0) {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
