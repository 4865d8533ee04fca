package kernel

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The packages whose arithmetic decides the bits of a result.
var bearing = []string{"skiff/runtime/kernel", "skiff/runtime/native", "skiff/runtime/engine", "skiff/runtime/infer", "skiff/runtime/task"}

// fusing are targets on which the compiler fuses x*y+z.
var fusing = []struct{ arch, amd64 string }{{"arm64", "v1"}, {"riscv64", "v1"}, {"amd64", "v3"}}

var fused = regexp.MustCompile(`\t(VFN?M(ADD|SUB)\w*|FN?M(ADD|SUB)\w*|V?FML[AS]\w*)\t`)

// TestNoFusedMultiplyAdd disassembles the packages that bear results. Building for
// another target takes a while the first time: -short looks at this package on arm64.
func TestNoFusedMultiplyAdd(t *testing.T) {
	for i, target := range fusing {
		for j, pkg := range bearing {
			if testing.Short() && i+j > 0 {
				continue
			}
			for _, line := range fusedIn(t, "", pkg, target.arch, target.amd64) {
				t.Errorf("%s %s: %s", target.arch, pkg, line)
			}
		}
	}
}

// TestFusedMultiplyAddIsSeen plants one for each target.
func TestFusedMultiplyAddIsSeen(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module planted\n\ngo 1.26\n",
		"p.go":   "package planted\n\nfunc F(x, y, z float32) float32 { return x*y + z }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range fusing {
		if len(fusedIn(t, dir, "planted", target.arch, target.amd64)) == 0 {
			t.Errorf("%s: x*y+z is not seen", target.arch)
		}
	}
}

// fusedIn lists the fused instructions of a package, with place.
func fusedIn(t *testing.T, dir, pkg, arch, amd64 string) []string {
	t.Helper()
	cmd := exec.Command("go", "build", "-gcflags=-S", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOAMD64="+amd64, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", arch, pkg, err, out)
	}
	if !strings.Contains(string(out), " STEXT ") {
		t.Fatalf("%s %s: no disassembly in %d bytes", arch, pkg, len(out))
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if fused.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
