package fleet

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"skiff/fleet/api"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tensor"
	"skiff/formats/wire"
)

func modelKey() sign.Private { return sign.FromSeed([32]byte{7}) }

func modelTrust() *sign.Trust { return sign.NewTrust(modelKey().Public(sign.RoleModel)) }

// makeBundle writes a bundle of incompressible tensors, n rows of 120,000 bytes, to a
// file, and returns the path and the bytes.
func makeBundle(t testing.TB, version string, n int, change func(*bundle.Manifest)) (path string, file []byte) {
	t.Helper()
	data := make([]byte, n*120_000)
	rand.NewChaCha8([32]byte([]byte(version + strings.Repeat(" ", 32))[:32])).Read(data)
	b := bundle.NewBuilder()
	must(t, b.AddTensor("embed", "words", tensor.I8, []int{n, 120_000}, data))
	must(t, b.AddBlob(bundle.KindTokenizer, "tokenizer.json", []byte(`{"version":"1.0"}`)))
	m := bundle.Manifest{Product: "default", Name: "tiny", Version: version, Release: 1, Task: "embed",
		Meta: bundle.Meta{MaxTokensPerText: 8, Hidden: 4, Pooling: "mean"}, MinRuntime: 1}
	if change != nil {
		change(&m)
	}
	built, err := b.Build(t.Context(), m, modelKey())
	must(t, err)
	path = filepath.Join(t.TempDir(), version+".skiff")
	must(t, built.WriteFile(path))
	file, err = os.ReadFile(path)
	must(t, err)
	return path, file
}

// fleet is a running server and a client of its API.
type fleet struct {
	*Server
	*api.Client
	trust *sign.Trust
}

func start(t testing.TB, cfg Config) fleet {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	s, err := Start(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	c, err := api.NewClient(s.HTTP())
	must(t, err)
	trust, err := sign.LoadTrust(filepath.Join(cfg.DataDir, publicName))
	must(t, err)
	return fleet{s, c, trust}
}

// push stores a bundle and makes it the desired state of "stable".
func (f fleet) push(t testing.TB, path string) api.Channel {
	t.Helper()
	b, err := f.AddBundleFile(t.Context(), path)
	must(t, err)
	c, err := f.SetDesired(t.Context(), "stable", b.Digest)
	must(t, err)
	return c
}

// join connects a device and says hello, at which the server sends what it missed.
func join(t testing.TB, f fleet, id string) *device {
	t.Helper()
	d := newDevice(t, f.MQTT(), id, "stable")
	d.hello("stable")
	return d
}

func same(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("device has %d other bytes than the %d pushed", len(got), len(want))
	}
}

// TestDownload is the whole path: push, hello, desired, fetch by bitmap, report.
func TestDownload(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, file := makeBundle(t, "1.0.0", 12, nil)
	f.push(t, path)
	d := newDevice(t, f.MQTT(), "cam-1", "stable")
	ack := d.hello("stable")
	if ack.FleetKey != f.key.Public(0).Key {
		t.Error("ack carries another key")
	}
	now, err := wire.OpenTime(f.trust, ack.Time)
	must(t, err)
	if now.Device != "cam-1" || now.Nonce != [16]byte{1} {
		t.Errorf("signed time is for %+v", now)
	}
	own, err := wire.OpenDesired(f.trust, receive(t, d.own))
	must(t, err)
	if !own.NoOverride || own.Audience != (wire.Audience{Kind: wire.AudienceDevice, ID: "cam-1"}) || own.Counter != 1 {
		t.Errorf("own desired state %+v", own)
	}
	want := d.await(f.trust, 1)
	same(t, d.fetch(want), file)
	if pieces := f.Stats().Pieces; pieces != uint64(d.received) || pieces != 2+13 {
		t.Errorf("%d pieces sent, %d received, want 15: each once", pieces, d.received)
	}
	d.status(wire.SlotStatus{State: wire.StateActive, Active: want.Slots[0].Bundle, ActiveName: "tiny", ActiveVersion: "1.0.0"})
	devices, err := f.Client.Devices(t.Context())
	must(t, err)
	if len(devices) != 1 || devices[0].State != "active" || devices[0].Version != "1.0.0" || !devices[0].Online || devices[0].Channel != "stable" {
		t.Errorf("devices %+v", devices)
	}
}

// TestHelloAgain: the own desired state of a counter never changes by a byte.
func TestHelloAgain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	d := newDevice(t, f.MQTT(), "cam-1", "stable")
	d.hello("stable")
	first := receive(t, d.own)
	d.hello("stable")
	if !bytes.Equal(first, receive(t, d.own)) {
		t.Error("one counter, two contents")
	}
}

// TestReminder: a device that shows no sign of having heard is told again, a few times.
func TestReminder(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Remind: 10 * time.Millisecond})
	path, _ := makeBundle(t, "1.0.0", 2, nil)
	f.push(t, path)
	d := join(t, f, "cam-1")
	for range 1 + 4 { // at the hello, then reminders
		d.await(f.trust, 1)
	}
}

func TestLostPieces(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, file := makeBundle(t, "1.0.0", 12, nil)
	f.push(t, path)
	d := join(t, f, "cam-1")
	d.lose = func(n int) bool { return n%3 == 0 }
	same(t, d.fetch(d.await(f.trust, 1)), file)
}

// TestTwoDevicesAndOneStuck: a device that asks for much and reads nothing stalls nobody.
func TestTwoDevicesAndOneStuck(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, file := makeBundle(t, "1.0.0", 40, nil)
	f.push(t, path)
	stuck := join(t, f, "stuck")
	want := stuck.await(f.trust, 1)
	var once sync.Once
	release := make(chan struct{})
	defer close(release)
	blocked := make(chan struct{})
	stuck.client.AddRoute(wire.TopicChunk("stuck"), func(mqtt.Client, mqtt.Message) {
		once.Do(func() { close(blocked) })
		<-release
	})
	bitmap := bytes.Repeat([]byte{0xff}, 5)
	for range 4 {
		stuck.ask(wire.Request{Bundle: want.Slots[0].Bundle, Kind: wire.Chunks, Bitmap: bitmap, Credit: 8 << 20})
	}
	receive(t, blocked)
	var wg sync.WaitGroup
	for _, id := range []string{"cam-1", "cam-2"} {
		d := join(t, f, id)
		wg.Go(func() { same(t, d.fetch(want), file) })
	}
	wg.Wait()
}

// TestServerRestart stops the server in mid-transfer and starts it again on its folder.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: t.TempDir()}
	f := start(t, cfg)
	path, file := makeBundle(t, "1.0.0", 12, nil)
	f.push(t, path)
	if c := f.push(t, path); c.Counter != 2 {
		t.Errorf("counter %d after two pushes", c.Counter)
	}
	cfg.MQTT = strings.TrimPrefix(f.MQTT(), "mqtt://")
	d := join(t, f, "cam-1")
	want := d.await(f.trust, 2)
	d.credit = 300_000
	d.arrived = func(n int) {
		if n == 6 {
			must(t, f.Close())
			f = start(t, cfg)
		}
	}
	same(t, d.fetch(want), file)
	if c := f.push(t, path); c.Counter != 3 {
		t.Errorf("counter %d after the restart", c.Counter)
	}
	d = newDevice(t, f.MQTT(), "cam-2", "stable")
	d.hello("stable") // the retained state may be the one before, the hello makes up for it
	d.await(f.trust, 3)
	devices, err := f.Client.Devices(t.Context())
	must(t, err)
	if len(devices) != 2 || devices[0].ID != "cam-1" {
		t.Errorf("devices after the restart: %+v", devices)
	}
}

// TestBrokerRestart cuts everybody off; all come back by themselves.
func TestBrokerRestart(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, file := makeBundle(t, "1.0.0", 12, nil)
	f.push(t, path)
	d := join(t, f, "cam-1")
	want := d.await(f.trust, 1)
	d.credit = 300_000
	d.arrived = func(n int) {
		if n == 6 {
			f.StopBroker()
			if devices := f.Server.Devices(); devices[0].Online {
				t.Error("online without a broker")
			}
			_, err := f.SetDesired(t.Context(), "stable", want.Slots[0].Bundle.String())
			if e, ok := err.(*api.Error); !ok || e.Status != 503 {
				t.Errorf("without a broker: %v, want 503", err)
			}
			must(t, f.StartBroker(t.Context()))
		}
	}
	same(t, d.fetch(want), file)
	if c := f.push(t, path); c.Counter != 2 {
		t.Errorf("counter %d: a change that failed must not count", c.Counter)
	}
	d.await(f.trust, 2)
}

// TestPace: a device cannot get more than its pace, whatever it asks for.
func TestPace(t *testing.T) {
	t.Parallel()
	const pace = 2_000_000
	f := start(t, Config{Pace: pace})
	path, file := makeBundle(t, "1.0.0", 8, nil)
	f.push(t, path)
	d := join(t, f, "cam-1")
	d.credit = 150_000 // one piece a request
	want := d.await(f.trust, 1)
	began := time.Now()
	same(t, d.fetch(want), file)
	// The last piece is not waited for.
	if least := time.Duration(len(file)-125_000) * time.Second / pace; time.Since(began) < least {
		t.Errorf("%d bytes in %v, want at least %v", len(file), time.Since(began), least)
	}
}

func TestWill(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	d := join(t, f, "cam-1")
	online := func() bool { return f.Server.Devices()[0].Online }
	if !online() {
		t.Fatal("offline after hello")
	}
	d.cut()
	eventually(t, "the will makes it offline", func() bool { return !online() })
	receive(t, d.up) // reconnected by itself
	d.hello("stable")
	if !online() {
		t.Error("offline after the second hello")
	}
	old, err := wire.Status{Session: d.session - 1, Device: d.id, Offline: true}.Encode()
	d.publish(wire.TopicStatus(d.id), old, err)
	d.status(wire.SlotStatus{State: wire.StateIdle}) // comes after the will
	if !online() {
		t.Error("a will of another session counted")
	}
}

// TestRefused: requests that make no sense get an error that says so.
func TestRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, _ := makeBundle(t, "1.0.0", 2, nil)
	f.push(t, path)
	d := join(t, f, "cam-1")
	digest := d.await(f.trust, 1).Slots[0].Bundle
	for _, tt := range []struct {
		name string
		r    wire.Request
		want wire.Code
	}{
		{"unknown bundle", wire.Request{Bundle: bundle.Sum([]byte("?")), Kind: wire.Chunks, Bitmap: wire.Bitmap{1}, Credit: 1 << 20}, wire.CodeUnknown},
		{"no such chunk", wire.Request{Bundle: digest, Kind: wire.Chunks, First: 1000, Bitmap: wire.Bitmap{1}, Credit: 1 << 20}, wire.CodeBad},
		{"credit too small", wire.Request{Bundle: digest, Kind: wire.Chunks, Bitmap: wire.Bitmap{1}, Credit: 1000}, wire.CodeBad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.ask(tt.r)
			if e := receive(t, d.errors); e.Code != tt.want || e.Request != d.request {
				t.Errorf("got %+v, want code %d for request %d", e, tt.want, d.request)
			}
		})
	}
}

// TestHostileServer proves that the means to play one work: a damaged chunk and a forged
// envelope arrive as they were made.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, _ := makeBundle(t, "1.0.0", 2, nil)
	f.push(t, path)
	b, err := bundle.OpenFile(path, nil)
	must(t, err)
	defer b.Close()
	body, enc, err := b.EncodedChunk(0)
	must(t, err)
	bad := bytes.Clone(body)
	bad[100] ^= 1
	must(t, f.State().Objects().Replace(t.Context(), [32]byte(enc.Digest), bad))
	d := join(t, f, "cam-1")
	d.ask(wire.Request{Bundle: b.Digest(), Kind: wire.Chunks, Bitmap: wire.Bitmap{1}, Credit: 1 << 20})
	c, got, err := wire.ParseChunk(receive(t, d.chunks))
	must(t, err)
	if !bytes.Equal(got, bad) || c.Digest != enc.Digest {
		t.Error("the damaged chunk does not arrive as it is")
	}

	forged := bytes.Clone(b.Envelope)
	forged[len(forged)-1] ^= 1
	manifest := forged[len(forged)-len(b.ManifestBytes):]
	digest, err := f.Plant(t.Context(), forged, manifest, b.Digest())
	must(t, err)
	channel, err := f.SetDesired(t.Context(), "stable", digest.String())
	must(t, err)
	slot := d.await(f.trust, channel.Counter).Slots[0]
	if slot.Bundle != bundle.Sum(manifest) {
		t.Fatal("desired state names another bundle")
	}
	pieces := d.get(slot.Bundle, wire.Envelope, []int{int(slot.EnvelopeLength)})
	if _, err := bundle.ParseEnvelope(bytes.Join(pieces, nil), modelTrust()); err == nil {
		t.Error("the forged envelope is believed")
	}
}

func TestServeStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	ready := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, Config{DataDir: dir, Ready: func(mqtt, _ string) { ready <- mqtt }}) }()
	receive(t, ready)
	cancel()
	must(t, receive(t, done))
	start(t, Config{DataDir: dir}).Close() // the folder is free again
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"http port", Config{DataDir: t.TempDir(), HTTP: strings.TrimPrefix(f.HTTP(), "http://")}, "address already in use"},
		{"mqtt port", Config{DataDir: t.TempDir(), MQTT: strings.TrimPrefix(f.MQTT(), "mqtt://")}, "address already in use"},
		{"folder in use", Config{DataDir: f.cfg.DataDir}, "in use by another server"},
		{"no folder", Config{}, "no path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Start(t.Context(), tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// BenchmarkDownload is one device on loopback, no pace, windows of 2 MiB.
func BenchmarkDownload(b *testing.B) {
	f := start(b, Config{})
	path, file := makeBundle(b, "1.0.0", 200, nil)
	f.push(b, path)
	d := join(b, f, "cam-1")
	d.credit = 2 << 20
	want := d.await(f.trust, 1)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		d.fetch(want)
	}
}
