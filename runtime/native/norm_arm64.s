#include "textflag.h"
#include "simd_arm64.h"

// FOLD adds the 16 partial sums in V0 ... V3 into F0: the tree 8-4-2-1. V1 is lost.
#define FOLD \
	FADD(0, 0, 2); \
	FADD(1, 1, 3); \
	FADD(0, 0, 1); \
	VEXT $8, V0.B16, V0.B16, V1.B16; \
	FADD(0, 0, 1); \
	VDUP V0.S[1], V1.S4; \
	FADD(0, 0, 1)

#define CLEAR4 \
	VEOR V0.B16, V0.B16, V0.B16; \
	VEOR V1.B16, V1.B16, V1.B16; \
	VEOR V2.B16, V2.B16, V2.B16; \
	VEOR V3.B16, V3.B16, V3.B16

// func normNEON(out, x, residual, gamma, beta *float32, rows, h int, eps float32)
//
//	x = x + residual, if that is not nil
//	mean = sum(x)/float32(h); d = x-mean, +0 in the pads
//	r = 1/sqrt(sum(d·d)/float32(h) + eps); out = (d·r)·gamma + beta, +0 in the pads
TEXT ·normNEON(SB), NOSPLIT, $0-60
	MOVD out+0(FP), R0
	MOVD x+8(FP), R1
	MOVD residual+16(FP), R2
	MOVD rows+40(FP), R5
	MOVD h+48(FP), R6
	SCVTFWS R6, F30
	FMOVS eps+56(FP), F31
	ADD  $15, R6, R7
	BIC  $15, R7, R7
	SUB  R6, R7, R8
	CBZ  R5, done
row:
	CLEAR4
	MOVD R0, R10
	MOVD R7, R11
sum:
	FLDPQ.P 32(R1), (F4, F5)
	FLDPQ.P 32(R1), (F6, F7)
	CBZ  R2, single
	FLDPQ.P 32(R2), (F16, F17)
	FLDPQ.P 32(R2), (F18, F19)
	FADD(4, 4, 16)
	FADD(5, 5, 17)
	FADD(6, 6, 18)
	FADD(7, 7, 19)
single:
	FADD(0, 0, 4)
	FADD(1, 1, 5)
	FADD(2, 2, 6)
	FADD(3, 3, 7)
	FSTPQ.P (F4, F5), 32(R10)
	FSTPQ.P (F6, F7), 32(R10)
	SUBS $16, R11, R11
	BNE  sum
	FOLD
	FDIVS F30, F0, F0
	VDUP V0.S[0], V20.S4
	MOVD R0, R10
	MOVD R7, R11
centre:
	FLDPQ (R10), (F4, F5)
	FSUB(4, 4, 20)
	FSUB(5, 5, 20)
	FSTPQ.P (F4, F5), 32(R10)
	SUBS $8, R11, R11
	BNE  centre
	MOVD R8, R12
	CBZ  R12, squares
clearD:
	SUB  $4, R10
	MOVW ZR, (R10)
	SUBS $1, R12, R12
	BNE  clearD
squares:
	CLEAR4
	MOVD R0, R10
	MOVD R7, R11
square:
	FLDPQ.P 32(R10), (F4, F5)
	FLDPQ.P 32(R10), (F6, F7)
	FMUL(4, 4, 4)
	FMUL(5, 5, 5)
	FMUL(6, 6, 6)
	FMUL(7, 7, 7)
	FADD(0, 0, 4)
	FADD(1, 1, 5)
	FADD(2, 2, 6)
	FADD(3, 3, 7)
	SUBS $16, R11, R11
	BNE  square
	FOLD
	FDIVS F30, F0, F0
	FADDS F31, F0, F0
	FSQRTS F0, F0
	FMOVS $1.0, F1
	FDIVS F0, F1, F20
	MOVD R7, R11
	MOVD gamma+24(FP), R3
	MOVD beta+32(FP), R4
scale:
	FLDPQ (R0), (F4, F5)
	FLDPQ.P 32(R3), (F16, F17)
	FLDPQ.P 32(R4), (F18, F19)
	FMULX(4, 4, 20, 0)
	FMULX(5, 5, 20, 0)
	FMUL(4, 4, 16)
	FMUL(5, 5, 17)
	FADD(4, 4, 18)
	FADD(5, 5, 19)
	FSTPQ.P (F4, F5), 32(R0)
	SUBS $8, R11, R11
	BNE  scale
	MOVD R0, R10
	MOVD R8, R12
	CBZ  R12, next
clearY:
	SUB  $4, R10
	MOVW ZR, (R10)
	SUBS $1, R12, R12
	BNE  clearY
next:
	SUBS $1, R5, R5
	BNE  row
done:
	RET
