package onnxref

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/formats/tensor"
)

// shared finds a file beside the repository, or where SKIFF_SHARED says.
func shared(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is not here (set SKIFF_SHARED)", path)
	}
	return path
}

// golden is what onnxruntime computed with the files of one folder.
type golden struct {
	Outputs []string `json:"outputs"`
	Files   map[string]any
	cases   []goldenCase
	tensors *safetensors.File
}

type goldenCase struct {
	IDs   []int64 `json:"input_ids"`
	Mask  []int64 `json:"attention_mask"`
	Types []int64 `json:"token_type_ids"`
}

func readGolden(t *testing.T, dir string) golden {
	t.Helper()
	var g golden
	var cases struct{ Cases []goldenCase }
	for name, into := range map[string]any{"golden_onnx.json": &g, "golden.json": &cases} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	g.cases = cases.Cases
	file, err := safetensors.Open(filepath.Join(dir, "golden_onnx.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	g.tensors = file
	return g
}

// want is output name of case i of a file: of a session that did not optimise,
// where it differs.
func (g golden) want(t *testing.T, file string, i string, name string) *Tensor {
	t.Helper()
	stem := strings.TrimSuffix(file, ".onnx")
	v, ok := g.tensors.Tensor(stem + ".unoptimised/" + i + "." + name)
	if !ok {
		v, ok = g.tensors.Tensor(stem + "/" + i + "." + name)
	}
	if !ok {
		t.Fatalf("no golden %s of case %s of %s", name, i, file)
	}
	return stored(t, v)
}

func stored(t *testing.T, v tensor.View) *Tensor {
	t.Helper()
	out, err := FromView(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func openModel(t *testing.T, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newSessionOf(t *testing.T, m *onnx.Model, cfg Config) *Session {
	t.Helper()
	s, err := New(m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// feeds are the inputs that m wants of a case, as one batch.
func (c goldenCase) feeds(m *onnx.Model) map[string]*Tensor {
	out := map[string]*Tensor{}
	for _, in := range m.Graph.Inputs {
		values := map[string][]int64{"input_ids": c.IDs, "attention_mask": c.Mask, "token_type_ids": c.Types}[in.Name]
		out[in.Name] = Ints(tensor.I64, []int{1, len(c.IDs)}, values...)
	}
	return out
}

// worst is the largest difference, relative where |want| > 1.
func worst(t *testing.T, got, want *Tensor) float64 {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("%v, want %v", got, want)
	}
	top := 0.0
	for i, w := range want.F {
		d := math.Abs(float64(got.F[i])-float64(w)) / max(1, math.Abs(float64(w)))
		if !(d <= top) {
			top = d
		}
	}
	return top
}
