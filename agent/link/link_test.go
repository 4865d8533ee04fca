package link

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// patience is how long anything may hang before a test gives it up.
const patience = 30 * time.Second

// stub is a broker that does what a test says.
type stub struct {
	t        *testing.T
	listener net.Listener
	granted  byte // SUBACK code

	mu       sync.Mutex // guards all below
	connects []*packets.ConnectPacket
	conns    []net.Conn
	heard    chan *packets.PublishPacket
	ready    chan net.Conn // after each SUBACK
}

func startStub(t *testing.T) *stub {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{t: t, listener: l, heard: make(chan *packets.PublishPacket, 100), ready: make(chan net.Conn, 100)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			running.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

func (s *stub) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			s.mu.Lock()
			s.connects = append(s.connects, p)
			s.mu.Unlock()
			_ = packets.NewControlPacket(packets.Connack).Write(c)
		case *packets.SubscribePacket:
			ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			ack.MessageID = p.MessageID
			ack.ReturnCodes = bytes.Repeat([]byte{s.granted}, len(p.Topics))
			_ = ack.Write(c)
			s.ready <- c
		case *packets.PublishPacket:
			s.heard <- p
		case *packets.PingreqPacket:
			_ = packets.NewControlPacket(packets.Pingresp).Write(c)
		case *packets.DisconnectPacket:
			return
		}
	}
}

func publish(c net.Conn, topic string, payload []byte) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	return p.Write(c)
}

func (s *stub) connected() []*packets.ConnectPacket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*packets.ConnectPacket(nil), s.connects...)
}

// run starts a link to the stub; it must stop within a second of the test's end.
func (s *stub) run(change func(*Config)) (*Link, context.CancelFunc) {
	s.t.Helper()
	c := Config{
		Broker: s.listener.Addr().String(), ClientID: "dev-1", Filters: []string{"a/#", "b"},
		Will: func(session uint64) (string, []byte) { return "will", fmt.Appendf(nil, "gone %d", session) },
	}
	if change != nil {
		change(&c)
	}
	l, err := New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	s.t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(patience):
			s.t.Error("the link does not stop")
		}
	})
	return l, stop
}

func next(t *testing.T, l *Link, kind Kind) Event {
	t.Helper()
	select {
	case e := <-l.Events():
		if e.Kind != kind {
			t.Fatalf("event %d %q, want kind %d", e.Kind, e.Topic, kind)
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatalf("no event of kind %d", kind)
		return Event{}
	}
}

func TestConversation(t *testing.T) {
	s := startStub(t)
	l, stop := s.run(nil)
	up := next(t, l, Up)
	c := <-s.ready
	if err := l.Publish("up", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if p := <-s.heard; p.TopicName != "up" || string(p.Payload) != "hello" || p.Qos != 0 {
		t.Errorf("published %v", p)
	}
	for i := range 50 {
		if err := publish(c, "a/b", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		e := next(t, l, Message)
		if e.Session != up.Session || string(e.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d: %+v", i, e)
		}
		l.Done(e)
	}
	connects := s.connected()
	p := connects[0]
	if len(connects) != 1 || p.ProtocolVersion != 4 || !p.CleanSession || p.ClientIdentifier != "dev-1" {
		t.Errorf("connect packets: %v", connects)
	}
	if want := fmt.Sprintf("gone %d", up.Session); !p.WillFlag || p.WillTopic != "will" || string(p.WillMessage) != want {
		t.Errorf("will %q %q, want %q", p.WillTopic, p.WillMessage, want)
	}
	stop() // a clean end discards the will, so the link says it
	if p := <-s.heard; p.TopicName != "will" || string(p.Payload) != fmt.Sprintf("gone %d", up.Session) {
		t.Errorf("last message %v", p)
	}
}

// TestLoss: a lost connection is told, and the next one is another session with its own will.
func TestLoss(t *testing.T) {
	s := startStub(t)
	l, _ := s.run(nil)
	first := next(t, l, Up)
	(<-s.ready).Close()
	if down := next(t, l, Down); down.Session != first.Session {
		t.Errorf("down of session %d, want %d", down.Session, first.Session)
	}
	if err := l.Publish("up", nil); err == nil {
		t.Error("publish without a connection gives no error")
	}
	second := next(t, l, Up)
	if second.Session == first.Session {
		t.Error("the session is the same")
	}
	if p := s.connected()[1]; string(p.WillMessage) != fmt.Sprintf("gone %d", second.Session) {
		t.Errorf("will of the second connection: %q", p.WillMessage)
	}
}

// TestRefusedSubscription: the library calls a SUBACK of 0x80 a success. It is not.
func TestRefusedSubscription(t *testing.T) {
	s := startStub(t)
	s.granted = 0x80
	l, _ := s.run(nil)
	next(t, l, Up)
	next(t, l, Down)
}

// TestAgain: the subscriptions are made a second time, for the retained messages that fell between.
func TestAgain(t *testing.T) {
	s := startStub(t)
	l, _ := s.run(func(c *Config) { c.Again = time.Millisecond })
	next(t, l, Up)
	for range 2 {
		select {
		case <-s.ready:
		case <-time.After(10 * time.Second):
			t.Fatal("no second subscription")
		}
	}
}

// TestLargePacket: a packet over the limit ends the connection at its header.
func TestLargePacket(t *testing.T) {
	s := startStub(t)
	l, _ := s.run(func(c *Config) { c.MaxPacket = 1000 })
	next(t, l, Up)
	c := <-s.ready
	if err := publish(c, "a/b", make([]byte, 900)); err != nil {
		t.Fatal(err)
	}
	l.Done(next(t, l, Message))
	_ = publish(c, "a/b", make([]byte, 2000)) // the peer may be gone before it is all written
	next(t, l, Down)
}

// TestSlowReader: nobody reads the events. The link drops, counts, and goes on reading the network.
func TestSlowReader(t *testing.T) {
	s := startStub(t)
	l, _ := s.run(nil)
	next(t, l, Up)
	c := <-s.ready
	const n = maxQueueBytes/(100<<10) + 40
	for range n {
		if err := publish(c, "a/b", make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packets.NewControlPacket(packets.Pingreq).Write(c); err == nil {
		_ = publish(c, "b", []byte("small")) // whatever is read after it proves that the reader was never stopped
	}
	deadline := time.Now().Add(10 * time.Second)
	for l.Drops() == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if l.Drops() == 0 {
		t.Error("nothing was dropped")
	}
	if q := l.queued.Load(); q > maxQueueBytes {
		t.Errorf("%d bytes queued, want at most %d", q, maxQueueBytes)
	}
}

// TestStopWhileStuck: the broker takes nothing any more; the end of the test demands that the link stops all the same.
func TestStopWhileStuck(t *testing.T) {
	s := startStub(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s.run(func(c *Config) { c.Broker = silent.Addr().String() })
}

func TestBrokerAddress(t *testing.T) {
	tests := []struct{ in, host, scheme, err string }{
		{in: "localhost", host: "localhost:1883", scheme: "tcp"},
		{in: "mqtt://h:7", host: "h:7", scheme: "tcp"},
		{in: "mqtts://h", host: "h:8883", scheme: "tls"},
		{in: "tcp://[::1]:1884", host: "[::1]:1884", scheme: "tcp"},
		{in: "ws://h", err: `unknown scheme "ws"`},
		{in: "tcp://", err: "no host"},
		{in: "tcp://h:port", err: "parse broker address"},
	}
	for _, test := range tests {
		u, err := parseBroker(test.in)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.in, err, test.err)
			}
			continue
		}
		if err != nil || u.Host != test.host || u.Scheme != test.scheme {
			t.Errorf("%s: %v, %v", test.in, u, err)
		}
	}
}

// TestPacket feeds a stream in pieces of every size.
func TestPacket(t *testing.T) {
	var stream []byte
	for _, n := range []int{0, 1, 127, 128, 300} {
		var b bytes.Buffer
		if err := publish(&bufferConn{Buffer: &b}, "t", make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		stream = append(stream, b.Bytes()...)
	}
	for size := 1; size <= len(stream); size++ {
		p := packet{limit: 1000}
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			if err := p.follow(rest[:n]); err != nil {
				t.Fatalf("pieces of %d: %v", size, err)
			}
			rest = rest[n:]
		}
		if p.state != 0 {
			t.Fatalf("pieces of %d: ends in state %d", size, p.state)
		}
	}
	for name, bad := range map[string][]byte{
		"too large": {0x30, 0x80, 0x80, 0x01}, "five bytes": {0x30, 0x80, 0x80, 0x80, 0x80, 0x01},
	} {
		if err := (&packet{limit: 1000}).follow(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (b *bufferConn) Write(p []byte) (int, error) { return b.Buffer.Write(p) }
func (b *bufferConn) Read(p []byte) (int, error)  { return b.Buffer.Read(p) }
