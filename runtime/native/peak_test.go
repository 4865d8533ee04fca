package native

import (
	"runtime"
	"testing"
)

// TestPeak: every set of amd64, and WebAssembly there, has an instruction to compare with.
func TestPeak(t *testing.T) {
	measured := func(what string, p Instruction, ok bool) {
		if runtime.GOARCH == "amd64" && !ok {
			t.Errorf("%s has no peak", what)
		}
		if ok && (p.Name == "" || p.Measure() <= 0) {
			t.Errorf("%s: %s does %g", what, p.Name, p.Measure())
		}
	}
	for _, s := range Sets() {
		p, ok := s.Peak()
		measured(s.Name(), p, ok)
	}
	p, ok := WasmPeak()
	measured("wasm", p, ok)
}
