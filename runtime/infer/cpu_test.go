package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestOtherCPUs runs this package's proof on emulated CPUs: the goldens of the committed
// bundle were computed on amd64, so a proof that passes there means the same bits on
// arm64 (compiler, interpreter and Go) and riscv64 (interpreter and Go). It needs
// qemu-user and skips loudly without it.
func TestOtherCPUs(t *testing.T) {
	if testing.Short() {
		t.Skip("short: cross-building and emulation take a minute")
	}
	for _, arch := range []string{"arm64", "riscv64"} {
		t.Run(arch, func(t *testing.T) {
			emulator := findQemu(arch)
			if emulator == "" || runtime.GOOS != "linux" {
				t.Skipf("SKIPPED LOUDLY: no qemu-user for %s here; Debian has it in qemu-user-static", arch)
			}
			binary := filepath.Join(t.TempDir(), "infer.test")
			build := exec.Command("go", "test", "-c", "-o", binary, ".")
			build.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build for %s: %v\n%s", arch, err, out)
			}
			run := exec.Command(emulator, binary, "-test.v", "-test.run", "^TestProveEverywhere$")
			out, err := run.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestProveEverywhere") {
				t.Errorf("%s: %v\n%s", arch, err, out)
			}
			t.Logf("%s", out)
		})
	}
}

func findQemu(arch string) string {
	cpu := map[string]string{"arm64": "aarch64", "riscv64": "riscv64"}[arch]
	for _, name := range []string{"qemu-" + cpu, "qemu-" + cpu + "-static"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// TestProveEverywhere proves the committed bundle on every engine this CPU has.
func TestProveEverywhere(t *testing.T) {
	b := openTiny(t)
	for _, kernels := range []string{"wasm", "interp", "go"} {
		if err := Fit(&b.Manifest, Config{Kernels: kernels}); err != nil {
			t.Logf("%s/%s: %v", runtime.GOARCH, kernels, err)
			continue
		}
		if err := load(t, b, Config{Kernels: kernels}).Prove(t.Context()); err != nil {
			t.Errorf("%s/%s: %v", runtime.GOARCH, kernels, err)
		} else {
			t.Logf("%s/%s: same bits", runtime.GOARCH, kernels)
		}
	}
}
