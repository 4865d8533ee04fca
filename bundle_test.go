package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/runtime/engine"
)

func TestInspectBundle(t *testing.T) {
	m := packedMini(t)
	info := lines[bundleInfo](t, m.home.must(t, "", "inspect", m.bundle, "--json"))[0]
	if info.Kind != "bundle" || info.Task != "embed" || info.Dim != 256 || info.MaxTokens != 128 || len(info.SignedBy) != 1 || len(info.Objects) == 0 {
		t.Errorf("inspect says %+v", info)
	}
	var inChunks int
	for _, n := range info.Codecs {
		inChunks += n
	}
	if inChunks != info.Chunks {
		t.Errorf("%d chunks, by codec %v", info.Chunks, info.Codecs)
	}
	text := m.home.must(t, "", "inspect", m.bundle).stdout
	if !strings.Contains(text, info.Digest.String()) || !strings.Contains(text, "signed by "+info.SignedBy[0]+" (checked)") || info.VerifiedBy != info.SignedBy[0] {
		t.Errorf("inspect prints %s", text)
	}
	stranger := newHome(t)
	info = lines[bundleInfo](t, stranger.must(t, "", "inspect", m.bundle, "--json"))[0]
	text = stranger.must(t, "", "inspect", m.bundle).stdout
	if info.VerifiedBy != "" || !strings.Contains(text, "signed by "+info.SignedBy[0]+" (not checked") {
		t.Errorf("to a stranger, inspect prints %s", text)
	}
	if left, err := os.ReadDir(string(stranger)); err != nil || len(left) > 0 {
		t.Errorf("looking made %v, %v", left, err)
	}
}

// TestInspectKernels: inspect says what would run the bundle here, as SKIFF_KERNELS allows.
func TestInspectKernels(t *testing.T) {
	m := packedMini(t)
	for _, kernels := range append([]string{"", "auto", "go", "interp"}, engine.Sets()...) {
		cmd := m.home.command(t, "inspect", m.bundle, "--json")
		cmd.Env = append(cmd.Env, "SKIFF_KERNELS="+kernels)
		here := lines[bundleInfo](t, finish(t, cmd))[0].Here
		want := kernels
		if kernels == "" || kernels == "auto" {
			if want = here.Kernels; here.Kernels == "" {
				t.Errorf("%q: it does not run here: %+v", kernels, here)
			}
		}
		if first, _, _ := strings.Cut(here.Kernels, "+"); first != want && here.Kernels != want || here.Misfit != "" || here.Off != nil {
			t.Errorf("%q: %+v", kernels, here)
		}
	}
	cmd := m.home.command(t, "inspect", m.bundle, "--json")
	cmd.Env = append(cmd.Env, "SKIFF_KERNELS=mmx")
	if here := lines[bundleInfo](t, finish(t, cmd))[0].Here; here.Kernels != "" || !strings.Contains(here.Misfit, "mmx") {
		t.Errorf("kernels that nobody has: %+v", here)
	}
	if text := m.home.must(t, "", "inspect", m.bundle).stdout; !strings.Contains(text, " kernels run it here") {
		t.Errorf("inspect prints %s", text)
	}
}

// TestInspectModel: a folder and its single files, on their own.
func TestInspectModel(t *testing.T) {
	h := newHome(t)
	for _, path := range []string{".", "config.json", "model.safetensors", "tokenizer.json"} {
		r := h.must(t, "", "inspect", filepath.Join("packager/builtin/skiff-mini-embed", path), "--json")
		if got := lines[map[string]any](t, r); len(got) != 1 || got[0]["kind"] == "" {
			t.Errorf("inspect %s prints %s", path, r.stdout)
		}
	}
	r := h.run(t, "", "inspect", "LICENSE")
	if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, "LICENSE") {
		t.Errorf("inspect LICENSE: status %d, %q, %q", r.status, r.stdout, r.stderr)
	}
}

func TestVerify(t *testing.T) {
	m := packedMini(t)
	got := lines[verdict](t, m.home.must(t, "", "verify", m.bundle, "--json"))[0]
	if !got.OK || got.Digest == nil || got.Key == "" || got.Chunks == 0 || got.Error != "" {
		t.Errorf("verify says %+v", got)
	}
	stranger := newHome(t)
	stranger.must(t, "", "verify", m.bundle, "--trust", m.pub)
	r := stranger.run(t, "", "verify", m.bundle, "--json")
	if v := lines[verdict](t, r)[0]; r.status != statusFailed || v.OK || v.Error == "" || !strings.Contains(r.stderr, "--trust") {
		t.Errorf("a stranger's bundle: status %d, %+v, %q", r.status, v, r.stderr)
	}
}

// TestVerifyFindsEveryChange flips one byte at a time at places all over the file,
// cuts it, and adds to it: verify, inspect and run must all say no.
func TestVerifyFindsEveryChange(t *testing.T) {
	m := packedMini(t)
	good, err := os.ReadFile(m.bundle)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(b []byte) []byte{
		"cut":   func(b []byte) []byte { return b[:len(b)-1] },
		"added": func(b []byte) []byte { return append(b, 0) },
		"empty": func([]byte) []byte { return nil },
	}
	places := map[string]int{"magic": 0, "version": 8, "manifest length": 12, "key id": 20, "signature": 60, "manifest": 200,
		"first chunk": len(good) / 3, "last byte": len(good) - 1}
	for name, at := range places {
		changes[name] = func(b []byte) []byte { b[at] ^= 1; return b }
	}
	path := filepath.Join(t.TempDir(), "bad.skiff")
	for name, change := range changes {
		if err := os.WriteFile(path, change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", path}, {"inspect", path}, {"run", path, "x"}} {
			r := m.home.run(t, "", args...)
			if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, path) || strings.Contains(r.stderr, "goroutine") {
				t.Errorf("%s, %s: status %d, stdout %.200q, stderr %q", name, args[0], r.status, r.stdout, r.stderr)
			}
		}
	}
}

func TestTokenize(t *testing.T) {
	m := packedMini(t)
	want := tokenized{
		IDs:         []int32{2, 5311, 277, 3},
		Tokens:      []string{"[CLS]", "hello", "world", "[SEP]"},
		TypeIDs:     []int32{0, 0, 0, 0},
		Offsets:     [][2]int{{0, 0}, {0, 5}, {6, 11}, {0, 0}},
		SpecialMask: []int32{1, 0, 0, 1},
	}
	for _, model := range []string{"builtin", m.bundle, "packager/builtin/skiff-mini-embed", "packager/builtin/skiff-mini-embed/tokenizer.json"} {
		got := lines[tokenized](t, m.home.must(t, "Hello wörld\n", "tokenize", model, "--json"))
		if diff := cmp.Diff([]tokenized{want}, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", model, diff)
		}
	}
	r := m.home.must(t, "", "tokenize", "builtin", "a\tb", "")
	if r.stdout != "[CLS] a [SEP] b [SEP]\n[CLS] [SEP]\n" {
		t.Errorf("a pair and an empty text print %q", r.stdout)
	}
}
