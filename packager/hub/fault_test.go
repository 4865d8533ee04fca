package hub

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// weights is the large file of embedder.
const weights = "model.safetensors"

// TestBreakOff: a connection that ends in mid-range is taken up where it ended,
// without limit as long as bytes come.
func TestBreakOff(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	h.hook = breakOff(h.files[weights], 100, 40)
	p := h.puller(t, cache, func(c *Config) { c.Connections = 3 })
	sameTree(t, mustPull(t, p).Dir, h)
	if got := h.requests("GET", "cdn", "bytes=100-1023", digestOf(h.files[weights])); len(got) != 1 {
		t.Errorf("the first range goes on with %q", got)
	}
	if len(p.pauses) < 30 {
		t.Errorf("%d pauses for 40 broken connections", len(p.pauses))
	}
}

// TestBreakOffForGood: without progress it ends, keeps what is there for the next
// process, and names no signature.
func TestBreakOffForGood(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	digest := digestOf(h.files[weights])
	h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		if strings.Contains(r.URL.Path, digest) && from >= 3072 {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	// One connection: where there are more, ranges that would have come end with the others.
	p := h.puller(t, cache, func(c *Config) { c.Connections = 1 })
	_, err := p.pull(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.File != weights || !strings.Contains(e.Cure, "network") || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v", err)
	}
	if got := names(t, p.repo.snapshot(testCommit), ""); len(got) > 0 {
		t.Errorf("the snapshot holds %v", got)
	}
	if got := names(t, p.repo.dir+"/blobs", digest); len(got) != 2 {
		t.Errorf("kept are %v, want the bytes and their state", got)
	}
	h.set(nil)
	before := len(h.requests("GET", "cdn", digest))
	mustPull(t, h.puller(t, cache))
	if again := len(h.requests("GET", "cdn", digest)) - before; again != 7 {
		t.Errorf("%d ranges, want the 7 that were missing", again)
	}
}

// TestStall: a server that stops sending is left, and asked again.
func TestStall(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	h.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, digestOf(h.files[weights])) {
			return false
		}
		w.Header().Set("Content-Range", "bytes 0-1023/10000")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(h.files[weights][:10])
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	p := h.puller(t, cache)
	p.web.stall = 50 * time.Millisecond
	sameTree(t, mustPull(t, p).Dir, h)
	if got := h.requests("GET", "cdn", "bytes=10-1023"); len(got) != 1 {
		t.Errorf("it goes on with %q", got)
	}
}

// TestThrottle: pauses are as long as the server asks, and grow where it does not
// say; a wait that is too long is the user's decision.
func TestThrottle(t *testing.T) {
	for _, c := range []struct {
		status  int
		header  string
		value   string
		least   time.Duration
		refused string
	}{
		{429, "Retry-After", "7", 7 * time.Second, ""},
		{503, "Retry-After", "9", 9 * time.Second, ""},
		{429, "RateLimit", `"api";r=0;t=55`, 55 * time.Second, ""},
		{429, "", "", 250 * time.Millisecond, ""},
		{503, "", "", 250 * time.Millisecond, ""},
		{500, "", "", 250 * time.Millisecond, ""},
		{429, "Retry-After", "3600", 0, "1h0m0s"},
	} {
		t.Run(fmt.Sprint(c.status, c.header, c.value), func(t *testing.T) {
			h := newHub(t, embedder())
			h.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n >= 2 || strings.Contains(r.URL.Path, "resolve-cache") {
					return false
				}
				if c.header != "" {
					w.Header().Set(c.header, c.value)
				}
				w.WriteHeader(c.status)
				return true
			}
			p := h.puller(t, t.TempDir())
			_, err := p.pull(t.Context())
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || len(p.pauses) > 0 {
					t.Errorf("%v after %v", err, p.pauses)
				}
				return
			}
			if err != nil || len(p.pauses) < 6 {
				t.Errorf("%v after %v", err, p.pauses)
			}
			for _, d := range p.pauses {
				if d < c.least {
					t.Errorf("pause of %v, want at least %v", d, c.least)
				}
			}
		})
	}
}

// TestRefusals: each status says what to do, names model and file, and is asked
// again only where that can help.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      string // part of the path
		status  int
		code    string
		token   string
		want    []string
		requeue bool
	}{
		{"no token", "/revision/", 401, "RepoNotFound", "", []string{"hf:owner/name", "401", "HF_TOKEN", "does not exist"}, false},
		{"wrong token", "/revision/", 401, "", testToken, []string{"check that the token in HF_TOKEN"}, false},
		{"gated", "config.json", 403, "GatedRepo", testToken, []string{"config.json", "403", "accept the model's terms at http://127.0.0.1", "/owner/name"}, false},
		{"gated, no token", "config.json", 401, "GatedRepo", "", []string{"accept the model's terms", "set HF_TOKEN"}, false},
		{"no model", "/revision/", 404, "", "", []string{"404", "no such model: check owner and name"}, false},
		{"no revision", "/revision/", 404, "RevisionNotFound", "", []string{"404", "revision main"}, false},
		{"no file", "resolve/" + testCommit + "/tokenizer.json", 404, "EntryNotFound", "", []string{"tokenizer.json", "404", "not in revision main"}, false},
		{"limit", "/revision/", 429, "", "", []string{"429", "try again later", "HF_TOKEN"}, true},
		{"down", "/revision/", 503, "", "", []string{"503", "try again later"}, true},
		{"teapot", "/revision/", 418, "", "", []string{"418"}, false},
		{"not modified", "/revision/", 304, "", "", []string{"304"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHub(t, embedder())
			h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if !strings.Contains(r.URL.Path, c.at) {
					return false
				}
				w.Header().Set("X-Error-Code", c.code)
				w.Header().Set("X-Error-Message", "the hub's own words")
				w.WriteHeader(c.status)
				return true
			}
			p := h.puller(t, t.TempDir(), func(cfg *Config) { cfg.Token = c.token })
			_, err := p.pull(t.Context())
			var e *Error
			if !errors.As(err, &e) || e.Status != c.status || (len(p.pauses) == tries-1) != c.requeue {
				t.Fatalf("%v after %d pauses", err, len(p.pauses))
			}
			for _, part := range append(c.want, "the hub's own words") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v: %q is missing", err, part)
				}
			}
			if strings.Contains(err.Error(), testToken) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

// TestChangedETag: content that changes between ranges is never mixed. A place
// that changes its ETag and not the content is believed, by the digest.
func TestChangedETag(t *testing.T) {
	other := noise(10_000)
	other[5000] ^= 1
	for name, c := range map[string]struct {
		content []byte
		obey    bool // If-Range
		good    bool
	}{
		"same content, whole file":  {nil, true, true},
		"same content, range":       {nil, false, true},
		"other content, whole file": {other, true, false},
		"other content, range":      {other, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, cache := newHub(t, embedder()), t.TempDir()
			content := h.files[weights]
			h.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n < 3 || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, digestOf(content)) {
					return false
				}
				if !c.obey {
					r.Header.Del("If-Range")
				}
				text := content
				if c.content != nil {
					text = c.content
				}
				w.Header().Set("ETag", `"changed"`)
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(text)))
				return true
			}
			p := h.puller(t, cache, func(c *Config) { c.Connections = 1 })
			s, err := p.pull(t.Context())
			if c.good {
				if err != nil {
					t.Fatal(err)
				}
				sameTree(t, s.Dir, h)
				return
			}
			notLinked(t, p, err, digestOf(content))
		})
	}
}

// notLinked wants an error about the weights, and neither blob nor snapshot.
func notLinked(t *testing.T, p *fast, err error, digest string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.File != weights || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if got := names(t, filepath.Join(p.repo.dir, "blobs"), digest); len(got) > 0 {
		t.Errorf("blobs holds %v", got)
	}
	if got := names(t, filepath.Join(p.repo.dir, "snapshots"), ""); len(got) > 0 {
		t.Errorf("snapshots holds %v", got)
	}
}

// TestLies: sizes and digests that are not true, and answers to other questions,
// are refused, and nothing of them stays.
func TestLies(t *testing.T) {
	for name, lie := range map[string]func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool{
		"content": func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
			if r.Host == h.cdn.Listener.Addr().String() {
				text := append([]byte{h.files[weights][0] ^ 1}, h.files[weights][1:]...)
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(text)))
				return true
			}
			return false
		},
		"smaller linked size": linked("9999", ""),
		"larger linked size":  linked("10001", ""),
		"digest":              linked("10000", strings.Repeat("a", 64)),
		"no digest":           linked("10000", "abc"),
		"size beyond all":     linked(fmt.Sprint(int64(1)<<62), ""),
		"range size":          ranged("bytes 0-1023/10001"),
		"range start":         ranged("bytes 1-1023/10000"),
		"range end":           ranged("bytes 0-1024/10000"),
		"range order":         ranged("bytes 0--5/10000"),
		"no range":            ranged("what"),
		"no such range": func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
			if r.Host == h.cdn.Listener.Addr().String() {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return true
			}
			return false
		},
		"encoding": func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, embedder())
			h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				return (strings.Contains(r.URL.Path, weights) || strings.Contains(r.URL.Path, digestOf(h.files[weights]))) && lie(h, w, r)
			}
			p := h.puller(t, t.TempDir())
			_, err := p.pull(t.Context())
			notLinked(t, p, err, digestOf(h.files[weights]))
		})
	}
}

// linked is a redirect that tells a size and, if it is not "", a digest.
func linked(size, digest string) func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
	return func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/resolve/") {
			return false
		}
		if digest == "" {
			digest = digestOf(h.files[weights])
		}
		w.Header().Set("X-Linked-Size", size)
		w.Header().Set("X-Linked-Etag", digest)
		w.Header().Set("Location", h.cdn.URL+"/"+digestOf(h.files[weights])+"?signature=secret")
		w.WriteHeader(http.StatusFound)
		return true
	}
}

// ranged is a place that says other ranges than it sends.
func ranged(v string) func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
	return func(h *fakeHub, w http.ResponseWriter, r *http.Request) bool {
		if r.Host != h.cdn.Listener.Addr().String() {
			return false
		}
		w.Header().Set("Content-Range", v)
		w.WriteHeader(http.StatusPartialContent)
		w.Write(h.files[weights][:1024])
		return true
	}
}

// TestNoRanges: a place that knows no ranges sends the whole file, also after it
// broke off; one that always breaks off at the same byte is given up.
func TestNoRanges(t *testing.T) {
	for name, broken := range map[string]int{"whole": 0, "once": 1, "always": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, embedder())
			content := h.files[weights]
			h.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, digestOf(content)) {
					return false
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				if n < broken {
					w.Write(content[:5000])
					panic(http.ErrAbortHandler)
				}
				w.Write(content)
				return true
			}
			p := h.puller(t, t.TempDir())
			s, err := p.pull(t.Context())
			if name == "always" {
				if err == nil || len(h.requests("GET", "cdn", digestOf(content))) > 2*tries {
					t.Errorf("%v after %d requests", err, len(h.requests("GET", "cdn", digestOf(content))))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sameTree(t, s.Dir, h)
		})
	}
}

// TestUnknownSize: a server that tells no size is believed by the digest.
func TestUnknownSize(t *testing.T) {
	h := newHub(t, embedder())
	h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		path, found := strings.CutPrefix(r.URL.Path, "/"+testRepo+"/resolve/"+testCommit+"/")
		if !found {
			return false
		}
		w.Header().Set("ETag", `W/"`+digestOf(h.files[path])+`"`)
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		w.Write(h.files[path])
		return true
	}
	p := h.puller(t, t.TempDir())
	sameTree(t, mustPull(t, p).Dir, h)
	if left := names(t, filepath.Join(p.repo.dir, "blobs"), "incomplete"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err := h.puller(t, t.TempDir(), func(c *Config) { c.MaxBytes = 5000 }).pull(t.Context())
	if err == nil || !strings.Contains(err.Error(), "more than 5000 bytes") {
		t.Errorf("bounded: %v", err)
	}
}

// TestWithoutHead: a server that knows GET alone is asked with that.
func TestWithoutHead(t *testing.T) {
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		h := newHub(t, embedder())
		h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodHead
		}
		sameTree(t, mustPull(t, h.puller(t, t.TempDir())).Dir, h)
	}
}

// TestRedirects: to another host without the token, never to another scheme, not
// for ever.
func TestRedirects(t *testing.T) {
	h := newHub(t, embedder())
	to := ""
	h.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if to == "" || !strings.Contains(r.URL.Path, "/revision/") {
			return false
		}
		http.Redirect(w, r, to, http.StatusFound)
		return true
	}
	for at, want := range map[string]string{
		"/api/models/owner/name/revision/main": "more than 10",
		"file:///etc/passwd":                   `"file"`,
		"gopher://127.0.0.1/x":                 `"gopher"`,
	} {
		to = at
		if _, err := h.puller(t, t.TempDir()).pull(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("to %s: %v", at, err)
		}
	}
	other := newHub(t, h.files) // the same machine by another name and port
	u, err := url.Parse(other.hub.URL)
	if err != nil {
		t.Fatal(err)
	}
	to = "http://localhost:" + u.Port() + "/api/models/owner/name/revision/other"
	other.hook = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to another host")
		}
		return false
	}
	other.hub.Config.Handler = other.seen("hub", func(w http.ResponseWriter, _ *http.Request) { other.list(w) })
	mustPull(t, h.puller(t, t.TempDir(), func(c *Config) { c.Token = testToken }))
	if len(other.requests()) != 1 {
		t.Errorf("the other host saw %q", other.requests())
	}
}

// TestExpiredSignature: a place that refuses is asked for anew at the hub.
func TestExpiredSignature(t *testing.T) {
	h := newHub(t, embedder())
	h.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 4 || !strings.Contains(r.URL.Path, digestOf(h.files[weights])) {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	sameTree(t, mustPull(t, h.puller(t, t.TempDir())).Dir, h)
}

// TestHostileState: whatever lies where an earlier process left its state, the
// file comes out right.
func TestHostileState(t *testing.T) {
	for name, state := range map[string]string{
		"not JSON":    "x",
		"other size":  `{"size":1,"piece":1024,"done":[1]}`,
		"other piece": `{"size":10000,"piece":9223372036854775807,"done":[]}`,
		"negative":    `{"size":10000,"piece":1024,"done":[-1,0,0,0,0,0,0,0,0,0]}`,
		"too much":    `{"size":10000,"piece":1024,"done":[1025,0,0,0,0,0,0,0,0,0]}`,
		"beyond end":  `{"size":10000,"piece":1024,"done":[0,0,0,0,0,0,0,0,0,784]}`,
		"untrue":      `{"size":10000,"piece":1024,"done":[1024,0,0,0,0,0,0,0,0,0]}`,
		"old place":   `{"size":10000,"piece":1024,"validator":"\"old\"","done":[1024,0,0,0,0,0,0,0,0,0]}`,
	} {
		t.Run(name, func(t *testing.T) {
			h, cache := newHub(t, embedder()), t.TempDir()
			p := h.puller(t, cache)
			blob := p.repo.blob(digestOf(h.files[weights])) + ".skiff"
			if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
				t.Fatal(err)
			}
			for path, text := range map[string]string{blob + ".state.incomplete": state, blob + ".incomplete": strings.Repeat("x", 2000)} {
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			sameTree(t, mustPull(t, p).Dir, h)
			if left := names(t, filepath.Dir(blob), "incomplete"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
