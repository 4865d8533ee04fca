package hub

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPull: exactly what a model needs, in the layout that others read.
func TestPull(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	var last [2]int64
	p := h.puller(t, cache, func(c *Config) {
		c.Token = testToken
		c.Progress = func(done, total int64) {
			if done > total || total != 12_500+int64(smallBytes(h)) {
				t.Errorf("progress %d of %d", done, total)
			}
			last = [2]int64{done, total}
		}
	})
	s, err := p.pull(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(needed(), s.Files); diff != "" || s.Commit != testCommit {
		t.Errorf("commit %s (-want +got)\n%s", s.Commit, diff)
	}
	if last[0] != last[1] || last[0] == 0 {
		t.Errorf("progress ends at %d of %d", last[0], last[1])
	}
	repo := filepath.Join(cache, "models--owner--name")
	if s.Dir != filepath.Join(repo, "snapshots", testCommit) {
		t.Errorf("snapshot in %s", s.Dir)
	}
	sameTree(t, s.Dir, h)
	if link, err := os.Readlink(filepath.Join(s.Dir, "1_Pooling", "config.json")); err != nil || link != "../../../blobs/"+digestOf(h.files["1_Pooling/config.json"]) {
		t.Errorf("link %q, %v", link, err)
	}
	if text, err := os.ReadFile(filepath.Join(repo, "refs", "main")); err != nil || string(text) != testCommit {
		t.Errorf("refs/main holds %q, %v", text, err)
	}
	if left := names(t, filepath.Join(repo, "blobs"), ".incomplete"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for i, line := range h.log {
		if want := strings.Contains(line, " hub "); (h.auths[i] == "Bearer "+testToken) != want || !want && h.auths[i] != "" {
			t.Errorf("%s came with authorization %q", line, h.auths[i])
		}
	}
	if got := h.requests("GET", "cdn", "bytes="); len(got) != 10+3 {
		t.Errorf("%d ranges, want 10 of the weights and 3 of the tokenizer: %q", len(got), got)
	}
}

// smallBytes are the sizes of needed files that are not large.
func smallBytes(h *fakeHub) int {
	n := 0
	for _, path := range needed() {
		if len(h.files[path]) < 1000 {
			n += len(h.files[path])
		}
	}
	return n
}

// sameTree holds a snapshot against the files that are needed, and no others.
func sameTree(t *testing.T, dir string, h *fakeHub) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if string(text) != string(h.files[filepath.ToSlash(rel)]) {
			t.Errorf("%s differs", rel)
		}
		got = append(got, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := needed()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
}

// names lists what a folder holds that contains part.
func names(t *testing.T, dir, part string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if strings.Contains(e.Name(), part) {
			list = append(list, e.Name())
		}
	}
	return list
}

// TestPullAgain: what is there is not pulled again; a commit needs no network; a
// damaged blob is replaced; a file that came with the next commit alone is pulled.
func TestPullAgain(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	mustPull(t, h.puller(t, cache))
	before := len(h.requests("GET", "cdn"))
	mustPull(t, h.puller(t, cache))
	if now := len(h.requests("GET", "cdn")); now != before {
		t.Errorf("%d more requests for content", now-before)
	}

	all := len(h.requests())
	pinned := h.puller(t, cache)
	pinned.ref.Revision = testCommit
	mustPull(t, pinned)
	if now := len(h.requests()); now != all {
		t.Errorf("%d requests for a commit that is here", now-all)
	}

	weights := filepath.Join(cache, "models--owner--name", "blobs", digestOf(h.files["model.safetensors"]))
	damage(t, weights)
	mustPull(t, h.puller(t, cache))
	if err := verify(weights, filepath.Base(weights), 10_000); err != nil {
		t.Error(err)
	}

	h.commit, h.files["config.json"] = strings.Repeat("e", 40), []byte(`{"new": 1}`)
	before = len(h.requests("GET", "cdn"))
	s := mustPull(t, h.puller(t, cache))
	sameTree(t, s.Dir, h)
	if s.Commit != h.commit || len(h.requests("GET", "cdn")) != before {
		t.Errorf("commit %s, %d requests for large files", s.Commit, len(h.requests("GET", "cdn"))-before)
	}
}

func mustPull(t *testing.T, p *fast) Snapshot {
	t.Helper()
	s, err := p.pull(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damage changes one byte of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPullTogether: many pulls of one model at once, each with a puller of its own
// as in processes of their own, end well and pull each file once.
func TestPullTogether(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		p := h.puller(t, cache)
		wg.Go(func() {
			if _, err := p.pull(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sameTree(t, filepath.Join(cache, "models--owner--name", "snapshots", testCommit), h)
	if got := h.requests("GET", "cdn", digestOf(h.files["model.safetensors"])); len(got) != 10 {
		t.Errorf("%d ranges of the weights, want 10", len(got))
	}
}

// TestNoWeights: the rest comes later, and the weights are not touched.
func TestNoWeights(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	s := mustPull(t, h.puller(t, cache, func(c *Config) { c.NoWeights = true }))
	if slices.Contains(s.Files, "model.safetensors") || len(h.requests("model.safetensors")) > 0 {
		t.Errorf("files %q, requests %q", s.Files, h.requests("model.safetensors"))
	}
	offline := func(c *Config) { c.Offline = true }
	if _, err := h.puller(t, cache, offline).pull(t.Context()); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("offline: %v", err)
	}
	if _, err := h.puller(t, cache, offline, func(c *Config) { c.NoWeights = true }).pull(t.Context()); err != nil {
		t.Errorf("offline, no weights: %v", err)
	}
	mustPull(t, h.puller(t, cache))
}

// TestCancel: an interrupted pull says so, and the next one goes on.
func TestCancel(t *testing.T) {
	h, cache := newHub(t, embedder()), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	p := h.puller(t, cache, func(c *Config) {
		c.Connections = 1
		c.Progress = func(done, _ int64) {
			if done > 8_000 {
				cancel()
			}
		}
	})
	if _, err := p.pull(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if got := names(t, p.repo.snapshot(testCommit), ""); len(got) > 0 {
		t.Errorf("the snapshot holds %v", got)
	}
	before := len(h.requests("GET", "cdn"))
	mustPull(t, h.puller(t, cache))
	if again := len(h.requests("GET", "cdn")) - before; again > 8 {
		t.Errorf("%d ranges to finish, after at least 8000 bytes of 12500 were there", again)
	}
	if got := names(t, p.repo.dir+"/blobs", "incomplete"); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

// TestParseRef reads names as people write them and refuses those that are paths.
func TestParseRef(t *testing.T) {
	for arg, want := range map[string]Ref{
		"hf:owner/name":             {"owner/name", "main"},
		"hf:BAAI/bge-small-en-v1.5": {"BAAI/bge-small-en-v1.5", "main"},
		"hf:bert-base-uncased":      {"bert-base-uncased", "main"},
		"hf:o/n@v1.0":               {"o/n", "v1.0"},
		"hf:o/n@refs/pr/1":          {"o/n", "refs/pr/1"},
		"hf:o/n@" + testCommit:      {"o/n", testCommit},
	} {
		got, err := ParseRef(arg)
		if err != nil || got != want || (got.String() != arg && want.Revision != "main") {
			t.Errorf("%s: %+v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"hf:", "o/n", "hf:/n", "hf:o/", "hf:o/n/m", "hf:../n", "hf:o/..", "hf:o/a--b", "hf:o/n.git", "hf:o n/m", "hf:-o/n", "hf:o/n@", "hf:o/n@../x", "hf:o/n@/x", "hf:o/n@a//b", "hf:o/n@.x", "hf:o/n@a/.x", "hf:o/n@a\\b", "hf:o/n@a\nb", "hf:o/n?x", "hf://o/n", "hf:" + strings.Repeat("a", 200)} {
		if ref, err := ParseRef(arg); err == nil {
			t.Errorf("%q is read as %+v", arg, ref)
		}
	}
	if got := (Ref{Repo: "o/n"}).Name(); got != "n" {
		t.Errorf("name %q", got)
	}
}

// TestConfig: what cannot be is refused before a request.
func TestConfig(t *testing.T) {
	for _, c := range []Config{{Endpoint: "huggingface.co"}, {Endpoint: "ftp://x"}, {Endpoint: "https://user:pass@x"}, {Endpoint: "https://x?y"}, {Connections: -1}, {MaxBytes: -1}} {
		if _, err := Pull(t.Context(), Ref{"o/n", "main"}, c); err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Pull(t.Context(), Ref{"../..", "main"}, Config{}); err == nil {
		t.Error("a name that is a path")
	}
}

// TestHTTPPlain: over plain http to another machine the token stays here, and a
// refusal says why.
func TestHTTPPlain(t *testing.T) {
	cfg, err := Config{Endpoint: "http://hub.example", Token: testToken}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	w := newClient(Ref{testRepo, "main"}, cfg)
	if w.sendsToken() {
		t.Error("the token would be sent")
	}
	e := w.refusal("", &answer{Response: &http.Response{StatusCode: 401, Header: http.Header{}}})
	if !strings.Contains(e.Error(), "https") || strings.Contains(e.Error(), testToken) {
		t.Error(e)
	}
}
