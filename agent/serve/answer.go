package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"
)

// answer leases the model, lets ask make the body of the answer and writes it. Everything that needs no model was checked before. M is
// what a model for the task can do.
func answer[M any](s *Server, w http.ResponseWriter, r *http.Request, task string, ask func(context.Context, M, Info) (any, error)) {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "server_error", "overloaded", fmt.Sprintf("%d requests are waiting", maxWaiting))
		return
	}
	l := s.take()
	if l == nil {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "server_error", "no_model", "no model is active yet")
		return
	}
	defer s.give(l)
	info := l.model.Info()
	able, ok := l.model.(M)
	if !ok || info.task() != task {
		message := fmt.Sprintf("the model %q is for the task %q, this request is for %q", info.Name, info.task(), task)
		if path := pathOf(info.task()); path != "" {
			message += ": ask POST " + path
		}
		refuse(w, http.StatusBadRequest, "invalid_request_error", "wrong_task", message)
		return
	}
	body, err := ask(r.Context(), able, info)
	if err != nil {
		s.refuseError(w, r, task, err)
		return
	}
	write(w, http.StatusOK, body)
}

// pathOf is where a model for a task answers; "" for a task that is none.
func pathOf(task string) string {
	return map[string]string{
		taskEmbed: "/v1/embeddings", taskClassify: "/v1/classify", taskRank: "/v1/rank", taskTag: "/v1/tag",
		taskAnswer: "/v1/answer", taskFillMask: "/v1/fill-mask",
	}[task]
}

// refuseError answers with an error of the model's or of the client's.
func (s *Server) refuseError(w http.ResponseWriter, r *http.Request, task string, err error) {
	var bad *badRequest
	var input *InputError
	switch {
	case errors.As(err, &bad):
		refuseRequest(w, bad)
	case errors.As(err, &input):
		refuseRequest(w, faulty(input.Param, "%s: %v", input.Param, err))
	case errors.Is(err, ErrInput):
		refuseRequest(w, faulty("input", "%v", err))
	default:
		if r.Context().Err() == nil {
			s.config.Log.Error("answer", "task", task, "err", err)
		}
		refuse(w, http.StatusInternalServerError, "server_error", "", task+": "+err.Error())
	}
}

// refusal is OpenAI's error shape.
type refusal struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

// refuse answers with an error. code may be empty.
func refuse(w http.ResponseWriter, status int, kind, code, message string) {
	var r refusal
	r.Error.Message, r.Error.Type = message, kind
	if code != "" {
		r.Error.Code = &code
	}
	write(w, status, r)
}

// badRequest is an error of the client's, with the parameter it is about.
type badRequest struct {
	param, message string
	status         int // 0: 400
}

func (e *badRequest) Error() string { return e.message }

func faulty(param, format string, args ...any) *badRequest {
	return &badRequest{param: param, message: fmt.Sprintf(format, args...)}
}

func refuseRequest(w http.ResponseWriter, e *badRequest) {
	var r refusal
	r.Error.Message, r.Error.Type = e.message, "invalid_request_error"
	if e.param != "" {
		r.Error.Param = &e.param
	}
	if e.status == 0 {
		e.status = http.StatusBadRequest
	}
	write(w, e.status, r)
}

// readBody reads the JSON of a request into req.
func readBody(w http.ResponseWriter, r *http.Request, req any) *badRequest {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			message := fmt.Sprintf("request body is larger than %d bytes", maxBody)
			return &badRequest{message: message, status: http.StatusRequestEntityTooLarge}
		}
		return faulty("", "read request: %v", err)
	}
	if !utf8.Valid(data) {
		return faulty("", "request is not UTF-8")
	}
	err = json.Unmarshal(data, req)
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &other) && other.Field == "":
		return faulty("", "request is %s, want an object", article(other.Value))
	case errors.As(err, &other):
		param := strings.ToLower(other.Field)
		return faulty(param, "%s is %s, want %s", param, article(other.Value), wanted(other.Type))
	case err != nil:
		return faulty("", "request is not the expected JSON: %v", err)
	}
	return nil
}

// wanted names a type of the requests as JSON has it.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	}
	return "a string"
}

// readTexts takes a string or an array of strings. Arrays of token ids are OpenAI's too; here they would be ids of another vocabulary.
func readTexts(param string, raw json.RawMessage) ([]string, *badRequest) {
	items, bad := readItems(param, raw)
	if bad != nil {
		return nil, bad
	}
	texts := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if texts[i], ok = readText(item); !ok {
			return nil, faulty(param, "%s[%d] is not a string: arrays of token ids are not supported, this model has its own vocabulary; send text", param, i)
		}
	}
	return texts, nil
}

// readItems takes an array, or a string as an array of one.
func readItems(param string, raw json.RawMessage) ([]json.RawMessage, *badRequest) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, faulty(param, "you must provide %s", param)
	}
	if raw[0] == '"' {
		return []json.RawMessage{raw}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil, faulty(param, "%s must be a string or an array of strings", param)
	}
	if len(items) == 0 || len(items) > maxInputs {
		return nil, faulty(param, "%s has %d items, want 1 to %d", param, len(items), maxInputs)
	}
	return items, nil
}

// readText reads a string; JSON's null is none.
func readText(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return text, json.Unmarshal(raw, &text) == nil
}

// article puts one before the name of a JSON value.
func article(value string) string {
	switch value[0] {
	case 'a', 'o':
		return "an " + value
	}
	return "a " + value
}
