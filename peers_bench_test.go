package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/runtime/infer"
)

// BenchmarkPeerMiniLM times one text of MiniLM on one worker beside onnxruntime's
// int8 on one thread, in one run on one machine: the ratio is what to look at.
func BenchmarkPeerMiniLM(b *testing.B) {
	python(b)
	onnx, model := shared(b, "minilm/model.int8.onnx"), shared(b, "models/all-MiniLM-L6-v2")
	home := home(b.TempDir())
	path, pub := filepath.Join(string(home), "minilm.skiff"), filepath.Join(string(home), "skiff", publicFile)
	pack := home.command(b, "pack", "--fast", model, "-o", path)
	if out, err := pack.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	trust, err := sign.LoadTrust(pub)
	if err != nil {
		b.Fatal(err)
	}
	packed, err := bundle.OpenFile(path, trust)
	if err != nil {
		b.Fatal(err)
	}
	defer packed.Close()
	m, err := infer.Load(b.Context(), packed, infer.Config{Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close(b.Context())
	for _, tokens := range []int{16, 128} {
		text := strings.TrimSpace(strings.Repeat("boat ", tokens-2))
		if n := m.Tokens(text); n != tokens {
			b.Fatalf("%d tokens, want %d", n, tokens)
		}
		b.Run(fmt.Sprintf("tokens=%d/%s", tokens, m.Kernels()), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Embed(b.Context(), []string{text}); err != nil {
					b.Fatal(err)
				}
			}
			ours := b.Elapsed().Seconds() * 1e3 / float64(b.N)
			theirs := onnxruntime(b, onnx, tokens)
			b.ReportMetric(ours, "ms/text")
			b.ReportMetric(theirs, "onnxruntime-ms/text")
			b.ReportMetric(ours/theirs, "of-onnxruntime")
		})
	}
}

// onnxruntime returns its milliseconds for one text.
func onnxruntime(b *testing.B, onnx string, tokens int) float64 {
	b.Helper()
	var result struct{ MS map[string]float64 }
	if err := json.Unmarshal(peer(b, "", "testdata/peers/onnx_minilm.py", onnx, strconv.Itoa(tokens)), &result); err != nil {
		b.Fatal(err)
	}
	return result.MS[strconv.Itoa(tokens)]
}
