package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skiff/packager/builtin"
)

// hubCommit is the only commit of the hub below.
const hubCommit = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"

// hubFiles are the files of the built-in model that are on the hub.
var hubFiles = []string{"config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "model.safetensors", "vocab.txt", "README.md"}

// newModelHub serves the built-in model as skiff/mini, which asks for a token, and
// sends whoever wants the weights to another address.
func newModelHub(t *testing.T) *httptest.Server { return newModelHubWith(t, nil) }

// newModelHubWith lets hook see each request for weights first; it reports whether
// it has answered.
func newModelHubWith(t *testing.T, hook func(w http.ResponseWriter, r *http.Request) bool) *httptest.Server {
	t.Helper()
	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to another address")
		}
		if hook != nil && hook(w, r) {
			return
		}
		w.Header().Set("ETag", `"another"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(builtinFile(t, "model.safetensors")))
	}))
	t.Cleanup(large.Close)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, found := strings.CutPrefix(strings.Replace(r.URL.Path, "/main/", "/"+hubCommit+"/", 1), "/skiff/mini/resolve/"+hubCommit+"/")
		w.Header().Set("X-Repo-Commit", hubCommit)
		switch {
		case r.Header.Get("Authorization") != "Bearer hf_test":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/api/models/skiff/mini/revision/main":
			listModel(t, w)
		case !found:
			w.WriteHeader(http.StatusNotFound)
		case path == "model.safetensors":
			text := builtinFile(t, path)
			w.Header().Set("X-Linked-Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(text)))
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(text)))
			http.Redirect(w, r, large.URL, http.StatusFound)
		default:
			text := builtinFile(t, path)
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(text)), text...))))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
		}
	}))
	t.Cleanup(hub.Close)
	return hub
}

func builtinFile(t *testing.T, path string) []byte {
	text, err := builtin.File(path)
	if err != nil {
		t.Error(err)
	}
	return text
}

func listModel(t *testing.T, w http.ResponseWriter) {
	var siblings []map[string]string
	for _, path := range hubFiles {
		siblings = append(siblings, map[string]string{"rfilename": path})
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"sha": hubCommit, "siblings": siblings}); err != nil {
		t.Error(err)
	}
}

// TestHubModel: a model on a hub is pulled once and is then what a folder is, also
// without the hub; what may not be read says how it may.
func TestHubModel(t *testing.T) {
	server, h := newModelHub(t), newHome(t)
	cache := filepath.Join(string(h), "hub")
	on := func(token, offline string, args ...string) ran {
		cmd := h.command(t, args...)
		cmd.Env = append(cmd.Env, "HF_ENDPOINT="+server.URL, "HF_HOME="+string(h), "HF_HUB_CACHE="+cache, "HF_TOKEN="+token, "HF_HUB_OFFLINE="+offline)
		return finish(t, cmd)
	}
	if r := on("", "", "tokenize", "hf:skiff/mini", "x"); r.status != statusFailed || !strings.Contains(r.stderr, "401") || !strings.Contains(r.stderr, "HF_TOKEN") {
		t.Errorf("without a token: status %d, %q", r.status, r.stderr)
	}
	if r := on("hf_test", "1", "run", "hf:skiff/mini", "x"); r.status != statusFailed || !strings.Contains(r.stderr, "HF_HUB_OFFLINE") {
		t.Errorf("offline too early: status %d, %q", r.status, r.stderr)
	}
	same := func(offline string, args ...string) ran {
		t.Helper()
		r := on("hf_test", offline, args...)
		for i, a := range args {
			if strings.HasPrefix(a, "hf:") {
				args[i] = builtinName
			}
		}
		if want := h.must(t, "", args...); r.status != statusDone || r.stdout != want.stdout {
			t.Errorf("%v: status %d, %q (-builtin +hub)\n%s", args, r.status, r.stderr, cmp.Diff(want.stdout, r.stdout))
		}
		return r
	}
	same("", "tokenize", "hf:skiff/mini", "A man is playing a guitar.", "--json")
	blobs, err := os.ReadDir(filepath.Join(cache, "models--skiff--mini", "blobs"))
	if err != nil || len(blobs) != 6 {
		t.Errorf("%d files pulled for a tokenizer, %v; want 6, without weights", len(blobs), err)
	}
	if r := same("", "run", "hf:skiff/mini", "--f32", "--json", "A man is playing a guitar."); !strings.Contains(r.stderr, "pull skiff/mini 100%") {
		t.Errorf("progress %q", r.stderr)
	}
	server.Close()
	same("1", "run", "hf:skiff/mini@main", "--f32", "--json", "A man is playing a guitar.")
	if r := on("", "1", "inspect", "hf:skiff/mini@"+hubCommit, "--json"); r.status != statusDone || !strings.Contains(r.stdout, `"kind":"model"`) {
		t.Errorf("inspect: status %d, %q", r.status, r.stderr)
	}
	out := filepath.Join(string(h), "mini.skiff")
	if r := on("", "1", "pack", "hf:skiff/mini", "-o", out, "--fast", "--json"); r.status != statusDone || lines[packed](t, r)[0].Name != "mini" {
		t.Errorf("pack: status %d, %q, %q", r.status, r.stdout, r.stderr)
	}
	if r := on("", "", "pack", "hf:../x", "-o", out); r.status != statusUsage || !strings.Contains(r.stderr, "hf:owner/name") {
		t.Errorf("a name that is a path: status %d, %q", r.status, r.stderr)
	}
}

// TestHubProcesses: one process is killed in the middle of the weights while others
// wait for it; they go on, and pull no more than is missing.
func TestHubProcesses(t *testing.T) {
	var mu sync.Mutex
	stuck, requests := make(chan struct{}), 0
	server := newModelHubWith(t, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		requests++
		first := requests == 1
		mu.Unlock()
		if !first {
			return false
		}
		text := builtinFile(t, "model.safetensors")
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		if _, err := w.Write(text[:len(text)/2]); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		close(stuck)
		<-r.Context().Done()
		return true
	})
	h := newHome(t)
	pull := func() *exec.Cmd {
		cmd := h.command(t, "inspect", "hf:skiff/mini", "--json")
		cmd.Env = append(cmd.Env, "HF_ENDPOINT="+server.URL, "HF_HOME="+string(h), "HF_HUB_CACHE=", "HF_HUB_OFFLINE=", "HF_TOKEN=hf_test")
		return cmd
	}
	victim := pull()
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	<-stuck
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if r := finish(t, pull()); r.status != statusDone || !strings.Contains(r.stdout, `"kind":"model"`) {
				t.Errorf("status %d, %q", r.status, r.stderr)
			}
		})
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Error("the killed process came to its end")
	}
	wg.Wait()
	if requests != 2 {
		t.Errorf("%d requests for the weights, want one of the killed process and one of those that waited", requests)
	}
}
