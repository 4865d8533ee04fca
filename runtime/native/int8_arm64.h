// What the tiles of the three sets have in common: R0 is the tile, R1 its rows.
//
// A tile's first part sums, and stores the sums, as integers, where the results will be;
// finish makes them results. Rows past the last are the last again: their codes are read
// and their sums written once more, so the code has no other case for them.

// NEXT_ROW sets p to the row after q, if there is a row i, and to q if there is not.
#define NEXT_ROW(p, q, i, stride) \
	CMP  $i, R1; \
	CSEL HI, stride, ZR, p; \
	ADD  q, p, p

// CODE_ROWS sets R2 ... R7 to six rows of codes.
#define CODE_ROWS \
	MOVD tile_codes(R0), R2; \
	MOVD tile_codeStride(R0), R10; \
	NEXT_ROW(R3, R2, 1, R10); \
	NEXT_ROW(R4, R3, 2, R10); \
	NEXT_ROW(R5, R4, 3, R10); \
	NEXT_ROW(R6, R5, 4, R10); \
	NEXT_ROW(R7, R6, 5, R10)

// OUT_ROWS sets R16, R17, R19 ... R22 to six rows of results.
#define OUT_ROWS \
	MOVD tile_out(R0), R16; \
	MOVD tile_outStride(R0), R10; \
	NEXT_ROW(R17, R16, 1, R10); \
	NEXT_ROW(R19, R17, 2, R10); \
	NEXT_ROW(R20, R19, 3, R10); \
	NEXT_ROW(R21, R20, 4, R10); \
	NEXT_ROW(R22, R21, 5, R10)

// TILE sets R1, the rows above, R8 to the weights, R11 to columns/16 and R12 to K8.
#define TILE \
	MOVD t+0(FP), R0; \
	MOVD tile_rows(R0), R1; \
	CODE_ROWS; \
	OUT_ROWS; \
	MOVD tile_weights(R0), R8; \
	MOVD tile_cols(R0), R11; \
	LSR  $4, R11, R11; \
	MOVD tile_k8(R0), R12

// LOAD6 loads the next bytes of six rows of codes into F0 ... F5, LOAD4 of four; REWIND6
// and REWIND4 go back.
#define LOAD6(load, bytes) \
	load bytes(R2), F0; \
	load bytes(R3), F1; \
	load bytes(R4), F2; \
	load bytes(R5), F3; \
	load bytes(R6), F4; \
	load bytes(R7), F5

#define LOAD4(load, bytes) \
	load bytes(R2), F0; \
	load bytes(R3), F1; \
	load bytes(R4), F2; \
	load bytes(R5), F3

#define REWIND4 \
	SUB R12, R2; \
	SUB R12, R3; \
	SUB R12, R4; \
	SUB R12, R5

#define REWIND6 \
	SUB R12, R2; \
	SUB R12, R3; \
	SUB R12, R4; \
	SUB R12, R5; \
	SUB R12, R6; \
	SUB R12, R7

// CLEAR24 clears V8 ... V31, CLEAR16 V8 ... V23.
#define CLEAR(v) VEOR v.B16, v.B16, v.B16
#define CLEAR24 \
	CLEAR(V8); CLEAR(V9); CLEAR(V10); CLEAR(V11); \
	CLEAR(V12); CLEAR(V13); CLEAR(V14); CLEAR(V15); \
	CLEAR(V16); CLEAR(V17); CLEAR(V18); CLEAR(V19); \
	CLEAR(V20); CLEAR(V21); CLEAR(V22); CLEAR(V23); \
	CLEAR(V24); CLEAR(V25); CLEAR(V26); CLEAR(V27); \
	CLEAR(V28); CLEAR(V29); CLEAR(V30); CLEAR(V31)

#define CLEAR16 \
	CLEAR(V8); CLEAR(V9); CLEAR(V10); CLEAR(V11); \
	CLEAR(V12); CLEAR(V13); CLEAR(V14); CLEAR(V15); \
	CLEAR(V16); CLEAR(V17); CLEAR(V18); CLEAR(V19); \
	CLEAR(V20); CLEAR(V21); CLEAR(V22); CLEAR(V23)
