package packager_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"skiff/packager"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// Texts that spell the padding token out are answered as the float32 reference does, which
// numbers padding as the original models do.
func TestLiteralPadding(t *testing.T) {
	for _, name := range []string{"roberta-sequence-classification", "distilroberta-embed", "xlm-roberta-embed", "mpnet-embed"} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			m, err := importer.Open(ctx, filepath.Join(shared(t, "fixtures"), name))
			if err != nil {
				t.Fatal(err)
			}
			pad, ok := m.Tokenizer.ID("<pad>")
			if !ok {
				t.Fatal("no padding token")
			}
			b, _, err := packager.Pack(ctx, m, packager.Config{Key: fixedKey(), Fast: true})
			if err != nil {
				t.Fatal(err)
			}
			model, err := infer.Load(ctx, b, infer.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer model.Close(ctx)
			for _, text := range []string{"a <pad> man is <pad><pad> by the water", "<pad> water", "the water"} {
				ids, rows, err := model.Hidden(ctx, text)
				if err != nil {
					t.Fatal(err)
				}
				if literal := slices.Contains(ids, pad); literal != (text != "the water") {
					t.Errorf("%q: %v", text, ids)
				}
				want, err := m.Reference().Run(ids, nil, nil, m.Last)
				if err != nil {
					t.Fatal(err)
				}
				cosine := packager.Cosine(slices.Concat(rows...), want[0])
				t.Logf("%q: cosine %.5f", text, cosine)
				if cosine < 0.99 {
					t.Errorf("%q: cosine %.5f", text, cosine)
				}
			}
		})
	}
}
