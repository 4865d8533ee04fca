package importer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
	"skiff/formats/tokenizer"
	"skiff/packager/graph"
)

// bound is the largest difference to a golden value, relative to max(1, largest
// value of the tensor).
const bound = 1e-4

// goldenModel is the golden.json of a fixture.
type goldenModel struct {
	Task      string       `json:"task"`
	MaxLength int          `json:"max_length"`
	Cases     []goldenCase `json:"cases"`
}

type goldenCase struct {
	Text  any      `json:"text"`
	IDs   []int32  `json:"input_ids"`
	Types []int32  `json:"token_type_ids"`
	Has   []string `json:"outputs"`
}

// parity is what one fixture's comparison found.
type parity struct {
	cases   int
	ids     string
	worst   map[string]float64 // by output
	outputs int
	graph   bool // of an ONNX file, which need not have a pooler that nothing asks for
}

// TestFixtures imports every fixture with safetensors weights and compares token
// ids, every hidden state, pooler, logits, spans and embeddings with the golden
// values of the original library. It prints a table.
func TestFixtures(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "golden.json"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no fixtures", err)
	}
	columns := []string{"hidden", "last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "pooled", "embedding"}
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %-9s %5s  %-20s", "model", "task", "cases", "ids")
	for _, c := range columns {
		fmt.Fprintf(&table, " %9.9s", c)
	}
	for _, golden := range dirs {
		dir := filepath.Dir(golden)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			m, p := checkFixture(t, dir, dir, bound)
			fmt.Fprintf(&table, "\n%-36s %-9s %5d  %-20.20s", name, m.Task, p.cases, p.ids)
			for _, c := range columns {
				if w, ok := p.worst[c]; ok {
					fmt.Fprintf(&table, " %9.1e", w)
				} else {
					fmt.Fprintf(&table, " %9s", "")
				}
			}
		})
	}
	t.Log("largest differences, relative to max(1, largest value)\n" + table.String())
}

// checkFixture compares the model in one folder, or the ONNX file, with the golden values
// in another folder.
func checkFixture(t *testing.T, dir, goldens string, bound float64) (*graph.Model, *parity) {
	t.Helper()
	f, err := modelAt(dir)
	if err != nil {
		t.Fatal(err)
	}
	same := "equal"
	m, _, err := openWith(context.Background(), f, func(f *folder, p *pipeline, m *graph.Model, c *contents) error {
		err := readTokenizer(f, p, m, c)
		if err != nil {
			same = "golden's: " + err.Error()
			t.Logf("ids are the golden's: %v", err)
		}
		return nil
	})
	if missing := (*Error)(nil); errors.As(err, &missing) && strings.HasPrefix(missing.Problem, "no weights") {
		t.Skipf("no safetensors: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var g goldenModel
	file := readGolden(t, filepath.Join(goldens, "golden"), &g)
	p := &parity{cases: len(g.Cases), ids: same, worst: make(map[string]float64), graph: f.exported != ""}
	ref := m.Reference()
	for i, c := range g.Cases {
		if m.Tokenizer != nil {
			checkIDs(t, m, c, g.MaxLength)
		}
		p.compare(t, ref, m, c, file, i)
	}
	for name, w := range p.worst {
		if !(w <= bound) {
			t.Errorf("%s differs by %.1e", name, w)
		}
	}
	return m, p
}

// checkIDs tokenises a case, a text or a pair of them. A question's text alone
// is cut in the model of question answering, which is the task's affair.
func checkIDs(t *testing.T, m *graph.Model, c goldenCase, most int) {
	t.Helper()
	switch text := c.Text.(type) {
	case string:
		if diff := cmp.Diff(c.IDs, m.Tokenizer.AppendIDs(nil, text, most)); diff != "" {
			t.Errorf("ids of %q: %s", text, diff)
		}
	case []any:
		if m.Task == graph.TaskAnswer && len(c.IDs) == most {
			return
		}
		cut, err := tokenizer.Parse(m.Tokenizer.Canonical(most))
		if err != nil {
			t.Fatal(err)
		}
		second := text[1].(string)
		enc, err := cut.Encode(text[0].(string), &second, true)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.IDs, enc.IDs); diff != "" {
			t.Errorf("ids of the pair %q: %s", text, diff)
		}
		if diff := cmp.Diff(c.Types, enc.TypeIDs); c.Types != nil && diff != "" {
			t.Errorf("types of the pair %q: %s", text, diff)
		}
	}
}

// compare runs a case and notes the largest difference of each output.
func (p *parity) compare(t *testing.T, ref *graph.Reference, m *graph.Model, c goldenCase, file *safetensors.File, i int) {
	t.Helper()
	got := make(map[string]graph.ID)
	for l, id := range m.States {
		got[fmt.Sprintf("hidden.%d", l)] = id
	}
	got["last_hidden_state"], got["pooler_output"], got["pooled"] = m.Last, m.Pooler, m.Pooled
	switch m.Task {
	case graph.TaskEmbed:
		got["embedding"] = m.Answer
	case graph.TaskAnswer:
		got["start_logits"], got["end_logits"] = m.Answer, m.Answer
	case graph.TaskClassify, graph.TaskTag, graph.TaskFillMask:
		got["logits"] = m.Answer
	}
	for _, output := range c.Has {
		_, name, _ := strings.Cut(output, ".")
		if strings.HasPrefix(name, "attn_probs") {
			continue
		}
		id := got[name]
		if id == 0 && name == "pooler_output" && p.graph {
			continue
		}
		if id == 0 {
			t.Fatalf("no value for %s", output)
		}
		values, err := ref.Run(c.IDs, c.Types, nil, id)
		if err != nil {
			t.Fatal(err)
		}
		v := values[0]
		if m.Task == graph.TaskAnswer && strings.HasSuffix(name, "_logits") {
			v = column(v, 2, map[string]int{"start_logits": 0, "end_logits": 1}[name])
		}
		kind, _, _ := strings.Cut(name, ".")
		p.worst[kind] = max(p.worst[kind], relative(t, v, floats(t, file, fmt.Sprintf("%d.%s", i, name))))
		p.outputs++
	}
}

// column is a column of rows of n values.
func column(x []float32, n, at int) []float32 {
	var out []float32
	for i := at; i < len(x); i += n {
		out = append(out, x[i])
	}
	return out
}

// relative is the largest difference over max(1, largest value).
func relative(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	largest, top := 1.0, 0.0
	for i, w := range want {
		largest = max(largest, float64(w), -float64(w))
		d := float64(got[i]) - float64(w)
		if d = max(d, -d); !(d <= top) {
			top = d
		}
	}
	return top / largest
}

// TestActivationNames compares every activation that is accepted by name with
// the original's values.
func TestActivationNames(t *testing.T) {
	file, err := safetensors.Open(shared(t, "fixtures", "ops", "activations.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	x := floats(t, file, "x")
	var known []string
	for _, name := range file.Names() {
		act, ok := activationOf(name)
		if !ok {
			continue
		}
		known = append(known, name)
		got := slices.Clone(x)
		for i, v := range got {
			got[i] = float32(act.Func()(float64(v)))
		}
		if w := worst(t, got, floats(t, file, name)); !(w <= 1e-6) {
			t.Errorf("%s differs by %.1e", name, w)
		}
	}
	t.Log(known)
	if len(known) < 11 {
		t.Errorf("only %v", known)
	}
}
