package packager

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"skiff/formats/bundle"
	"skiff/packager/corpus"
	"skiff/packager/graph"
	"skiff/runtime/infer"
)

// measure compares the int8 answers with the float32 reference on the corpus.
func (p *pack) measure(ctx context.Context, model *infer.Model) error {
	reference, prompt := p.model.Reference(), p.model.PromptTokens(p.model.Prefix)
	cosines := make([]float64, 0, len(p.texts))
	for i, text := range p.texts {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		ids := p.encode(text)
		want, err := reference.RunPrompted(ids, prompt, nil, p.model.Answer)
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		got, err := model.Logits(ctx, []string{text})
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		cosines = append(cosines, agreement(slices.Concat(got[0]...), p.answered(ids, want[0])))
		p.cfg.Progress("measure", i+1, len(p.texts))
	}
	sort.Float64s(cosines)
	p.manifest.Quality = bundle.Quality{
		Metric: "cosine", Data: bundle.Digest(corpus.Digest()), Count: len(cosines),
		CosineMean: round(mean(cosines)), CosineP1: round(cosines[len(cosines)/100]), CosineMin: round(cosines[0]),
	}
	return nil
}

// agreement is the cosine of two answers; of single numbers, which have no angle, it is one
// less their distance over the larger of one and the reference's magnitude.
func agreement(got, want []float32) float64 {
	if len(want) != 1 {
		return Cosine(got, want)
	}
	return 1 - math.Abs(float64(got[0])-float64(want[0]))/max(1, math.Abs(float64(want[0])))
}

// answered is the part of the reference's answer that a program makes: all of it, but for
// masks only the rows of masked tokens.
func (p *pack) answered(ids []int32, want []float32) []float32 {
	if p.task.Mask == "" {
		return want
	}
	mask, _ := p.tok.ID(p.task.Mask)
	var out []float32
	for row, id := range ids {
		if id == mask {
			out = append(out, want[row*p.model.Dim():(row+1)*p.model.Dim()]...)
		}
	}
	return out
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
		Kept: p.quant.Kept(), Goldens: len(p.manifest.Goldens), Outliers: map[string]int{}, Sections: map[string]int64{},
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
