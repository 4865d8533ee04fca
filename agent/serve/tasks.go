package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// Words for one mask: how many when the request does not say, and the most it may ask for.
const (
	defaultTop = 5
	maxTop     = 100
)

// list is the answer to a request with several inputs.
type list[T any] struct {
	Object string `json:"object"`
	Model  string `json:"model"`
	Data   []T    `json:"data"`
}

func newList[T any](info Info, n int) list[T] {
	return list[T]{Object: "list", Model: info.Name, Data: make([]T, 0, n)}
}

type classified struct {
	Index int `json:"index"`
	Classification
}

type tagged struct {
	Index    int      `json:"index"`
	Entities []Entity `json:"entities"`
}

type filled struct {
	Index int           `json:"index"`
	Masks [][]Candidate `json:"masks"`
}

type ranked struct {
	Index int     `json:"index"` // of the document in the request
	Score float32 `json:"score"`
}

type classifyRequest struct {
	Input     json.RawMessage
	Threshold *float64
	Top       *int `json:"top_k"`
}

func (q *classifyRequest) check() ([]Text, *badRequest) {
	switch {
	case q.Threshold != nil && (*q.Threshold < 0 || *q.Threshold > 1):
		return nil, faulty("threshold", "threshold is %g, want 0 to 1", *q.Threshold)
	case q.Top != nil && *q.Top < 1:
		return nil, faulty("top_k", "top_k is %d, want 1 or more", *q.Top)
	}
	return readPairs(q.Input)
}

// keep leaves the scores of the top labels.
func (c *Classification) keep(top *int) {
	if top == nil || *top >= len(c.Scores) {
		return
	}
	labels := slices.SortedFunc(maps.Keys(c.Scores), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.Scores[b], c.Scores[a]), cmp.Compare(a, b))
	})
	for _, label := range labels[*top:] {
		delete(c.Scores, label)
	}
}

func (s *Server) classify(w http.ResponseWriter, r *http.Request) {
	var req classifyRequest
	bad := readBody(w, r, &req)
	var inputs []Text
	if bad == nil {
		inputs, bad = req.check()
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskClassify, func(ctx context.Context, m Classifier, info Info) (any, error) {
		found, err := m.Classify(ctx, inputs, req.Threshold)
		out := newList[classified](info, len(found))
		for i, c := range found {
			c.keep(req.Top)
			out.Data = append(out.Data, classified{i, c})
		}
		return out, err
	})
}

func (s *Server) rank(w http.ResponseWriter, r *http.Request) {
	var req rankRequest
	bad := readBody(w, r, &req)
	var documents []string
	if bad == nil {
		documents, bad = req.check()
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskRank, func(ctx context.Context, m Ranker, info Info) (any, error) {
		scores, err := m.Rank(ctx, *req.Query, documents)
		return struct {
			Model   string   `json:"model"`
			Results []ranked `json:"results"`
		}{info.Name, best(scores, req.Top)}, err
	})
}

// best lists the top scores, highest first, in the order of the request among equals; top nil: all.
func best(scores []float32, top *int) []ranked {
	out := make([]ranked, len(scores))
	for i, score := range scores {
		out[i] = ranked{i, score}
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return cmp.Compare(b.Score, a.Score) })
	if top != nil {
		out = out[:min(*top, len(out))]
	}
	return out
}

func (s *Server) tag(w http.ResponseWriter, r *http.Request) {
	req := struct {
		Input       json.RawMessage
		Aggregation string
	}{Aggregation: "simple"}
	bad := readBody(w, r, &req)
	var texts []string
	if bad == nil {
		texts, bad = readTexts("input", req.Input)
	}
	if names := []string{"none", "simple", "first", "average", "max"}; bad == nil && !slices.Contains(names, req.Aggregation) {
		bad = faulty("aggregation", "aggregation %q is not none, simple, first, average or max", req.Aggregation)
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskTag, func(ctx context.Context, m Tagger, info Info) (any, error) {
		found, err := m.Tag(ctx, texts, req.Aggregation)
		out := newList[tagged](info, len(found))
		for i, entities := range found {
			out.Data = append(out.Data, tagged{i, present(entities)})
		}
		return out, err
	})
}

// findRequest has the names that transformers' pipeline gives its parameters.
type findRequest struct {
	Question, Context *string
	Top               *int `json:"top_k"`
	MaxAnswer         *int `json:"max_answer_len"`
	Window            *int `json:"max_seq_len"`
	Stride            *int `json:"doc_stride"`
	Impossible        bool `json:"handle_impossible_answer"`
}

func (q *findRequest) check() (Search, *badRequest) {
	how := Search{Impossible: q.Impossible}
	switch {
	case q.Question == nil:
		return how, faulty("question", "you must provide question, a string")
	case q.Context == nil:
		return how, faulty("context", "you must provide context, a string")
	case q.Top != nil && *q.Top > maxTop:
		return how, faulty("top_k", "top_k is %d, want 1 to %d", *q.Top, maxTop)
	}
	for _, f := range []struct {
		name string
		from *int
		to   *int
	}{
		{"top_k", q.Top, &how.Top}, {"max_answer_len", q.MaxAnswer, &how.MaxAnswer},
		{"max_seq_len", q.Window, &how.Window}, {"doc_stride", q.Stride, &how.Stride},
	} {
		if f.from == nil {
			continue
		}
		if *f.to = *f.from; *f.to < 1 {
			return how, faulty(f.name, "%s is %d, want 1 or more", f.name, *f.to)
		}
	}
	return how, nil
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	var req findRequest
	bad := readBody(w, r, &req)
	var how Search
	if bad == nil {
		how, bad = req.check()
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskAnswer, func(ctx context.Context, m Finder, info Info) (any, error) {
		found, err := m.Find(ctx, *req.Question, *req.Context, how)
		out := struct {
			Model string `json:"model"`
			Answer
			Answers []Answer `json:"answers,omitempty"` // all of them, where top_k was asked for
		}{Model: info.Name}
		if len(found) > 0 {
			out.Answer = found[0]
		}
		if req.Top != nil {
			out.Answers = found
		}
		return out, err
	})
}

func (s *Server) fillMask(w http.ResponseWriter, r *http.Request) {
	req := struct {
		Input json.RawMessage
		Top   int `json:"top_k"`
	}{Top: defaultTop}
	bad := readBody(w, r, &req)
	var texts []string
	if bad == nil {
		texts, bad = readTexts("input", req.Input)
	}
	if bad == nil && (req.Top < 1 || req.Top > maxTop) {
		bad = faulty("top_k", "top_k is %d, want 1 to %d", req.Top, maxTop)
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskFillMask, func(ctx context.Context, m Filler, info Info) (any, error) {
		found, err := m.FillMask(ctx, texts, req.Top)
		out := newList[filled](info, len(found))
		for i, masks := range found {
			out.Data = append(out.Data, filled{i, present(masks)})
		}
		return out, err
	})
}

// present makes JSON say [] where nothing was found.
func present[T any](found []T) []T {
	if found == nil {
		return []T{}
	}
	return found
}

type rankRequest struct {
	Query     *string
	Documents json.RawMessage
	Top       *int `json:"top_n"`
}

func (q *rankRequest) check() ([]string, *badRequest) {
	switch {
	case q.Query == nil:
		return nil, faulty("query", "you must provide query, a string")
	case q.Top != nil && *q.Top < 1:
		return nil, faulty("top_n", "top_n is %d, want 1 or more", *q.Top)
	case len(q.Documents) > 0 && q.Documents[0] == '"':
		return nil, faulty("documents", "documents must be an array of strings")
	}
	return readTexts("documents", q.Documents)
}

// readPairs takes a string, or an array of strings and pairs of them.
func readPairs(raw json.RawMessage) ([]Text, *badRequest) {
	items, bad := readItems("input", raw)
	if bad != nil {
		return nil, bad
	}
	inputs := make([]Text, len(items))
	for i, item := range items {
		if inputs[i], bad = readPair(fmt.Sprintf("input[%d]", i), item); bad != nil {
			return nil, bad
		}
	}
	return inputs, nil
}

func readPair(place string, raw json.RawMessage) (Text, *badRequest) {
	if text, ok := readText(raw); ok {
		return Text{First: text}, nil
	}
	var pair []json.RawMessage
	if err := json.Unmarshal(raw, &pair); err == nil && len(pair) == 2 {
		first, ok1 := readText(pair[0])
		second, ok2 := readText(pair[1])
		if ok1 && ok2 {
			return Text{First: first, Second: &second}, nil
		}
	}
	return Text{}, faulty("input", "%s is neither a string nor a pair of strings", place)
}
