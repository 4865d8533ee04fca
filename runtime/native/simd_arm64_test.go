package native

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// macroForm is a macro of one instruction: name, operands, kind, encoding, mnemonic.
var macroForm = regexp.MustCompile(`(?m)^#define (\w+)\(([\w, ]+)\) OP([12X])\(0x([0-9A-F]{8}), [\w, ]+\) // (.+)$`)

// TestEncodings holds the macros against an assembler, where there is one.
func TestEncodings(t *testing.T) {
	text, err := os.ReadFile("simd_arm64.h")
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: %v", err)
	}
	macros := macroForm.FindAllStringSubmatch(string(text), -1)
	if got, want := len(macros), strings.Count(string(text), "\n#define ")-3; got != want {
		t.Fatalf("%d macros understood of %d", got, want)
	}
	var source strings.Builder
	var want []uint32
	for _, m := range macros {
		if strings.Contains(m[5], "fml") || strings.Contains(m[5], "fmadd") {
			t.Errorf("%s is fused", m[1])
		}
		base, _ := strconv.ParseUint(m[4], 16, 32)
		for i := range uint32(4) {
			d, n, r := 31-i, 7*i, 16+3*i
			code := uint32(base) | n<<5 | d
			if m[3] != "1" {
				code |= r << 16
			}
			if m[3] == "X" {
				code |= i&1<<21 | i>>1<<11
			}
			fill := strings.NewReplacer("{d}", fmt.Sprint(d), "{n}", fmt.Sprint(n), "{m}", fmt.Sprint(r), "{i}", fmt.Sprint(i))
			fmt.Fprintln(&source, fill.Replace(m[5]))
			want = append(want, code)
		}
	}
	compare(t, source.String(), want)
}

// encoded is a line's code as llvm-mc prints it.
var encoded = regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`)

func compare(t *testing.T, source string, want []uint32) {
	t.Helper()
	tool, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: no llvm-mc: %v", err)
	}
	cmd := exec.Command(tool, "-triple=aarch64", "-mattr=+dotprod,+i8mm", "-show-encoding")
	cmd.Stdin = strings.NewReader(source)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("llvm-mc: %v\n%s", err, out)
	}
	got := encoded.FindAllStringSubmatch(string(out), -1)
	lines := strings.Split(strings.TrimSpace(source), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d encodings of %d lines", len(got), len(want))
	}
	for i, g := range got {
		code, _ := strconv.ParseUint(g[4]+g[3]+g[2]+g[1], 16, 32)
		if uint32(code) != want[i] {
			t.Errorf("%s: %#08x, macro gives %#08x", lines[i], code, want[i])
		}
	}
}
