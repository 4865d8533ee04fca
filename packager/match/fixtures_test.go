package match

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/onnx"
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

// shortName is a fixture's folder and file.
func shortName(path string) string {
	return filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), ".onnx")
}

func TestFixtures(t *testing.T) {
	for _, path := range fixtures(t) {
		t.Run(shortName(path), func(t *testing.T) {
			m, err := onnx.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			g, report, err := Build(context.Background(), m, Hints{})
			if strings.Contains(path, "qdq") {
				if err == nil {
					t.Error("accepted")
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d layers, %d heads, hidden %d, inner %d, %d words, %d places, eps %g: %.1e at %v; %v", g.Task, g.Layers, g.Heads, g.Hidden, g.Inner, g.Vocab, g.MaxPositions, g.Eps, report.Diff, report.Lengths, report.Notes)
		})
	}
}
