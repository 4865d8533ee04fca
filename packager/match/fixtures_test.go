package match_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/safetensors"
	"skiff/packager/graph"
	"skiff/packager/match"
)

// TestFixtures reads every ONNX file of the fixtures. Those of floats give the goldens
// that torch computed; those of codes keep them. Both were compared with their graph
// before they were accepted.
func TestFixtures(t *testing.T) {
	for _, path := range fixtures(t) {
		if static(path) {
			continue
		}
		t.Run(shortName(path), func(t *testing.T) {
			m := open(t, path)
			g, report := build(t, m)
			t.Logf("%s, %v -> %v, %d layers, %d heads: %.1e from the graph on %v tokens", g.Task, report.Inputs, report.Outputs, g.Layers, g.Heads, report.Diff, report.Lengths)
			if most := []int{1, 7, 12, 19, 40, 150}; slices.Max(report.Lengths) != slices.Max(slices.DeleteFunc(most, func(n int) bool { return n > g.MaxPositions })) {
				t.Errorf("compared on %v tokens of at most %d", report.Lengths, g.MaxPositions)
			}
			if strings.Contains(path, "int8") {
				checkCodes(t, m, g, report)
				return
			}
			compareGolden(t, g, path)
		})
	}
}

// checkCodes expects every layer to keep its codes, and the report to say what that means.
func checkCodes(t *testing.T, m *onnx.Model, g *graph.Model, report match.Report) {
	t.Helper()
	checkMeaning(t, g)
	kept := 0
	for _, l := range graph.Linears(g.Ops) {
		if l.Int8 == nil {
			continue
		}
		kept++
	}
	matrices := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		if n.Op == "MatMulInteger" {
			matrices[n.Inputs[1]] = true
		}
	}
	if kept != len(matrices) || report.Int8 < kept || len(report.Notes) == 0 {
		t.Errorf("%d layers keep the codes of %d matrices, the report says %d and %q", kept, len(matrices), report.Int8, report.Notes)
	}
}

// checkMeaning expects codes that are kept to stand for the numbers beside them.
func checkMeaning(t *testing.T, g *graph.Model) {
	t.Helper()
	check := func(name string, data []float32, cols int, q *graph.Int8) {
		if q == nil {
			return
		}
		for i, w := range data {
			row, zero := i/cols, int32(0)
			if q.Zero != nil {
				zero = q.Zero[min(row, len(q.Zero)-1)]
			}
			want := float64(int32(q.Codes[i])-zero) * float64(q.Scale[min(row, len(q.Scale)-1)])
			if float32(want) != w {
				t.Fatalf("%s: number %d is %g, its code says %g", name, i, w, want)
			}
		}
	}
	for _, op := range g.Ops {
		switch o := op.(type) {
		case *graph.Linear:
			check(o.W.Name, o.W.Weight, o.W.In, o.W.Int8)
		case *graph.Embed:
			for _, l := range o.Lookups {
				check(l.Table.Name, l.Table.Data, l.Table.Cols, l.Table.Int8)
			}
		}
	}
}

// compareGolden compares everything of the goldens that g has.
func compareGolden(t *testing.T, g *graph.Model, path string) {
	t.Helper()
	cases, file := golden(t, path)
	ref, top, compared := g.Reference(), 0.0, 0
	for i, c := range cases {
		check := func(name string, id graph.ID) {
			v, ok := file.Tensor(fmt.Sprintf("%d.%s", i, name))
			if !ok || id == 0 {
				return
			}
			want, err := v.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			got, err := ref.Run(c.IDs, c.Types, nil, id)
			if err != nil {
				t.Fatal(err)
			}
			compared++
			top = max(top, worst(t, got[0], want))
		}
		for l, id := range g.States {
			check(fmt.Sprintf("hidden.%d", l), id)
		}
		check("last_hidden_state", g.Last)
		check("pooled", g.Pooled)
		switch g.Task {
		case graph.TaskEmbed:
			check("embedding", g.Answer)
		case graph.TaskAnswer:
			compared++
			top = max(top, spanDifference(t, ref, g, file, i, c))
		case graph.TaskEncode:
			check("pooler_output", g.Pooler)
		default:
			check("logits", g.Answer)
		}
	}
	t.Logf("%d tensors: %.1e from torch", compared, top)
	if !(top <= 1e-4) || compared < len(cases) {
		t.Errorf("%d tensors compared, %.1e from torch", compared, top)
	}
}

// spanDifference compares the starts and ends of a case.
func spanDifference(t *testing.T, ref *graph.Reference, g *graph.Model, file *safetensors.File, i int, c goldenCase) float64 {
	t.Helper()
	got, err := ref.Run(c.IDs, c.Types, nil, g.Answer)
	if err != nil {
		t.Fatal(err)
	}
	top := 0.0
	for col, name := range []string{"start_logits", "end_logits"} {
		v, ok := file.Tensor(fmt.Sprintf("%d.%s", i, name))
		if !ok {
			t.Fatalf("no %s in the goldens", name)
		}
		want, err := v.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		ours := make([]float32, len(want))
		for j := range ours {
			ours[j] = got[0][2*j+col]
		}
		top = max(top, worst(t, ours, want))
	}
	return top
}

// TestStaticQuantisation expects files with fixed activation scales to be refused.
func TestStaticQuantisation(t *testing.T) {
	for _, path := range fixtures(t) {
		if !static(path) {
			continue
		}
		_, _, err := match.Build(context.Background(), open(t, path), match.Hints{})
		bad := (*match.Error)(nil)
		if !errors.As(err, &bad) || bad.Op != "QuantizeLinear" || len(bad.Near) < 3 || !strings.Contains(err.Error(), "static") {
			t.Errorf("%s: %v", shortName(path), err)
		}
		t.Log(err)
	}
}
