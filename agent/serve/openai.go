package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"unicode/utf8"
)

// request is OpenAI's. Input stays raw until its shape is known.
type request struct {
	Input      json.RawMessage `json:"input"`
	Model      string          `json:"model"`
	Format     string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
}

type response struct {
	Object string   `json:"object"`
	Data   []vector `json:"data"`
	Model  string   `json:"model"`
	Usage  usage    `json:"usage"`
}

type vector struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or base64 of little-endian float32
}

type usage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
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

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	req, texts, bad := readRequest(http.MaxBytesReader(w, r.Body, maxBody))
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
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
	answer, err := embed(r.Context(), l.model, req, texts)
	switch {
	case errors.As(err, &bad):
		refuseRequest(w, bad)
	case err != nil:
		if r.Context().Err() == nil {
			s.config.Log.Error("embed", "texts", len(texts), "err", err)
		}
		refuse(w, http.StatusInternalServerError, "server_error", "", "embed: "+err.Error())
	default:
		write(w, http.StatusOK, answer)
	}
}

// readRequest checks everything that needs no model.
func readRequest(body io.Reader) (request, []string, *badRequest) {
	var req request
	data, err := io.ReadAll(body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			message := fmt.Sprintf("request body is larger than %d bytes", maxBody)
			return req, nil, &badRequest{message: message, status: http.StatusRequestEntityTooLarge}
		}
		return req, nil, &badRequest{message: "read request: " + err.Error()}
	}
	if !utf8.Valid(data) {
		return req, nil, &badRequest{message: "request is not UTF-8"}
	}
	if err := json.Unmarshal(data, &req); err != nil {
		return req, nil, &badRequest{message: "request is not the expected JSON: " + err.Error()}
	}
	switch req.Format {
	case "", "float", "base64":
	default:
		message := fmt.Sprintf("encoding_format %q is not float or base64", req.Format)
		return req, nil, &badRequest{param: "encoding_format", message: message}
	}
	texts, bad := readInput(req.Input)
	return req, texts, bad
}

// readInput takes a string or an array of strings. Arrays of token ids are OpenAI's too; here they would be ids of another vocabulary.
func readInput(raw json.RawMessage) ([]string, *badRequest) {
	fault := func(format string, args ...any) ([]string, *badRequest) {
		return nil, &badRequest{param: "input", message: fmt.Sprintf(format, args...)}
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return fault("you must provide input")
	}
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return fault("input: %v", err)
		}
		return []string{text}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return fault("input must be a string or an array of strings")
	}
	if len(items) == 0 || len(items) > maxInputs {
		return fault("input has %d items, want 1 to %d", len(items), maxInputs)
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' {
			return fault("input[%d] is not a string: arrays of token ids are not supported, this model has its own vocabulary; send text", i)
		}
		if err := json.Unmarshal(item, &texts[i]); err != nil {
			return fault("input[%d]: %v", i, err)
		}
	}
	return texts, nil
}

func embed(ctx context.Context, m Model, req request, texts []string) (*response, error) {
	info := m.Info()
	if req.Dimensions != nil && *req.Dimensions != info.Dim {
		message := fmt.Sprintf("dimensions %d: this model has %d", *req.Dimensions, info.Dim)
		return nil, &badRequest{param: "dimensions", message: message}
	}
	vectors, err := m.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	r := &response{Object: "list", Model: info.Name, Data: make([]vector, len(texts))}
	for i, v := range vectors {
		r.Data[i] = vector{Object: "embedding", Index: i, Embedding: v}
		if req.Format == "base64" {
			r.Data[i].Embedding = encode(v)
		}
		r.Usage.PromptTokens += m.Tokens(texts[i])
	}
	r.Usage.TotalTokens = r.Usage.PromptTokens
	return r, nil
}

// encode is base64 of the little-endian values.
func encode(v []float32) string {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(data)
}

// listed is a model in OpenAI's list.
type listed struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Info
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	list := struct {
		Object string   `json:"object"`
		Data   []listed `json:"data"`
	}{"list", []listed{}}
	if l := s.take(); l != nil {
		defer s.give(l)
		list.Data = append(list.Data, describe(l.model))
	}
	write(w, http.StatusOK, list)
}

func (s *Server) modelByName(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if l := s.take(); l != nil {
		defer s.give(l)
		if l.model.Info().Name == name {
			write(w, http.StatusOK, describe(l.model))
			return
		}
	}
	refuse(w, http.StatusNotFound, "invalid_request_error", "model_not_found", fmt.Sprintf("the model %q does not exist", name))
}

func describe(m Model) listed {
	info := m.Info()
	return listed{ID: info.Name, Object: "model", OwnedBy: "skiff", Info: info}
}
