package match_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"skiff/formats/onnx"
	"skiff/packager/match"
)

// FuzzBuild reads graphs of any bytes: every one is a model that passes its own check,
// or an error.
func FuzzBuild(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Parse(data, nil)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		g, _, err := match.Build(ctx, m, match.Hints{})
		if err != nil {
			return
		}
		if err := g.Check(); err != nil {
			t.Error(err)
		}
	})
}
