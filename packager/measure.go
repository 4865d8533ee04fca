package packager

import (
	"context"
	"fmt"
	"math"
	"sort"

	"skiff/formats/bundle"
	"skiff/packager/corpus"
	"skiff/packager/graph"
	"skiff/runtime/infer"
)

// measure compares the int8 answers with the float32 reference on the corpus.
func (p *pack) measure(ctx context.Context, model *infer.Model) error {
	reference := p.model.Reference()
	cosines := make([]float64, 0, len(p.texts))
	for i, text := range p.texts {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		want, err := reference.EmbedIDs(p.encode(text), nil)
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		got, err := model.Embed(ctx, []string{text})
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		cosines = append(cosines, Cosine(got[0], want))
		p.cfg.Progress("measure", i+1, len(p.texts))
	}
	sort.Float64s(cosines)
	p.manifest.Quality = bundle.Quality{
		Metric: "cosine", Data: bundle.Digest(corpus.Digest()), Count: len(cosines),
		CosineMean: round(mean(cosines)), CosineP1: round(cosines[len(cosines)/100]), CosineMin: round(cosines[0]),
	}
	return nil
}

// round keeps five decimals: the reference's last bits depend on the CPU through exp and
// erf, and the same model must pack to the same bytes everywhere.
func round(x float64) float64 { return math.Round(x*1e5) / 1e5 }

// Cosine is the cosine of the angle between two vectors of equal length, 0 if one is zero.
func Cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// report describes the finished bundle.
func (p *pack) report(b *bundle.Bundle) Report {
	r := Report{
		Quality: p.manifest.Quality, Memory: p.manifest.Memory, Kernels: p.compiled.Program.Kernels,
		Goldens: len(p.manifest.Goldens), Outliers: map[string]int{}, Sections: map[string]int64{},
	}
	for t := range p.quant.Tables {
		r.Params += len(t.Data)
	}
	for _, l := range graph.Linears(p.quant.Ops) {
		r.Params += len(l.Weight) + len(l.Bias)
		r.Outliers[l.Name] = len(p.outliers[l.Name])
	}
	seen := map[uint32]bool{}
	for _, o := range b.Manifest.Objects {
		for _, e := range o.Extents {
			if !seen[e.Chunk] {
				seen[e.Chunk] = true
				r.Sections[o.Kind.String()] += int64(b.Index[e.Chunk].Encodings[0].Length)
			}
		}
	}
	return r
}
