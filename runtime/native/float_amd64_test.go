package native

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// floatSet is a set of float primitives and its model in Go.
type floatSet struct {
	name      string
	ops, want floatOps
}

// floatSets are those that this CPU can run, forced.
func floatSets() []floatSet {
	var out []floatSet
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW {
		out = append(out, floatSet{"avx512", floatAVX512(), goFloatOps(16, 12, 8, 4, 2, 1)})
	}
	if cpu.X86.HasAVX2 {
		out = append(out, floatSet{"avx2", floatAVX2(), goFloatOps(8, 6, 4, 2, 1)})
	}
	return out
}

// TestFloatKernelsForced compares all kernels of each set with the references.
func TestFloatKernelsForced(t *testing.T) {
	for _, s := range floatSets() {
		t.Run(s.name, func(t *testing.T) { testFloatKernels(t, s.ops, 300) })
	}
}
