#include "textflag.h"
#include "simd_arm64.h"
#include "exp_arm64.h"

// Constants are those of kernel's math.go, in the order in which registers from V16 on
// take them.

DATA erfTable<>+0(SB)/4, $0x3F3504F3 // sqrtHalf
DATA erfTable<>+4(SB)/4, $0x40766666 // erfClamp
DATA erfTable<>+8(SB)/4, $0xC0766666 // minusClamp
DATA erfTable<>+12(SB)/4, $0x360C4CF4 // erfP5
DATA erfTable<>+16(SB)/4, $0x3996C499 // erfP4
DATA erfTable<>+20(SB)/4, $0x3B76823D // erfP3
DATA erfTable<>+24(SB)/4, $0x3D580A71 // erfP2
DATA erfTable<>+28(SB)/4, $0x3E42819D // erfP1
DATA erfTable<>+32(SB)/4, $0x3F906EBA // erfP0
DATA erfTable<>+36(SB)/4, $0x38221C4C // erfQ5
DATA erfTable<>+40(SB)/4, $0x3A98EBC1 // erfQ4
DATA erfTable<>+44(SB)/4, $0x3C751349 // erfQ3
DATA erfTable<>+48(SB)/4, $0x3DE969B5 // erfQ2
DATA erfTable<>+52(SB)/4, $0x3F006D5D // erfQ1
DATA erfTable<>+56(SB)/4, $0x3F800000 // erfQ0
DATA erfTable<>+60(SB)/4, $0x3F000000 // half
GLOBL erfTable<>(SB), RODATA|NOPTR, $64

DATA tanhTable<>+0(SB)/4, $0x40FF3EB0 // tanhClamp
DATA tanhTable<>+4(SB)/4, $0xC0FF3EB0 // minusClamp
DATA tanhTable<>+8(SB)/4, $0x326F951E // tanhP3
DATA tanhTable<>+12(SB)/4, $0x37B063DC // tanhP2
DATA tanhTable<>+16(SB)/4, $0x3B66BC7F // tanhP1
DATA tanhTable<>+20(SB)/4, $0x3E093CF6 // tanhP0
DATA tanhTable<>+24(SB)/4, $0x35572C00 // tanhQ4
DATA tanhTable<>+28(SB)/4, $0x39AE6D96 // tanhQ3
DATA tanhTable<>+32(SB)/4, $0x3CD4C460 // tanhQ2
DATA tanhTable<>+36(SB)/4, $0x3EEF4922 // tanhQ1
DATA tanhTable<>+40(SB)/4, $0x3F800000 // tanhQ0
DATA tanhTable<>+44(SB)/4, $0x3D122279 // geluCubic
DATA tanhTable<>+48(SB)/4, $0x3F4C422A // geluLinear
DATA tanhTable<>+52(SB)/4, $0x3F000000 // half
GLOBL tanhTable<>(SB), RODATA|NOPTR, $56

#define ERF_TABLE \
	MOVD $erfTable<>(SB), R9; \
	VLD1R.P 4(R9), [V16.S4]; \
	VLD1R.P 4(R9), [V17.S4]; \
	VLD1R.P 4(R9), [V18.S4]; \
	VLD1R.P 4(R9), [V19.S4]; \
	VLD1R.P 4(R9), [V20.S4]; \
	VLD1R.P 4(R9), [V21.S4]; \
	VLD1R.P 4(R9), [V22.S4]; \
	VLD1R.P 4(R9), [V23.S4]; \
	VLD1R.P 4(R9), [V24.S4]; \
	VLD1R.P 4(R9), [V25.S4]; \
	VLD1R.P 4(R9), [V26.S4]; \
	VLD1R.P 4(R9), [V27.S4]; \
	VLD1R.P 4(R9), [V28.S4]; \
	VLD1R.P 4(R9), [V29.S4]; \
	VLD1R.P 4(R9), [V30.S4]; \
	VLD1R.P 4(R9), [V31.S4]

#define TANH_TABLE \
	MOVD $tanhTable<>(SB), R9; \
	VLD1R.P 4(R9), [V16.S4]; \
	VLD1R.P 4(R9), [V17.S4]; \
	VLD1R.P 4(R9), [V18.S4]; \
	VLD1R.P 4(R9), [V19.S4]; \
	VLD1R.P 4(R9), [V20.S4]; \
	VLD1R.P 4(R9), [V21.S4]; \
	VLD1R.P 4(R9), [V22.S4]; \
	VLD1R.P 4(R9), [V23.S4]; \
	VLD1R.P 4(R9), [V24.S4]; \
	VLD1R.P 4(R9), [V25.S4]; \
	VLD1R.P 4(R9), [V26.S4]; \
	VLD1R.P 4(R9), [V27.S4]; \
	VLD1R.P 4(R9), [V28.S4]; \
	VLD1R.P 4(R9), [V29.S4]

// TANH is x = tanh(x); V4 ... V7 are lost.
#define TANH(x) \
	FCMGT(4, x, 16); \
	BIT_16B(x, 16, 4); \
	FCMGT(4, 17, x); \
	BIT_16B(x, 17, 4); \
	FMUL(4, x, x); \
	FMUL(5, 18, 4); \
	FADD(5, 5, 19); \
	MULADD(5, 4, 20); \
	MULADD(5, 4, 21); \
	FMUL(6, 22, 4); \
	FADD(6, 6, 23); \
	MULADD(6, 4, 24); \
	MULADD(6, 4, 25); \
	MULADD(6, 4, 26); \
	FMUL(7, x, 4); \
	FMUL(5, 5, 7); \
	FADD(5, 5, x); \
	FDIV(x, 5, 6)

// SIGMOID is e = sigmoid(x).
#define SIGMOID(e, x) \
	FABS(e, x); \
	FNEG(e, e); \
	EXP(e); \
	FADD(4, 27, e); \
	FCMLT0(5, x); \
	BIC_16B(6, 27, 5); \
	VAND V5.B16, V1.B16, V1.B16; \
	VORR V6.B16, V1.B16, V1.B16; \
	FDIV(e, e, 4)

// func geluNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = 0.5·src[i] · (1 + erf(src[i]·sqrtHalf)) }
TEXT ·geluNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	ERF_TABLE
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	FMUL(1, 0, 16)
	FCMGT(2, 1, 17)
	BIT_16B(1, 17, 2)
	FCMGT(2, 18, 1)
	BIT_16B(1, 18, 2)
	FMUL(2, 1, 1)
	FMUL(3, 19, 2)
	FADD(3, 3, 20)
	MULADD(3, 2, 21)
	MULADD(3, 2, 22)
	MULADD(3, 2, 23)
	MULADD(3, 2, 24)
	FMUL(4, 25, 2)
	FADD(4, 4, 26)
	MULADD(4, 2, 27)
	MULADD(4, 2, 28)
	MULADD(4, 2, 29)
	MULADD(4, 2, 30)
	FMUL(3, 1, 3)
	FDIV(3, 3, 4)
	FADD(3, 30, 3)
	FMUL(0, 31, 0)
	FMUL(0, 0, 3)
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func reluNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = src[i] < 0 ? 0 : src[i] }
TEXT ·reluNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	FCMLT0(1, 0)
	BIC_16B(0, 0, 1)
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func geluTanhNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = 0.5·src[i] · (1 + tanh(src[i]·(geluCubic·(src[i]·src[i]) + geluLinear))) }
TEXT ·geluTanhNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	TANH_TABLE
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	FMUL(1, 0, 0)
	FMUL(1, 27, 1)
	FADD(1, 1, 28)
	FMUL(1, 0, 1)
	TANH(1)
	FADD(1, 26, 1)
	FMUL(0, 29, 0)
	FMUL(0, 0, 1)
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func siluNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = src[i] · sigmoid(src[i]) }
TEXT ·siluNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	EXP_TABLE
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	SIGMOID(1, 0)
	FMUL(0, 0, 1)
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func sigmoidNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = sigmoid(src[i]) }
TEXT ·sigmoidNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	EXP_TABLE
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	SIGMOID(1, 0)
	VORR V1.B16, V1.B16, V0.B16
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func tanhNEON(dst, src *float32, n int)
//
//	for i := range n { dst[i] = tanh(src[i]) }
TEXT ·tanhNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	TANH_TABLE
	CBZ  R2, done
next:
	FMOVQ.P 16(R1), F0
	TANH(0)
	FMOVQ.P F0, 16(R0)
	SUBS $4, R2, R2
	BNE  next
done:
	RET

// func addNEON(dst, x, y *float32, n int)
//
//	for i := range n { dst[i] = x[i] + y[i] }
TEXT ·addNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD y+16(FP), R2
	MOVD n+24(FP), R4
	CBZ  R4, done
next:
	FLDPQ.P 32(R1), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	FADD(0, 0, 2)
	FADD(1, 1, 3)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS $8, R4, R4
	BNE  next
done:
	RET

// func mulNEON(dst, x, y *float32, n int)
//
//	for i := range n { dst[i] = x[i] · y[i] }
TEXT ·mulNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD y+16(FP), R2
	MOVD n+24(FP), R4
	CBZ  R4, done
next:
	FLDPQ.P 32(R1), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS $8, R4, R4
	BNE  next
done:
	RET

// func divideNEON(dst, x *float32, by float32, n int)
//
//	for i := range n { dst[i] = x[i] / by }
TEXT ·divideNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	FMOVS by+16(FP), F4
	VDUP V4.S[0], V4.S4
	MOVD n+24(FP), R4
	CBZ  R4, done
next:
	FLDPQ.P 32(R1), (F0, F1)
	FDIV(0, 0, 4)
	FDIV(1, 1, 4)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS $8, R4, R4
	BNE  next
done:
	RET

// func affineNEON(dst, x, gain, bias *float32, n int)
//
//	for i := range n { dst[i] = x[i]·gain[i] + bias[i] }
TEXT ·affineNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD gain+16(FP), R2
	MOVD bias+24(FP), R3
	MOVD n+32(FP), R4
	CBZ  R4, done
next:
	FLDPQ.P 32(R1), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	FLDPQ.P 32(R3), (F4, F5)
	FMUL(0, 0, 2)
	FMUL(1, 1, 3)
	FADD(0, 0, 4)
	FADD(1, 1, 5)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS $8, R4, R4
	BNE  next
done:
	RET

// func setCodesNEON(dst *float32, codes *int8, zero int32, scale float32, n int)
//
//	for i := range n { dst[i] = float32(codes[i]-zero)·scale }
TEXT ·setCodesNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD codes+8(FP), R1
	MOVW zero+16(FP), R2
	VDUP R2, V16.S4
	FMOVS scale+20(FP), F17
	MOVD n+24(FP), R4
	CBZ  R4, done
next:
	FMOVQ.P 16(R1), F0
	SXTL2_8H(1, 0)
	SXTL_8H(0, 0)
	SXTL2_4S(3, 1)
	SXTL_4S(2, 1)
	SXTL2_4S(1, 0)
	SXTL_4S(0, 0)
	SUB_4S(0, 0, 16)
	SCVTF(0, 0)
	FMULX(0, 0, 17, 0)
	SUB_4S(1, 1, 16)
	SCVTF(1, 1)
	FMULX(1, 1, 17, 0)
	SUB_4S(2, 2, 16)
	SCVTF(2, 2)
	FMULX(2, 2, 17, 0)
	SUB_4S(3, 3, 16)
	SCVTF(3, 3)
	FMULX(3, 3, 17, 0)
	FSTPQ.P (F0, F1), 32(R0)
	FSTPQ.P (F2, F3), 32(R0)
	SUBS $16, R4, R4
	BNE  next
done:
	RET

// func addCodesNEON(dst *float32, codes *int8, zero int32, scale float32, n int)
//
//	for i := range n { dst[i] = dst[i] + float32(codes[i]-zero)·scale }
TEXT ·addCodesNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD codes+8(FP), R1
	MOVW zero+16(FP), R2
	VDUP R2, V16.S4
	FMOVS scale+20(FP), F17
	MOVD n+24(FP), R4
	CBZ  R4, done
next:
	FMOVQ.P 16(R1), F0
	SXTL2_8H(1, 0)
	SXTL_8H(0, 0)
	SXTL2_4S(3, 1)
	SXTL_4S(2, 1)
	SXTL2_4S(1, 0)
	SXTL_4S(0, 0)
	SUB_4S(0, 0, 16)
	SCVTF(0, 0)
	FMULX(0, 0, 17, 0)
	SUB_4S(1, 1, 16)
	SCVTF(1, 1)
	FMULX(1, 1, 17, 0)
	SUB_4S(2, 2, 16)
	SCVTF(2, 2)
	FMULX(2, 2, 17, 0)
	SUB_4S(3, 3, 16)
	SCVTF(3, 3)
	FMULX(3, 3, 17, 0)
	FLDPQ (R0), (F4, F5)
	FLDPQ 32(R0), (F6, F7)
	FADD(0, 4, 0)
	FADD(1, 5, 1)
	FADD(2, 6, 2)
	FADD(3, 7, 3)
	FSTPQ.P (F0, F1), 32(R0)
	FSTPQ.P (F2, F3), 32(R0)
	SUBS $16, R4, R4
	BNE  next
done:
	RET
