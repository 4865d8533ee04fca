package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"skiff/formats/bundle"
	"skiff/runtime/engine"
)

// host is a CPU that this machine is or can emulate.
type host struct {
	name     string
	env      []string // of the Go command, to build for it
	emulator string   // "" runs here
	flags    []string // of the emulator
	always   bool     // within go test; others only when SKIFF_BITS asks for all
}

// hosts are those of the table. arm64 comes with and without the instructions that its sets
// want, amd64 as a CPU that has AVX2 alone and as one that has not even that.
func hosts() []host {
	return []host{
		{name: "arm64", env: []string{"GOARCH=arm64"}, emulator: "qemu-aarch64", flags: []string{"-cpu", "max"}, always: true},
		{name: "riscv64", env: []string{"GOARCH=riscv64"}, emulator: "qemu-riscv64", always: true},
		{name: "amd64 Haswell", env: []string{"GOARCH=amd64"}, emulator: "qemu-x86_64", flags: []string{"-cpu", "Haswell"}, always: true},
		{name: "arm64 neoverse-n1", env: []string{"GOARCH=arm64"}, emulator: "qemu-aarch64", flags: []string{"-cpu", "neoverse-n1"}},
		{name: "arm64 cortex-a53", env: []string{"GOARCH=arm64"}, emulator: "qemu-aarch64", flags: []string{"-cpu", "cortex-a53"}},
		{name: "amd64 Nehalem", env: []string{"GOARCH=amd64"}, emulator: "qemu-x86_64", flags: []string{"-cpu", "Nehalem"}},
		{name: "arm v6", env: []string{"GOARCH=arm", "GOARM=6"}, emulator: "qemu-arm"},
		{name: "arm v7", env: []string{"GOARCH=arm", "GOARM=7"}, emulator: "qemu-arm"},
		{name: "386", env: []string{"GOARCH=386"}},
		{name: "s390x", env: []string{"GOARCH=s390x"}, emulator: "qemu-s390x"}, // big-endian
	}
}

// row is one line of the table: what computed a bundle's goldens, and the digest of them.
type row struct{ bundle, machine, kernels, digest string }

// TestBits is law 1 as a table: the goldens of a bundle have the same bits whatever computes
// them, on this CPU, on emulated ones and on another WebAssembly engine. What the packager
// wrote into the manifest is the first line. `make bits` adds CPUs and a larger model.
// It needs qemu-user and node, and skips loudly what is missing.
func TestBits(t *testing.T) {
	if testing.Short() {
		t.Skip("short: cross-building and emulation take a minute")
	}
	var table []row
	for _, path := range bitsBundles() {
		table = append(table, row{filepath.Base(path), "packed", "manifest", digestOf(openBits(t, path).Manifest.Goldens)})
	}
	table = append(table, bitsHere(t)...)
	t.Run("node", func(t *testing.T) { table = append(table, bitsNode(t)...) })
	for _, h := range hosts() {
		t.Run(h.name, func(t *testing.T) {
			if !h.always && os.Getenv("SKIFF_BITS") == "" {
				t.Skip("make bits runs it")
			}
			table = append(table, bitsElsewhere(t, h)...)
		})
	}
	t.Logf("\n%s", render(table))
	want := map[string]string{}
	for _, r := range table {
		if want[r.bundle] == "" {
			want[r.bundle] = r.digest // the packager's
		}
		if r.digest != want[r.bundle] {
			t.Errorf("%s on %s with %s kernels: %s, not %s", r.bundle, r.machine, r.kernels, r.digest, want[r.bundle])
		}
	}
}

// render is the table for people.
func render(table []row) string {
	out := fmt.Sprintf("%-16s %-18s %-10s %s\n", "bundle", "machine", "kernels", "digest of every golden")
	for _, r := range table {
		out += fmt.Sprintf("%-16s %-18s %-10s %s\n", r.bundle, r.machine, r.kernels, r.digest)
	}
	return out
}

// TestBitsHere prints the lines of this machine, for TestBits of another to read.
func TestBitsHere(t *testing.T) {
	for _, r := range bitsHere(t) {
		t.Logf("bits|%s|%s|%s|", r.bundle, r.kernels, r.digest)
	}
}

var bitsLine = regexp.MustCompile(`bits\|(.*)\|(.*)\|([0-9a-f]{64})\|`)

// bitsBundles are the committed bundle and those that the environment names.
func bitsBundles() []string {
	return append([]string{filepath.Join("testdata", "tiny.skiff")}, filepath.SplitList(os.Getenv("SKIFF_BITS_BUNDLES"))...)
}

func openBits(t *testing.T, path string) *bundle.Bundle {
	t.Helper()
	b, err := bundle.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// runnable is what engine.Names holds that this CPU can run a bundle with.
func runnable(t testing.TB, b *bundle.Bundle) []string {
	t.Helper()
	var out []string
	for _, kernels := range engine.Names() {
		m, err := Load(t.Context(), b, Config{Kernels: kernels})
		if errors.Is(err, ErrIncompatible) {
			t.Logf("%s/%s: %v", runtime.GOARCH, kernels, err)
			continue
		}
		if err := errors.Join(err, m.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		out = append(out, kernels)
	}
	return out
}

// bitsHere computes the goldens with every engine and set that this CPU has, with one worker
// and with three.
func bitsHere(t *testing.T) []row {
	var out []row
	for i, path := range bitsBundles() {
		b := openBits(t, path)
		for _, kernels := range runnable(t, b) {
			// An interpreter on an emulator would take an hour for a large model.
			slow := kernels == "interp" && i > 0 && os.Getenv("SKIFF_BITS_INTERP") == "tiny"
			if slow || kernels == "auto" || kernels == "native" {
				continue
			}
			ran, one := bitsOf(t, b, Config{Kernels: kernels, Workers: 1})
			_, three := bitsOf(t, b, Config{Kernels: kernels, Workers: 3})
			if !strings.HasPrefix(ran, kernels) || one != three {
				t.Errorf("%s, %s kernels: %s ran; one worker computes %s, three %s", path, kernels, ran, one, three)
			}
			out = append(out, row{filepath.Base(path), runtime.GOARCH, ran, one})
		}
	}
	return out
}

// bitsOf computes the goldens of a bundle and says what ran them.
func bitsOf(t *testing.T, b *bundle.Bundle, cfg Config) (ran, digest string) {
	t.Helper()
	m := load(t, b, cfg)
	var got []bundle.Golden
	for _, g := range m.manifest.Goldens {
		golden, err := m.Golden(t.Context(), g.Texts)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, golden)
	}
	ran = m.Kernels()
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ran, digestOf(got)
}

// digestOf is the SHA-256 of the digests of every block and answer of some goldens.
func digestOf(goldens []bundle.Golden) string {
	sum := sha256.New()
	for _, g := range goldens {
		for _, d := range g.Blocks {
			sum.Write(d[:])
		}
		sum.Write(g.Answer[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// bitsNode is the lines of V8, through node.
func bitsNode(t *testing.T) []row {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: no node here")
	}
	var out []row
	for _, path := range bitsBundles() {
		digest, err := bitsOfNode(t, node, openBits(t, path))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row{filepath.Base(path), runtime.GOARCH, "V8", digest})
	}
	return out
}

// bitsElsewhere is the lines of an emulated CPU: this package's tests, built for it.
func bitsElsewhere(t *testing.T, h host) []row {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED LOUDLY: other CPUs are emulated on Linux alone")
	}
	binary := filepath.Join(t.TempDir(), "infer.test")
	run := exec.Command(binary)
	if h.emulator != "" {
		emulator := findEmulator(h.emulator)
		if emulator == "" {
			t.Skipf("SKIPPED LOUDLY: no %s here; Debian has it in qemu-user-static", h.emulator)
		}
		run = exec.Command(emulator, append(h.flags, binary)...)
	}
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(append(os.Environ(), "CGO_ENABLED=0"), h.env...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", h.name, err, out)
	}
	run.Args = append(run.Args, "-test.v", "-test.run", "^TestBitsHere$")
	run.Env = append(os.Environ(), "SKIFF_BITS_INTERP=tiny")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", h.name, err, out)
	}
	var table []row
	for _, line := range bitsLine.FindAllStringSubmatch(string(out), -1) {
		table = append(table, row{line[1], h.name, line[2], line[3]})
	}
	if len(table) == 0 {
		t.Fatalf("%s: nothing was computed\n%s", h.name, out)
	}
	return table
}

// findEmulator is the path of an emulator, dynamic or static; "" for none.
func findEmulator(name string) string {
	for _, name := range []string{name, name + "-static"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
