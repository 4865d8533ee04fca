package match

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"skiff/formats/onnx"
)

func TestZoo(t *testing.T) {
	all, _ := filepath.Glob(os.Getenv("ZOO"))
	good := 0
	for _, path := range all {
		m, err := onnx.Open(path)
		if err != nil {
			t.Errorf("OPEN %s: %v", shortName(path), err)
			continue
		}
		g, report, err := Build(context.Background(), m, Hints{})
		if err != nil {
			t.Errorf("%s: %v", shortName(path), err)
			continue
		}
		good++
		t.Logf("%s: %s %s: %d layers, %d heads, hidden %d, inner %d, %d words, %d places, pool %v: %.1e at %v; %v", shortName(path), g.Task, report.Outputs, g.Layers, g.Heads, g.Hidden, g.Inner, g.Vocab, g.MaxPositions, g.Pooling(), report.Diff, report.Lengths, report.Notes)
		m.Close()
	}
	t.Logf("%d of %d", good, len(all))
}
