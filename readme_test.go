package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	makeLine   = regexp.MustCompile(`^make ([a-z-]+)`)
	address    = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

// TestReadmeCommands runs every command of README.md, in order, in one folder, as
// a reader would: one shell per block, the program in place of "go run .", free
// ports in place of those named. A block that starts a server goes on running
// until the end. Left out is what would run the tests within the tests: the demo,
// which is a test of its own, and make, of which the targets must exist.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	h, dir, ports := newHome(t), t.TempDir(), map[string]string{}
	blocks := shellBlock.FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no commands")
	}
	for _, m := range blocks {
		script := runnable(t, string(m[1]), string(makefile))
		script = address.ReplaceAllStringFunc(script, func(a string) string { return free(t, ports, a) })
		switch {
		case strings.TrimSpace(script) == "":
		case isServer(script):
			start(t, shell(t, h, dir, "exec "+script))
		default:
			cmd := shell(t, h, dir, script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s%v\n%s", script, err, out)
			}
		}
	}
}

// runnable drops the lines that this test only looks up.
func runnable(t *testing.T, block, makefile string) string {
	var kept strings.Builder
	for line := range strings.Lines(block) {
		if m := makeLine.FindStringSubmatch(line); m != nil {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("README.md: make has no target %s", m[1])
			}
		} else if strings.HasPrefix(line, "curl ") && !installed("curl") {
			t.Logf("SKIPPED LOUDLY: no curl here for %s", line)
		} else if !strings.HasPrefix(line, "go run . demo") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// free gives every address of the page a port that nobody uses.
func free(t *testing.T, ports map[string]string, address string) string {
	if ports[address] == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[address] = l.Addr().String()
	}
	return ports[address]
}

func isServer(script string) bool {
	for _, cmd := range []string{"serve", "fleet serve", "device run"} {
		if strings.HasPrefix(script, "go run . "+cmd) {
			return true
		}
	}
	return false
}

// shell prepares a block: the test binary stands for the program.
func shell(t *testing.T, h home, dir, script string) *exec.Cmd {
	t.Helper()
	needBash(t)
	skiff := h.command(t)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.ReplaceAll(script, "go run .", skiff.Path))
	cmd.Dir, cmd.Env = dir, skiff.Env
	return cmd
}

// needBash skips a test that is a shell's script where there is no such shell.
func needBash(t *testing.T) {
	t.Helper()
	if !installed("bash") {
		t.Skip("SKIPPED LOUDLY: no bash here")
	}
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}
