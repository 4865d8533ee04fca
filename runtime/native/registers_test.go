package native

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The registers and the instructions that a CPU with AVX2 alone does not have: Go's assembler
// takes them anywhere, and a CPU with more runs them.
var beyondAVX2 = regexp.MustCompile(`\b([XY](1[6-9]|2\d|3[01])|Z\d+|K[0-7])\b|Requires: .*AVX512`)

// TestAVX2Registers: assembly for AVX2 asks for no more than that.
func TestAVX2Registers(t *testing.T) {
	files, err := filepath.Glob("*avx2_amd64.s")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := beyondAVX2.Find(text); found != nil {
			t.Errorf("%s: %s", name, found)
		}
	}
	for _, text := range []string{"VMULPS 44(SP), Y15, Y16", "VADDPS Z1, Z2, Z3", "// Requires: AVX, AVX512VL"} {
		if !beyondAVX2.MatchString(text) {
			t.Errorf("%q is not seen", text)
		}
	}
}
