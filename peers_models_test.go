package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skiff/formats/safetensors"
	"skiff/packager/graph"
	"skiff/packager/importer"
)

// peerBound is the largest difference to transformers' value, relative to max(1, largest
// value of the tensor).
const peerBound = 1e-4

// peerModel is a model that testdata/peers/random_models.py made.
type peerModel struct{ Name, Class, How, Arch string }

// TestPeerModels: transformers makes random models of every class and of many settings
// that importers know, in several kinds of files, and computes every hidden state and
// answer; the float32 reference gives the same. int8 files are compared with what the
// numbers of their codes give.
func TestPeerModels(t *testing.T) {
	dir := t.TempDir()
	var made struct {
		Versions string
		Models   []peerModel
		Failed   []string // exports that did not work
	}
	if err := json.Unmarshal(peer(t, "", "testdata/peers/random_models.py", dir), &made); err != nil {
		t.Fatal(err)
	}
	most, seen := map[string]float64{}, map[string]int{}
	for _, m := range made.Models {
		t.Run(m.Name, func(t *testing.T) {
			model, err := importer.Open(t.Context(), filepath.Join(dir, m.Name))
			if err != nil {
				t.Fatal(err)
			}
			d := comparePeer(t, model, filepath.Join(dir, m.Name, "expected.safetensors"))
			most[m.Arch], seen[m.Arch] = max(most[m.Arch], d), seen[m.Arch]+1
		})
	}
	var table strings.Builder
	for _, arch := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&table, "\n%-12s %3d models, at most %.1e away", arch, seen[arch], most[arch])
	}
	t.Logf("%s, not exported: %q%s", made.Versions, made.Failed, &table)
	if len(seen) < 9 {
		t.Errorf("%d architectures", len(seen))
	}
}

// comparePeer is the largest difference of any value of a model to those of a file.
func comparePeer(t *testing.T, m *graph.Model, file string) float64 {
	t.Helper()
	f, err := safetensors.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	most, answers := 0.0, 0
	for _, name := range f.Names() {
		sequence, kind, _ := strings.Cut(name, ".")
		if kind == "ids" || kind == "types" {
			continue
		}
		ids, _ := f.Tensor(sequence + ".ids")
		types, _ := f.Tensor(sequence + ".types")
		values, err := m.Reference().Run(int32s(ids.Data), int32s(types.Data), nil, peerValue(t, m, kind))
		if err != nil {
			t.Fatal(err)
		}
		got := values[0]
		if column, ok := map[string]int{"start": 0, "end": 1}[kind]; ok {
			got = nil
			for row := range slices.Chunk(values[0], 2) {
				got = append(got, row[column])
			}
		}
		view, _ := f.Tensor(name)
		want, err := view.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		d := furthest32(got, want)
		if !(d <= peerBound) {
			t.Errorf("%s: %.1e away", name, d)
		}
		most = max(most, d)
		if kind == "logits" || kind == "start" {
			answers++
		}
	}
	if m.Head != nil && answers == 0 {
		t.Error("no answers were compared")
	}
	return most
}

// peerValue is the value that transformers calls kind.
func peerValue(t *testing.T, m *graph.Model, kind string) graph.ID {
	t.Helper()
	id := map[string]graph.ID{"last": m.Last, "pooler": m.Pooler, "logits": m.Answer, "start": m.Answer, "end": m.Answer}[kind]
	var layer int
	if n, _ := fmt.Sscanf(kind, "hidden.%d", &layer); n == 1 && layer < len(m.States) {
		id = m.States[layer]
	}
	if id == 0 {
		t.Fatalf("the model has no %s", kind)
	}
	return id
}

// furthest32 is the largest difference over max(1, largest value).
func furthest32(got, want []float32) float64 {
	largest := 1.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	return furthest(got, want) / largest
}
