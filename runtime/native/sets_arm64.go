package native

import "golang.org/x/sys/cpu"

// sets are in order of speed.
func sets() []*Set {
	a := cpu.ARM64
	return []*Set{
		{name: "i8mm", usable: a.HasASIMD && a.HasI8MM, int8: int8I8MM(), float: floatNEON(), peak: Instruction{"smmla", 24 * 32, peakSMMLA}},
		{name: "sdot", usable: a.HasASIMD && a.HasASIMDDP, int8: int8SDOT(), float: floatNEON(), peak: Instruction{"sdot", 24 * 16, peakSDOT}},
		{name: "neon", usable: a.HasASIMD, int8: int8NEON(), float: floatNEON(), peak: Instruction{"smull", 8 * 16, peakSMULL}},
	}
}

// wasmPeak is none: what wazero makes of the products here is many instructions.
func wasmPeak() Instruction { return Instruction{} }
