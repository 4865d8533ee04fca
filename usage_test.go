package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWrongUse: a wrong command line is status 2, says what is wrong on standard
// error, and prints no result.
func TestWrongUse(t *testing.T) {
	h := newHome(t)
	for _, c := range []struct{ args, want string }{
		{"", "a command is missing"},
		{"devices", "a command is missing"},
		{"fleet", "a command is missing"},
		{"sail", `unknown command "sail"`},
		{"devices sink", `unknown command "sink"`},
		{"pack", "accepts 1 arg(s), received 0"},
		{"pack builtin", `required flag(s) "output" not set`},
		{"pack builtin -o x --what", "unknown flag: --what"},
		{"verify", "accepts 1 arg(s)"},
		{"verify a b", "accepts 1 arg(s)"},
		{"run", "requires at least 1 arg(s)"},
		{"run builtin --json=perhaps", "invalid argument"},
		{"run builtin --kernels abacus", "abacus"},
		{"pack builtin -o x --threshold high", "--threshold high: want a score from 0 to 1"},
		{"pack builtin -o x --threshold 0.4,0.5", "--threshold 0.5: said twice"},
		{"run builtin --aggregation sum", "--aggregation: "},
		{"run builtin --top-k 0", "--top-k 0, want 1 or more"},
		{"run builtin --doc-stride -1", "--doc-stride -1, want 1 or more"},
		{"run builtin --threshold 2", "--threshold 2, want 0 to 1"},
		{"run builtin --prompt=", "--prompt names none"},
		{"device run", "required flag(s)"},
		{"fleet serve", "required flag(s)"},
		{"push x.skiff", `required flag(s) "server" not set`},
		{"devices list", `required flag(s) "server" not set`},
		{"help sail", `unknown command "sail"`},
		{"pack builtin --output=", "--output names no file"},
		{"pack builtin -o x --product a/b", `--product "a/b"`},
		{"pack builtin -o x --channel a,#", `--channel "#"`},
		{"push x.skiff --server http://127.0.0.1:1 --channel a/b", `--channel "a/b"`},
		{"device run --data d --id a/b", `device "a/b"`},
		{"device run --data d --id a --channel +", `channel "+"`},
		{"device run --data= --id a", "no data folder"},
		{"device run --data d --id a --broker http://h", `unknown scheme "http"`},
		{"device run --data d --id a --http 127.0.0.1:0 --socket s", "[http socket]"},
		{"serve x.skiff --http 127.0.0.1:0 --socket s", "[http socket]"},
		{"fleet serve --data d --pace=-1", "--pace -1"},
		{"fleet serve --data d --product /", `--product "/"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := h.run(t, "", strings.Fields(c.args)...)
			if r.status != statusUsage || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
				t.Errorf("status %d, stdout %q, stderr %q; want status 2 and %q", r.status, r.stdout, r.stderr, c.want)
			}
		})
	}
}

// TestHelp: every command explains itself, as a result.
func TestHelp(t *testing.T) {
	h := newHome(t)
	for _, cmd := range []string{"", "pack", "inspect", "verify", "run", "tokenize", "serve", "push", "devices list", "device run", "fleet serve"} {
		r := h.must(t, "", append(strings.Fields(cmd), "--help")...)
		if !strings.Contains(r.stdout, "skiff") || !strings.Contains(r.stdout, "Usage:") {
			t.Errorf("%s --help prints %q", cmd, r.stdout)
		}
	}
}

// TestMissingFile: what is not there is named, and is a failure, not wrong use.
func TestMissingFile(t *testing.T) {
	h := newHome(t)
	for _, args := range []string{
		"pack nowhere -o out.skiff", "inspect nowhere", "verify nowhere.skiff", "run nowhere x", "run nowhere.skiff x",
		"tokenize nowhere x", "serve nowhere.skiff", "push nowhere.skiff --server http://127.0.0.1:1",
	} {
		r := h.run(t, "", strings.Fields(args)...)
		if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, "nowhere") {
			t.Errorf("skiff %s: status %d, stdout %q, stderr %q", args, r.status, r.stdout, r.stderr)
		}
	}
}

// TestNoRegularFile: a pipe, a folder or a link in a circle is named and refused at
// once, where a file should be.
func TestNoRegularFile(t *testing.T) {
	m, dir := packedMini(t), t.TempDir()
	pipe, loop := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop")
	model := filepath.Join(dir, "model")
	for _, err := range []error{
		syscall.Mkfifo(pipe, 0o600), syscall.Mkfifo(pipe+".skiff", 0o600), syscall.Mkfifo(pipe+".safetensors", 0o600),
		os.Symlink(loop, loop), os.Mkdir(model, 0o700), syscall.Mkfifo(filepath.Join(model, "tokenizer.json"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{pipe, pipe + ".skiff", pipe + ".safetensors", loop} {
		for _, args := range [][]string{
			{"inspect", at}, {"verify", at}, {"run", at, "x"}, {"tokenize", at, "x"}, {"serve", at}, {"pack", at, "-o", filepath.Join(dir, "out")},
			{"push", at, "--server", "http://127.0.0.1:1"},
		} {
			if r := m.home.run(t, "", args...); r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, filepath.Base(at)) {
				t.Errorf("skiff %s: status %d, stdout %q, stderr %q", args, r.status, r.stdout, r.stderr)
			}
		}
	}
	if r := m.home.run(t, "", "tokenize", model, "x"); r.status != statusFailed || !strings.Contains(r.stderr, "not a regular file") {
		t.Errorf("tokenize: status %d, stderr %q", r.status, r.stderr)
	}
	if r := m.home.run(t, "", "pack", "builtin", "-o", pipe); r.status != statusFailed || !strings.Contains(r.stderr, "not a regular file") {
		t.Errorf("pack: status %d, stderr %q", r.status, r.stderr)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().IsRegular() {
		t.Errorf("the pipe was replaced: %v, %v", info, err)
	}
}

// TestPlain: what a file or a device calls itself does not command the terminal.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	text := "a\tb\n\x1b[2J\x7f\u009b\r é\n"
	if n, err := (plain{&out}).Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if want := "a\tb\n" + `\u001b[2J\u007f\u009b\u000d é` + "\n"; out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
	h, path := newHome(t), filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"model_type": "bert", "\u001b[2J": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := h.run(t, "", "inspect", path); r.status != statusFailed || strings.Contains(r.stderr, "\x1b") || !strings.Contains(r.stderr, `\u001b[2J`) {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
}

// TestInspectBuiltin: the model that comes with the binary can be looked at like any.
func TestInspectBuiltin(t *testing.T) {
	r := newHome(t).must(t, "", "inspect", "builtin", "--json")
	if !strings.Contains(r.stdout, `"path":"skiff-mini-embed","kind":"model"`) {
		t.Errorf("inspect builtin prints %.200s", r.stdout)
	}
}
