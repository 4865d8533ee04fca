package native

import "golang.org/x/sys/cpu"

// sets are in order of speed.
func sets() []*Set {
	vnni := cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI
	return []*Set{
		{name: "avx512", usable: vnni, int8: int8AVX512(), float: floatAVX512()},
	}
}

// int8AVX512 are the primitives for VPDPBUSD.
func int8AVX512() int8Ops {
	return int8Ops{codeBytes: 1, rows: 6, cols: 64, quantize: quantizeAVX512, multiply: multiplyAVX512, pack: packFours}
}
