package agent_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
	"skiff/packager"
	"skiff/packager/builtin"
	"skiff/packager/importer"
)

func key(b byte) sign.Private { return sign.FromSeed([32]byte{b}) }

var modelKey, fleetKey = key(1), key(2)

// packed packs the built-in model once for all tests.
var packed = sync.OnceValues(func() (*bundle.Bundle, error) { return pack("1", 1) })

func pack(version string, release uint64) (*bundle.Bundle, error) {
	files, err := builtin.Model()
	if err != nil {
		return nil, err
	}
	m, err := importer.OpenFS(context.Background(), files, builtin.Name)
	if err != nil {
		return nil, err
	}
	b, _, err := packager.Pack(context.Background(), m, packager.Config{Key: modelKey, Version: version, Release: release, Fast: true})
	return b, err
}

func testBundle(t *testing.T) *bundle.Bundle {
	t.Helper()
	b, err := packed()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// broker is an embedded nats-server that can be stopped and started again at the same address.
type broker struct {
	t    *testing.T
	dir  string
	port int
	srv  *server.Server
}

func startBroker(t *testing.T) *broker {
	b := &broker{t: t, dir: t.TempDir(), port: -1}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	opts := &server.Options{
		ServerName: "test", DontListen: true, JetStream: true, StoreDir: b.dir, NoLog: true, NoSigs: true,
		MQTT: server.MQTTOpts{Host: "127.0.0.1", Port: b.port},
	}
	s, err := server.NewServer(opts)
	if err != nil {
		b.t.Fatal(err)
	}
	s.Start()
	deadline := time.Now().Add(10 * time.Second)
	for b.port <= 0 || !b.dials() {
		if time.Now().After(deadline) {
			b.t.Fatal("broker does not come up")
		}
		if p := opts.MQTT.Port; p > 0 {
			b.port = p
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.srv = s
}

func (b *broker) dials() bool {
	c, err := net.Dial("tcp", b.addr())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (b *broker) addr() string {
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: b.port}).String()
}

func (b *broker) stop() {
	if b.srv != nil {
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
		b.srv = nil
	}
}

// fakeFleet answers devices as a fleet would, from memory, and notes what they say.
type fakeFleet struct {
	t      *testing.T
	client mqtt.Client

	mu      sync.Mutex // guards all below
	bundles map[bundle.Digest]*bundle.Bundle
	status  map[string]wire.Status
	changed chan struct{}
	sent    int
	pace    time.Duration            // before each piece
	spoil   func(wire.Chunk, []byte) // changes a body before it is sent
}

func startFleet(t *testing.T, b *broker) *fakeFleet {
	t.Helper()
	f := &fakeFleet{t: t, bundles: map[bundle.Digest]*bundle.Bundle{}, status: map[string]wire.Status{}, changed: make(chan struct{})}
	f.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + b.addr()).SetClientID("fleet").SetProtocolVersion(4).
		SetOrderMatters(false).SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.SubscribeMultiple(map[string]byte{wire.FilterUp: 0, wire.FilterRequests: 0}, f.hear)
		}))
	if token := f.client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { f.client.Disconnect(50) })
	return f
}

func (f *fakeFleet) hear(_ mqtt.Client, m mqtt.Message) {
	topic, err := wire.ParseTopic(m.Topic())
	if err != nil {
		f.t.Error(err)
		return
	}
	switch topic.Kind {
	case wire.KindHello:
		h, err := wire.ParseHello(m.Payload())
		if err != nil {
			f.t.Error(err)
			return
		}
		signed, _ := wire.SealTime(fleetKey, wire.SignedTime{Nonce: h.Nonce, Unix: time.Now().Unix(), Device: h.Device})
		f.ack(h.Device, wire.Ack{Session: h.Session, Seq: h.Seq, Time: signed, FleetKey: fleetKey.Public(0).Key})
	case wire.KindStatus:
		s, err := wire.ParseStatus(m.Payload())
		if err != nil {
			f.t.Error(err)
			return
		}
		f.mu.Lock()
		f.status[s.Device] = s
		close(f.changed)
		f.changed = make(chan struct{})
		f.mu.Unlock()
		if !s.Offline {
			f.ack(s.Device, wire.Ack{Session: s.Session, Seq: s.Seq})
		}
	case wire.KindRequest:
		r, err := wire.ParseRequest(m.Payload())
		if err != nil {
			f.t.Error(err)
			return
		}
		f.answer(topic.Device, r)
	}
}

func (f *fakeFleet) ack(device string, a wire.Ack) {
	data, err := a.Encode()
	if err != nil {
		f.t.Error(err)
	}
	f.client.Publish(wire.TopicAck(device), 0, false, data)
}

// answer sends the pieces of a request, one after another.
func (f *fakeFleet) answer(device string, r wire.Request) {
	f.mu.Lock()
	b, pace, spoil := f.bundles[r.Bundle], f.pace, f.spoil
	f.mu.Unlock()
	if b == nil {
		data, _ := wire.Error{Request: r.ID, Code: wire.CodeUnknown, RetryAfterMs: 50}.Encode()
		f.client.Publish(wire.TopicError(device), 0, false, data)
		return
	}
	for k := range 8 * len(r.Bitmap) {
		if !r.Bitmap.Has(k) {
			continue
		}
		i := int(r.First) + k
		h := wire.Chunk{Kind: r.Kind, Request: r.ID, Bundle: wire.Short(r.Bundle), Index: uint32(i)}
		var body []byte
		switch r.Kind {
		case wire.Envelope:
			h.Total, body = uint32(wire.EnvelopePieces(len(b.Envelope))), wire.EnvelopePiece(b.Envelope, i)
		case wire.Index:
			h.Total, body = uint32(len(b.Parts)), b.Parts[i]
		case wire.Chunks:
			data, enc, err := b.EncodedChunk(i)
			if err != nil {
				f.t.Error(err)
				return
			}
			h.Total, h.Codec, body = uint32(len(b.Index)), enc.Codec, data
		}
		h.Digest = bundle.Sum(body)
		body = append([]byte(nil), body...)
		if spoil != nil {
			spoil(h, body)
		}
		time.Sleep(pace)
		f.client.Publish(wire.TopicChunk(device), 0, false, wire.AppendChunk(nil, h, body))
		f.mu.Lock()
		f.sent += len(body)
		f.mu.Unlock()
	}
}

func (f *fakeFleet) add(b *bundle.Bundle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bundles[b.Digest()] = b
}

func (f *fakeFleet) set(change func(*fakeFleet)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// desire publishes a retained channel state, sealed by k.
func (f *fakeFleet) desire(k sign.Private, counter uint64, b *bundle.Bundle) {
	f.t.Helper()
	sealed, err := wire.SealDesired(k, wire.Desired{
		Product: "default", Audience: wire.Audience{Kind: wire.AudienceChannel, ID: "stable"}, Counter: counter,
		Slots: []wire.Slot{{Name: "default", Bundle: b.Digest(), ManifestLength: uint32(len(b.ManifestBytes)), EnvelopeLength: uint32(len(b.Envelope))}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if token := f.client.Publish(wire.TopicChannelDesired("stable"), 0, true, sealed); token.Wait() && token.Error() != nil {
		f.t.Fatal(token.Error())
	}
}

// wait returns the first status of a device that ok accepts.
func (f *fakeFleet) wait(device, what string, ok func(wire.Status) bool) wire.Status {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		s, known := f.status[device]
		changed := f.changed
		f.mu.Unlock()
		if known && ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("no status %q; the last was %+v", what, s)
		}
	}
}

func slotIs(state wire.State, active *bundle.Bundle) func(wire.Status) bool {
	return func(s wire.Status) bool {
		return len(s.Slots) == 1 && s.Slots[0].State == state && (active == nil || s.Slots[0].Active == active.Digest())
	}
}

// logger writes to the file SKIFF_TEST_LOG names: what an agent says is of use only when a test fails.
func logger(t *testing.T) *slog.Logger {
	path := os.Getenv("SKIFF_TEST_LOG")
	if path == "" {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name())
}
