package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The demo is the system test: three device processes on three engines, a real broker, a
// kill in mid-download, a proof on each, a search offline, tampered bundles refused.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the demo takes half a minute")
	}
	h := newHome(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	r := h.must(t, "", "demo")
	for _, want := range []string{
		`(?m)^1\. Import\n   skiff-mini-embed: bert, 3 blocks`,
		`(?m)^   .* signed by key [0-9a-f]{12}$`,
		`(?m)^   cosine of int8 against float32 over \d+ sentences: 0\.99`,
		`(?m)^   gamma is killed \(SIGKILL\) with [12]\.\d\d MB and started again$`,
		`(?m)^   gamma resumed from what it had committed:$`,
		`(?m)^   gamma fetched \d+ bytes, of which \d+ twice$`,
		`(?m)^   beta  signature and digests verified; \d+ golden batches, bits equal on wazero's interpreter; [0-9a-f]{12} is active$`,
		`(?m)^   How do I restart the machine\?  +Reset the device by holding`,
		`(?m)^   15 vectors of 256 values: equal bit for bit on 3 devices; cosine to float32 at least 0\.99`,
		`(?m)^   release 2, one byte of chunk \d+ changed on the server:\n   alpha refused: .*; [0-9a-f]{12} goes on answering$`,
		`(?m)^   release 2, one byte of the manifest changed:\n   alpha refused: .*signature.*; [0-9a-f]{12} goes on answering$`,
		`(?m)^   three devices, fleet service and broker stopped`,
	} {
		if !regexp.MustCompile(want).MatchString(r.stdout) {
			t.Errorf("the demo does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(r.stdout)
	}
	checkNothingLeft(t, temp)
}

// An interrupted demo stops within a second and leaves nothing either.
func TestDemoInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("short: starts the demo")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	cmd := newHome(t).command(t, "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	chunk := make([]byte, 4096)
	for !strings.Contains(seen.String(), "alpha 25%") {
		n, err := out.Read(chunk)
		if err != nil {
			t.Fatalf("the demo ended early: %v\n%s", err, seen.String())
		}
		seen.Write(chunk[:n])
	}
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is checked below
	t.Logf("stopped after %v", time.Since(began))
	if status := cmd.ProcessState.ExitCode(); status != statusFailed {
		t.Errorf("status %d, want %d", status, statusFailed)
	}
	checkNothingLeft(t, temp)
}

// checkNothingLeft wants no file in the temporary folder and no device process.
func checkNothingLeft(t *testing.T, temp string) {
	t.Helper()
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left behind: %s", e.Name())
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return // no /proc, no look
	}
	for _, p := range processes {
		line, _ := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if strings.Contains(string(line), temp) {
			t.Errorf("left running: %s", strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
}
