package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asSkiff makes the test binary be skiff, so that the tests run real processes.
const asSkiff = "SKIFF_TEST_BE_SKIFF"

func TestMain(m *testing.M) {
	if os.Getenv(asSkiff) != "" {
		main()
	}
	status := m.Run()
	os.RemoveAll(packOnce.dir)
	os.Exit(status)
}

// home is a user's home folder: keys made in one are not seen in another.
type home string

func newHome(t *testing.T) home { return home(t.TempDir()) }

// ran is what a finished command left.
type ran struct {
	status         int
	stdout, stderr string
}

// command prepares skiff with arguments.
func (h home) command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asSkiff+"=1", "HOME="+string(h), "XDG_CONFIG_HOME="+string(h))
	return cmd
}

// run runs skiff to its end.
func (h home) run(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	cmd := h.command(t, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(t, cmd)
}

// finish runs a prepared command to its end.
func finish(t *testing.T, cmd *exec.Cmd) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must is run for a command that has to succeed.
func (h home) must(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	r := h.run(t, stdin, args...)
	if r.status != statusDone {
		t.Fatalf("skiff %s: status %d\n%s", strings.Join(args, " "), r.status, r.stderr)
	}
	return r
}

// lines decodes one JSON value per line of standard output.
func lines[T any](t *testing.T, r ran) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(r.stdout) {
		var v T
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%v in %.200s", err, line)
		}
		all = append(all, v)
	}
	return all
}
