package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
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
	switch q.Format {
	case "", "float", "base64":
		return readTexts("input", q.Input)
	}
	return nil, faulty("encoding_format", "encoding_format %q is not float or base64", q.Format)
}

func embed(ctx context.Context, m Model, info Info, req request, texts []string) (*response, error) {
	if req.Dimensions != nil && *req.Dimensions != info.Dim {
		return nil, faulty("dimensions", "dimensions %d: this model has %d", *req.Dimensions, info.Dim)
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
