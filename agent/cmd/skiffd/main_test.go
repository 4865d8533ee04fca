package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/agent"
)

// TestLinks builds the daemon alone and holds what it links against what a device must not carry.
func TestLinks(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, p := range strings.Fields(string(out)) {
		for _, bad := range []string{"skiff/packager", "skiff/fleet", "github.com/nats-io", "github.com/spf13/cobra"} {
			if p == bad || strings.HasPrefix(p, bad+"/") {
				t.Errorf("skiffd links %s", p)
			}
		}
	}
	if testing.Short() {
		return
	}
	bin := filepath.Join(t.TempDir(), "skiffd")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

func TestReadFile(t *testing.T) {
	tests := []struct {
		name, text string
		args       []string
		want       agent.Config
		err        string
	}{
		{name: "all kinds", text: "# a device\nid = \"dev-1\"\n data=\"/var/lib/skiff\" # here\nworkers = 2\n",
			want: agent.Config{ID: "dev-1", DataDir: "/var/lib/skiff", Workers: 2}},
		{name: "a flag goes before", text: "id = \"a\"", args: []string{"--id", "b"}, want: agent.Config{ID: "b"}},
		{name: "unknown", text: "id = \"a\"\ncolour = 1", err: `line 2: unknown setting "colour"`},
		{name: "twice", text: "id = \"a\"\nid = \"b\"", err: `line 2: "id" comes twice`},
		{name: "open quote", text: "id = \"a", err: "line 1: id: text without its closing quote"},
		{name: "no value", text: "id", err: "line 1: want name = value"},
		{name: "not a number", text: "workers = many", err: "line 1: workers: parse error"},
		{name: "rest", text: `id = "a" "b"`, err: `line 1: id: "\"b\"" after the text`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c agent.Config
			var file string
			var level slog.Level
			f := flags(&c, &file, &level, io.Discard)
			if err := f.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			err := readFile(f, strings.NewReader(test.text))
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.ID != test.want.ID || c.DataDir != test.want.DataDir || c.Workers != test.want.Workers {
				t.Error(cmp.Diff(test.want.ID+test.want.DataDir, c.ID+c.DataDir))
			}
		})
	}
}

func TestWrongUse(t *testing.T) {
	tests := []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"--nonsense"}, 2, "flag provided but not defined"},
		{[]string{"stray"}, 2, `unexpected argument "stray"`},
		{[]string{"--config", "/nonexistent/file"}, 2, "no such file"},
		{[]string{"--id", "d"}, 2, "no data folder"},
		{[]string{"--id", "a b", "--data", "x"}, 2, `device "a b"`},
		{[]string{"--id", "d", "--data", "x"}, 2, "no trusted model key"},
		{[]string{"--id", "d", "--data", "x", "--broker", "http://h"}, 2, `unknown scheme "http"`},
		{[]string{"--id", "d", "--data", "x", "--kernels", "gpu"}, 2, `kernels "gpu": want auto`},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), test.args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stderr.String(), test.say) || stdout.Len() > 0 {
			t.Errorf("skiffd %q: status %d, want %d; said %q, want %q", test.args, code, test.code, stderr.String(), test.say)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"--help"}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "-data") || stderr.Len() > 0 {
		t.Errorf("skiffd --help: status %d, %q and %q", code, stdout.String(), stderr.String())
	}
}
