// Vector instructions that Go's assembler has no names for. Operands are in the order of
// Arm's manual, destination first, and are numbers of V registers; the comment says what a
// macro encodes, and a test compares the two with a disassembler.
//
// Nothing here multiplies and adds floats in one step: results are rounded twice, as the
// reference rounds them.

#define OP1(op, d, n) WORD $(op | (n)<<5 | (d))
#define OP2(op, d, n, m) WORD $(op | (m)<<16 | (n)<<5 | (d))
#define OPX(op, d, n, m, i) WORD $(op | ((i)&1)<<21 | (m)<<16 | ((i)>>1)<<11 | (n)<<5 | (d))

// Codes.
#define SMULL(d, n, m) OP2(0x0E20C000, d, n, m) // smull v{d}.8h, v{n}.8b, v{m}.8b
#define SMLAL2(d, n, m) OP2(0x4E208000, d, n, m) // smlal2 v{d}.8h, v{n}.16b, v{m}.16b
#define SADALP(d, n) OP1(0x4E606800, d, n) // sadalp v{d}.4s, v{n}.8h
#define SDOT(d, n, m, i) OPX(0x4F80E000, d, n, m, i) // sdot v{d}.4s, v{n}.16b, v{m}.4b[{i}]
#define SMMLA(d, n, m) OP2(0x4E80A400, d, n, m) // smmla v{d}.4s, v{n}.16b, v{m}.16b
#define MLS(d, n, m) OP2(0x6EA09400, d, n, m) // mls v{d}.4s, v{n}.4s, v{m}.4s
#define ADDP(d, n, m) OP2(0x4EA0BC00, d, n, m) // addp v{d}.4s, v{n}.4s, v{m}.4s
#define ADDV(d, n) OP1(0x4EB1B800, d, n) // addv s{d}, v{n}.4s
#define UMAXV(d, n) OP1(0x6EB0A800, d, n) // umaxv s{d}, v{n}.4s
#define SXTL_8H(d, n) OP1(0x0F08A400, d, n) // sxtl v{d}.8h, v{n}.8b
#define SXTL2_8H(d, n) OP1(0x4F08A400, d, n) // sxtl2 v{d}.8h, v{n}.16b
#define SXTL_4S(d, n) OP1(0x0F10A400, d, n) // sxtl v{d}.4s, v{n}.4h
#define SXTL2_4S(d, n) OP1(0x4F10A400, d, n) // sxtl2 v{d}.4s, v{n}.8h
#define XTN_4H(d, n) OP1(0x0E612800, d, n) // xtn v{d}.4h, v{n}.4s
#define XTN2_8H(d, n) OP1(0x4E612800, d, n) // xtn2 v{d}.8h, v{n}.4s
#define XTN_8B(d, n) OP1(0x0E212800, d, n) // xtn v{d}.8b, v{n}.8h
#define SCVTF(d, n) OP1(0x4E21D800, d, n) // scvtf v{d}.4s, v{n}.4s
#define FCVTNS(d, n) OP1(0x4E21A800, d, n) // fcvtns v{d}.4s, v{n}.4s

// Floats.
#define FADD(d, n, m) OP2(0x4E20D400, d, n, m) // fadd v{d}.4s, v{n}.4s, v{m}.4s
#define FSUB(d, n, m) OP2(0x4EA0D400, d, n, m) // fsub v{d}.4s, v{n}.4s, v{m}.4s
#define FMUL(d, n, m) OP2(0x6E20DC00, d, n, m) // fmul v{d}.4s, v{n}.4s, v{m}.4s
#define FMULX(d, n, m, i) OPX(0x4F809000, d, n, m, i) // fmul v{d}.4s, v{n}.4s, v{m}.s[{i}]
#define FDIV(d, n, m) OP2(0x6E20FC00, d, n, m) // fdiv v{d}.4s, v{n}.4s, v{m}.4s
#define FABS(d, n) OP1(0x4EA0F800, d, n) // fabs v{d}.4s, v{n}.4s
#define FNEG(d, n) OP1(0x6EA0F800, d, n) // fneg v{d}.4s, v{n}.4s
#define FCMGT(d, n, m) OP2(0x6EA0E400, d, n, m) // fcmgt v{d}.4s, v{n}.4s, v{m}.4s
#define FCMLT0(d, n) OP1(0x4EA0E800, d, n) // fcmlt v{d}.4s, v{n}.4s, #0.0
#define BIC_16B(d, n, m) OP2(0x4E601C00, d, n, m) // bic v{d}.16b, v{n}.16b, v{m}.16b
#define BIT_16B(d, n, m) OP2(0x6EA01C00, d, n, m) // bit v{d}.16b, v{n}.16b, v{m}.16b
#define ADD_4S(d, n, m) OP2(0x4EA08400, d, n, m) // add v{d}.4s, v{n}.4s, v{m}.4s
#define SUB_4S(d, n, m) OP2(0x6EA08400, d, n, m) // sub v{d}.4s, v{n}.4s, v{m}.4s
#define SHL23_4S(d, n) OP1(0x4F375400, d, n) // shl v{d}.4s, v{n}.4s, #23
#define FMAX(d, n, m) OP2(0x4E20F400, d, n, m) // fmax v{d}.4s, v{n}.4s, v{m}.4s
#define FMAXV(d, n) OP1(0x6E30F800, d, n) // fmaxv s{d}, v{n}.4s
