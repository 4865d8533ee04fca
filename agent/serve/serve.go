// Package serve is the local HTTP API: OpenAI's embeddings for the programs on the device, answers of models for other tasks, and a
// health page.
//
//	POST /v1/embeddings   {"input": string | [string], "encoding_format": "float" | "base64",
//	                       "prompt_name": name | "input_type": "query" | "document" | "passage"} -> vectors
//	POST /v1/classify     {"input": string | [string | [first, second]], "threshold": score, "top_k": count} -> the score of every label
//	POST /v1/rank         {"query": string, "documents": [string], "top_n": count} -> the documents, best first
//	POST /v1/tag          {"input": string | [string], "aggregation": "none" | "simple" | "first" | "average" | "max"} -> entities
//	POST /v1/answer       {"question": string, "context": string, "top_k": count, "max_answer_len": tokens, "max_seq_len": tokens,
//	                       "doc_stride": tokens, "handle_impossible_answer": bool} -> the part of the context that answers
//	POST /v1/fill-mask    {"input": string | [string], "top_k": count} -> words for each mask
//	GET  /v1/models       the one model that is served
//	GET  /healthz         200 when a model answers, 503 before; the same JSON as /v1/status
//	GET  /v1/status       what the agent says of itself
//	GET  /metrics         model, kernels and requests, in Prometheus' text format
//
// It listens on a loopback address or a Unix socket. The model can be changed under running requests: each request keeps the model
// it began with, and an old model is closed after its last one.
//
// Data flow: body -> checks that need no model -> a lease of the model -> its answer as JSON. A model is for one task; requests for
// another are refused, and so is, in OpenAI's error shape, everything else that cannot be answered.
//
// The "model" of a request is not a choice here: one model is served, the answer names it.
//
// It must not import core, store, link nor runtime: it answers with whatever satisfies Model.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Limits of the API.
const (
	maxBody    = 8 << 20 // bytes
	maxInputs  = 2048    // texts of one request
	maxWaiting = 64      // requests that run or wait for the model
	stopTime   = 700 * time.Millisecond
)

// Config says where to listen. With neither address nor socket the API answers on a free loopback port.
type Config struct {
	Addr   string                // host:port; port 0: a free one
	Socket string                // path of a Unix socket, instead of Addr
	Status func(loaded bool) any // the JSON of /healthz; nil: the model's Info
	Log    *slog.Logger          // nil: none
}

// Server is the API. Its methods may be called concurrently.
type Server struct {
	config   Config
	listener net.Listener
	waiting  chan struct{}
	requests metrics

	mu      sync.Mutex // guards current and all uses
	current *lease
	open    sync.WaitGroup // models not yet closed
}

// lease is a model and the requests that use it.
type lease struct {
	model   Model
	users   int
	retired bool
}

// Listen opens the address. Requests are answered once Run is called.
func Listen(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, waiting: make(chan struct{}, maxWaiting)}
	var err error
	if c.Socket != "" {
		s.listener, err = listenSocket(c.Socket)
	} else {
		if c.Addr == "" {
			c.Addr = "127.0.0.1:0"
		}
		s.listener, err = net.Listen("tcp", c.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if a, ok := s.listener.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		c.Log.Warn("the local API has no authentication and listens beyond this machine", "address", a)
	}
	return s, nil
}

// listenSocket replaces a socket that nobody answers on any more: the one of a process that was killed.
func listenSocket(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("socket %s is in use", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Addr is where the API answers: "http://host:port", or "unix:path".
func (s *Server) Addr() string {
	if s.config.Socket != "" {
		return "unix:" + s.config.Socket
	}
	return "http://" + s.listener.Addr().String()
}

// Run answers until ctx ends; requests under way get a moment to finish. When it returns, the model is closed.
func (s *Server) Run(ctx context.Context) error {
	requests, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- h.Serve(s.listener) }()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		if h.Shutdown(last) != nil {
			abort()
			err = h.Close()
		}
		cancel()
		<-stopped
	}
	s.Swap(nil)
	s.open.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close gives the address up when Run was never called.
func (s *Server) Close() error { return s.listener.Close() }

// Swap makes m the model of all requests from now on; nil for none. The former one is closed after its last request. The server owns m.
func (s *Server) Swap(m Model) {
	var next *lease
	if m != nil {
		next = &lease{model: m}
		s.open.Add(1)
	}
	s.mu.Lock()
	old := s.current
	s.current = next
	last := old != nil && old.users == 0
	if old != nil {
		old.retired = true
	}
	s.mu.Unlock()
	if last {
		s.retire(old)
	}
}

// take returns the model for one request, nil when there is none.
func (s *Server) take() *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current.users++
	}
	return s.current
}

func (s *Server) give(l *lease) {
	s.mu.Lock()
	l.users--
	last := l.retired && l.users == 0
	s.mu.Unlock()
	if last {
		s.retire(l)
	}
}

func (s *Server) retire(l *lease) {
	defer s.open.Done()
	if err := l.model.Close(context.Background()); err != nil {
		s.config.Log.Error("close model", "err", err)
	}
}

// Handler is the API without a listener.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/embeddings", s.embeddings)
	mux.HandleFunc("POST /v1/classify", s.classify)
	mux.HandleFunc("POST /v1/rank", s.rank)
	mux.HandleFunc("POST /v1/tag", s.tag)
	mux.HandleFunc("POST /v1/answer", s.find)
	mux.HandleFunc("POST /v1/fill-mask", s.fillMask)
	mux.HandleFunc("GET /v1/models", s.models)
	mux.HandleFunc("GET /v1/models/{name}", s.modelByName)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.status(w, http.StatusServiceUnavailable) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { s.status(w, http.StatusOK) })
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "invalid_request_error", "unknown_url", "unknown request URL: "+r.Method+" "+r.URL.Path)
	})
	return s.requests.counted(mux)
}

// status writes what the agent says; without a model its HTTP status is the given one.
func (s *Server) status(w http.ResponseWriter, without int) {
	l := s.take()
	code := without
	if l != nil {
		code = http.StatusOK
		defer s.give(l)
	}
	var body any = map[string]string{"status": "starting"}
	switch {
	case s.config.Status != nil:
		body = s.config.Status(l != nil)
	case l != nil:
		body = struct {
			Status string `json:"status"`
			Info
		}{"ok", l.model.Info()}
	}
	write(w, code, body)
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}
