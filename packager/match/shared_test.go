package match_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/packager/graph"
	"skiff/packager/match"
)

// sharedDir is the folder of test data beside the repository.
func sharedDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SKIFF_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Skip("SKIPPED LOUDLY: no go.mod above the tests")
		}
		dir = filepath.Dir(dir)
	}
	dir = filepath.Join(dir, "..", "shared")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("SKIPPED LOUDLY: no folder ../shared beside the repository")
	}
	return dir
}

// fixtures are the ONNX files of the fixtures.
func fixtures(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(sharedDir(t), "fixtures", "*", "model*.onnx"))
	if err != nil || len(all) == 0 {
		t.Fatal("no fixtures", err)
	}
	return all
}

// fixture is the path of one.
func fixture(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(sharedDir(t), "fixtures", name+".onnx")
}

// shortName is a file's folder and name.
func shortName(path string) string {
	return filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), ".onnx")
}

func static(path string) bool { return strings.Contains(path, "qdq") }

func open(t *testing.T, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func build(t *testing.T, m *onnx.Model) (*graph.Model, match.Report) {
	t.Helper()
	g, report, err := match.Build(context.Background(), m, match.Hints{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return g, report
}

// golden is the golden file of a fixture's folder.
func golden(t *testing.T, path string) (cases []goldenCase, file *safetensors.File) {
	t.Helper()
	base := filepath.Join(filepath.Dir(path), "golden")
	data, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []goldenCase }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	file, err = safetensors.Open(base + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return all.Cases, file
}

type goldenCase struct {
	IDs   []int32 `json:"input_ids"`
	Types []int32 `json:"token_type_ids"`
}

// worst is the largest difference, relative to max(1, largest value).
func worst(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	top, d := 1.0, 0.0
	for _, w := range want {
		top = max(top, math.Abs(float64(w)))
	}
	for i, w := range want {
		if x := math.Abs(float64(got[i]) - float64(w)); !(x <= d) {
			d = x
		}
	}
	return d / top
}

// fingerprint is everything that a model computes, and the names it has.
func fingerprint(m *graph.Model) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d %d %d %d %d %d %d %g %v\n", m.Arch, m.Task, m.Hidden, m.Layers, m.Heads, m.Inner, m.Vocab, m.MaxPositions, m.Types, m.Eps, m.Values)
	fmt.Fprintln(&b, m.States, m.Last, m.Pooler, m.Pooled, m.Answer, m.MaxTokens)
	if m.Head != nil {
		fmt.Fprintf(&b, "%+v\n", *m.Head)
	}
	for _, op := range m.Ops {
		fmt.Fprintf(&b, "%s %v %d", op.Kind(), op.Reads(), op.Makes())
		switch o := op.(type) {
		case *graph.Embed:
			for _, l := range o.Lookups {
				fmt.Fprintf(&b, " %s %v %d %v %d", tableText(l.Table), l.By, l.Offset, l.Pad, l.PadID)
			}
		case *graph.Linear:
			fmt.Fprintf(&b, " %s %v", layerText(o.W), o.Act)
		case *graph.Norm:
			fmt.Fprintf(&b, " %s %v %x %x %g", o.W.Name, o.W.Kind, digest(o.W.Gain), digest(o.W.Bias), o.W.Eps)
		case *graph.Glu:
			fmt.Fprintf(&b, " %v", o.Act)
		case *graph.Attention:
			fmt.Fprintf(&b, " %v %v %v %d %d %g %d", o.Q, o.K, o.V, o.Heads, o.HeadSize, o.Scale, o.Window)
			switch r := o.Relative.(type) {
			case *graph.Bias:
				fmt.Fprintf(&b, " %s %d %d", tableText(r.Table), r.Buckets, r.MaxDistance)
			case *graph.Rotary:
				fmt.Fprintf(&b, " %g", r.Theta)
			case *graph.Disentangled:
				fmt.Fprintf(&b, " %s %s %s %d %d %d", tableText(r.Table), layerText(r.Keys), layerText(r.Queries), r.Span, r.Buckets, r.MaxPosition)
			}
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func tableText(t *graph.Table) string {
	return fmt.Sprintf("%s %dx%d %x %s", t.Name, t.Rows, t.Cols, digest(t.Data), int8Text(t.Int8))
}

func layerText(w *graph.LinearWeights) string {
	if w == nil {
		return "none"
	}
	return fmt.Sprintf("%s %dx%d %x %x %s", w.Name, w.Out, w.In, digest(w.Weight), digest(w.Bias), int8Text(w.Int8))
}

func int8Text(q *graph.Int8) string {
	if q == nil {
		return ""
	}
	h := fnv.New64a()
	for _, c := range q.Codes {
		h.Write([]byte{byte(c)})
	}
	return fmt.Sprintf("%x %x %v", h.Sum64(), digest(q.Scale), q.Zero)
}

func digest(v []float32) uint64 {
	h := fnv.New64a()
	for _, x := range v {
		b := math.Float32bits(x)
		h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
	}
	return h.Sum64()
}
