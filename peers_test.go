package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python is the interpreter that make test-peers installed.
func python(t testing.TB) string {
	t.Helper()
	path := os.Getenv("SKIFF_PEERS")
	if path == "" {
		t.Skip("SKIPPED LOUDLY: SKIFF_PEERS names no Python; make test-peers and make bench-peers set it")
	}
	return path
}

// peer runs a Python script of testdata/peers and returns what it prints.
func peer(t testing.TB, stdin string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), os.Stderr
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "TRANSFORMERS_NO_ADVISORY_WARNINGS=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPeerOpenAIClient: OpenAI's own client, unchanged, gets the numbers that were
// asked for as numbers, in the order of the texts, also in its default base64.
func TestPeerOpenAIClient(t *testing.T) {
	m := packedMini(t)
	s := start(t, m.home.command(t, "serve", m.bundle))
	var got struct {
		Client         string
		Order          []int
		Default, Float [][]float32
		One            []float32
		Tokens         int
		Refused        string
	}
	if err := json.Unmarshal(peer(t, "", "testdata/peers/openai_client.py", s.HTTP), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Float, got.Default); diff != "" || len(got.Default) != 4 {
		t.Errorf("client %s (-float +base64)\n%s", got.Client, diff)
	}
	if diff := cmp.Diff(got.Default[0], got.One); diff != "" {
		t.Errorf("a batch and a single text differ\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3}, got.Order); diff != "" || got.Tokens < 128 || got.Refused == "" {
		t.Errorf("order %v, %d tokens, an empty list is refused with %q", got.Order, got.Tokens, got.Refused)
	}
}

// TestPeerTokenizer: transformers gives the same ids.
func TestPeerTokenizer(t *testing.T) {
	samples := []string{"A man is playing a guitar.", "", "  naïve CAFÉ\tdéjà-vu  ", "東京 2024! (don't)", "\u200bzero\u00adwidth", "🙂 ok", strings.Repeat("word ", 300)}
	var stdin bytes.Buffer
	for _, s := range samples {
		if err := printJSON(&stdin, s); err != nil {
			t.Fatal(err)
		}
	}
	theirs := peer(t, stdin.String(), "testdata/peers/transformers_ids.py", "packager/builtin/skiff-mini-embed")
	var want [][]int32
	for line := range bytes.Lines(theirs) {
		var ids []int32
		if err := json.Unmarshal(line, &ids); err != nil {
			t.Fatal(err)
		}
		want = append(want, ids)
	}
	var got [][]int32
	m := packedMini(t)
	for _, a := range lines[tokenized](t, m.home.must(t, stdin.String(), "tokenize", m.bundle, "--json")) {
		got = append(got, a.IDs)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-transformers +skiff)\n%s", diff)
	}
}
