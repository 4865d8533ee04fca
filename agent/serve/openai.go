package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
)

// request is OpenAI's, with the names that others have for the choice of a prompt: prompt_name is the prompt's own, as for
// text-embeddings-inference, input_type what the texts are for. Input stays raw until its shape is known.
type request struct {
	Input      json.RawMessage `json:"input"`
	Model      any             `json:"model"`
	Format     string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
	Prompt     string          `json:"prompt_name"`
	For        string          `json:"input_type"`
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

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	var req request
	bad := readBody(w, r, &req)
	var texts []string
	if bad == nil {
		texts, bad = req.check()
	}
	if bad != nil {
		refuseRequest(w, bad)
		return
	}
	answer(s, w, r, taskEmbed, func(ctx context.Context, m Model, info Info) (any, error) {
		return embed(ctx, m, info, req, texts)
	})
}

func (q *request) check() ([]string, *badRequest) {
	switch {
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return nil, faulty("encoding_format", "encoding_format %q is not float or base64", q.Format)
	case q.For != "" && promptsFor(q.For) == nil:
		return nil, faulty("input_type", "input_type %q is not query, document or passage", q.For)
	case q.For != "" && q.Prompt != "":
		return nil, faulty("input_type", "input_type and prompt_name both choose a prompt: send one of them")
	}
	return readTexts("input", q.Input)
}

// promptsFor are the prompts that texts for some use take, the first that a model has, as sentence-transformers' encode_query and
// encode_document choose.
func promptsFor(use string) []string {
	switch use {
	case "query":
		return []string{"query"}
	case "document", "passage":
		return []string{"document", "passage", "corpus"}
	}
	return nil
}

// prompted is the model with the prompt that the request chose; a model without one for the use of the texts has its default.
func (q *request) prompted(m Model, info Info) (Embedder, error) {
	name := q.Prompt
	for _, known := range promptsFor(q.For) {
		if name == "" && slices.Contains(info.Prompts, known) {
			name = known
		}
	}
	if name == "" {
		return m, nil
	}
	able, ok := m.(Prompter)
	if !ok {
		return nil, faulty("prompt_name", "the model %q has no prompts", info.Name)
	}
	return able.Prompted(name)
}

func embed(ctx context.Context, m Model, info Info, req request, texts []string) (*response, error) {
	if req.Dimensions != nil && *req.Dimensions != info.Dim {
		return nil, faulty("dimensions", "dimensions %d: this model has %d", *req.Dimensions, info.Dim)
	}
	with, err := req.prompted(m, info)
	if err != nil {
		return nil, err
	}
	vectors, err := with.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	r := &response{Object: "list", Model: info.Name, Data: make([]vector, len(texts))}
	for i, v := range vectors {
		r.Data[i] = vector{Object: "embedding", Index: i, Embedding: v}
		if req.Format == "base64" {
			r.Data[i].Embedding = encode(v)
		}
		r.Usage.PromptTokens += with.Tokens(texts[i])
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
