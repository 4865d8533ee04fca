package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// skilled is a fake that does every task but is for one.
type skilled struct {
	fake
	task string
}

func (f *skilled) Info() Info { return Info{Name: "mini", Task: f.task} }

func (f *skilled) Classify(_ context.Context, inputs []Text, threshold *float64) ([]Classification, error) {
	out := make([]Classification, len(inputs))
	for i, in := range inputs {
		label := in.First
		if in.Second != nil {
			label += "+" + *in.Second
		}
		out[i] = Classification{Label: label, Score: 0.5, Scores: map[string]float32{label: 0.5, "b": 0.25}}
		if threshold != nil {
			out[i].Labels = []string{}
			if *threshold <= 0.5 {
				out[i].Labels = append(out[i].Labels, label)
			}
		}
	}
	return out, f.err
}

// Rank scores a document by its length.
func (f *skilled) Rank(_ context.Context, query string, documents []string) ([]float32, error) {
	out := make([]float32, len(documents))
	for i, d := range documents {
		out[i] = float32(len(d))
	}
	return out, f.err
}

func (f *skilled) Tag(_ context.Context, texts []string, aggregation string) ([][]Entity, error) {
	out := make([][]Entity, len(texts))
	for i, text := range texts {
		if text != "" {
			out[i] = []Entity{{Label: aggregation, Text: text, Start: 0, End: len([]rune(text)), Score: 0.5}}
		}
	}
	return out, f.err
}

// Find answers with the question, once for each answer wanted.
func (f *skilled) Find(_ context.Context, question, text string, how Search) ([]Answer, error) {
	if how.Stride > 100 {
		return nil, &InputError{"doc_stride", errors.New("make it less")}
	}
	var out []Answer
	for i := range max(how.Top, 1) {
		out = append(out, Answer{Text: question, Start: how.Window, End: how.MaxAnswer, Score: float32(i)})
	}
	if text == "" {
		out = nil
	}
	return out, f.err
}

func (f *skilled) FillMask(_ context.Context, texts []string, k int) ([][][]Candidate, error) {
	out := make([][][]Candidate, len(texts))
	for i, text := range texts {
		switch n := strings.Count(text, "_"); {
		case n > MaxMasks:
			return nil, fmt.Errorf("%w: text %d", ErrInput, i)
		case n > 0:
			out[i] = [][]Candidate{{{Token: "w", ID: int32(k), Score: 0.5}}}
		}
	}
	return out, f.err
}

func TestTasks(t *testing.T) {
	tests := []struct{ task, body, want string }{
		{"classify", `{"input":"a"}`, `{"object":"list","model":"mini","data":[{"index":0,"label":"a","score":0.5,"scores":{"a":0.5,"b":0.25}}]}`},
		{"classify", `{"input":["a",["b","c"]]}`, `{"object":"list","model":"mini","data":[` +
			`{"index":0,"label":"a","score":0.5,"scores":{"a":0.5,"b":0.25}},{"index":1,"label":"b+c","score":0.5,"scores":{"b":0.25,"b+c":0.5}}]}`},
		{"classify", `{"input":"a","threshold":0.5,"top_k":1}`,
			`{"object":"list","model":"mini","data":[{"index":0,"label":"a","score":0.5,"labels":["a"],"scores":{"a":0.5}}]}`},
		{"classify", `{"input":"a","top_k":3}`, `{"object":"list","model":"mini","data":[{"index":0,"label":"a","score":0.5,"scores":{"a":0.5,"b":0.25}}]}`},
		{"classify", `{"input":"a","threshold":1}`,
			`{"object":"list","model":"mini","data":[{"index":0,"label":"a","score":0.5,"labels":[],"scores":{"a":0.5,"b":0.25}}]}`},
		{"answer", `{"question":"q","context":"c"}`, `{"model":"mini","answer":"q","start":0,"end":0,"score":0}`},
		{"answer", `{"question":"q","context":""}`, `{"model":"mini","answer":"","start":0,"end":0,"score":0}`},
		{"answer", `{"question":"q","context":"c","top_k":2,"max_answer_len":7,"max_seq_len":50,"doc_stride":3,"handle_impossible_answer":true}`,
			`{"model":"mini","answer":"q","start":50,"end":7,"score":0,"answers":[{"answer":"q","start":50,"end":7,"score":0},{"answer":"q","start":50,"end":7,"score":1}]}`},
		{"rank", `{"query":"q","documents":["aa","b","ccc","dd"]}`,
			`{"model":"mini","results":[{"index":2,"score":3},{"index":0,"score":2},{"index":3,"score":2},{"index":1,"score":1}]}`},
		{"rank", `{"query":"","documents":["aa","b","ccc"],"top_n":1}`, `{"model":"mini","results":[{"index":2,"score":3}]}`},
		{"rank", `{"query":"q","documents":["b"],"top_n":9}`, `{"model":"mini","results":[{"index":0,"score":1}]}`},
		{"tag", `{"input":["ä",""]}`, `{"object":"list","model":"mini","data":[` +
			`{"index":0,"entities":[{"label":"simple","text":"ä","start":0,"end":1,"score":0.5}]},{"index":1,"entities":[]}]}`},
		{"tag", `{"input":"a","aggregation":"max"}`,
			`{"object":"list","model":"mini","data":[{"index":0,"entities":[{"label":"max","text":"a","start":0,"end":1,"score":0.5}]}]}`},
		{"fill-mask", `{"input":["_","a"]}`, `{"object":"list","model":"mini","data":[` +
			`{"index":0,"masks":[[{"token":"w","id":5,"score":0.5}]]},{"index":1,"masks":[]}]}`},
		{"fill-mask", `{"input":"_","top_k":100}`, `{"object":"list","model":"mini","data":[{"index":0,"masks":[[{"token":"w","id":100,"score":0.5}]]}]}`},
	}
	s := listen(t, Config{})
	for _, test := range tests {
		s.Swap(&skilled{task: test.task})
		w := postTo(s, "/v1/"+test.task, test.body)
		if d := cmp.Diff(test.want, strings.TrimSpace(w.Body.String())); d != "" || w.Code != http.StatusOK {
			t.Errorf("%s %s: status %d\n%s", test.task, test.body, w.Code, d)
		}
	}
}

func TestTaskRefusals(t *testing.T) {
	many := `[` + strings.Repeat(`"a",`, maxInputs) + `"a"]`
	tests := []struct {
		task, body, message, param string
		code                       int
	}{
		{"classify", `{`, "not the expected JSON", "", 400},
		{"classify", "{\"input\":\"\xff\"}", "not UTF-8", "", 400},
		{"classify", `{}`, "must provide input", "input", 400},
		{"classify", `{"input":[]}`, "0 items", "input", 400},
		{"classify", `{"input":` + many + `}`, "2049 items", "input", 400},
		{"classify", `{"input":["a",["b"]]}`, "input[1] is neither", "input", 400},
		{"classify", `{"input":[["a","b","c"]]}`, "input[0] is neither", "input", 400},
		{"classify", `{"input":[["a",null]]}`, "input[0] is neither", "input", 400},
		{"classify", `{"input":[7]}`, "input[0] is neither", "input", 400},
		{"classify", `{"input":"` + strings.Repeat("a", maxBody) + `"}`, "larger than", "", 413},
		{"classify", `{"input":"a","threshold":1.5}`, "want 0 to 1", "threshold", 400},
		{"classify", `{"input":"a","threshold":"high"}`, "threshold is a string, want a number", "threshold", 400},
		{"classify", `{"input":"a","top_k":0}`, "want 1 or more", "top_k", 400},
		{"classify", `["a"]`, "request is an array, want an object", "", 400},
		{"answer", `{"context":"c"}`, "must provide question", "question", 400},
		{"answer", `{"question":"q"}`, "must provide context", "context", 400},
		{"answer", `{"question":["q"],"context":"c"}`, "question is an array, want a string", "question", 400},
		{"answer", `{"question":"q","context":"c","top_k":0}`, "want 1 or more", "top_k", 400},
		{"answer", `{"question":"q","context":"c","top_k":101}`, "want 1 to 100", "top_k", 400},
		{"answer", `{"question":"q","context":"c","max_answer_len":-1}`, "want 1 or more", "max_answer_len", 400},
		{"answer", `{"question":"q","context":"c","max_seq_len":0}`, "want 1 or more", "max_seq_len", 400},
		{"answer", `{"question":"q","context":"c","doc_stride":0}`, "want 1 or more", "doc_stride", 400},
		{"answer", `{"question":"q","context":"c","doc_stride":101}`, "doc_stride: make it less", "doc_stride", 400},
		{"answer", `{"question":"q","context":"c","handle_impossible_answer":1}`, "want true or false", "handle_impossible_answer", 400},
		{"rank", `{"documents":["a"]}`, "must provide query", "query", 400},
		{"rank", `{"query":"q"}`, "must provide documents", "documents", 400},
		{"rank", `{"query":"q","documents":"a"}`, "array of strings", "documents", 400},
		{"rank", `{"query":"q","documents":["a",{}]}`, "documents[1] is not a string", "documents", 400},
		{"rank", `{"query":"q","documents":` + many + `}`, "2049 items", "documents", 400},
		{"rank", `{"query":"q","documents":["a"],"top_n":0}`, "top_n is 0", "top_n", 400},
		{"rank", `{"query":"q","documents":["a"],"top_n":"all"}`, "top_n is a string, want an integer", "top_n", 400},
		{"rank", `{"query":7,"documents":["a"]}`, "query is a number, want a string", "query", 400},
		{"tag", `{"input":"a","aggregation":1}`, "aggregation is a number, want a string", "aggregation", 400},
		{"tag", `{"input":3}`, "string or an array", "input", 400},
		{"tag", `{"input":[["a","b"]]}`, "input[0] is not a string", "input", 400},
		{"tag", `{"input":"a","aggregation":"sum"}`, `"sum"`, "aggregation", 400},
		{"fill-mask", `{"input":"_","top_k":0}`, "want 1 to 100", "top_k", 400},
		{"fill-mask", `{"input":"_","top_k":101}`, "want 1 to 100", "top_k", 400},
		{"fill-mask", `{"input":"` + strings.Repeat("_", MaxMasks+1) + `"}`, "does not suit the model: text 0", "input", 400},
	}
	s := listen(t, Config{})
	for _, test := range tests {
		s.Swap(&skilled{task: test.task})
		w := postTo(s, "/v1/"+test.task, test.body)
		kind, _, message, param := fault(t, w.Body.Bytes())
		if w.Code != test.code || !strings.Contains(message, test.message) || param != test.param || kind != "invalid_request_error" {
			t.Errorf("%s %.60s: %d %s", test.task, test.body, w.Code, w.Body)
		}
	}
}

// fault reads OpenAI's error shape.
func fault(t *testing.T, body []byte) (kind, code, message, param string) {
	t.Helper()
	var r refusal
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if r.Error.Code != nil {
		code = *r.Error.Code
	}
	if r.Error.Param != nil {
		param = *r.Error.Param
	}
	return r.Error.Type, code, r.Error.Message, param
}

// requests is a good request for each task.
func requests() map[string][2]string {
	return map[string][2]string{
		"embed": {"/v1/embeddings", `{"input":"a"}`}, "classify": {"/v1/classify", `{"input":"a"}`},
		"rank": {"/v1/rank", `{"query":"q","documents":["a"]}`}, "tag": {"/v1/tag", `{"input":"a"}`}, "fill-mask": {"/v1/fill-mask", `{"input":"_"}`},
		"answer": {"/v1/answer", `{"question":"q","context":"c"}`},
	}
}

// TestOtherTask: a model answers its own task alone, and a refusal names it.
func TestOtherTask(t *testing.T) {
	s := listen(t, Config{})
	for _, of := range []string{"embed", "classify", "rank", "tag", "answer", "fill-mask"} {
		s.Swap(&skilled{task: of})
		for task, request := range requests() {
			w := postTo(s, request[0], request[1])
			if task == of {
				if w.Code != http.StatusOK {
					t.Errorf("%s: %d %s", of, w.Code, w.Body)
				}
				continue
			}
			kind, code, message, _ := fault(t, w.Body.Bytes())
			if w.Code != 400 || kind != "invalid_request_error" || code != "wrong_task" || !strings.Contains(message, fmt.Sprintf("for the task %q", of)) || !strings.HasSuffix(message, "ask POST "+requests()[of][0]) {
				t.Errorf("%s asked of a model for %s: %d %s", task, of, w.Code, w.Body)
			}
		}
	}
	s.Swap(&fake{name: "old"}) // says no task and can only embed
	if w := postTo(s, "/v1/tag", `{"input":"a"}`); w.Code != 400 || !strings.Contains(w.Body.String(), `\"embed\"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestUnanswered: every task says the same without a model, with too many requests and when the model fails.
func TestUnanswered(t *testing.T) {
	for task, request := range requests() {
		s := listen(t, Config{})
		check := func(status int, wantCode, part string) {
			t.Helper()
			w := postTo(s, request[0], request[1])
			kind, code, message, _ := fault(t, w.Body.Bytes())
			if w.Code != status || kind != "server_error" || code != wantCode || !strings.Contains(message, part) {
				t.Errorf("%s: %d %s", task, w.Code, w.Body)
			}
			if retry := w.Header().Get("Retry-After"); (retry != "") != (status == 503) {
				t.Errorf("%s: %d with Retry-After %q", task, status, retry)
			}
		}
		check(503, "no_model", "no model is active")
		s.Swap(&skilled{task: task, fake: fake{err: errors.New("no memory")}})
		check(500, "", task+": no memory")
		for range maxWaiting {
			s.waiting <- struct{}{}
		}
		check(503, "overloaded", "64 requests")
	}
}
