#include "textflag.h"
#include "go_asm.h"
#include "simd_arm64.h"
#include "int8_arm64.h"

// func quantizeNEON(codes unsafe.Pointer, x *float32, k8 int) (scale float32, sum int32)
//
//	amax = max |x[k]| over the bits; below 2^-100: codes, scale and sum 0, else
//	codes[k] = rne(x[k]·(127/amax)); scale = amax/127; sum = sum of codes[k]
//
// The product is at most 127 in magnitude, so nothing need be clamped.
TEXT ·quantizeNEON(SB), NOSPLIT, $0-32
	MOVD codes+0(FP), R0
	MOVD x+8(FP), R1
	MOVD k8+16(FP), R2
	MOVD R1, R3
	MOVD R2, R4
	CLEAR(V0)
	CLEAR(V1)
most:
	FLDPQ.P 32(R3), (F2, F3)
	FABS(2, 2)
	FABS(3, 3)
	VUMAX V2.S4, V0.S4, V0.S4
	VUMAX V3.S4, V1.S4, V1.S4
	SUBS  $8, R4, R4
	BNE   most
	VUMAX V1.S4, V0.S4, V0.S4
	UMAXV(0, 0)
	FMOVS F0, R5
	CLEAR(V7)
	MOVD  $0x0D800000, R6 // 2^-100
	CMPW  R6, R5
	BLO   tiny
	MOVD  $0x42FE0000, R6 // 127
	FMOVS R6, F1
	FDIVS F0, F1, F6
	FDIVS F1, F0, F5
	FMOVS F5, scale+24(FP)
code:
	FLDPQ.P 32(R1), (F2, F3)
	FMULX(2, 2, 6, 0)
	FMULX(3, 3, 6, 0)
	FCVTNS(2, 2)
	FCVTNS(3, 3)
	VADD  V2.S4, V7.S4, V7.S4
	VADD  V3.S4, V7.S4, V7.S4
	XTN_4H(2, 2)
	XTN2_8H(2, 3)
	XTN_8B(2, 2)
	FMOVD.P F2, 8(R0)
	SUBS  $8, R2, R2
	BNE   code
	ADDV(7, 7)
	FMOVS F7, sum+28(FP)
	RET
tiny:
	FMOVD.P F7, 8(R0)
	SUBS  $8, R2, R2
	BNE   tiny
	FMOVS F7, scale+24(FP)
	FMOVS F7, sum+28(FP)
	RET

// finish makes a tile's sums, which stand where the results will be, results. R0 is the
// tile, R1 its rows, R25 the bytes from outlier to outlier in outX.
//
//	acc = out[r][n] - zero[n]·sums[r]
//	v   = float32(acc)·(scales[r]·wscale[n])
//	v   = v + outX[o][r]·outW[o][n]
//	out[r][n] = v + bias[n]
TEXT finish<>(SB), NOSPLIT|NOFRAME, $0
	MOVD tile_scales(R0), R2
	MOVD tile_sums(R0), R3
	MOVD tile_outX(R0), R4
	MOVD tile_out(R0), R5
	MOVD tile_outStride(R0), R6
	MOVD tile_outWStride(R0), R7
row:
	FMOVS (R2), F0
	FMOVS (R3), F1
	VDUP  V1.S[0], V1.S4
	MOVD  tile_cols(R0), R8
	MOVD  R5, R9
	MOVD  tile_wscale(R0), R10
	MOVD  tile_bias(R0), R11
	MOVD  tile_zero(R0), R12
	MOVD  tile_outW(R0), R13
columns:
	FLDPQ (R9), (F16, F17)
	FLDPQ 32(R9), (F18, F19)
	CBZ   R12, convert
	FLDPQ.P 32(R12), (F20, F21)
	FLDPQ.P 32(R12), (F22, F23)
	MLS(16, 20, 1)
	MLS(17, 21, 1)
	MLS(18, 22, 1)
	MLS(19, 23, 1)
convert:
	SCVTF(16, 16)
	SCVTF(17, 17)
	SCVTF(18, 18)
	SCVTF(19, 19)
	FLDPQ.P 32(R10), (F20, F21)
	FLDPQ.P 32(R10), (F22, F23)
	FMULX(20, 20, 0, 0)
	FMULX(21, 21, 0, 0)
	FMULX(22, 22, 0, 0)
	FMULX(23, 23, 0, 0)
	FMUL(16, 16, 20)
	FMUL(17, 17, 21)
	FMUL(18, 18, 22)
	FMUL(19, 19, 23)
	MOVD  tile_outliers(R0), R14
	CBZ   R14, bias
	MOVD  R4, R15
	MOVD  R13, R16
outlier:
	FMOVS (R15), F2
	FLDPQ (R16), (F20, F21)
	FLDPQ 32(R16), (F22, F23)
	FMULX(20, 20, 2, 0)
	FMULX(21, 21, 2, 0)
	FMULX(22, 22, 2, 0)
	FMULX(23, 23, 2, 0)
	FADD(16, 16, 20)
	FADD(17, 17, 21)
	FADD(18, 18, 22)
	FADD(19, 19, 23)
	ADD   R25, R15
	ADD   R7, R16
	SUBS  $1, R14, R14
	BNE   outlier
	ADD   $64, R13
bias:
	FLDPQ.P 32(R11), (F20, F21)
	FLDPQ.P 32(R11), (F22, F23)
	FADD(16, 16, 20)
	FADD(17, 17, 21)
	FADD(18, 18, 22)
	FADD(19, 19, 23)
	FSTPQ.P (F16, F17), 32(R9)
	FSTPQ.P (F18, F19), 32(R9)
	SUBS  $16, R8, R8
	BNE   columns
	ADD   $4, R2
	ADD   $4, R3
	ADD   $4, R4
	ADD   R6, R5
	SUBS  $1, R1, R1
	BNE   row
	RET

// SDOT6 adds to column c of four what weights w and depths i of six rows of codes give.
#define SDOT6(w, c, i) \
	SDOT(8+c, w, 0, i); \
	SDOT(12+c, w, 1, i); \
	SDOT(16+c, w, 2, i); \
	SDOT(20+c, w, 3, i); \
	SDOT(24+c, w, 4, i); \
	SDOT(28+c, w, 5, i)

// SDOT4 is SDOT6 of four rows.
#define SDOT4(w, c, i) \
	SDOT(8+c, w, 0, i); \
	SDOT(12+c, w, 1, i); \
	SDOT(16+c, w, 2, i); \
	SDOT(20+c, w, 3, i)

// SDOT_STEP is 4 depths of 16 columns.
#define SDOT_STEP(SDOTS, i) \
	FLDPQ.P 32(R8), (F6, F7); \
	SDOTS(6, 0, i); \
	SDOTS(7, 1, i); \
	FLDPQ.P 32(R8), (F6, F7); \
	SDOTS(6, 2, i); \
	SDOTS(7, 3, i)

#define STORE(a, b, c, d, p) \
	FSTPQ.P (a, b), 32(p); \
	FSTPQ.P (c, d), 32(p)

// func multiplySDOT(t *tile)
//
//	for each 16 columns, for each 4 depths k, for r in 6 rows, or 4, n in 16 columns:
//		acc[r][n] += code[r][k:k+4] · w[k/4][n][0:4]
TEXT ·multiplySDOT(SB), NOSPLIT, $0-8
	TILE
	CMP  $4, R1
	BLS  panel4
panel:
	CLEAR24
	LSR  $4, R12, R9
	CBZ  R9, rest
depth:
	LOAD6(FMOVQ.P, 16)
	SDOT_STEP(SDOT6, 0)
	SDOT_STEP(SDOT6, 1)
	SDOT_STEP(SDOT6, 2)
	SDOT_STEP(SDOT6, 3)
	SUBS $1, R9, R9
	BNE  depth
rest:
	TBZ  $3, R12, store
	LOAD6(FMOVD.P, 8)
	SDOT_STEP(SDOT6, 0)
	SDOT_STEP(SDOT6, 1)
store:
	STORE(F8, F9, F10, F11, R16)
	STORE(F12, F13, F14, F15, R17)
	STORE(F16, F17, F18, F19, R19)
	STORE(F20, F21, F22, F23, R20)
	STORE(F24, F25, F26, F27, R21)
	STORE(F28, F29, F30, F31, R22)
	REWIND6
	SUBS $1, R11, R11
	BNE  panel
	MOVD $24, R25
	B    finish<>(SB)
panel4:
	CLEAR16
	LSR  $4, R12, R9
	CBZ  R9, rest4
depth4:
	LOAD4(FMOVQ.P, 16)
	SDOT_STEP(SDOT4, 0)
	SDOT_STEP(SDOT4, 1)
	SDOT_STEP(SDOT4, 2)
	SDOT_STEP(SDOT4, 3)
	SUBS $1, R9, R9
	BNE  depth4
rest4:
	TBZ  $3, R12, store4
	LOAD4(FMOVD.P, 8)
	SDOT_STEP(SDOT4, 0)
	SDOT_STEP(SDOT4, 1)
store4:
	STORE(F8, F9, F10, F11, R16)
	STORE(F12, F13, F14, F15, R17)
	STORE(F16, F17, F18, F19, R19)
	STORE(F20, F21, F22, F23, R20)
	REWIND4
	SUBS $1, R11, R11
	BNE  panel4
	MOVD $24, R25
	B    finish<>(SB)

// SMMLA3 adds to columns 2c and 2c+1 what weights w and pairs of rows a, b, d give.
#define SMMLA3(w, c, a, b, d) \
	SMMLA(8+c, a, w); \
	SMMLA(16+c, b, w); \
	SMMLA(24+c, d, w)

// SMMLA2 is SMMLA3 of two pairs.
#define SMMLA2(w, c, a, b, d) \
	SMMLA(8+c, a, w); \
	SMMLA(16+c, b, w)

// SMMLA_STEP is 8 depths of 16 columns.
#define SMMLA_STEP(MMLAS, a, b, d) \
	FLDPQ.P 32(R8), (F4, F7); \
	MMLAS(4, 0, a, b, d); \
	MMLAS(7, 1, a, b, d); \
	FLDPQ.P 32(R8), (F4, F7); \
	MMLAS(4, 2, a, b, d); \
	MMLAS(7, 3, a, b, d); \
	FLDPQ.P 32(R8), (F4, F7); \
	MMLAS(4, 4, a, b, d); \
	MMLAS(7, 5, a, b, d); \
	FLDPQ.P 32(R8), (F4, F7); \
	MMLAS(4, 6, a, b, d); \
	MMLAS(7, 7, a, b, d)

// APART stores four columns of two rows whose sums stand in squares of 2.
#define APART(a, b, p, q) \
	VZIP1 b.D2, a.D2, V0.D2; \
	VZIP2 b.D2, a.D2, V1.D2; \
	FMOVQ.P F0, 16(p); \
	FMOVQ.P F1, 16(q)

// func multiplyI8MM(t *tile)
//
//	for each 16 columns, for each 8 depths k, for r in 6 rows, or 4, n in 16 columns:
//		acc[r][n] += code[r][k:k+8] · w[k/8][n][0:8]
//
// where one instruction does 2 rows and 2 columns.
TEXT ·multiplyI8MM(SB), NOSPLIT, $0-8
	TILE
	CMP  $4, R1
	BLS  panel4
panel:
	CLEAR24
	LSR  $4, R12, R9
	CBZ  R9, rest
depth:
	LOAD6(FMOVQ.P, 16)
	VZIP1 V1.D2, V0.D2, V6.D2
	VZIP2 V1.D2, V0.D2, V1.D2
	VZIP1 V3.D2, V2.D2, V0.D2
	VZIP2 V3.D2, V2.D2, V3.D2
	VZIP1 V5.D2, V4.D2, V2.D2
	VZIP2 V5.D2, V4.D2, V5.D2
	SMMLA_STEP(SMMLA3, 6, 0, 2)
	SMMLA_STEP(SMMLA3, 1, 3, 5)
	SUBS $1, R9, R9
	BNE  depth
rest:
	TBZ  $3, R12, store
	LOAD6(FMOVD.P, 8)
	VZIP1 V1.D2, V0.D2, V6.D2
	VZIP1 V3.D2, V2.D2, V0.D2
	VZIP1 V5.D2, V4.D2, V2.D2
	SMMLA_STEP(SMMLA3, 6, 0, 2)
store:
	APART(V8, V9, R16, R17)
	APART(V10, V11, R16, R17)
	APART(V12, V13, R16, R17)
	APART(V14, V15, R16, R17)
	APART(V16, V17, R19, R20)
	APART(V18, V19, R19, R20)
	APART(V20, V21, R19, R20)
	APART(V22, V23, R19, R20)
	APART(V24, V25, R21, R22)
	APART(V26, V27, R21, R22)
	APART(V28, V29, R21, R22)
	APART(V30, V31, R21, R22)
	REWIND6
	SUBS $1, R11, R11
	BNE  panel
	MOVD $24, R25
	B    finish<>(SB)
panel4:
	CLEAR16
	LSR  $4, R12, R9
	CBZ  R9, rest4
depth4:
	LOAD4(FMOVQ.P, 16)
	VZIP1 V1.D2, V0.D2, V6.D2
	VZIP2 V1.D2, V0.D2, V1.D2
	VZIP1 V3.D2, V2.D2, V0.D2
	VZIP2 V3.D2, V2.D2, V3.D2
	SMMLA_STEP(SMMLA2, 6, 0, 2)
	SMMLA_STEP(SMMLA2, 1, 3, 5)
	SUBS $1, R9, R9
	BNE  depth4
rest4:
	TBZ  $3, R12, store4
	LOAD4(FMOVD.P, 8)
	VZIP1 V1.D2, V0.D2, V6.D2
	VZIP1 V3.D2, V2.D2, V0.D2
	SMMLA_STEP(SMMLA2, 6, 0, 2)
store4:
	APART(V8, V9, R16, R17)
	APART(V10, V11, R16, R17)
	APART(V12, V13, R16, R17)
	APART(V14, V15, R16, R17)
	APART(V16, V17, R19, R20)
	APART(V18, V19, R19, R20)
	APART(V20, V21, R19, R20)
	APART(V22, V23, R19, R20)
	REWIND4
	SUBS $1, R11, R11
	BNE  panel4
	MOVD $24, R25
	B    finish<>(SB)

// SMULL4 adds to column c of four what weights w and four rows of codes give: products of
// 16 bits, two of which never leave them, and then their sums of 32.
#define SMULL4(c, w, t) \
	SMULL(t, 0, w); \
	SMULL(t+1, 1, w); \
	SMULL(t+2, 2, w); \
	SMULL(t+3, 3, w); \
	SMLAL2(t, 0, w); \
	SMLAL2(t+1, 1, w); \
	SMLAL2(t+2, 2, w); \
	SMLAL2(t+3, 3, w); \
	SADALP(16+c, t); \
	SADALP(20+c, t+1); \
	SADALP(24+c, t+2); \
	SADALP(28+c, t+3)

// HALF4 is SMULL4 of 8 depths.
#define HALF4(c, w, t) \
	SMULL(t, 0, w); \
	SMULL(t+1, 1, w); \
	SMULL(t+2, 2, w); \
	SMULL(t+3, 3, w); \
	SADALP(16+c, t); \
	SADALP(20+c, t+1); \
	SADALP(24+c, t+2); \
	SADALP(28+c, t+3)

// TOGETHER stores four columns of a row, each of which is the sum of four.
#define TOGETHER(a, p) \
	ADDP(a, a, a+1); \
	ADDP(a+2, a+2, a+3); \
	ADDP(0, a, a+2); \
	FMOVQ.P F0, 16(p)

// func multiplyNEON(t *tile)
//
//	for each 4 columns, for each 16 depths k, for r in 4 rows, n in 4 columns:
//		acc[r][n] += code[r][k:k+16] · w[k/16][n][0:16]
TEXT ·multiplyNEON(SB), NOSPLIT, $0-8
	TILE
	LSL  $2, R11, R11
panel:
	CLEAR(V16); CLEAR(V17); CLEAR(V18); CLEAR(V19)
	CLEAR(V20); CLEAR(V21); CLEAR(V22); CLEAR(V23)
	CLEAR(V24); CLEAR(V25); CLEAR(V26); CLEAR(V27)
	CLEAR(V28); CLEAR(V29); CLEAR(V30); CLEAR(V31)
	LSR  $4, R12, R9
	CBZ  R9, rest
depth:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FMOVQ.P 16(R4), F2
	FMOVQ.P 16(R5), F3
	FLDPQ.P 32(R8), (F4, F5)
	FLDPQ.P 32(R8), (F6, F7)
	SMULL4(0, 4, 8)
	SMULL4(1, 5, 12)
	SMULL4(2, 6, 8)
	SMULL4(3, 7, 12)
	SUBS $1, R9, R9
	BNE  depth
rest:
	TBZ  $3, R12, store
	FMOVD.P 8(R2), F0
	FMOVD.P 8(R3), F1
	FMOVD.P 8(R4), F2
	FMOVD.P 8(R5), F3
	FMOVD.P 8(R8), F4
	FMOVD.P 8(R8), F5
	FMOVD.P 8(R8), F6
	FMOVD.P 8(R8), F7
	HALF4(0, 4, 8)
	HALF4(1, 5, 12)
	HALF4(2, 6, 8)
	HALF4(3, 7, 12)
store:
	TOGETHER(16, R16)
	TOGETHER(20, R17)
	TOGETHER(24, R19)
	TOGETHER(28, R20)
	SUB  R12, R2
	SUB  R12, R3
	SUB  R12, R4
	SUB  R12, R5
	SUBS $1, R11, R11
	BNE  panel
	MOVD $16, R25
	B    finish<>(SB)
