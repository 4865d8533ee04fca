package torch

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
)

// shared is the folder with the large test files, beside the repository or at
// SKIFF_SHARED; the test is skipped when there is none.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is absent; set SKIFF_SHARED", path)
	}
	return path
}

// openAll opens a file and reads every tensor of it.
func openAll(t *testing.T, path string) map[string]tensor.View {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return viewsOf(t, f)
}

func viewsOf(t *testing.T, f *File) map[string]tensor.View {
	t.Helper()
	views := make(map[string]tensor.View)
	for _, name := range f.Names() {
		v, ok := f.Tensor(name)
		if !ok || len(v.Data) != v.Len()*v.DType.Size() {
			t.Fatalf("tensor %s: %v, %d bytes for %v of %v", name, ok, len(v.Data), v.Shape, v.DType)
		}
		views[name] = v
		comparePieces(t, f, v, 13, 3001)
	}
	return views
}

// comparePieces holds what Floats gives, in pieces of these lengths, to the bits of v, the
// whole tensor.
func comparePieces(t *testing.T, f *File, v tensor.View, lengths ...int) {
	t.Helper()
	want, err := v.Float32s()
	for _, n := range lengths {
		got := []float32{}
		bad := f.Floats(v.Name, make([]float32, n), func(at int, x []float32) error {
			if at != len(got) || len(x) > n {
				t.Fatalf("tensor %s: %d elements at %d, after %d", v.Name, len(x), at, len(got))
			}
			got = append(got, x...)
			return nil
		})
		if (err == nil) != (bad == nil) && v.Len() > 0 || !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("tensor %s in pieces of %d: other numbers, or %v", v.Name, n, bad)
		}
	}
}

// TestFixtures compares every .bin with the safetensors file beside it, bit for bit.
func TestFixtures(t *testing.T) {
	root := shared(t, "fixtures")
	files, err := filepath.Glob(filepath.Join(root, "*", "pytorch_model*.bin"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range files {
		single := filepath.Join(filepath.Dir(path), safetensors.SingleName)
		if _, err := os.Stat(single); err != nil || strings.Contains(path, "qint8") {
			continue
		}
		compared++
		got := openAll(t, path)
		want, err := safetensors.Open(single)
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		// safetensors keeps a tensor once that a state dict names twice.
		for _, name := range want.Names() {
			w, _ := want.Tensor(name)
			g, ok := got[name]
			if !ok || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(g.Data, w.Data) {
				t.Errorf("%s: %s differs: %v %v, want %v %v", path, name, g.DType, g.Shape, w.DType, w.Shape)
			}
			delete(got, name)
		}
		for name := range got {
			if !strings.Contains(name, "decoder.") && !strings.HasSuffix(name, "position_ids") {
				t.Errorf("%s: %s is not in the safetensors file", path, name)
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d files", compared)
	}
}

// TestShardedFixture: the shards together are the sharded safetensors file.
func TestShardedFixture(t *testing.T) {
	dir := shared(t, "fixtures", "bert-teacher-sharded")
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := safetensors.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if diff := cmp.Diff(want.Names(), f.Names()); diff != "" {
		t.Fatal(diff)
	}
	for name, g := range viewsOf(t, f) {
		if w, _ := want.Tensor(name); !bytes.Equal(w.Data, g.Data) {
			t.Errorf("%s differs", name)
		}
	}
	count := 0
	if err := f.Each(func(string, []byte) error { count++; return nil }); err != nil || count != 4 {
		t.Errorf("%d files, %v", count, err)
	}
}

// TestViews: both formats of the fixture whose tensors share a storage hold the
// same; some of it is transposed.
func TestViews(t *testing.T) {
	dir := shared(t, "fixtures", "bert-pickle-views")
	zip, legacy := openAll(t, filepath.Join(dir, SingleName)), openAll(t, filepath.Join(dir, "pytorch_model_legacy.bin"))
	if diff := cmp.Diff(zip, legacy); diff != "" || len(zip) < 20 {
		t.Errorf("%d tensors: %s", len(zip), diff)
	}
}

// TestQuantised: the codes are those of the float weights, to half a step.
func TestQuantised(t *testing.T) {
	dir := shared(t, "fixtures", "bert-sequence-classification")
	plain := openAll(t, filepath.Join(dir, SingleName))
	for file, axis := range map[string]int{"pytorch_model_qint8.bin": -1, "pytorch_model_qint8_per_channel.bin": 0} {
		f, err := Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		views := viewsOf(t, f)
		if len(views) != len(plain) {
			t.Errorf("%s: %d tensors, want %d", file, len(views), len(plain))
		}
		quantised := 0
		for name, want := range plain {
			q, ok := f.Quantised(name)
			if !ok {
				if !bytes.Equal(views[name].Data, want.Data) {
					t.Errorf("%s: %s differs", file, name)
				}
				continue
			}
			quantised++
			channels := 1
			if axis == 0 {
				channels = want.Shape[0]
			}
			if q.Axis != axis || len(q.Scales) != channels || len(q.ZeroPoints) != channels || q.Codes.DType != tensor.I8 {
				t.Fatalf("%s: %s: axis %d, %d scales, %d zero points", file, name, q.Axis, len(q.Scales), len(q.ZeroPoints))
			}
			compareQuantised(t, name, q, views[name], want)
		}
		if quantised != 14 || len(f.Notes()) != 0 {
			t.Errorf("%s: %d quantised tensors, notes %q", file, quantised, f.Notes())
		}
	}
}

func compareQuantised(t *testing.T, name string, q QTensor, got, want tensor.View) {
	t.Helper()
	g, err := got.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	w, err := want.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	row := len(w) / len(q.Scales)
	for i := range w {
		scale := q.Scales[i/row]
		if float64(g[i]-w[i]) > 0.51*scale || float64(w[i]-g[i]) > 0.51*scale {
			// A code at the end of the range may be clipped.
			if c := q.code(i); c != -128 && c != 127 {
				t.Fatalf("%s: element %d is %v, want %v, step %v", name, i, g[i], w[i], scale)
			}
		}
	}
}

// TestHostile runs the shared corpus of malformed files against its verdicts.
func TestHostile(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, e := range expect {
		if !strings.HasPrefix(name, "pt-") {
			continue
		}
		seen++
		f, err := Open(filepath.Join(dir, name))
		if e.Verdict != "accept-or-refuse" && (err == nil) != (e.Verdict == "accept") {
			t.Errorf("%s (%s): got %v, want %s", name, e.Wrong, err, e.Verdict)
		}
		if err == nil {
			viewsOf(t, f)
			f.Close()
			continue
		}
		t.Log(err)
		if !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
	if seen < 37 {
		t.Errorf("only %d files", seen)
	}
}
