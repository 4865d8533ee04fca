#include "textflag.h"
#include "simd_arm64.h"
#include "exp_arm64.h"

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

// func softmaxNEON(s *float32, stride uintptr, rows, n int, inverse *float32)
//
//	m = max over j < n of s[j]; s[j] = exp(s[j]-m); s[j] = +0 for n <= j < pad16(n)
//	z = sum(s[:pad16(n)]); inverse[i] = 1/z, or 0 if z is 0
TEXT ·softmaxNEON(SB), NOSPLIT, $0-40
	MOVD s+0(FP), R0
	MOVD stride+8(FP), R1
	MOVD rows+16(FP), R2
	MOVD n+24(FP), R3
	MOVD inverse+32(FP), R4
	ADD  $15, R3, R5
	BIC  $15, R5, R5
	EXP_TABLE
	CBZ  R2, done
row:
	ADD  R3<<2, R0, R6
	SUB  R3, R5, R7
	MOVW (R0), R8
	CBZ  R7, whole
fill:
	MOVW.P R8, 4(R6)
	SUBS $1, R7, R7
	BNE  fill
whole:
	VLD1R (R0), [V0.S4]
	VORR V0.B16, V0.B16, V1.B16
	MOVD R0, R6
	MOVD R5, R7
most:
	FLDPQ.P 32(R6), (F2, F3)
	FMAX(0, 0, 2)
	FMAX(1, 1, 3)
	SUBS $8, R7, R7
	BNE  most
	FMAX(0, 0, 1)
	FMAXV(0, 0)
	VDUP V0.S[0], V29.S4
	MOVD R0, R6
	MOVD R5, R7
power:
	FMOVQ (R6), F0
	FSUB(0, 0, 29)
	EXP(0)
	FMOVQ.P F0, 16(R6)
	SUBS $4, R7, R7
	BNE  power
	SUB  R3, R5, R7
	CBZ  R7, sums
pads:
	SUB  $4, R6
	MOVW ZR, (R6)
	SUBS $1, R7, R7
	BNE  pads
sums:
	CLEAR4
	MOVD R0, R6
	MOVD R5, R7
sum:
	FLDPQ.P 32(R6), (F4, F5)
	FLDPQ.P 32(R6), (F6, F7)
	FADD(0, 0, 4)
	FADD(1, 1, 5)
	FADD(2, 2, 6)
	FADD(3, 3, 7)
	SUBS $16, R7, R7
	BNE  sum
	FOLD
	FMOVS F0, R7
	CBZW R7, zero
	FMOVS $1.0, F1
	FDIVS F0, F1, F0
zero:
	FMOVS F0, (R4)
	ADD  $4, R4
	ADD  R1, R0
	SUBS $1, R2, R2
	BNE  row
done:
	RET

// ROW adds to a row's two accumulators its value, in V(a), times V8 and V9.
#define ROW(a, acc, t) \
	FMULX(t, 8, a, 0); \
	FMULX(t+1, 9, a, 0); \
	FADD(acc, acc, t); \
	FADD(acc+1, acc+1, t+1)

#define NEXT_ROW(p, q, i, stride) \
	CMP  $i, R12; \
	CSEL HI, stride, ZR, p; \
	ADD  q, p, p

#define CLEAR(v) VEOR v.B16, v.B16, v.B16

// OUT stores a row, times its scale, at p.
#define OUT(acc, f, g, i, p) \
	FMOVS i(R14), F0; \
	FMULX(acc, acc, 0, 0); \
	FMULX(acc+1, acc+1, 0, 0); \
	FSTPQ (f, g), (p)

// func productNEON(out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32)
//
//	acc = +0; acc = acc + a[i][l]·b[c/8][l][c%8] for l = 0, 1, ..., k-1
//	out[i][c] = acc·scale[i]
//
// Tiles have 8 rows, or up to 4: there, rows past the last are the last again.
TEXT ·productNEON(SB), NOSPLIT, $0-72
	MOVD out+0(FP), R0
	MOVD outStride+8(FP), R1
	MOVD a+16(FP), R2
	MOVD aStride+24(FP), R15
	MOVD b+32(FP), R10
	MOVD k+40(FP), R11
	MOVD rows+48(FP), R12
	MOVD panels+56(FP), R13
	MOVD scale+64(FP), R14
	LSL  $2, R11, R20
	CBZ  R13, done
	NEXT_ROW(R3, R2, 1, R15)
	NEXT_ROW(R4, R3, 2, R15)
	NEXT_ROW(R5, R4, 3, R15)
	CMP  $4, R12
	BLS  four
	ADD  R15, R5, R6
	ADD  R15, R6, R7
	ADD  R15, R7, R8
	ADD  R15, R8, R9
eight:
	CLEAR(V16); CLEAR(V17); CLEAR(V18); CLEAR(V19)
	CLEAR(V20); CLEAR(V21); CLEAR(V22); CLEAR(V23)
	CLEAR(V24); CLEAR(V25); CLEAR(V26); CLEAR(V27)
	CLEAR(V28); CLEAR(V29); CLEAR(V30); CLEAR(V31)
	MOVD R11, R16
depth8:
	FLDPQ.P 32(R10), (F8, F9)
	FMOVS.P 4(R2), F0
	FMOVS.P 4(R3), F1
	FMOVS.P 4(R4), F2
	FMOVS.P 4(R5), F3
	FMOVS.P 4(R6), F4
	FMOVS.P 4(R7), F5
	FMOVS.P 4(R8), F6
	FMOVS.P 4(R9), F7
	ROW(0, 16, 10)
	ROW(1, 18, 12)
	ROW(2, 20, 14)
	ROW(3, 22, 10)
	ROW(4, 24, 12)
	ROW(5, 26, 14)
	ROW(6, 28, 10)
	ROW(7, 30, 12)
	SUBS $1, R16, R16
	BNE  depth8
	MOVD R0, R17
	OUT(16, F16, F17, 0, R17)
	ADD R1, R17
	OUT(18, F18, F19, 4, R17)
	ADD R1, R17
	OUT(20, F20, F21, 8, R17)
	ADD R1, R17
	OUT(22, F22, F23, 12, R17)
	ADD R1, R17
	OUT(24, F24, F25, 16, R17)
	ADD R1, R17
	OUT(26, F26, F27, 20, R17)
	ADD R1, R17
	OUT(28, F28, F29, 24, R17)
	ADD R1, R17
	OUT(30, F30, F31, 28, R17)
	ADD $32, R0
	SUB  R20, R2
	SUB  R20, R3
	SUB  R20, R4
	SUB  R20, R5
	SUB  R20, R6
	SUB  R20, R7
	SUB  R20, R8
	SUB  R20, R9
	SUBS $1, R13, R13
	BNE  eight
done:
	RET
four:
	CLEAR(V16); CLEAR(V17); CLEAR(V18); CLEAR(V19)
	CLEAR(V20); CLEAR(V21); CLEAR(V22); CLEAR(V23)
	MOVD R11, R16
depth4:
	FLDPQ.P 32(R10), (F8, F9)
	FMOVS.P 4(R2), F0
	FMOVS.P 4(R3), F1
	FMOVS.P 4(R4), F2
	FMOVS.P 4(R5), F3
	ROW(0, 16, 10)
	ROW(1, 18, 12)
	ROW(2, 20, 14)
	ROW(3, 22, 24)
	SUBS $1, R16, R16
	BNE  depth4
	MOVD R0, R17
	MOVD R12, R19
	OUT(16, F16, F17, 0, R17)
	ADD R1, R17
	SUBS $1, R19, R19
	BEQ  last
	OUT(18, F18, F19, 4, R17)
	ADD R1, R17
	SUBS $1, R19, R19
	BEQ  last
	OUT(20, F20, F21, 8, R17)
	ADD R1, R17
	SUBS $1, R19, R19
	BEQ  last
	OUT(22, F22, F23, 12, R17)
	ADD R1, R17
last:
	ADD  $32, R0
	SUB  R20, R2
	SUB  R20, R3
	SUB  R20, R4
	SUB  R20, R5
	SUBS $1, R13, R13
	BNE  four
	RET
