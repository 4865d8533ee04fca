// Two SHA-256 side by side; see twin_amd64.go for what they compute.

#include "textflag.h"

// One group of four rounds of one sequence: message words CUR, added to the constants K.
// S0 and S1 are the state, X0 is what SHA256RNDS2 reads.
#define ROUNDS(S0, S1, CUR, K) \
	VPADDD      K(AX), CUR, X0 \
	SHA256RNDS2 X0, S0, S1     \
	PSHUFD      $0x0e, X0, X0  \
	SHA256RNDS2 X0, S1, S0

// The same, finishing the next message words: NEXT had SHA256MSG1 before.
#define ROUNDSNEXT(S0, S1, PREV, CUR, NEXT, K) \
	VPADDD      K(AX), CUR, X0      \
	SHA256RNDS2 X0, S0, S1          \
	VPALIGNR    $4, PREV, CUR, X13  \
	PADDD       X13, NEXT           \
	SHA256MSG2  CUR, NEXT           \
	PSHUFD      $0x0e, X0, X0       \
	SHA256RNDS2 X0, S1, S0

#define LOAD(AT, P, CUR) \
	VMOVDQU AT(P), CUR    \
	PSHUFB  X14, CUR

#define BOTH(PREVA, CURA, NEXTA, PREVB, CURB, NEXTB, K) \
	ROUNDSNEXT(X1, X2, PREVA, CURA, NEXTA, K) \
	SHA256MSG1 CURA, PREVA                    \
	ROUNDSNEXT(X7, X8, PREVB, CURB, NEXTB, K) \
	SHA256MSG1 CURB, PREVB

#define STATEIN(P, S0, S1) \
	VMOVDQU (P), S0        \
	VMOVDQU 16(P), S1      \
	PSHUFD  $0xb1, S0, S0  \
	PSHUFD  $0x1b, S1, S1  \
	VMOVDQA S0, X13        \
	PALIGNR $8, S1, S0     \
	PBLENDW $0xf0, X13, S1

#define STATEOUT(P, S0, S1) \
	PSHUFD  $0x1b, S0, S0   \
	PSHUFD  $0xb1, S1, S1   \
	VMOVDQA S0, X13         \
	PBLENDW $0xf0, S1, S0   \
	PALIGNR $8, X13, S1     \
	VMOVDQU S0, (P)         \
	VMOVDQU S1, 16(P)

// func blocks(a, b *[8]uint32, p, q *byte, n int)
// X1 X2 state of p, X3 to X6 its words; X7 X8 and X9 to X12 of q; X0 and X13 scratch, X14 turns words round.
TEXT ·blocks(SB), NOSPLIT, $64-40
	MOVQ a+0(FP), R8
	MOVQ b+8(FP), R9
	MOVQ p+16(FP), SI
	MOVQ q+24(FP), DI
	MOVQ n+32(FP), CX
	TESTQ CX, CX
	JEQ  done
	VMOVDQU flip<>(SB), X14
	LEAQ k<>(SB), AX
	STATEIN(R8, X1, X2)
	STATEIN(R9, X7, X8)

loop:
	VMOVDQU X1, 0(SP)
	VMOVDQU X2, 16(SP)
	VMOVDQU X7, 32(SP)
	VMOVDQU X8, 48(SP)

	LOAD(0, SI, X3)
	LOAD(0, DI, X9)
	ROUNDS(X1, X2, X3, 0)
	ROUNDS(X7, X8, X9, 0)
	LOAD(16, SI, X4)
	LOAD(16, DI, X10)
	ROUNDS(X1, X2, X4, 16)
	SHA256MSG1 X4, X3
	ROUNDS(X7, X8, X10, 16)
	SHA256MSG1 X10, X9
	LOAD(32, SI, X5)
	LOAD(32, DI, X11)
	ROUNDS(X1, X2, X5, 32)
	SHA256MSG1 X5, X4
	ROUNDS(X7, X8, X11, 32)
	SHA256MSG1 X11, X10
	LOAD(48, SI, X6)
	LOAD(48, DI, X12)
	BOTH(X5, X6, X3, X11, X12, X9, 48)
	BOTH(X6, X3, X4, X12, X9, X10, 64)
	BOTH(X3, X4, X5, X9, X10, X11, 80)
	BOTH(X4, X5, X6, X10, X11, X12, 96)
	BOTH(X5, X6, X3, X11, X12, X9, 112)
	BOTH(X6, X3, X4, X12, X9, X10, 128)
	BOTH(X3, X4, X5, X9, X10, X11, 144)
	BOTH(X4, X5, X6, X10, X11, X12, 160)
	BOTH(X5, X6, X3, X11, X12, X9, 176)
	BOTH(X6, X3, X4, X12, X9, X10, 192)
	ROUNDSNEXT(X1, X2, X3, X4, X5, 208)
	ROUNDSNEXT(X7, X8, X9, X10, X11, 208)
	ROUNDSNEXT(X1, X2, X4, X5, X6, 224)
	ROUNDSNEXT(X7, X8, X10, X11, X12, 224)
	ROUNDS(X1, X2, X6, 240)
	ROUNDS(X7, X8, X12, 240)

	VPADDD 0(SP), X1, X1
	VPADDD 16(SP), X2, X2
	VPADDD 32(SP), X7, X7
	VPADDD 48(SP), X8, X8
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNE  loop

	STATEOUT(R8, X1, X2)
	STATEOUT(R9, X7, X8)
done:
	RET

DATA flip<>+0(SB)/8, $0x0405060700010203
DATA flip<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL flip<>(SB), RODATA|NOPTR, $16

// The constants of FIPS 180-4, 4.2.2.
DATA k<>+0(SB)/8, $0x71374491428a2f98
DATA k<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA k<>+16(SB)/8, $0x59f111f13956c25b
DATA k<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA k<>+32(SB)/8, $0x12835b01d807aa98
DATA k<>+40(SB)/8, $0x550c7dc3243185be
DATA k<>+48(SB)/8, $0x80deb1fe72be5d74
DATA k<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA k<>+64(SB)/8, $0xefbe4786e49b69c1
DATA k<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA k<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA k<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA k<>+96(SB)/8, $0xa831c66d983e5152
DATA k<>+104(SB)/8, $0xbf597fc7b00327c8
DATA k<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA k<>+120(SB)/8, $0x1429296706ca6351
DATA k<>+128(SB)/8, $0x2e1b213827b70a85
DATA k<>+136(SB)/8, $0x53380d134d2c6dfc
DATA k<>+144(SB)/8, $0x766a0abb650a7354
DATA k<>+152(SB)/8, $0x92722c8581c2c92e
DATA k<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA k<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA k<>+176(SB)/8, $0xd6990624d192e819
DATA k<>+184(SB)/8, $0x106aa070f40e3585
DATA k<>+192(SB)/8, $0x1e376c0819a4c116
DATA k<>+200(SB)/8, $0x34b0bcb52748774c
DATA k<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA k<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA k<>+224(SB)/8, $0x78a5636f748f82ee
DATA k<>+232(SB)/8, $0x8cc7020884c87814
DATA k<>+240(SB)/8, $0xa4506ceb90befffa
DATA k<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL k<>(SB), RODATA|NOPTR, $256

// func hasSHA() bool
TEXT ·hasSHA(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	XORL CX, CX
	CPUID
	CMPL AX, $7
	JLT  no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18080200, CX // AVX, OSXSAVE, SSE 4.1, SSSE3
	CMPL CX, $0x18080200
	JNE  no
	XORL CX, CX
	XGETBV
	ANDL $6, AX
	CMPL AX, $6
	JNE  no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	ANDL $0x20000000, BX // SHA
	JEQ  no
	MOVB $1, ret+0(FP)
no:
	RET
