package packager_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"skiff/packager"
	"skiff/packager/importer"
)

// Every fixture of ../shared goes the whole way: it is imported, packed for its task, and
// the bundle proves itself. Weights there are random and wide, so int8 loses more than on
// a trained model; the report's quality is printed.
func TestPackFixtures(t *testing.T) {
	goldens, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "golden.json"))
	if err != nil || len(goldens) == 0 {
		t.Fatal("no fixtures", err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %-10s %-16s %8s %8s %7s", "model", "task", "metric", "mean", "least", "kernels")
	for i, golden := range goldens {
		dir := filepath.Dir(golden)
		name := filepath.Base(dir)
		if testing.Short() && strings.HasPrefix(name, "bert-") && i%4 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := importer.Open(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			b, report, err := packager.Pack(context.Background(), m, packager.Config{Key: fixedKey(), Fast: true})
			if errors.Is(err, packager.ErrTask) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			q := report.Quality
			fmt.Fprintf(&table, "\n%-36s %-10s %-16s %8.5f %8.5f %7d", name, b.Manifest.Task, q.Metric, q.CosineMean, q.CosineMin, len(report.Kernels))
			if q.CosineMean < 0.98 && m.Dim() > 2 { // one logit near zero has no direction
				t.Errorf("cosine %.5f", q.CosineMean)
			}
		})
	}
	t.Log("int8 against float32\n" + table.String())
}
