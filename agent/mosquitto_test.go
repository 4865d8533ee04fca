package agent_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"skiff/formats/wire"
)

// startMosquitto runs the most different of the MQTT 3.1.1 brokers at hand, so that nothing
// in the device link leans on nats-server. It needs Debian's package mosquitto.
func startMosquitto(t *testing.T) *broker {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program = "/usr/sbin/mosquitto"; !runs(program) {
			t.Skip("SKIPPED LOUDLY: mosquitto is not installed; Debian has it as mosquitto")
		}
	}
	b := &broker{t: t, port: freePort(t)}
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n", b.port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); !b.dials(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("mosquitto does not come up")
		}
	}
	return b
}

func runs(program string) bool {
	info, err := os.Stat(program)
	return err == nil && !info.IsDir()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestMosquitto follows a device over another broker than the embedded one: its first
// bundle, its answers, its will.
func TestMosquitto(t *testing.T) {
	b := startMosquitto(t)
	f := startFleet(t, b)
	first := testBundle(t)
	f.add(first)
	f.desire(fleetKey, 1, first)
	d := start(t, config(t, t.TempDir(), b.addr()))
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	d.healthy()
	d.embed("a small boat")
	d.end()
	f.wait("dev-1", "offline", func(s wire.Status) bool { return s.Offline })
}
