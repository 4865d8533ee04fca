package packager_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/tokenizer"
	"skiff/packager"
	"skiff/packager/graph"
	"skiff/runtime/infer"
)

// tinyHead is the tiny encoder with a linear head: over each token for fill-mask, over the
// first for classify.
func tinyHead(t testing.TB, task string) *graph.Model {
	t.Helper()
	vocab := slices.Insert(tinyVocab(), 4, "[MASK]")
	m, rng := tinyEncoder(t, vocab, 5)
	x, cols := m.Last, len(vocab)
	head := &graph.Head{Task: task}
	if task == graph.TaskClassify {
		cols, head.Labels, head.Problem = 3, []string{"a", "b", "c"}, graph.SingleLabel
		x = m.Pool(x, graph.PoolCLS)
	}
	m.Task, m.Head = task, head
	m.Answer = m.Linear(x, &graph.LinearWeights{Name: "head", In: m.Hidden, Out: cols, Weight: normal(rng, cols*m.Hidden, 0.3), Bias: normal(rng, cols, 0.1)}, 0)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

func packHead(t *testing.T, m *graph.Model) *bundle.Bundle {
	t.Helper()
	b, _, err := packager.Pack(context.Background(), m, packager.Config{Key: fixedKey(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loadHead(t *testing.T, b *bundle.Bundle, kernels string) *infer.Model {
	t.Helper()
	m, err := infer.Load(context.Background(), b, infer.Config{Kernels: kernels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

// Law 1 for picked tokens: a call that takes many passes, in which masks stand at different
// rows, answers each text as it would alone.
func TestMasksInBatches(t *testing.T) {
	b := packHead(t, tinyHead(t, graph.TaskFillMask))
	var texts []string
	for i := range 60 {
		texts = append(texts, strings.Repeat("the man ", i%7)+strings.Repeat("[MASK] of ", i%4)+strings.Repeat("water ", i%5))
	}
	for _, kernels := range []string{"wasm", "go"} {
		m := loadHead(t, b, kernels)
		all, err := m.FillMask(t.Context(), texts, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			alone, err := m.FillMask(t.Context(), []string{text}, 3)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alone[0], all[i]); diff != "" || len(all[i]) != i%4 {
				t.Fatalf("%s: text %d, %d masks (-alone +in the batch)\n%s", kernels, i, len(all[i]), diff)
			}
		}
		for masks, want := range map[int]error{16: nil, 17: infer.ErrInput, 40: infer.ErrInput} {
			if _, err := m.FillMask(t.Context(), []string{"[MASK]", strings.Repeat("[MASK] ", masks)}, 3); !errors.Is(err, want) {
				t.Errorf("%s: %d masks of the 16 that a pass holds: %v", kernels, masks, err)
			}
		}
	}
}

// A pair is one sequence in which the second text has another type: the answer is that of
// the float32 reference, and not that of the same tokens with one type.
func TestPairsKeepTheirTypes(t *testing.T) {
	model := tinyHead(t, graph.TaskClassify)
	m := loadHead(t, packHead(t, model), "go")
	tok, err := tokenizer.Parse(model.TokenizerJSON)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for i := range 8 {
		first, second := strings.Repeat("man ", 1+i%3), strings.Repeat("is water ", 1+i)
		got, err := m.Classify(t.Context(), []infer.Text{{First: "the"}, {First: first, Second: &second}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := tok.Encode(first, &second, true)
		if err != nil {
			t.Fatal(err)
		}
		with, without := softmaxOf(t, model, e.IDs, e.TypeIDs), softmaxOf(t, model, e.IDs, nil)
		near, far := distance(got[1].Scores, with), distance(got[1].Scores, without)
		if near > 0.05 {
			t.Errorf("pair %d: %v, the reference says %v", i, got[1].Scores, with)
		}
		if far > near {
			moved++
		}
	}
	if moved < 6 {
		t.Errorf("%d of 8 pairs are nearer to the reference with their types than without", moved)
	}
}

func softmaxOf(t *testing.T, m *graph.Model, ids, types []int32) []float32 {
	t.Helper()
	values, err := m.Reference().Run(ids, types, nil, m.Answer)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	out := make([]float32, len(values[0]))
	for _, x := range values[0] {
		sum += math.Exp(float64(x))
	}
	for i, x := range values[0] {
		out[i] = float32(math.Exp(float64(x)) / sum)
	}
	return out
}

func distance(a, b []float32) float64 {
	var most float64
	for i := range a {
		most = max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}

// A model is asked for what it is for.
func TestAnotherTaskIsRefused(t *testing.T) {
	m := loadHead(t, packHead(t, tinyHead(t, graph.TaskClassify)), "go")
	_, embed := m.Embed(t.Context(), []string{"x"})
	_, masks := m.FillMask(t.Context(), []string{"x"}, 1)
	for i, err := range []error{embed, masks} {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", infer.TaskClassify)) {
			t.Errorf("request %d: %v", i, err)
		}
	}
}
