package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skiff/agent"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

// device is an agent under test.
type device struct {
	t    *testing.T
	addr string
	stop context.CancelFunc
	done chan error
}

func config(t *testing.T, dir, brokerAddr string) agent.Config {
	return agent.Config{
		DataDir: dir, Broker: brokerAddr, ID: "dev-1", Workers: 1,
		Trust: sign.NewTrust(modelKey.Public(sign.RoleModel)), Log: logger(t),
	}
}

func start(t *testing.T, c agent.Config) *device {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &device{t: t, stop: stop, done: make(chan error, 1)}
	ready := make(chan string, 1)
	c.Ready = func(addr string) { ready <- addr }
	go func() { d.done <- agent.Run(ctx, c) }()
	t.Cleanup(func() {
		stop()
		<-d.done
	})
	select {
	case d.addr = <-ready:
	case err := <-d.done:
		d.done <- nil
		t.Fatalf("agent ended: %v", err)
	}
	return d
}

// patience is how long anything may hang before a test gives it up.
const patience = 30 * time.Second

// end stops the device.
func (d *device) end() {
	d.t.Helper()
	d.stop()
	select {
	case err := <-d.done:
		d.done <- nil
		if err != nil {
			d.t.Errorf("agent: %v", err)
		}
	case <-time.After(patience):
		d.t.Fatal("the agent does not stop")
	}
}

func (d *device) get(path string) (int, map[string]any) {
	d.t.Helper()
	r, err := http.Get(d.addr + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		d.t.Fatal(err)
	}
	return r.StatusCode, body
}

// embed returns the raw answer for a text.
func (d *device) embed(text string) string {
	d.t.Helper()
	body, _ := json.Marshal(map[string]any{"input": text, "model": "any", "encoding_format": "base64"})
	r, err := http.Post(d.addr+"/v1/embeddings", "application/json", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		d.t.Fatalf("embeddings: %d %s %v", r.StatusCode, data, err)
	}
	return string(data)
}

// healthy waits until the API has a model.
func (d *device) healthy() map[string]any {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if code, body := d.get("/healthz"); code == http.StatusOK {
			return body
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Fatal("no model in 20 s")
	return nil
}

// TestLifeOfADevice follows one device: first bundle over MQTT, answers, restart without a network, a bundle tampered with on the wire
// is rejected while the old one answers, a second release is fetched by its difference only.
func TestLifeOfADevice(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	f.desire(fleetKey, 1, first)
	dir := t.TempDir()
	d := start(t, config(t, dir, b.addr()))
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	health := d.healthy()
	if health["active"] != first.Digest().String() || health["kernels"] == "" || health["state"] != "active" {
		t.Errorf("health: %v", health)
	}
	answer := d.embed("a small boat")
	d.end()
	f.wait("dev-1", "offline", func(s wire.Status) bool { return s.Offline })

	offline := config(t, dir, "")
	d = start(t, offline)
	if health := d.healthy(); health["online"] != false {
		t.Errorf("health: %v", health)
	}
	if got := d.embed("a small boat"); got != answer {
		t.Errorf("answer after restart differs:\n%s\n%s", answer, got)
	}
	d.end()

	second, err := pack("2", 2)
	if err != nil {
		t.Fatal(err)
	}
	f.add(second)
	f.set(func(f *fakeFleet) {
		f.sent = 0
		f.spoil = func(h wire.Chunk, body []byte) { body[len(body)/2] ^= 1 }
	})
	d = start(t, config(t, dir, b.addr()))
	d.healthy()
	f.desire(fleetKey, 2, second)
	s := f.wait("dev-1", "reject", func(s wire.Status) bool { return len(s.Slots) == 1 && s.Slots[0].Class == wire.ClassReject })
	if s.Slots[0].Active != first.Digest() || s.Slots[0].State != wire.StateActive {
		t.Errorf("after the reject: %+v", s.Slots[0])
	}
	if got := d.embed("a small boat"); got != answer {
		t.Error("the old bundle does not answer as before")
	}
	f.set(func(f *fakeFleet) { f.spoil, f.sent = nil, 0 })
	f.desire(fleetKey, 3, second)
	f.wait("dev-1", "second active", slotIs(wire.StateActive, second))
	if got := d.embed("a small boat"); got != answer {
		t.Error("the same weights under another version answer differently")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if most := len(second.Envelope) + 64<<10 + 32*len(second.Index)*4; f.sent > most {
		t.Errorf("%d bytes sent for a bundle with the same chunks, want at most %d", f.sent, most)
	}
}

// TestResume kills a device in mid-download (its context ends between two batches) and the broker too; nothing committed is fetched again.
func TestResume(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	f.set(func(f *fakeFleet) { f.pace = 25 * time.Millisecond })
	f.desire(fleetKey, 1, first)
	dir := t.TempDir()
	d := start(t, config(t, dir, b.addr()))
	f.wait("dev-1", "some of it", func(s wire.Status) bool { return len(s.Slots) == 1 && s.Slots[0].Done > 0 })
	d.end()
	b.stop()

	d = start(t, config(t, dir, b.addr()))
	if code, body := d.get("/healthz"); code != http.StatusServiceUnavailable || body["status"] != "starting" {
		t.Errorf("health without a model: %d %v", code, body)
	}
	b.start()
	f.desire(fleetKey, 1, first)
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	_, body := d.get("/v1/status")
	fetched := body["fetched"].(map[string]any)
	var size float64
	for i := range first.Index {
		size += float64(first.Index[i].Encodings[0].Length)
	}
	total, twice := fetched["total"].(float64), fetched["twice"].(float64)
	if total < size || total-twice > size {
		t.Errorf("fetched %v, twice %v, of %v", total, twice, size)
	}
	if twice > size/2 {
		t.Errorf("%v bytes of %v fetched twice", twice, size)
	}
}

// TestUntrusted: a desired state by another fleet key than the pinned one, and a bundle by an unknown model key, change nothing.
func TestUntrusted(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	c := config(t, t.TempDir(), b.addr())
	c.Trust = sign.NewTrust(key(9).Public(sign.RoleModel))
	start(t, c)
	f.desire(fleetKey, 1, first)
	f.wait("dev-1", "refuse", func(s wire.Status) bool {
		return len(s.Slots) == 1 && s.Slots[0].Class == wire.ClassRefuse && strings.Contains(s.Slots[0].Reason, sign.ErrUntrusted.Error())
	})
	f.desire(key(7), 2, first)
	f.wait("dev-1", "refuse", func(s wire.Status) bool {
		return len(s.Slots) == 1 && s.Slots[0].Class == wire.ClassRefuse && strings.Contains(s.Slots[0].Reason, "open desired")
	})
}

// TestRot: bits of the active bundle rot on the disk. The start finds them, says so, and fetches only those again.
func TestRot(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	f.desire(fleetKey, 1, first)
	dir := t.TempDir()
	d := start(t, config(t, dir, b.addr()))
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	d.end()
	rot(t, dir, first)
	f.set(func(f *fakeFleet) { f.sent = 0; clear(f.status) })
	d = start(t, config(t, dir, b.addr()))
	d.healthy()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sent == 0 || f.sent > 2*bundle.MaxChunk {
		t.Errorf("%d bytes sent to repair one chunk", f.sent)
	}
}

// rot flips one bit of a chunk in the database file.
func rot(t *testing.T, dir string, b *bundle.Bundle) {
	t.Helper()
	path := filepath.Join(dir, "agent.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Bundle(b.Digest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	weights := held.Objects(bundle.KindTensor)[0]
	var piece []byte
	stop := errors.New("one piece is enough")
	err = held.Each(t.Context(), weights, func(_ int, data []byte) error {
		piece = bytes.Clone(data)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, piece[:min(len(piece), 1024)])
	if at < 0 {
		t.Fatal("chunk not found in the file")
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	good := config(t, t.TempDir(), "")
	tests := []struct {
		name   string
		change func(*agent.Config)
		want   string
	}{
		{"no data", func(c *agent.Config) { c.DataDir = "" }, "no data folder"},
		{"id", func(c *agent.Config) { c.ID = "a/b" }, `device "a/b"`},
		{"channel", func(c *agent.Config) { c.Channel = "#" }, `channel "#"`},
		{"trust", func(c *agent.Config) { c.Trust = nil }, "no trusted model key"},
		{"broker", func(c *agent.Config) { c.Broker = "http://x" }, `unknown scheme "http"`},
		{"address", func(c *agent.Config) { c.HTTP = "256.0.0.1:1" }, "listen"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			if err := agent.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	start(t, good)
	if err := agent.Run(t.Context(), good); !errors.Is(err, store.ErrInUse) {
		t.Errorf("second agent on the same folder: %v", err)
	}
}

// TestDiskFull: the bundle does not fit. That is told and tried again; with room the download goes on where it stood.
func TestDiskFull(t *testing.T) {
	first := testBundle(t)
	b := startBroker(t)
	f := startFleet(t, b)
	f.add(first)
	f.desire(fleetKey, 1, first)
	c := config(t, t.TempDir(), b.addr())
	c.MaxStore = 2 << 20
	d := start(t, c)
	f.wait("dev-1", "store full", func(s wire.Status) bool {
		return len(s.Slots) == 1 && s.Slots[0].Class == wire.ClassRetry && strings.Contains(s.Slots[0].Reason, store.ErrFull.Error())
	})
	if code, body := d.get("/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body["reason"].(string), "full") {
		t.Errorf("health: %d %v", code, body)
	}
	d.end()
	f.set(func(f *fakeFleet) { f.sent = 0 })
	c.MaxStore = 0
	start(t, c)
	f.wait("dev-1", "active", slotIs(wire.StateActive, first))
	f.mu.Lock()
	defer f.mu.Unlock()
	var size int
	for i := range first.Index {
		size += int(first.Index[i].Encodings[0].Length)
	}
	if f.sent >= size {
		t.Errorf("%d of %d bytes sent again: nothing was kept", f.sent, size)
	}
}
