package packager_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/formats/bundle"
	"skiff/packager"
	"skiff/packager/builtin"
	"skiff/packager/graph"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// BenchmarkEmbed is the time of one sentence of 16 and of 128 tokens, on one and two
// workers of each engine worth timing: the built-in model, and all-MiniLM-L6-v2 where
// ../shared has it.
func BenchmarkEmbed(b *testing.B) {
	for _, m := range benchModels(b) {
		packed, _, err := packager.Pack(b.Context(), m, packager.Config{Key: fixedKey(), Fast: true})
		if err != nil {
			b.Fatal(err)
		}
		for _, tokens := range []int{16, 128} {
			for _, cfg := range []infer.Config{{Kernels: "wasm", Workers: 1}, {Kernels: "wasm", Workers: 2}, {Kernels: "go", Workers: 1}} {
				name := fmt.Sprintf("%s/%dtokens/%s/%dworkers", m.Name, tokens, cfg.Kernels, cfg.Workers)
				b.Run(name, func(b *testing.B) { benchEmbed(b, packed, cfg, tokens) })
			}
		}
	}
}

func benchModels(b *testing.B) []*graph.Model {
	ctx := b.Context()
	files, err := builtin.Model()
	if err != nil {
		b.Fatal(err)
	}
	small, err := importer.OpenFS(ctx, files, builtin.Name)
	if err != nil {
		b.Fatal(err)
	}
	models := []*graph.Model{small}
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(root, "models", "all-MiniLM-L6-v2")
	if _, err := os.Stat(dir); err != nil {
		b.Logf("SKIPPED LOUDLY: %s is not here", dir)
		return models
	}
	large, err := importer.Open(ctx, dir)
	if err != nil {
		b.Fatal(err)
	}
	return append(models, large)
}

func benchEmbed(b *testing.B, packed *bundle.Bundle, cfg infer.Config, tokens int) {
	ctx := context.Background()
	m, err := infer.Load(ctx, packed, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close(ctx)
	texts := []string{strings.TrimSpace(strings.Repeat("a ", tokens-2))}
	if n := m.Tokens(texts[0]); n != tokens {
		b.Fatalf("%d tokens", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Embed(ctx, texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/sentence")
}
