package importer

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/safetensors"
	"skiff/packager/graph"
)

// The largest differences of an ONNX file's answers to those of the float32 original,
// relative as bound: float32 files, which are held to it; files in half precision, whose
// constants, such as the epsilon of a norm, are rounded as well; files of int8 codes.
const (
	halfBound = 2e-3
	int8Bound = 0.3
)

// exports are files of every architecture, made by the script beside them.
const exports = "testdata/exports"

// TestExports imports ONNX files of every architecture, in three types of numbers.
func TestExports(t *testing.T) {
	found := make(imports)
	importONNX(t, found, exports)
	for _, arch := range []string{"bert", "distilbert", "roberta", "xlm-roberta", "electra", "albert", "mpnet", "mobilebert", "deberta-v2", "modernbert"} {
		if len(found[arch]) != 3 {
			t.Errorf("%s: imported from %v", arch, found[arch])
		}
	}
}

// importONNX imports the exports in the folders below roots, and compares their answers
// with the original's. Files that are quantised statically are not among them.
func importONNX(t *testing.T, found imports, roots ...string) {
	t.Helper()
	for column, pattern := range map[string]string{colONNX: "model.onnx", colHalf: "model.f16.onnx", colInt8: "model.*int8.onnx"} {
		bound := map[string]float64{colONNX: bound, colHalf: halfBound, colInt8: int8Bound}[column]
		for _, root := range roots {
			files, err := filepath.Glob(filepath.Join(root, "*", pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if strings.Contains(file, "hostile") {
					continue
				}
				m, err := Open(t.Context(), file)
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				d := compareExport(t, m, filepath.Dir(file))
				t.Logf("%-14s %-10s %.1e %s", column, taskOf(m), d, file)
				if !(d <= bound) {
					t.Errorf("%s: %.1e away", file, d)
					continue
				}
				found.note(archAt(t, filepath.Dir(file)), column, taskOf(m))
			}
		}
	}
}

// archAt is the architecture that the config.json of a folder names; the graph of an ONNX
// file names none.
func archAt(t *testing.T, dir string) string {
	t.Helper()
	f, err := osFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(f, "")
	if err != nil {
		t.Fatal(err)
	}
	return c.modelType
}

// compareExport is the largest difference of a model's answers to those that are noted in
// its folder.
func compareExport(t *testing.T, m *graph.Model, dir string) float64 {
	t.Helper()
	name := "expected.safetensors"
	var g goldenModel
	if !strings.HasPrefix(dir, exports) {
		name = "golden.safetensors"
		readGolden(t, filepath.Join(dir, "golden"), &g)
	}
	file, err := safetensors.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if g.Cases == nil {
		for i := range 3 {
			c := goldenCase{IDs: ints(t, file, fmt.Sprintf("%d.ids", i)), Types: ints(t, file, fmt.Sprintf("%d.types", i))}
			for _, name := range file.Names() {
				if strings.HasPrefix(name, fmt.Sprint(i)) && strings.HasSuffix(name, "logits") {
					c.Has = append(c.Has, name)
				}
			}
			g.Cases = append(g.Cases, c)
		}
	}
	p := &parity{worst: make(map[string]float64)}
	for i, c := range g.Cases {
		var answers []string
		for _, output := range c.Has {
			if strings.HasSuffix(output, "logits") || strings.HasSuffix(output, ".embedding") || m.Head == nil && strings.HasSuffix(output, ".last_hidden_state") {
				answers = append(answers, output)
			}
		}
		c.Has = answers
		p.compare(t, m.Reference(), m, c, file, i)
	}
	if p.outputs < len(g.Cases) || len(g.Cases) == 0 {
		t.Errorf("%s: %d outputs of %d cases", dir, p.outputs, len(g.Cases))
	}
	most := 0.0
	for _, w := range p.worst {
		most = max(most, w)
	}
	return most
}
