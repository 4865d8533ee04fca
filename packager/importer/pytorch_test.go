package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/safetensors"
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

// fromGolden is how far a model is from the golden file of dir: last hidden
// states, and the embeddings where it embeds.
func fromGolden(t *testing.T, dir string, m *graph.Model) (hidden, embedding float64) {
	t.Helper()
	var g struct {
		Cases []struct {
			Text  any     `json:"text"`
			IDs   []int32 `json:"input_ids"`
			Types []int32 `json:"token_type_ids"`
		} `json:"cases"`
	}
	file := readGolden(t, filepath.Join(dir, "golden"), &g)
	for i, c := range g.Cases {
		states, err := m.Reference().Hidden(c.IDs, c.Types, nil)
		if err != nil {
			t.Fatal(err)
		}
		hidden = max(hidden, worst(t, states[len(states)-1], floats(t, file, fmt.Sprintf("%d.last_hidden_state", i))))
		if m.Task != graph.TaskEmbed {
			continue
		}
		got, err := m.Reference().Embed(c.Text.(string))
		if err != nil {
			t.Fatal(err)
		}
		embedding = max(embedding, worst(t, got, floats(t, file, fmt.Sprintf("%d.embedding", i))))
	}
	if len(g.Cases) == 0 {
		t.Error("no cases")
	}
	return hidden, embedding
}

// TestPyTorchFixtures imports every BERT fixture from its PyTorch files, in each
// format it has, and compares it with the golden file.
func TestPyTorchFixtures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "bert-*", "pytorch_model*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range files {
		dir, name := filepath.Split(path)
		weights, bound := map[string]string{torch.SingleName: name}, 2e-5
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
			bound = 0.2 // the weights are rounded to 8 bits, the golden's are not
		}
		seen++
		t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
			hidden, embedding := fromGolden(t, dir, openModel(t, withWeights(t, dir, weights)))
			t.Logf("hidden states %.1e, embeddings %.1e", hidden, embedding)
			if !(hidden <= bound) || !(embedding <= 1e-5) {
				t.Errorf("hidden states differ by %.1e, embeddings by %.1e", hidden, embedding)
			}
		})
	}
	if seen < 12 {
		t.Errorf("only %d files", seen)
	}
}

// TestQuantisedImport: a state dict with packed Linears imports as float32 and
// says so.
func TestQuantisedImport(t *testing.T) {
	dir := shared(t, "fixtures", "bert-sequence-classification")
	for _, name := range []string{"pytorch_model_qint8.bin", "pytorch_model_qint8_per_channel.bin"} {
		for _, path := range []string{withWeights(t, dir, map[string]string{torch.SingleName: name}), filepath.Join(dir, name)} {
			d, err := Inspect(context.Background(), path)
			if err != nil {
				t.Error(err)
				continue
			}
			if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, "14 tensors are stored quantised and are read as float32") {
				t.Errorf("%s: notes %q", path, notes)
			}
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
