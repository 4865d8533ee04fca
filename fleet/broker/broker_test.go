package broker

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
)

func open(t *testing.T, cfg Config) *Broker {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestOpenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"port in use", Config{DataDir: t.TempDir(), Addr: taken.Addr().String()}, []string{taken.Addr().String(), "address already in use"}},
		{"folder is a file", Config{DataDir: file}, []string{file, "make data folder"}},
		{"no folder", Config{}, []string{"no path"}},
		{"no port", Config{DataDir: t.TempDir(), Addr: "127.0.0.1"}, []string{"127.0.0.1", "parse mqtt address"}},
		{"bad port", Config{DataDir: t.TempDir(), Addr: "127.0.0.1:x"}, []string{"parse mqtt port"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := Open(t.Context(), tt.cfg)
			if err == nil {
				b.Close()
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
		})
	}
}

func TestReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Config{DataDir: dir})
	if err == nil {
		b.Close()
		t.Skip("SKIPPED LOUDLY: this user may write anywhere")
	}
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q does not name the folder", err)
	}
}

func TestLock(t *testing.T) {
	b := open(t, Config{})
	_, err := Open(t.Context(), Config{DataDir: b.cfg.DataDir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("second server: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{DataDir: b.cfg.DataDir})
}

func connect(t *testing.T, b *Broker, id, user, password string) mqtt.Client {
	t.Helper()
	opts := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetProtocolVersion(4).
		SetAutoReconnect(false).SetUsername(user).SetPassword(password)
	c := mqtt.NewClient(opts)
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("connect %s: %v", id, tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func subscribe(t *testing.T, c mqtt.Client, filter string) (byte, <-chan string) {
	t.Helper()
	got := make(chan string, 16)
	tok := c.Subscribe(filter, 0, func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() })
	if !tok.WaitTimeout(10 * time.Second) {
		t.Fatal("subscribe timed out")
	}
	return tok.(*mqtt.SubscribeToken).Result()[filter], got
}

// TestPermissions proves that a device without credentials can neither play the fleet
// nor reach its state.
func TestPermissions(t *testing.T) {
	b := open(t, Config{})
	user, password := b.Credentials()
	fleet := connect(t, b, "fleet", user, password)
	device := connect(t, b, "device", "", "")
	if code, _ := subscribe(t, device, "$KV/#"); code != 0x80 {
		t.Errorf("device subscribed to state: %#x", code)
	}
	if code, _ := subscribe(t, device, "skiff/1/q/#"); code != 0x80 {
		t.Errorf("device subscribed to requests: %#x", code)
	}
	for _, filter := range []string{"skiff/1/d/device/dn/#", "skiff/1/c/stable/desired"} {
		if code, _ := subscribe(t, device, filter); code != 0 {
			t.Errorf("device may not subscribe to %s: %#x", filter, code)
		}
	}
	_, got := subscribe(t, fleet, "skiff/1/#")
	for _, topic := range []string{"skiff/1/c/stable/desired", "skiff/1/d/x/dn/ack", "$KV/x", "skiff/1/d/x/up/hello"} {
		device.Publish(topic, 0, false, "x").WaitTimeout(10 * time.Second)
	}
	if topic := <-got; topic != "skiff/1/d/x/up/hello" {
		t.Errorf("device published %s", topic)
	}
}

func TestRestartKeepsPort(t *testing.T) {
	b := open(t, Config{})
	url := b.URL()
	connect(t, b, "one", "", "")
	b.Stop()
	if _, err := b.InProcessConn(); err == nil {
		t.Error("stopped broker accepts")
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.URL() != url {
		t.Errorf("moved from %s to %s", url, b.URL())
	}
	connect(t, b, "two", "", "")
	user, password := b.Credentials()
	nc, err := nats.Connect("", nats.InProcessServer(b), nats.UserInfo(user, password))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestNoStrayFiles(t *testing.T) {
	b := open(t, Config{})
	connect(t, b, "one", "", "")
	entries, err := os.ReadDir(b.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "jetstream" && e.Name() != lockName {
			t.Errorf("stray file %s", e.Name())
		}
	}
}
