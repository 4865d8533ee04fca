package native

import "golang.org/x/sys/cpu"

// sets are in order of speed. AVX-VNNI, which has VPDPBUSD without AVX-512, has none: Go's
// assembler knows only the longer encoding.
func sets() []*Set {
	x := cpu.X86
	vnni := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI
	return []*Set{
		{name: "avx512", usable: vnni, int8: int8AVX512(), float: floatAVX512(), peak: Instruction{"vpdpbusd", 24 * 64, peakVPDPBUSD}},
		{name: "avx2", usable: x.HasAVX2, int8: int8AVX2(), float: floatAVX2(), peak: Instruction{"vpmaddwd", 14 * 16, peakVPMADDWD}},
	}
}

// int8AVX512 are the primitives for products of 4 by VPDPBUSD.
func int8AVX512() int8Ops {
	return int8Ops{codeBytes: 1, rows: 6, cols: 64, quantize: quantizeAVX512, multiply: multiplyAVX512, pack: packFours}
}

// int8AVX2 are the primitives for products of 2 by VPMADDWD.
func int8AVX2() int8Ops {
	return int8Ops{codeBytes: 2, rows: 6, cols: 16, quantize: quantizeAVX2, multiply: multiplyAVX2, pack: packPairs}
}

func wasmPeak() Instruction { return Instruction{"pmaddwd", 14 * 8, peakPMADDWD} }
