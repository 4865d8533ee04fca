package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPeerHubCache: huggingface_hub finds what skiff pulled, without a network, and
// skiff finds what huggingface_hub pulled.
func TestPeerHubCache(t *testing.T) {
	python(t)
	server, h := newModelHub(t), newHome(t)
	for name, value := range map[string]string{"HF_ENDPOINT": server.URL, "HF_HOME": string(h), "HF_TOKEN": "hf_test"} {
		t.Setenv(name, value)
	}
	needed := slices.DeleteFunc(slices.Clone(hubFiles), func(f string) bool { return f == "README.md" || f == "vocab.txt" })

	ours := filepath.Join(string(h), "ours")
	t.Setenv("HF_HUB_CACHE", ours)
	h.must(t, "", "inspect", "hf:skiff/mini")
	var got struct {
		Snapshot, Config, Weights, Commit string
		Refs, Files, Warnings             []string
	}
	if err := json.Unmarshal(peer(t, "", "testdata/peers/hub_cache.py", "read", ours, "skiff/mini"), &got); err != nil {
		t.Fatal(err)
	}
	slices.Sort(needed)
	dir := filepath.Join(ours, "models--skiff--mini", "snapshots", hubCommit)
	if diff := cmp.Diff(needed, got.Files); diff != "" || got.Snapshot != dir || got.Commit != hubCommit || len(got.Warnings) > 0 || !slices.Equal(got.Refs, []string{"main"}) {
		t.Errorf("%+v (-want +got)\n%s", got, diff)
	}
	if got.Config != filepath.Join(dir, "config.json") || got.Weights != filepath.Join(dir, "model.safetensors") {
		t.Errorf("config.json at %s, weights at %s", got.Config, got.Weights)
	}

	theirs := filepath.Join(string(h), "theirs")
	t.Setenv("HF_HUB_CACHE", theirs)
	peer(t, "", append([]string{"testdata/peers/hub_cache.py", "fill", theirs, "skiff/mini"}, needed...)...)
	server.Close()
	t.Setenv("HF_HUB_OFFLINE", "1")
	if r := h.must(t, "", "inspect", "hf:skiff/mini", "--json"); !strings.Contains(r.stdout, `"kind":"model"`) {
		t.Errorf("prints %q", r.stdout)
	}
	if _, err := os.Stat(filepath.Join(theirs, "models--skiff--mini", ".skiff")); err == nil {
		t.Error("offline, and yet something was written")
	}
}
