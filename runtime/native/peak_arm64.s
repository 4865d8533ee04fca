#include "textflag.h"
#include "simd_arm64.h"

// Each peak multiplies so often, into accumulators that wait for nobody:
//
//	for range rounds {
//		for i := range acc {
//			acc[i] += product(x, y)
//		}
//	}

#define EIGHT(M, a) M(a); M(a+1); M(a+2); M(a+3); M(a+4); M(a+5); M(a+6); M(a+7)

// MULL is 16 products: two of 8, and their sums by pairs.
#define MULL(a) SMULL(a, 0, 1); SMLAL2(a, 0, 1); SADALP(a+8, a)
#define DOT(a) SDOT(a, 0, 1, 0)
#define MMLA(a) SMMLA(a, 0, 1)

// func peakSMULL(rounds uint64)
TEXT ·peakSMULL(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
next:
	EIGHT(MULL, 8)
	SUBS $1, R0, R0
	BNE  next
	RET

// func peakSDOT(rounds uint64)
TEXT ·peakSDOT(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
next:
	EIGHT(DOT, 8)
	EIGHT(DOT, 16)
	EIGHT(DOT, 24)
	SUBS $1, R0, R0
	BNE  next
	RET

// func peakSMMLA(rounds uint64)
TEXT ·peakSMMLA(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
next:
	EIGHT(MMLA, 8)
	EIGHT(MMLA, 16)
	EIGHT(MMLA, 24)
	SUBS $1, R0, R0
	BNE  next
	RET
