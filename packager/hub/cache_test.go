package hub

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// foreign lays out a cache by hand as huggingface_hub does, without our record.
func foreign(t *testing.T, files map[string][]byte, paths ...string) string {
	t.Helper()
	cache := t.TempDir()
	repo := filepath.Join(cache, "models--owner--name")
	for _, p := range paths {
		link := filepath.Join(repo, "snapshots", testCommit, filepath.FromSlash(p))
		write(t, filepath.Join(repo, "blobs", digestOf(files[p])), files[p])
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		target, err := filepath.Rel(filepath.Dir(link), filepath.Join(repo, "blobs", digestOf(files[p])))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(repo, "refs", "main"), []byte(testCommit))
	return cache
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func offline(cache, revision string) (Snapshot, error) {
	// The address is one that nobody answers on.
	return Pull(context.Background(), Ref{testRepo, revision}, Config{Endpoint: "http://127.0.0.1:1", Cache: cache, Offline: true})
}

// TestOffline answers from what another tool pulled, by branch and by commit, and
// names what is missing.
func TestOffline(t *testing.T) {
	files := embedder()
	cache := foreign(t, files, needed()...)
	for _, revision := range []string{"main", testCommit} {
		s, err := offline(cache, revision)
		if err != nil || !slices.Equal(s.Files, needed()) || s.Commit != testCommit {
			t.Errorf("%s: %+v, %v", revision, s, err)
		}
	}
	for _, c := range []struct {
		cache, revision, want string
	}{
		{t.TempDir(), "main", "no revision main"},
		{cache, "v2", "no revision v2"},
		{cache, strings.Repeat("f", 40), "no files of commit ffff"},
		{foreign(t, files, "config.json"), "main", "tokenizer.json: not there"},
		{foreign(t, files, "config.json", "tokenizer.json"), "main", "model.safetensors: not there"},
		{foreign(t, files, "config.json", "tokenizer.json", "model.safetensors", "modules.json"), "main", "1_Pooling/config.json: not there"},
	} {
		_, err := offline(c.cache, c.revision)
		if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestOfflineComplete: where a list of the commit's files is here, ours or
// huggingface_hub's, a file that was never pulled is missed and not taken for absent.
func TestOfflineComplete(t *testing.T) {
	files := embedder()
	for path, text := range map[string]string{
		".skiff/" + testCommit:          "config.json\nmodel.safetensors\nmodules.json\ntokenizer.json\n../x\n",
		"trees/" + testCommit + ".json": `{"format_version":1,"files":{"config.json":{},"model.safetensors":{},"modules.json":{},"tokenizer.json":{}}}`,
	} {
		cache := foreign(t, files, "config.json", "tokenizer.json", "model.safetensors")
		if _, err := offline(cache, "main"); err != nil {
			t.Errorf("without a list: %v", err)
		}
		write(t, filepath.Join(cache, "models--owner--name", filepath.FromSlash(path)), []byte(text))
		if _, err := offline(cache, "main"); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "modules.json") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestOfflineDamage: a blob that is not what its name says is not used, and a
// pull with a network replaces it.
func TestOfflineDamage(t *testing.T) {
	h := newHub(t, embedder())
	for _, path := range []string{"config.json", weights} {
		cache := foreign(t, h.files, needed()...)
		damage(t, filepath.Join(cache, "models--owner--name", "blobs", digestOf(h.files[path])))
		if _, err := offline(cache, "main"); !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		sameTree(t, mustPull(t, h.puller(t, cache)).Dir, h)
		if _, err := offline(cache, "main"); err != nil {
			t.Error(err)
		}
	}
}

// TestUnreachable: a hub that is not there is not passed over in silence.
func TestUnreachable(t *testing.T) {
	h := newHub(t, embedder())
	p := h.puller(t, foreign(t, h.files, needed()...))
	h.hub.Close()
	if _, err := p.pull(t.Context()); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE=1") || len(p.pauses) != tries-1 {
		t.Errorf("%v after %d pauses", err, len(p.pauses))
	}
}

// TestCopies: a snapshot of files instead of links, as on systems without them, is
// kept where it is right and replaced where it is not.
func TestCopies(t *testing.T) {
	h := newHub(t, embedder())
	cache := t.TempDir()
	dir := filepath.Join(cache, "models--owner--name", "snapshots", testCommit)
	write(t, filepath.Join(dir, "config.json"), h.files["config.json"])
	write(t, filepath.Join(dir, "tokenizer.json"), []byte("{}"))
	sameTree(t, mustPull(t, h.puller(t, cache)).Dir, h)
	if _, err := os.Readlink(filepath.Join(dir, "config.json")); err == nil {
		t.Error("a right copy was replaced")
	}
}

// TestLock: one owner at a time, also when the file of the lock is removed and made
// again in between, and waiting ends with the context.
func TestLock(t *testing.T) {
	r := newRepo(t.TempDir(), Ref{testRepo, "main"})
	first, err := r.lock(t.Context(), "d")
	if err != nil || !first.exclusive {
		t.Skipf("SKIPPED LOUDLY: no locks here: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.lock(ctx, "d"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second owner: %v", err)
	}
	if err := os.Remove(filepath.Join(r.locks, "d.lock")); err != nil {
		t.Fatal(err)
	}
	if stillAt(first.file, filepath.Join(r.locks, "d.lock")) {
		t.Error("a lock on a removed file counts")
	}
	second, err := r.lock(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	first.release()
	second.release()
}

// TestWithoutLock: where there are no locks, every owner has a file of its own, and
// nothing is kept.
func TestWithoutLock(t *testing.T) {
	r := newRepo(t.TempDir(), Ref{testRepo, "main"})
	content := noise(3000)
	f := file{"x", digestOf(content), 3000}
	var parts []*partial
	for range 2 {
		p, err := r.openPartial(f, 1024, false, &meter{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Done {
			if err := p.fill(i, strings.NewReader(string(content[1024*i:]))); err != nil {
				t.Fatal(err)
			}
		}
		parts = append(parts, p)
	}
	if err := errors.Join(parts[0].place(), parts[0].close(), parts[1].close()); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Join(r.dir, "blobs"), ""); !slices.Equal(got, []string{f.digest}) {
		t.Errorf("blobs holds %v", got)
	}
}

// TestFromEnv reads the variables that the other tools read.
func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	dir := filepath.Join(home, "hf")
	write(t, filepath.Join(dir, "token"), []byte("from-file\n"))
	write(t, filepath.Join(dir, "other"), []byte(" other "))
	write(t, filepath.Join(dir, "bad"), []byte("two words"))
	for _, c := range []struct {
		name string
		env  string
		want Config
		bad  bool
	}{
		{"nothing", "", Config{Cache: home + "/.cache/huggingface/hub"}, false},
		{"XDG", "XDG_CACHE_HOME=/x", Config{Cache: "/x/huggingface/hub"}, false},
		{"home", "HF_HOME=" + dir, Config{Cache: dir + "/hub", Token: "from-file"}, false},
		{"tilde and variable", "HF_HOME=~/hf HF_HUB_CACHE=~/$SUB/c SUB=s", Config{Cache: home + "/s/c", Token: "from-file"}, false},
		{"older names", "HUGGINGFACE_HUB_CACHE=/c HUGGING_FACE_HUB_TOKEN=t TRANSFORMERS_OFFLINE=yes", Config{Cache: "/c", Token: "t", Offline: true}, false},
		{"newer names win", "HF_HUB_CACHE=/d HUGGINGFACE_HUB_CACHE=/c HF_TOKEN=u HUGGING_FACE_HUB_TOKEN=t", Config{Cache: "/d", Token: "u"}, false},
		{"endpoint", "HF_ENDPOINT=http://127.0.0.1:1/ HF_HUB_OFFLINE=1", Config{Endpoint: "http://127.0.0.1:1/", Cache: home + "/.cache/huggingface/hub", Offline: true}, false},
		{"not offline", "HF_HUB_OFFLINE=0", Config{Cache: home + "/.cache/huggingface/hub"}, false},
		{"token file", "HF_HOME=" + dir + " HF_TOKEN_PATH=~/hf/other", Config{Cache: dir + "/hub", Token: "other"}, false},
		{"no token", "HF_TOKEN=t HF_HUB_DISABLE_IMPLICIT_TOKEN=1", Config{Cache: home + "/.cache/huggingface/hub"}, false},
		{"bad token", "HF_TOKEN=t\nX:", Config{}, true},
		{"bad token file", "HF_TOKEN_PATH=" + dir + "/bad", Config{}, true},
		{"folder as token file", "HF_TOKEN_PATH=" + dir, Config{}, true},
	} {
		env := make(map[string]string)
		for _, v := range strings.Split(c.env, " ") {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		got, err := FromEnv(func(name string) string { return env[name] })
		if c.bad {
			if err == nil || strings.Contains(err.Error(), "two words") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || got.Cache != c.want.Cache || got.Token != c.want.Token || got.Endpoint != c.want.Endpoint || got.Offline != c.want.Offline {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestHeaders reads what servers write by hand.
func TestHeaders(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "12": 12 * time.Second, "-1": 0, "x": 0, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0, "99999999999": (1 << 20) * time.Second,
	} {
		if got := retryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", v, got, want)
		}
	}
	for v, want := range map[string][3]int64{
		"bytes 0-9/10": {0, 9, 10}, "bytes 5-5/*": {5, 5, -1}, "bytes */10": {}, "": {}, "bytes 1-": {}, "bytes -1-2/3": {}, "bytes 0-9/-1": {}, "items 0-9/10": {},
	} {
		first, last, size, err := contentRange(v)
		if got := [3]int64{first, last, size}; got != want || (err != nil) != (want == [3]int64{}) {
			t.Errorf("Content-Range %q: %v, %v", v, got, err)
		}
	}
	for n := range 20 {
		if d := backoff(n); d < firstDelay/2 || d > maxDelay {
			t.Errorf("pause %v after try %d", d, n)
		}
	}
}
