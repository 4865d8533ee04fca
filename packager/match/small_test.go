package match_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/packager/graph"
)

// small are the models in testdata, which models.py made, and what they are.
var small = map[string]struct {
	task    string
	pool    string
	outputs string // roles
}{
	"modernbert-embed":    {graph.TaskEmbed, "mean", "answer"},
	"deberta-classify":    {graph.TaskClassify, "none", "answer"},
	"albert-words":        {graph.TaskFillMask, "none", "answer"},
	"electra-half":        {graph.TaskTag, "none", "answer"},
	"distilbert-weighted": {graph.TaskEmbed, "weightedmean", "answer"},
	"roberta-answer":      {graph.TaskAnswer, "none", "start end"},
	"mpnet-hidden":        {graph.TaskEncode, "none", "hidden"},
	"mpnet-int8":          {graph.TaskEncode, "none", "hidden"},
	"mobilebert-int8":     {graph.TaskEncode, "none", "hidden"},
	"bert-fused":          {graph.TaskEncode, "none", "hidden"},
	"bert-fused-int8":     {graph.TaskEncode, "none", "hidden"},
}

// TestSmall reads models of architectures and exporters that the fixtures have no ONNX
// files of, and compares them with what torch computed; under other names too.
func TestSmall(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var goldens map[string][]struct {
		IDs     []int32
		Outputs [][]float32
	}
	if err := json.Unmarshal(data, &goldens); err != nil {
		t.Fatal(err)
	}
	for name, want := range small {
		t.Run(name, func(t *testing.T) {
			m := open(t, filepath.Join("testdata", name+".onnx"))
			g, report := build(t, m)
			var roles []string
			for _, o := range report.Outputs {
				roles = append(roles, o.Role)
			}
			if g.Task != want.task || g.Pooling().String() != want.pool || strings.Join(roles, " ") != want.outputs {
				t.Errorf("%s by %v, outputs %v; want %s by %v, %s", g.Task, g.Pooling(), roles, want.task, want.pool, want.outputs)
			}
			bound := 2e-5
			if strings.Contains(name, "half") {
				bound = 3e-3 // the goldens are of the weights before they were rounded
			}
			top := 0.0
			for _, c := range goldens[name] {
				got, err := g.Reference().Run(c.IDs, nil, nil, g.Answer)
				if err != nil {
					t.Fatal(err)
				}
				top = max(top, worst(t, got[0], interleaved(c.Outputs)))
			}
			t.Logf("%.1e from torch, %.1e from the graph at %v", top, report.Diff, report.Lengths)
			if !(top <= bound) {
				t.Errorf("%.1e from torch", top)
			}
			other, _ := build(t, disguised(m, 5))
			if diff := cmp.Diff(fingerprint(g), fingerprint(other)); diff != "" {
				t.Errorf("another model with other names:\n%s", diff)
			}
		})
	}
}

// interleaved is the outputs as columns side by side.
func interleaved(outputs [][]float32) []float32 {
	if len(outputs) == 1 {
		return outputs[0]
	}
	var all []float32
	for i := range outputs[0] {
		for _, o := range outputs {
			all = append(all, o[i])
		}
	}
	return all
}

// TestDistances expects the relative positions of all layers to be of one table, and to
// go through the layers that make the keys and queries of the words, which they share.
func TestDistances(t *testing.T) {
	g, _ := build(t, open(t, "testdata/deberta-classify.onnx"))
	var table *graph.Table
	made := map[graph.ID]*graph.LinearWeights{}
	for _, op := range g.Ops {
		switch o := op.(type) {
		case *graph.Linear:
			made[o.Out] = o.W
		case *graph.Attention:
			d := o.Relative.(*graph.Disentangled)
			if d.Span != 8 || d.Buckets != 8 || d.MaxPosition != 20 {
				t.Errorf("%d rows either side, %d buckets to %d; want 8, 8, 20", d.Span, d.Buckets, d.MaxPosition)
			}
			if table != nil && d.Table != table {
				t.Error("two tables")
			}
			table = d.Table
			if d.Keys != made[o.K.X] || d.Queries != made[o.Q.X] {
				t.Errorf("rows go through %s and %s, the words through %s and %s", d.Keys.Name, d.Queries.Name, made[o.K.X].Name, made[o.Q.X].Name)
			}
		}
	}
}

// TestWindow expects a window to be seen, though no text that is compared may need it.
func TestWindow(t *testing.T) {
	g, _ := build(t, open(t, "testdata/modernbert-embed.onnx"))
	var windows []int
	for _, op := range g.Ops {
		if a, ok := op.(*graph.Attention); ok {
			windows = append(windows, a.Window)
		}
	}
	if diff := cmp.Diff([]int{0, 3}, windows); diff != "" {
		t.Error(diff)
	}
}

// TestTied expects the word table and the decoder to be one array where they are equal.
func TestTied(t *testing.T) {
	for _, path := range []string{"testdata/albert-words.onnx", fixture(t, "bert-masked-lm/model")} {
		g, _ := build(t, open(t, path))
		var words *graph.Table
		var decoder *graph.LinearWeights
		for _, op := range g.Ops {
			switch o := op.(type) {
			case *graph.Embed:
				words = o.Lookups[0].Table
			case *graph.Linear:
				decoder = o.W
			}
		}
		if &words.Data[0] != &decoder.Weight[0] || words.Int8 != decoder.Int8 {
			t.Errorf("%s: the decoder is stored twice", path)
		}
	}
}

// TestShared expects ALBERT's layers to share their weights.
func TestShared(t *testing.T) {
	g, _ := build(t, open(t, fixture(t, "albert-sequence-classification/model")))
	layers, runs := graph.Linears(g.Ops), 0
	for _, op := range g.Ops {
		if _, ok := op.(*graph.Linear); ok {
			runs++
		}
	}
	if len(layers) != 9 || runs != 1+3*6+2 {
		t.Errorf("%d layers of weights run %d times, want 9 and 21", len(layers), runs)
	}
}
