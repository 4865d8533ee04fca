package packager_test

import (
	"bytes"
	"context"
	"testing"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/builtin"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// pack packs the built-in model with a fixed key.
func pack(t testing.TB, cfg packager.Config) (*bundle.Bundle, packager.Report) {
	t.Helper()
	ctx := context.Background()
	fsys, err := builtin.Model()
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.OpenFS(ctx, fsys, builtin.Name)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Key = testKey(t)
	b, report, err := packager.Pack(ctx, m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b, report
}

func testKey(t testing.TB) sign.Private {
	t.Helper()
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The built-in model keeps its quality in int8, and the bundle proves itself on every
// kind of machine.
func TestPackBuiltin(t *testing.T) {
	b, report := pack(t, packager.Config{Fast: true})
	var file bytes.Buffer
	if _, err := b.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %+v", file.Len(), report)
	if q := report.Quality; q.CosineMean < 0.998 || q.CosineMin < 0.99 {
		t.Errorf("cosine mean %.5f, min %.5f", q.CosineMean, q.CosineMin)
	}
	ctx := context.Background()
	for _, kind := range []string{"wasm", "go", "interp"} {
		if kind == "interp" && raceEnabled {
			continue
		}
		m, err := infer.Load(ctx, b, infer.Config{Kernels: kind})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := m.Prove(ctx); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := m.Close(ctx); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
