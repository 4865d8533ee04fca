package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testCommit = "0123456789abcdef0123456789abcdef01234567"
	testRepo   = "owner/name"
	testToken  = "hf_secret"
)

// fakeHub is a hub on a loopback address, and the other host to which it sends
// those who want large files.
type fakeHub struct {
	commit string
	files  map[string][]byte
	hub    *httptest.Server
	cdn    *httptest.Server

	// hook sees each request first, with how many of the same method and path
	// came before; it reports whether it has answered.
	hook func(w http.ResponseWriter, r *http.Request, n int) bool

	mu    sync.Mutex // guards what follows
	log   []string   // "GET hub|cdn PATH RANGE"
	auths []string   // Authorization, for each
	count map[string]int
}

// newHub serves files by path. Those of 1000 bytes and more are large.
func newHub(t *testing.T, files map[string][]byte) *fakeHub {
	h := &fakeHub{commit: testCommit, files: files, count: make(map[string]int)}
	h.hub = httptest.NewServer(h.seen("hub", h.serveHub))
	t.Cleanup(h.hub.Close)
	h.cdn = httptest.NewServer(h.seen("cdn", h.serveCDN))
	t.Cleanup(h.cdn.Close)
	return h
}

// seen writes down each request and gives it to the hook.
func (h *fakeHub) seen(host string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Method + " " + host + " " + r.URL.Path
		h.mu.Lock()
		n := h.count[key]
		h.count[key]++
		h.log = append(h.log, strings.TrimSpace(key+" "+r.Header.Get("Range")))
		h.auths = append(h.auths, r.Header.Get("Authorization"))
		hook := h.hook
		h.mu.Unlock()
		if hook == nil || !hook(w, r, n) {
			next(w, r)
		}
	})
}

// set changes the hook of a running server.
func (h *fakeHub) set(hook func(w http.ResponseWriter, r *http.Request, n int) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

// requests are those that contain all parts.
func (h *fakeHub) requests(parts ...string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.log), func(line string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	path, found := strings.CutPrefix(r.URL.Path, "/"+testRepo+"/resolve/"+h.commit+"/")
	small, cached := strings.CutPrefix(r.URL.Path, "/api/resolve-cache/")
	if cached {
		path = small
	}
	content, known := h.files[path]
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/models/"+testRepo+"/revision/"):
		h.list(w)
	case !found && !cached || !known:
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "no", http.StatusNotFound)
	case len(content) >= 1000:
		w.Header().Set("X-Repo-Commit", h.commit)
		w.Header().Set("X-Linked-Etag", `"`+digestOf(content)+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
		w.Header().Set("Location", h.cdn.URL+"/"+digestOf(content)+"?signature=secret")
		w.WriteHeader(http.StatusFound)
	case found:
		w.Header().Set("X-Repo-Commit", h.commit)
		http.Redirect(w, r, "/api/resolve-cache/"+path, http.StatusTemporaryRedirect)
	default:
		w.Header().Set("ETag", `"`+digestOf(content)+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	for _, content := range h.files {
		if "/"+digestOf(content) == r.URL.Path && r.URL.RawQuery == "signature=secret" {
			w.Header().Set("ETag", `"of-the-cdn"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			return
		}
	}
	http.Error(w, "expired", http.StatusForbidden)
}

// list answers as the hub does without blobs=true, to which nobody is bound.
func (h *fakeHub) list(w http.ResponseWriter) {
	type sibling struct {
		Name string `json:"rfilename"`
	}
	all := []sibling{}
	for path := range h.files {
		all = append(all, sibling{path})
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"sha": h.commit, "siblings": all, "tags": []string{"x"}}); err != nil {
		panic(err)
	}
}

// digestOf is the digest that a hub gives: by SHA-256 for large files, else git's.
func digestOf(content []byte) string {
	if len(content) >= 1000 {
		return fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)))
}

// noise is content that no two positions of share.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	r.Read(b) // never fails
	return b
}

// embedder is a model of sentence-transformers with much beside it that is not
// needed.
func embedder() map[string][]byte {
	return map[string][]byte{
		"config.json":                     []byte(`{"model_type": "bert"}`),
		"tokenizer.json":                  noise(2500),
		"tokenizer_config.json":           []byte(`{}`),
		"vocab.txt":                       []byte("a\nb\n"),
		"modules.json":                    []byte(`[{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}, {"path": "2_Normalize", "type": "x.Normalize"}]`),
		"1_Pooling/config.json":           []byte(`{"pooling_mode": "mean"}`),
		"sentence_bert_config.json":       []byte(`{"max_seq_length": 128}`),
		"model.safetensors":               noise(10_000),
		"pytorch_model.bin":               noise(9_000),
		"onnx/model.onnx":                 noise(9_001),
		"tf_model.h5":                     noise(9_002),
		"README.md":                       []byte("# name"),
		".gitattributes":                  []byte("x"),
		"openvino/config.json":            []byte(`{"no": 1}`),
		"data 100%/with spaces & more.md": []byte("x"),
	}
}

// needed are the files of embedder that a model needs.
func needed() []string {
	return []string{"1_Pooling/config.json", "config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
}

// fast is a puller that does not wait: the pauses it would make are noted.
type fast struct {
	*puller
	mu     sync.Mutex
	pauses []time.Duration
}

func (h *fakeHub) puller(t *testing.T, cache string, change ...func(*Config)) *fast {
	t.Helper()
	cfg := Config{Endpoint: h.hub.URL, Cache: cache}
	for _, c := range change {
		c(&cfg)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	ref := Ref{Repo: testRepo, Revision: mainRevision}
	f := &fast{puller: newPuller(ref, cfg)}
	f.piece = 1024
	f.web.sleep = func(ctx context.Context, d time.Duration) error {
		f.mu.Lock()
		f.pauses = append(f.pauses, d)
		f.mu.Unlock()
		return ctx.Err()
	}
	t.Cleanup(f.web.close)
	return f
}

// breakOff answers the first requests of a large file with n bytes of what was
// asked for, and then closes the connection.
func breakOff(content []byte, n, times int) func(w http.ResponseWriter, r *http.Request, seen int) bool {
	return func(w http.ResponseWriter, r *http.Request, seen int) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, digestOf(content)) || seen >= times {
			return false
		}
		from, to := 0, len(content)-1
		status := http.StatusOK
		if v := r.Header.Get("Range"); v != "" {
			fmt.Sscanf(v, "bytes=%d-%d", &from, &to)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
			status = http.StatusPartialContent
		}
		w.Header().Set("ETag", `"of-the-cdn"`)
		w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
		w.WriteHeader(status)
		w.Write(content[from:min(from+n, to+1)])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
