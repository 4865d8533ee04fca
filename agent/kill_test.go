package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"skiff/agent"
	"skiff/agent/store"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

// TestMain turns the test binary into a device that logs every step to standard output.
func TestMain(m *testing.M) {
	dir := os.Getenv("SKIFF_AGENT_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	err := agent.Run(context.Background(), agent.Config{
		DataDir: dir, Broker: os.Getenv("SKIFF_AGENT_BROKER"), ID: "dev-1", Workers: 1,
		Trust: sign.NewTrust(modelKey.Public(sign.RoleModel)),
		Log:   slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready: func(string) { fmt.Println("ready") },
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// TestKill kills a device with SIGKILL after each of its steps in turn, on one data folder: while it connects, fetches, verifies, proves,
// switches. It comes up every time; once a bundle is active one is active for ever; in the end the wished one is, and the store is whole.
func TestKill(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	f.set(func(f *fakeFleet) { f.pace = 3 * time.Millisecond })
	f.desire(fleetKey, 1, first)
	dir := t.TempDir()
	kills := 30
	if testing.Short() {
		kills = 10
	}
	for k := range kills {
		killAfter(t, dir, b.addr(), 2+2*k)
		check(t, dir)
	}
	d := start(t, config(t, dir, b.addr()))
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	d.healthy()
	d.end()
	check(t, dir)
}

// killAfter runs a device until it has logged n lines.
func killAfter(t *testing.T, dir, broker string, n int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SKIFF_AGENT_CHILD="+dir, "SKIFF_AGENT_BROKER="+broker)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(700*time.Millisecond, func() { _ = child.Process.Kill() }) // it has no more to say
	defer guard.Stop()
	lines := bufio.NewScanner(out)
	for i := 0; i < n && lines.Scan(); i++ {
	}
	_ = child.Process.Kill() // it may be gone already
	for lines.Scan() {
	}
	if err := child.Wait(); child.ProcessState.ExitCode() == 3 {
		t.Fatalf("device ended by itself: %v", err)
	}
}

func check(t *testing.T, dir string) {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Damage != "" {
		t.Fatal(s.Damage)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
