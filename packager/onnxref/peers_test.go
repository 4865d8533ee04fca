package onnxref

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/formats/tensor"
)

// peerCase is a line that testdata/ops.py prints about a model of one node.
type peerCase struct {
	Op, Domain string
	Opset      int
	Attrs      any
	Shapes     []any
	By, Why    string // who computed the outputs, or why nobody did
}

func (c peerCase) String() string {
	return fmt.Sprintf("%s%s %d %v %v", c.Domain, c.Op, c.Opset, c.Attrs, c.Shapes)
}

// TestPeerOperators compares every operator with onnxruntime on thousands of
// nodes. What onnxruntime refuses is either refused here too or has a meaning all
// the same, such as an element type that onnxruntime has no kernel for.
func TestPeerOperators(t *testing.T) {
	python := os.Getenv("SKIFF_PEERS")
	if python == "" {
		t.Skip("SKIPPED LOUDLY: SKIFF_PEERS names no Python; make test-peers sets it")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import onnx, onnxruntime").Run(); err != nil {
		t.Skip("SKIPPED LOUDLY: that Python has no onnx or no onnxruntime")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), python, "testdata/ops.py", dir, "1")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Open(filepath.Join(dir, "cases.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ran, refused, i := 0, 0, 0
	for line := range bytes.Lines(text) {
		var c peerCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%04d", i)
		i++
		got, err := runPeerCase(filepath.Join(dir, key+".onnx"), key, file)
		switch {
		case c.By == "" && err == nil:
			refused++
			t.Logf("%s %v: computed, but refused there: %s", key, c, c.Why)
		case c.By == "":
			refused++
		case err != nil:
			t.Errorf("%s %v: %v", key, c, err)
		default:
			ran++
			comparePeer(t, c, key, file, got)
		}
	}
	t.Logf("%d nodes compared, %d refused by onnxruntime", ran, refused)
}

// runPeerCase runs one model on its inputs.
func runPeerCase(path, key string, file *safetensors.File) (map[string]*Tensor, error) {
	m, err := onnx.Open(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := New(m, Config{Budget: 1 << 16})
	if err != nil {
		return nil, err
	}
	feeds := map[string]*Tensor{}
	for _, in := range m.Graph.Inputs {
		v, ok := file.Tensor(key + ".in." + in.Name)
		if !ok {
			return nil, fmt.Errorf("no input %s", in.Name)
		}
		if feeds[in.Name], err = FromView(v); err != nil {
			return nil, err
		}
	}
	var want []string
	for _, n := range file.Names() {
		if name, ok := strings.CutPrefix(n, key+".out."); ok {
			want = append(want, name)
		}
	}
	if len(want) == 0 {
		want = []string{m.Graph.Outputs[0].Name}
	}
	return s.Run(context.Background(), feeds, want...)
}

// comparePeer compares types, shapes and values.
func comparePeer(t *testing.T, c peerCase, key string, file *safetensors.File, got map[string]*Tensor) {
	t.Helper()
	what := key + " " + c.String()
	for name, g := range got {
		v, _ := file.Tensor(key + ".out." + name)
		want := stored(t, v)
		if g.DType == tensor.BF16 {
			want.DType = tensor.BF16 // stored as float32
		}
		if g.DType != want.DType || !slices.Equal(g.Shape, want.Shape) || !slices.Equal(g.I, want.I) {
			t.Errorf("%s: %s is %v %v, want %v %v", what, name, g, g.I, want, want.I)
			continue
		}
		for i, w := range want.F {
			if !near(c, g.DType, float64(g.F[i]), float64(w)) {
				t.Errorf("%s: %s is\n%v, want\n%v", what, name, g.F, want.F)
				break
			}
		}
	}
}

// near allows a few units in the last place, which a sum in another order gives,
// and more of them where an exponential follows a sum.
func near(c peerCase, t tensor.DType, a, b float64) bool {
	bound := 2e-6
	switch {
	case strings.Contains(c.Op, "Attention"):
		bound = 2e-5
	case t == tensor.F16, strings.Contains(fmt.Sprint(c.Shapes), "float16"):
		bound = 2e-3
	}
	return a == b || a != a && b != b || math.Abs(a-b) <= bound*max(1, math.Abs(b))
}
