package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skiff/agent/serve"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// fixture packs and loads a model of ../shared/fixtures, and reads what the original library answers.
func fixture(t *testing.T, name string, golden any) *Model {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "fixtures", name)
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is not here (set SKIFF_SHARED)", dir)
	}
	if err := json.Unmarshal(data, golden); err != nil {
		t.Fatal(err)
	}
	g, err := importer.OpenFS(t.Context(), os.DirFS(dir), name)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := packager.Pack(t.Context(), g, packager.Config{Key: sign.FromSeed([32]byte{1}), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), b, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

// ask posts a request to an API that serves m.
func ask(t *testing.T, m *Model, path string, request, answer any) {
	t.Helper()
	s, err := serve.Listen(serve.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Swap(m)
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
		t.Fatal(err)
	}
}

// loss is how far int8 may move a score of these models, whose weights are random and wide.
const loss = 0.1

func near(a, b float64) bool { return math.Abs(a-b) < loss }

func TestServeClassify(t *testing.T) {
	var golden struct {
		Texts []any
		Cases []struct{ Scores map[string]float64 }
	}
	m := fixture(t, "bert-sequence-classification", &golden)
	var answer struct {
		Data []struct {
			Index  int
			Label  string
			Score  float64
			Labels []string
			Scores map[string]float64
		}
	}
	ask(t, m, "/v1/classify", map[string]any{"input": golden.Texts}, &answer)
	if len(answer.Data) != len(golden.Cases) || m.Info().Task != infer.TaskClassify {
		t.Fatalf("%d answers for %d, task %s", len(answer.Data), len(golden.Cases), m.Info().Task)
	}
	for i, d := range answer.Data {
		if d.Index != i || len(d.Scores) != 3 || d.Score != d.Scores[d.Label] {
			t.Errorf("answer %d: %+v", i, d)
		}
		for label, want := range golden.Cases[i].Scores {
			if !near(d.Scores[label], want) {
				t.Errorf("case %d %s: %g, want %g", i, label, d.Scores[label], want)
			}
		}
		if d.Labels != nil {
			t.Errorf("answer %d: labels %v without a threshold", i, d.Labels)
		}
	}
	first := answer.Data[0].Scores
	for _, threshold := range first {
		ask(t, m, "/v1/classify", map[string]any{"input": golden.Texts[:1], "threshold": threshold}, &answer)
		for label, score := range first {
			if slices.Contains(answer.Data[0].Labels, label) != (score >= threshold) {
				t.Errorf("threshold %g: labels %v of %v", threshold, answer.Data[0].Labels, first)
			}
		}
	}
}

func TestServeRank(t *testing.T) {
	var golden struct {
		Texts [][2]string
		Cases []struct{ Scores map[string]float64 }
	}
	m := fixture(t, "bert-cross-encoder", &golden)
	for i, pair := range golden.Texts {
		var answer struct {
			Results []struct {
				Index int
				Score float64
			}
		}
		ask(t, m, "/v1/rank", map[string]any{"query": pair[0], "documents": []string{"a", pair[1], "the list"}}, &answer)
		last := math.Inf(1)
		if len(answer.Results) != 3 {
			t.Fatalf("%+v", answer)
		}
		for _, r := range answer.Results {
			if r.Score > last || r.Index == 1 && !near(r.Score, golden.Cases[i].Scores["LABEL_0"]) {
				t.Errorf("case %d: %+v, want %v", i, answer, golden.Cases[i].Scores)
			}
			last = r.Score
		}
	}
}

func TestServeTag(t *testing.T) {
	var golden struct{ Texts []string }
	m := fixture(t, "bert-token-classification", &golden)
	texts := golden.Texts
	for len(texts) <= tagBatch {
		texts = append(texts, golden.Texts...)
	}
	found := 0
	for _, aggregation := range []string{"none", "simple", "first", "average", "max"} {
		var answer struct {
			Data []struct {
				Index    int
				Entities []serve.Entity
			}
		}
		ask(t, m, "/v1/tag", map[string]any{"input": texts, "aggregation": aggregation}, &answer)
		if len(answer.Data) != len(texts) {
			t.Fatalf("%d answers for %d texts", len(answer.Data), len(texts))
		}
		for i, d := range answer.Data {
			runes := []rune(texts[i])
			for _, e := range d.Entities {
				found++
				if d.Index != i || e.Text != string(runes[e.Start:e.End]) || e.Text == "" || e.Label == "" || e.Score <= 0 {
					t.Errorf("%s, text %d: %+v", aggregation, i, e)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no entities")
	}
	if _, err := m.Tag(t.Context(), texts, "sum"); !errors.Is(err, serve.ErrInput) {
		t.Errorf("unknown aggregation: %v", err)
	}
}

func TestServeFillMask(t *testing.T) {
	var golden struct {
		Texts []string
		Cases []struct {
			Masks []struct{ Top5 []struct{ Score float64 } }
		}
	}
	m := fixture(t, "bert-masked-lm", &golden)
	var answer struct {
		Data []struct {
			Index int
			Masks [][]serve.Candidate
		}
	}
	texts := golden.Texts
	for range 3 { // more masks than one call holds
		texts = append(texts, golden.Texts...)
	}
	ask(t, m, "/v1/fill-mask", map[string]any{"input": texts, "top_k": 7}, &answer)
	if len(answer.Data) != len(texts) {
		t.Fatalf("%d answers for %d texts", len(answer.Data), len(texts))
	}
	for i, d := range answer.Data {
		want := golden.Cases[i%len(golden.Cases)].Masks
		if len(d.Masks) != len(want) || d.Masks == nil {
			t.Fatalf("text %d: %d masks, want %d", i, len(d.Masks), len(want))
		}
		for j, words := range d.Masks {
			if len(words) != 7 || words[0].Token == "" || !near(float64(words[0].Score), want[j].Top5[0].Score) {
				t.Errorf("text %d mask %d: %+v", i, j, words)
			}
		}
		if again := fmt.Sprint(answer.Data[i%len(golden.Cases)].Masks); fmt.Sprint(d.Masks) != again {
			t.Errorf("text %d: %v, before %s", i, d.Masks, again)
		}
	}
	if _, err := m.FillMask(t.Context(), []string{"a", strings.Repeat("[MASK] ", serve.MaxMasks+1)}, 5); !errors.Is(err, serve.ErrInput) {
		t.Errorf("too many masks: %v", err)
	}
}

// Answers are parts of the context, widened to whole words, close to the golden ones.
func TestServeAnswer(t *testing.T) {
	var golden struct {
		Cases []struct {
			Text     [2]string
			Pipeline *struct {
				Score      float64
				Start, End int
			}
		}
	}
	m := fixture(t, "bert-question-answering", &golden)
	same, all := 0, 0
	for i, c := range golden.Cases {
		var got serve.Answer
		ask(t, m, "/v1/answer", map[string]string{"question": c.Text[0], "context": c.Text[1]}, &got)
		if part := string([]rune(c.Text[1])[got.Start:got.End]); part != got.Text || got.Text == "" {
			t.Errorf("case %d: %+v, the context has %q there", i, got, part)
		}
		if c.Pipeline == nil {
			continue
		}
		all++
		if got.Start == c.Pipeline.Start && got.End == c.Pipeline.End {
			same++
		}
	}
	if all == 0 || same*4 < all*3 {
		t.Errorf("%d of %d answers are the golden ones", same, all)
	}
	var several struct {
		serve.Answer
		Answers []serve.Answer
	}
	request := map[string]any{"question": golden.Cases[0].Text[0], "context": golden.Cases[0].Text[1], "top_k": 3, "handle_impossible_answer": true}
	ask(t, m, "/v1/answer", request, &several)
	if len(several.Answers) != 3 || several.Answers[0] != several.Answer || several.Answers[0].Score < several.Answers[1].Score {
		t.Errorf("%+v", several)
	}
	shorter, empty := 0, map[bool]int{}
	for _, c := range golden.Cases {
		question := map[string]any{"question": c.Text[0], "context": c.Text[1]}
		var free, one serve.Answer
		ask(t, m, "/v1/answer", question, &free)
		ask(t, m, "/v1/answer", merged(question, "max_answer_len", 1), &one)
		if len(one.Text) < len(free.Text) {
			shorter++
		}
		for _, impossible := range []bool{false, true} {
			several.Answers = nil
			ask(t, m, "/v1/answer", merged(merged(question, "top_k", 100), "handle_impossible_answer", impossible), &several)
			if slices.ContainsFunc(several.Answers, func(a serve.Answer) bool { return a.Text == "" }) {
				empty[impossible]++
			}
		}
	}
	if shorter == 0 || empty[false] != 0 || empty[true] == 0 {
		t.Errorf("%d answers are shorter as one token; %d lists hold none where it is not asked for, %d where it is", shorter, empty[false], empty[true])
	}
	for param, how := range map[string]serve.Search{"question": {Window: 4}, "doc_stride": {Window: 16, Stride: 400}} {
		_, err := m.Find(t.Context(), golden.Cases[0].Text[0], golden.Cases[0].Text[1], how)
		if bad, ok := errors.AsType[*serve.InputError](err); !ok || bad.Param != param || !errors.Is(err, serve.ErrInput) {
			t.Errorf("%+v: %v", how, err)
		}
	}
}

// merged is a request with one more field.
func merged(request map[string]any, field string, value any) map[string]any {
	all := maps.Clone(request)
	all[field] = value
	return all
}
