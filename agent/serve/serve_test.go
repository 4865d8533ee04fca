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
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake embeds a text as its length, in two dimensions.
type fake struct {
	name   string
	gate   chan struct{} // when not nil, Embed waits for it
	began  chan struct{}
	err    error
	mu     sync.Mutex // guards closed
	closed bool
}

func (f *fake) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if f.gate != nil {
		f.began <- struct{}{}
		select {
		case <-f.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("model is closed")
	}
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = []float32{float32(len(text)), 0.1}
	}
	return out, f.err
}

func (f *fake) Tokens(text string) int { return len(strings.Fields(text)) + 2 }
func (f *fake) Info() Info {
	return Info{Name: f.name, Version: "1", Digest: "d", Dim: 2, MaxTokens: 8, Kernels: "go"}
}

func (f *fake) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fake) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

func listen(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func post(s *Server, body string) *httptest.ResponseRecorder {
	return postTo(s, "/v1/embeddings", body)
}

func postTo(s *Server, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

func TestEmbeddings(t *testing.T) {
	s := listen(t, Config{})
	s.Swap(&fake{name: "mini"})
	one := `{"object":"embedding","index":0,"embedding":[5,0.1]}`
	coded := base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint32(
		binary.LittleEndian.AppendUint32(nil, math.Float32bits(5)), math.Float32bits(0.1)))
	list := `{"object":"list","data":[%s],"model":"mini","usage":{"prompt_tokens":%d,"total_tokens":%d}}`
	tests := []struct{ name, body, want string }{
		{"string", `{"input":"a b c","model":"x"}`, fmt.Sprintf(list, one, 5, 5)},
		{"float", `{"input":"a b c","encoding_format":"float","user":"me"}`, fmt.Sprintf(list, one, 5, 5)},
		{"array", `{"input":["a b c","ä"],"dimensions":2}`,
			fmt.Sprintf(list, one+`,{"object":"embedding","index":1,"embedding":[2,0.1]}`, 8, 8)},
		{"base64", `{"input":"a b c","encoding_format":"base64"}`,
			fmt.Sprintf(list, `{"object":"embedding","index":0,"embedding":"`+coded+`"}`, 5, 5)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := post(s, test.body)
			if d := cmp.Diff(test.want, strings.TrimSpace(w.Body.String())); d != "" || w.Code != http.StatusOK {
				t.Errorf("status %d\n%s", w.Code, d)
			}
		})
	}
}

// prompting is a fake with prompts; a prompt is as long as its name.
type prompting struct {
	fake
	names []string
}

func (f *prompting) Info() Info { return Info{Name: "mini", Dim: 2, Prompts: f.names} }

func (f *prompting) Prompted(name string) (Embedder, error) {
	if !slices.Contains(f.names, name) {
		return nil, &InputError{"prompt_name", fmt.Errorf("unknown prompt %q: the model has %s", name, strings.Join(f.names, ", "))}
	}
	return prompted{&f.fake, name}, nil
}

type prompted struct {
	f      *fake
	prompt string
}

func (p prompted) Tokens(text string) int { return p.f.Tokens(p.prompt + " " + text) }

func (p prompted) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	var all []string
	for _, text := range texts {
		all = append(all, p.prompt+text)
	}
	return p.f.Embed(ctx, all)
}

// TestPrompts: a prompt is chosen by its name, or by what the texts are for; the tokens count it.
func TestPrompts(t *testing.T) {
	s := listen(t, Config{})
	for _, c := range []struct {
		names []string
		more  string
		want  float32 // the length of prompt and text
	}{
		{[]string{"query"}, ``, 1}, {[]string{"query"}, `,"prompt_name":""`, 1}, {[]string{"query"}, `,"prompt_name":null,"input_type":null`, 1},
		{[]string{"q", "query"}, `,"prompt_name":"q"`, 2}, {[]string{"q", "query"}, `,"input_type":"query"`, 6}, {[]string{"q"}, `,"input_type":"query"`, 1},
		{[]string{"corpus", "passage"}, `,"input_type":"passage"`, 8}, {[]string{"corpus", "passage"}, `,"input_type":"document"`, 8},
		{[]string{"document", "passage"}, `,"input_type":"passage"`, 9}, {nil, `,"input_type":"document"`, 1},
	} {
		s.Swap(&prompting{names: c.names})
		w := post(s, `{"input":"a"`+c.more+`}`)
		var r struct {
			Data  []struct{ Embedding []float32 }
			Usage usage
		}
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || len(r.Data) != 1 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		tokens := 3
		if c.want > 1 {
			tokens++
		}
		if r.Data[0].Embedding[0] != c.want || r.Usage.PromptTokens != tokens {
			t.Errorf("%v%s: %s, want %g and %d tokens", c.names, c.more, w.Body, c.want, tokens)
		}
	}
	s.Swap(&prompting{names: []string{"document", "query"}})
	for _, c := range []struct{ more, message, param string }{
		{`,"prompt_name":"Query"`, `unknown prompt \"Query\": the model has document, query`, "prompt_name"},
		{`,"prompt_name":7`, "prompt_name is a number, want a string", "prompt_name"},
		{`,"input_type":"clustering"`, `input_type \"clustering\" is not query, document or passage`, "input_type"},
		{`,"input_type":"query","prompt_name":"query"`, "send one of them", "input_type"},
	} {
		w := post(s, `{"input":"a"`+c.more+`}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), c.message) || !strings.Contains(w.Body.String(), `"param":"`+c.param+`"`) {
			t.Errorf("%s: %d %s", c.more, w.Code, w.Body)
		}
	}
	s.Swap(&fake{name: "mini"})
	if w := post(s, `{"input":"a","prompt_name":"query"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "has no prompts") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRefusals(t *testing.T) {
	s := listen(t, Config{})
	if w := post(s, `{"input":"a"}`); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("without a model: %d %s", w.Code, w.Body)
	}
	s.Swap(&fake{name: "mini"})
	tests := []struct {
		name, body, message, param string
		code                       int
	}{
		{"not JSON", `{`, "not the expected JSON", "", 400},
		{"not UTF-8", "{\"input\":\"a\xff\"}", "not UTF-8", "", 400},
		{"no input", `{}`, "must provide input", "input", 400},
		{"null", `{"input":null}`, "must provide input", "input", 400},
		{"number", `{"input":3}`, "string or an array", "input", 400},
		{"object", `{"input":{}}`, "string or an array", "input", 400},
		{"empty array", `{"input":[]}`, "0 items", "input", 400},
		{"token ids", `{"input":[101,102]}`, "token ids are not supported", "input", 400},
		{"arrays of token ids", `{"input":[[101]]}`, "token ids are not supported", "input", 400},
		{"mixed", `{"input":["a",1]}`, "input[1]", "input", 400},
		{"format", `{"input":"a","encoding_format":"hex"}`, `"hex"`, "encoding_format", 400},
		{"dimensions", `{"input":"a","dimensions":3}`, "this model has 2", "dimensions", 400},
		{"too many", `{"input":[` + strings.Repeat(`"a",`, maxInputs) + `"a"]}`, "2049 items", "input", 400},
		{"too large", `{"input":"` + strings.Repeat("a", maxBody) + `"}`, "larger than", "", 413},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := post(s, test.body)
			var r refusal
			if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			param := ""
			if r.Error.Param != nil {
				param = *r.Error.Param
			}
			if w.Code != test.code || !strings.Contains(r.Error.Message, test.message) || param != test.param || r.Error.Type != "invalid_request_error" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	s.Swap(&fake{name: "broken", err: errors.New("no memory")})
	if w := post(s, `{"input":"a"}`); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "no memory") {
		t.Errorf("model error: %d %s", w.Code, w.Body)
	}
}

func TestPages(t *testing.T) {
	s := listen(t, Config{})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	check := func(path string, code int, part string) {
		t.Helper()
		if got, body := get(path); got != code || !strings.Contains(body, part) {
			t.Errorf("GET %s: %d %s, want %d %s", path, got, body, code, part)
		}
	}
	check("/healthz", 503, `"starting"`)
	check("/v1/status", 200, `"starting"`)
	check("/v1/models", 200, `{"object":"list","data":[]}`)
	check("/v1/models/mini", 404, "model_not_found")
	check("/v1/nothing", 404, "unknown_url")
	s.Swap(&fake{name: "mini"})
	check("/healthz", 200, `"kernels":"go"`)
	check("/v1/models", 200, `"id":"mini"`)
	check("/v1/models/mini", 200, `"object":"model"`)
	s.config.Status = func(loaded bool) any { return map[string]bool{"loaded": loaded} }
	check("/healthz", 200, `{"loaded":true}`)
	s.Swap(nil)
	check("/healthz", 503, `{"loaded":false}`)
}

// TestSwap: a request keeps the model it began with; the old model is closed after it, not before.
func TestSwap(t *testing.T) {
	s := listen(t, Config{})
	old := &fake{name: "old", gate: make(chan struct{}), began: make(chan struct{}, 1)}
	s.Swap(old)
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- post(s, `{"input":"a"}`) }()
	<-old.began
	s.Swap(&fake{name: "new"})
	if w := post(s, `{"input":"a"}`); !strings.Contains(w.Body.String(), `"model":"new"`) {
		t.Errorf("after the swap: %s", w.Body)
	}
	if old.isClosed() {
		t.Error("the old model was closed under a request")
	}
	close(old.gate)
	if w := <-answer; !strings.Contains(w.Body.String(), `"model":"old"`) {
		t.Errorf("the request under way: %s", w.Body)
	}
	if !old.isClosed() {
		t.Error("the old model stays open")
	}
}

// TestSwapHammer changes the model under many callers: no request fails, every model but the last is closed.
func TestSwapHammer(t *testing.T) {
	s := listen(t, Config{})
	s.Swap(&fake{name: "0"})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 200 {
				if w := post(s, `{"input":["a","b"]}`); w.Code != http.StatusOK {
					t.Errorf("status %d: %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	var models []*fake
	for i := range 100 {
		models = append(models, &fake{name: fmt.Sprint(i)})
		s.Swap(models[i])
	}
	callers.Wait()
	for i, m := range models {
		if last := i == len(models)-1; m.isClosed() == last {
			t.Errorf("model %d: closed %v", i, m.isClosed())
		}
	}
}

// patience is how long anything may hang before a test gives it up.
const patience = 30 * time.Second

// TestStop: a request that never ends does not keep Run, and the model is closed.
func TestStop(t *testing.T) {
	s := listen(t, Config{Socket: filepath.Join(t.TempDir(), "s")})
	m := &fake{name: "m", gate: make(chan struct{}), began: make(chan struct{}, 1)}
	s.Swap(m)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.config.Socket)
		},
	}}
	go func() {
		r, err := client.Post("http://device/v1/embeddings", "application/json", bytes.NewReader([]byte(`{"input":"a"}`)))
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}()
	<-m.began
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it waits for the request")
	}
	if !m.isClosed() {
		t.Error("the model stays open")
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close() // as a killed process leaves it
	s := listen(t, Config{Socket: path})
	if s.Addr() != "unix:"+path {
		t.Errorf("address %q", s.Addr())
	}
	if _, err := Listen(Config{Socket: path}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second listener: %v", err)
	}
	tcp := listen(t, Config{})
	if _, err := Listen(Config{Addr: strings.TrimPrefix(tcp.Addr(), "http://")}); err == nil {
		t.Error("a port in use gives no error")
	}
}
