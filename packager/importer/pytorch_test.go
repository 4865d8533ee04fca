package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
	"skiff/formats/tensor"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

// withWeights is a folder with the files of dir, but weights only under the names
// given: name -> file of dir.
func withWeights(t *testing.T, dir string, weights map[string]string) string {
	t.Helper()
	at := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	link := func(name, target string) {
		if err := os.Symlink(filepath.Join(dir, target), filepath.Join(at, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		if name := e.Name(); !strings.Contains(name, "model.") && !strings.HasPrefix(name, "model-") && !strings.HasPrefix(name, "pytorch_model") {
			link(name, name)
		}
	}
	for name, target := range weights {
		link(name, target)
	}
	return at
}

// quantisedBound is the tolerance of files whose weights were rounded to 8 bits, relative as
// bound, to which every other file is held. Their golden values in golden.safetensors are of
// the model before it was rounded; those in golden_torch_qint8.safetensors of PyTorch's own
// int8 kernels, which round activations as well, to 7 bits of a whole tensor. The float32
// reference does neither; that the weights it has are the file's, TestQuantisedImport tells.
const quantisedBound = 0.15

// TestPyTorchFixtures imports every fixture from its PyTorch files, in each format it has,
// and compares ids, every hidden state and every output with the golden file.
func TestPyTorchFixtures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "pytorch_model*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range files {
		dir, name := filepath.Split(path)
		weights, bound := map[string]string{torch.SingleName: name}, bound
		switch {
		case strings.Contains(name, "-of-"):
			continue
		case name == torch.IndexName:
			weights = map[string]string{name: name}
			for i := range 3 {
				shard := fmt.Sprintf("pytorch_model-%05d-of-00003.bin", i+1)
				weights[shard] = shard
			}
		case strings.Contains(name, "qint8"):
			bound = quantisedBound
		}
		seen++
		t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
			_, p := checkFixture(t, withWeights(t, dir, weights), dir, bound)
			t.Logf("%d outputs, at most %v away", p.outputs, p.worst)
			if p.outputs == 0 {
				t.Error("nothing was compared")
			}
			if bound == quantisedBound {
				compareQuantised(t, withWeights(t, dir, weights), dir, strings.TrimSuffix(name, ".bin"))
			}
		})
	}
	if seen < 19 {
		t.Errorf("only %d files", seen)
	}
}

// compareQuantised compares the logits of a model in one folder with those that PyTorch's
// int8 kernels gave for the file called name in another.
func compareQuantised(t *testing.T, dir, goldens, name string) {
	t.Helper()
	var g goldenModel
	readGolden(t, filepath.Join(goldens, "golden"), &g)
	file, err := safetensors.Open(filepath.Join(goldens, "golden_torch_qint8.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, furthest := openModel(t, dir), 0.0
	for i, c := range g.Cases {
		got, err := m.Reference().Run(c.IDs, c.Types, nil, m.Answer)
		if err != nil {
			t.Fatal(err)
		}
		furthest = max(furthest, relative(t, got[0], floats(t, file, fmt.Sprintf("%s/%d.logits", name, i))))
	}
	t.Logf("logits at most %.1e from those of PyTorch's kernels", furthest)
	if !(furthest <= quantisedBound) {
		t.Errorf("logits are %.1e from those of PyTorch's kernels", furthest)
	}
}

// TestQuantisedImport: the codes of a state dict with packed Linears are kept beside the
// numbers they stand for, and Inspect says so.
func TestQuantisedImport(t *testing.T) {
	dir := shared(t, "fixtures", "bert-sequence-classification")
	for name, perRow := range map[string]bool{"pytorch_model_qint8.bin": false, "pytorch_model_qint8_per_channel.bin": true} {
		folder := withWeights(t, dir, map[string]string{torch.SingleName: name})
		for _, path := range []string{folder, filepath.Join(dir, name)} {
			d, err := Inspect(context.Background(), path)
			if err != nil {
				t.Error(err)
				continue
			}
			about := slices.DeleteFunc(d.Notes, func(note string) bool { return strings.HasPrefix(note, "not needed: ") })
			if diff := cmp.Diff([]string{"14 tensors are stored as int8: their codes are kept; activation scales are skiff's own"}, about); diff != "" {
				t.Errorf("%s: notes %s", path, diff)
			}
		}
		m, kept := openModel(t, folder), 0
		for _, op := range m.Ops {
			switch o := op.(type) {
			case *graph.Linear:
				kept++
				want := 1
				if perRow {
					want = o.W.Out
				}
				if o.W.Int8 == nil || len(o.W.Int8.Scale) != want {
					t.Errorf("%s: %s: codes %v", name, o.W.Name, o.W.Int8)
					continue
				}
				sameNumbers(t, o.W.Name, o.W.Int8, o.W.Weight, o.W.In)
			case *graph.Embed:
				for _, l := range o.Lookups {
					if l.Table.Int8 != nil {
						t.Errorf("%s: the float table %s has codes", name, l.Table.Name)
					}
				}
			}
		}
		if kept != 14 {
			t.Errorf("%s: %d linear layers", name, kept)
		}
	}
}

// sameNumbers compares codes with the float32 numbers of rows of cols beside them.
func sameNumbers(t *testing.T, name string, c *graph.Int8, want []float32, cols int) {
	t.Helper()
	if len(c.Codes) != len(want) || c.Zero != nil && len(c.Zero) != len(c.Scale) {
		t.Fatalf("%s: %d codes, %d scales and %d zero points for %d numbers", name, len(c.Codes), len(c.Scale), len(c.Zero), len(want))
	}
	for i, w := range want {
		row, zero := i/cols%len(c.Scale), int32(0)
		if c.Zero != nil {
			zero = c.Zero[row]
		}
		if got := c.Scale[row] * float32(int32(c.Codes[i])-zero); got != w {
			t.Fatalf("%s: element %d is %v as a code, %v as a number", name, i, got, w)
		}
	}
}

// TestKeptCodes: codes from 0 to 255 are moved, and their zero points with them; what is
// no matrix with scales by row is read as float32.
func TestKeptCodes(t *testing.T) {
	codes := func(d tensor.DType, rows int, axis int, zeros ...int64) torch.QTensor {
		data := []byte{0, 1, 127, 128, 129, 255}
		return torch.QTensor{
			Name: "w", Codes: tensor.View{DType: d, Shape: []int{rows, len(data) / rows}, Data: data},
			Axis: axis, Scales: []float64{0.5, 0.1, 3}[:len(zeros)], ZeroPoints: zeros,
		}
	}
	for name, q := range map[string]torch.QTensor{
		"int8": codes(tensor.I8, 2, -1, 0), "int8, zero": codes(tensor.I8, 2, -1, -128), "uint8": codes(tensor.U8, 2, -1, 131),
		"uint8 at 128": codes(tensor.U8, 2, -1, 128), "int8 rows": codes(tensor.I8, 2, 0, 0, 7), "uint8 rows": codes(tensor.U8, 3, 0, 255, 0, 128),
	} {
		if !keepable(q) {
			t.Errorf("%s: not kept", name)
			continue
		}
		want, err := q.Dequantised().Float32s()
		if err != nil {
			t.Fatal(err)
		}
		c := int8Of(q)
		sameNumbers(t, name, c, want, q.Codes.Shape[1])
		if centred := name == "int8" || name == "uint8 at 128"; (c.Zero == nil) != centred {
			t.Errorf("%s: zero points %v", name, c.Zero)
		}
	}
	columns, wide, vector := codes(tensor.I8, 3, 1, 0, 0), codes(tensor.I32, 2, -1, 0), codes(tensor.I8, 2, -1, 0)
	vector.Codes.Shape = []int{6}
	for i, q := range []torch.QTensor{columns, wide, vector} {
		if keepable(q) {
			t.Errorf("case %d: kept", i)
		}
	}
}

// TestPyTorchHostile: what is a refusal on its own is one for Inspect, and names
// the file.
func TestPyTorchHostile(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	for name, e := range expect {
		if !strings.HasPrefix(name, "pt-") {
			continue
		}
		_, err := Inspect(context.Background(), filepath.Join(dir, name))
		if e.Verdict != "accept-or-refuse" && (err == nil) != (e.Verdict == "accept") {
			t.Errorf("%s (%s): got %v, want %s", name, e.Wrong, err, e.Verdict)
		}
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
}

// TestCheckpointOrder: safetensors come first; a faulty one is not passed over.
func TestCheckpointOrder(t *testing.T) {
	dir := shared(t, "fixtures", "bert-embed")
	both := withWeights(t, dir, map[string]string{safetensors.SingleName: safetensors.SingleName, torch.SingleName: "config.json"})
	if m := openModel(t, both); m.Hidden == 0 {
		t.Error("no model")
	}
	bad := withWeights(t, dir, map[string]string{safetensors.SingleName: "config.json", torch.SingleName: torch.SingleName})
	if _, err := Open(context.Background(), bad); err == nil || !strings.Contains(err.Error(), safetensors.SingleName) {
		t.Errorf("got %v", err)
	}
	worse := withWeights(t, dir, map[string]string{torch.SingleName: "config.json"})
	if _, err := Open(context.Background(), worse); err == nil || !strings.Contains(err.Error(), "pytorch_model.bin: byte 0") {
		t.Errorf("got %v", err)
	}
	d, err := Inspect(context.Background(), withWeights(t, dir, map[string]string{torch.SingleName: torch.SingleName}))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := d.WriteText(&out); err != nil || !strings.Contains(out.String(), "pytorch_model.bin,") {
		t.Errorf("%v: %s", err, &out)
	}
}
