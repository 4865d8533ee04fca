package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// oldFiles are the built-in model's files from before there was a tokenizer.json.
var oldFiles = []string{"config.json", "tokenizer_config.json", "vocab.txt"}

// newOldHub serves oldFiles as skiff/old.
func newOldHub(t *testing.T) *httptest.Server {
	t.Helper()
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, found := strings.CutPrefix(strings.Replace(r.URL.Path, "/main/", "/"+hubCommit+"/", 1), "/skiff/old/resolve/"+hubCommit+"/")
		w.Header().Set("X-Repo-Commit", hubCommit)
		switch {
		case r.URL.Path == "/api/models/skiff/old/revision/main":
			var siblings []map[string]string
			for _, path := range oldFiles {
				siblings = append(siblings, map[string]string{"rfilename": path})
			}
			if err := json.NewEncoder(w).Encode(map[string]any{"sha": hubCommit, "siblings": siblings}); err != nil {
				t.Error(err)
			}
		case !found || !slices.Contains(oldFiles, path):
			w.WriteHeader(http.StatusNotFound)
		default:
			text := builtinFile(t, path)
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(text)), text...))))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
		}
	}))
	t.Cleanup(hub.Close)
	return hub
}

// TestTokenizeOlder: a tokenizer is found where the transformer is, and made of older files
// where there is no tokenizer.json, in a folder and on a hub; its weights are not needed.
func TestTokenizeOlder(t *testing.T) {
	h, dir := newHome(t), t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range oldFiles {
		write("old/"+name, builtinFile(t, name))
		write("below/0_Transformer/"+name, builtinFile(t, name))
		write("onnx/"+name, builtinFile(t, name))
	}
	modules := strings.Replace(string(builtinFile(t, "modules.json")), `"path": ""`, `"path": "0_Transformer"`, 1)
	write("below/modules.json", []byte(modules))
	write("below/1_Pooling/config.json", builtinFile(t, "1_Pooling/config.json"))
	write("onnx/onnx/model.onnx", nil)
	const text = "A man is playing a guitär, unaffable!\n"
	want := h.must(t, text, "tokenize", "builtin", "--json").stdout
	hub := newOldHub(t)
	for _, model := range []string{filepath.Join(dir, "old"), filepath.Join(dir, "below"), filepath.Join(dir, "onnx/onnx/model.onnx"), "hf:skiff/old"} {
		cmd := h.command(t, "tokenize", model, "--json")
		cmd.Env = append(cmd.Env, "HF_ENDPOINT="+hub.URL, "HF_HOME="+string(h), "HF_HUB_CACHE=", "HF_TOKEN=", "HF_HUB_OFFLINE=")
		cmd.Stdin = strings.NewReader(text)
		if r := finish(t, cmd); r.status != statusDone || r.stdout != want {
			t.Errorf("%s: status %d, %q, %q; want %q", model, r.status, r.stdout, r.stderr, want)
		}
	}
	if r := h.run(t, text, "tokenize", t.TempDir()); r.status != statusFailed || !strings.Contains(r.stderr, "no older tokenizer files") {
		t.Errorf("an empty folder: status %d, %q", r.status, r.stderr)
	}
}
