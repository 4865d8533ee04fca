package native

import "golang.org/x/sys/cpu"

// sets are in order of speed.
func sets() []*Set {
	a := cpu.ARM64
	return []*Set{
		{name: "i8mm", usable: a.HasASIMD && a.HasI8MM, int8: int8I8MM(), float: floatNEON()},
		{name: "sdot", usable: a.HasASIMD && a.HasASIMDDP, int8: int8SDOT(), float: floatNEON()},
		{name: "neon", usable: a.HasASIMD, int8: int8NEON(), float: floatNEON()},
	}
}

func wasmPeak() Instruction { return Instruction{} }
