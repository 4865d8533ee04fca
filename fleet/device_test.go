package fleet

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

const (
	patience = 10 * time.Second       // for anything to happen at all
	repair   = 500 * time.Millisecond // without a piece before the missing are asked for again
)

// device is a minimal device: it says hello, hears desired states and fetches by bitmap.
type device struct {
	t       testing.TB
	id      string
	client  mqtt.Client
	session uint64
	seq     uint64
	request uint32
	credit  int // bytes asked for at a time

	up       chan struct{} // subscribed, at each connection
	desired  chan []byte   // of the channel
	own      chan []byte
	acks     chan wire.Ack
	chunks   chan []byte
	errors   chan wire.Error
	conn     atomic.Value     // net.Conn, to be cut
	lose     func(n int) bool // drops the n-th piece that arrives; nil for none
	arrived  func(n int)      // is called after the n-th piece was kept; nil for none
	received int              // pieces that arrived
}

// newDevice connects a device and waits until it is subscribed.
func newDevice(t testing.TB, broker, id, channel string) *device {
	t.Helper()
	d := &device{t: t, id: id, session: uint64(time.Now().UnixNano()), credit: 1 << 20,
		up: make(chan struct{}, 8), desired: make(chan []byte, 64), own: make(chan []byte, 64), acks: make(chan wire.Ack, 64),
		chunks: make(chan []byte, 256), errors: make(chan wire.Error, 64)}
	will, err := wire.Status{Session: d.session, Device: id, Offline: true}.Encode()
	must(t, err)
	opts := mqtt.NewClientOptions().AddBroker(broker).SetClientID(id).SetProtocolVersion(4).SetMaxReconnectInterval(200*time.Millisecond).
		SetBinaryWill(wire.TopicStatus(id), will, 0, false).SetDefaultPublishHandler(d.receive)
	opts.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		c, err := net.DialTimeout("tcp", u.Host, time.Second)
		if err == nil {
			d.conn.Store(c)
		}
		return c, err
	})
	opts.SetOnConnectHandler(func(c mqtt.Client) {
		c.SubscribeMultiple(map[string]byte{wire.TopicChannelDesired(channel): 0, wire.FilterDown(id): 0}, nil).WaitTimeout(patience)
		d.up <- struct{}{}
	})
	d.client = mqtt.NewClient(opts)
	if tok := d.client.Connect(); !tok.WaitTimeout(patience) || tok.Error() != nil {
		t.Fatalf("device %s: connect: %v", id, tok.Error())
	}
	t.Cleanup(func() { d.client.Disconnect(0) })
	receive(t, d.up)
	return d
}

// receive runs on the MQTT client's goroutine; a full queue loses, as it may.
func (d *device) receive(_ mqtt.Client, m mqtt.Message) {
	topic, err := wire.ParseTopic(m.Topic())
	if err != nil {
		return
	}
	switch topic.Kind {
	case wire.KindChannelDesired, wire.KindDesired:
		to := d.desired
		if w, err := wire.PeekDesired(m.Payload()); err == nil && w.Audience.Kind == wire.AudienceDevice {
			to = d.own
		}
		offer(to, m.Payload())
	case wire.KindChunk:
		offer(d.chunks, m.Payload())
	case wire.KindAck:
		if a, err := wire.ParseAck(m.Payload()); err == nil {
			offer(d.acks, a)
		}
	case wire.KindError:
		if e, err := wire.ParseError(m.Payload()); err == nil {
			offer(d.errors, e)
		}
	}
}

// cut breaks the connection without a word, so that the broker publishes the will. The
// client sees the end of its input; it takes a closed socket for its own doing.
func (d *device) cut() { must(d.t, d.conn.Load().(*net.TCPConn).CloseRead()) }

func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing arrives")
		panic("unreachable")
	}
}

func (d *device) publish(topic string, data []byte, err error) {
	d.t.Helper()
	must(d.t, err)
	d.client.Publish(topic, 0, false, data).WaitTimeout(patience)
}

// hello announces the device and returns the answer.
func (d *device) hello(channel string) wire.Ack {
	d.t.Helper()
	d.seq++
	data, err := wire.Hello{Session: d.session, Seq: d.seq, Nonce: [16]byte{byte(d.seq)}, Device: d.id, Product: "default",
		Channel: channel, Agent: "test", Slots: []wire.Holding{{Slot: "default"}}, Kernels: "go"}.Encode()
	d.publish(wire.TopicHello(d.id), data, err)
	for {
		if a := receive(d.t, d.acks); a.Session == d.session && a.Seq >= d.seq {
			return a
		}
	}
}

func (d *device) status(slot wire.SlotStatus) wire.Ack {
	d.t.Helper()
	d.seq++
	slot.Slot = "default"
	data, err := wire.Status{Session: d.session, Seq: d.seq, Device: d.id, Slots: []wire.SlotStatus{slot}}.Encode()
	d.publish(wire.TopicStatus(d.id), data, err)
	for {
		if a := receive(d.t, d.acks); a.Seq >= d.seq {
			return a
		}
	}
}

// await returns the first channel state with at least this counter.
func (d *device) await(trust *sign.Trust, counter uint64) wire.Desired {
	d.t.Helper()
	for {
		got, err := wire.OpenDesired(trust, receive(d.t, d.desired))
		must(d.t, err)
		if got.Counter >= counter {
			return got
		}
	}
}

// ask sends one request.
func (d *device) ask(r wire.Request) {
	d.t.Helper()
	d.request++
	r.Session, r.ID = d.session, d.request
	data, err := r.Encode()
	d.publish(wire.TopicRequest(d.id), data, err)
}

// get fetches all pieces of a kind, given their sizes, asking again for what is missing.
func (d *device) get(digest bundle.Digest, kind wire.Kind, sizes []int) [][]byte {
	d.t.Helper()
	have := make([][]byte, len(sizes))
	deadline := time.Now().Add(patience)
	for missing := len(sizes); missing > 0; {
		if time.Now().After(deadline) {
			d.t.Fatalf("device %s: %d of %d pieces of kind %d missing", d.id, missing, len(sizes), kind)
		}
		bitmap, expect, credit := wire.NewBitmap(len(sizes)), 0, d.credit
		last := 0
		for i, p := range have {
			if p == nil && credit >= sizes[i]+wire.ChunkHeader {
				bitmap.Set(i)
				credit -= sizes[i] + wire.ChunkHeader
				expect++
				last = i
			}
		}
		d.ask(wire.Request{Bundle: digest, Kind: kind, Bitmap: bitmap[:last/8+1], Credit: uint32(d.credit)})
		missing -= d.collect(digest, kind, have, expect)
	}
	return have
}

// collect keeps what arrives until it has n new pieces or nothing more comes.
func (d *device) collect(digest bundle.Digest, kind wire.Kind, have [][]byte, n int) (got int) {
	timer := time.NewTimer(repair)
	defer timer.Stop()
	for got < n {
		select {
		case payload := <-d.chunks:
			timer.Reset(repair)
			c, body, err := wire.ParseChunk(payload)
			must(d.t, err)
			d.received++
			if c.Kind != kind || c.Bundle != wire.Short(digest) || have[c.Index] != nil || d.lose != nil && d.lose(d.received) {
				continue
			}
			if bundle.Sum(body) != c.Digest || int(c.Total) != len(have) {
				d.t.Fatalf("piece %d of kind %d: header does not fit", c.Index, kind)
			}
			have[c.Index] = body
			got++
			if d.arrived != nil {
				d.arrived(d.received)
			}
		case e := <-d.errors:
			if e.Code != wire.CodeBusy && e.Code != wire.CodeInternal {
				d.t.Fatalf("device %s: server refuses: %+v", d.id, e)
			}
		case <-timer.C:
			return got
		}
	}
	return got
}

// fetch downloads the bundle of a desired state and returns the file it makes.
func (d *device) fetch(want wire.Desired) []byte {
	d.t.Helper()
	slot := want.Slots[0]
	var sizes []int
	for i := range wire.EnvelopePieces(int(slot.EnvelopeLength)) {
		sizes = append(sizes, min(bundle.MaxPart, int(slot.EnvelopeLength)-i*bundle.MaxPart))
	}
	envelope := bytes.Join(d.get(slot.Bundle, wire.Envelope, sizes), nil)
	b, err := bundle.ParseEnvelope(envelope, modelTrust())
	must(d.t, err)
	if b.Digest() != slot.Bundle || len(b.ManifestBytes) != int(slot.ManifestLength) {
		d.t.Fatal("envelope is not of the desired bundle")
	}
	sizes = nil
	for _, p := range b.Manifest.IndexParts {
		sizes = append(sizes, int(p.Length))
	}
	b, err = b.WithIndex(d.get(slot.Bundle, wire.Index, sizes))
	must(d.t, err)
	sizes = nil
	for _, c := range b.Index {
		sizes = append(sizes, int(c.Encodings[0].Length))
	}
	chunks := d.get(slot.Bundle, wire.Chunks, sizes)
	b = b.WithEncoded(func(_ context.Context, i int, _ []byte) ([]byte, error) { return chunks[i], nil })
	must(d.t, b.VerifyAll(context.Background()))
	var file bytes.Buffer
	_, err = b.WriteTo(&file)
	must(d.t, err)
	return file.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never: " + fmt.Sprint(what))
		}
	}
}
