// Constants are those of kernel's math.go.

DATA expTable<>+0(SB)/4, $0xC2AE0000 // expLow
DATA expTable<>+4(SB)/4, $0x42B00000 // expHigh
DATA expTable<>+8(SB)/4, $0x3FB8AA3B // log2e
DATA expTable<>+12(SB)/4, $0x4B400000 // roundMagic
DATA expTable<>+16(SB)/4, $0x3F318000 // ln2Hi
DATA expTable<>+20(SB)/4, $0xB95E8083 // ln2Lo
DATA expTable<>+24(SB)/4, $0x3AB511E4 // exp4
DATA expTable<>+28(SB)/4, $0x3C091D10 // exp3
DATA expTable<>+32(SB)/4, $0x3D2AAC7A // exp2
DATA expTable<>+36(SB)/4, $0x3E2AAA49 // exp1
DATA expTable<>+40(SB)/4, $0x3EFFFFFE // exp0
DATA expTable<>+44(SB)/4, $0x3F800000 // one
DATA expTable<>+48(SB)/4, $0x0000007F // expBias
GLOBL expTable<>(SB), RODATA|NOPTR, $52

#define EXP_TABLE \
	MOVD $expTable<>(SB), R9; \
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
	VLD1R.P 4(R9), [V28.S4]

// MULADD is p = p·x + c, rounded twice.
#define MULADD(p, x, c) FMUL(p, p, x); FADD(p, p, c)

// EXP is x = exp(x); V4 ... V7 are lost.
#define EXP(x) \
	FCMGT(4, 16, x); \
	FCMGT(5, x, 17); \
	BIT_16B(x, 17, 5); \
	FMUL(5, x, 18); \
	FADD(5, 5, 19); \
	FSUB(6, 5, 19); \
	FMUL(7, 6, 20); \
	FSUB(x, x, 7); \
	FMUL(7, 6, 21); \
	FSUB(x, x, 7); \
	FMUL(6, 22, x); \
	FADD(6, 6, 23); \
	MULADD(6, x, 24); \
	MULADD(6, x, 25); \
	MULADD(6, x, 26); \
	FMUL(7, x, x); \
	FMUL(6, 6, 7); \
	FADD(6, 6, x); \
	FADD(6, 6, 27); \
	ADD_4S(5, 5, 28); \
	SHL23_4S(5, 5); \
	FMUL(x, 6, 5); \
	BIC_16B(x, x, 4)
