package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/safetensors"
	"skiff/packager"
)

// shared finds a file beside the repository, or where SKIFF_SHARED says.
func shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "shared")
	}
	path, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is not here (set SKIFF_SHARED)", path)
	}
	return path
}

// TestInspectHostile gives every hostile file and folder to skiff inspect: a named
// error, status 1, no panic, and memory in proportion; the control files pass.
func TestInspectHostile(t *testing.T) {
	dir := shared(t, "fixtures/hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	for name, want := range expect {
		path := filepath.Join(dir, name)
		r := h.within(t, 256<<20, "inspect", path, "--json")
		refused := r.status == statusFailed && r.stdout == "" && strings.Count(r.stderr, "\n") == 1
		accepted := r.status == statusDone && r.stdout != ""
		switch {
		case want.Verdict == "accept" && readable(name) && accepted:
		case strings.Contains(want.Verdict, "-or-") && (accepted || refused):
		case (want.Verdict == "refuse" || !readable(name)) && refused:
		default:
			t.Errorf("%s, to %s (%s): status %d, stdout %.100q, stderr %.300q", name, want.Verdict, want.Wrong, r.status, r.stdout, r.stderr)
		}
	}
}

// readable reports whether this version reads a kind of file at all.
func readable(name string) bool {
	return filepath.Ext(name) != ".tflite"
}

// within runs skiff with a limit on its memory in bytes, which the kernel enforces.
// Go maps its heap 64 MB at a time, so the limit must leave room for that; the files
// that are tried claim gigabytes. The race detector needs gigabytes itself: there
// skiff runs without a limit.
func (h home) within(t *testing.T, memory int, args ...string) ran {
	t.Helper()
	if raceEnabled {
		return h.run(t, "", args...)
	}
	needBash(t)
	skiff := h.command(t, args...)
	cmd := exec.Command("bash", append([]string{"-c", `ulimit -d "$0" && exec "$@"`, strconv.Itoa(memory >> 10)}, skiff.Args...)...)
	cmd.Env = skiff.Env
	return finish(t, cmd)
}

// TestMiniLM: the real model, by commands alone, against what the original library
// computes: float32 to 1e-4, int8 to a cosine.
func TestMiniLM(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED LOUDLY: a quarter of a minute; not with -short")
	}
	model := shared(t, "models/all-MiniLM-L6-v2")
	texts, ids, want := reference32(t)
	m := mini{newHome(t), filepath.Join(t.TempDir(), "minilm.skiff"), ""}
	if r := m.home.within(t, 1<<30, "pack", "--fast", model, "-o", m.bundle); r.status != statusDone {
		t.Fatalf("pack in a gigabyte: status %d: %s", r.status, r.stderr)
	}
	for i, tokens := range lines[tokenized](t, m.home.must(t, texts, "tokenize", m.bundle, "--json")) {
		if !slices.Equal(tokens.IDs, ids[i]) {
			t.Errorf("text %d: ids %v, want %v", i, tokens.IDs, ids[i])
		}
	}
	for i, a := range lines[ranAnswer](t, m.home.must(t, texts, "run", model, "--f32", "--json")) {
		if d := furthest(a.Embedding, want[i]); d > 1e-4 {
			t.Errorf("text %d: float32 is %g away", i, d)
		}
	}
	answers := lines[ranAnswer](t, m.home.must(t, texts, "run", m.bundle, "--json"))
	least, sum := 1.0, 0.0
	for i, a := range answers {
		c := packager.Cosine(a.Embedding, want[i])
		least, sum = min(least, c), sum+c
	}
	mean := sum / float64(len(answers))
	t.Logf("int8 on %d texts: cosine %.5f on average, %.5f at worst", len(answers), mean, least)
	if len(answers) != len(want) || mean < 0.998 || least < 0.99 {
		t.Errorf("%d answers, cosine %.5f on average, %.5f at worst", len(answers), mean, least)
	}
}

// reference32 reads the texts as lines of JSON, and their ids and embeddings as the
// original library computed them.
func reference32(t *testing.T) (texts string, ids [][]int32, vectors [][]float32) {
	t.Helper()
	text, err := os.ReadFile(shared(t, "minilm/reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ref struct{ Texts []struct{ Text string } }
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(shared(t, "minilm/reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	view, _ := f.Tensor("embeddings")
	all, err := view.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	var in strings.Builder
	for i, one := range ref.Texts {
		if err := printJSON(&in, one.Text); err != nil {
			t.Fatal(err)
		}
		row, _ := f.Tensor("input_ids." + strconv.Itoa(i))
		ids = append(ids, int32s(row.Data))
		vectors = append(vectors, all[i*view.Shape[1]:(i+1)*view.Shape[1]])
	}
	return in.String(), ids, vectors
}

// int32s reads little-endian integers.
func int32s(data []byte) []int32 {
	all := make([]int32, 0, len(data)/4)
	for ; len(data) >= 4; data = data[4:] {
		all = append(all, int32(binary.LittleEndian.Uint32(data)))
	}
	return all
}

// furthest is the largest difference of two vectors' elements.
func furthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var most float64
	for i := range a {
		most = max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}

// TestFullDisk: a file that cannot be written to its end is not left in part. The
// shell's limit on file sizes plays the full disk.
func TestFullDisk(t *testing.T) {
	needBash(t)
	h, dir := newHome(t), t.TempDir()
	skiff := h.command(t)
	cmd := exec.Command("bash", "-c", `ulimit -f 1000; trap "" XFSZ; exec "$0" pack builtin --fast -o "$1"`, skiff.Path, filepath.Join(dir, "x.skiff"))
	cmd.Env = skiff.Env
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(string(out), "write "+dir) {
		t.Errorf("%v: %s", err, out)
	}
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
