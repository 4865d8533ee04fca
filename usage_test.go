package main

import (
	"strings"
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
		{"device run", "required flag(s)"},
		{"fleet serve", "required flag(s)"},
		{"push x.skiff", `required flag(s) "server" not set`},
		{"devices list", `required flag(s) "server" not set`},
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
