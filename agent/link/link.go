// Package link is the device's side of the MQTT connection. It carries bytes and knows no message.
//
// Run keeps one connection: dial, CONNECT with a will, SUBSCRIBE, then messages until it breaks; then, after a jittered pause, the same
// with a new client. Whatever happens comes out of Events in order: Up, messages, Down. Nothing is promised about what is
// published: it may be lost, and only an answer of the other side is a proof.
//
// It is written against the traps of paho.mqtt.golang. The library's own reconnect and connect retry are off: they drop publishes
// silently, finish tokens that were never delivered, replay old ones, sleep without a way to stop and do not subscribe again. Handlers
// never block: the library would not see its ping answered. The protocol version is fixed: else every failed attempt is made twice.
// Tokens are believed only where they carry the broker's own answer (CONNACK, SUBACK).
//
// It must not import core, store or wire.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// ErrOffline is returned by Publish when there is no connection, or one that takes nothing. The message is dropped.
var ErrOffline = errors.New("not connected")

const (
	keepAlive       = 60 * time.Second
	pingTimeout     = 45 * time.Second // a full window may stand in the queue before the answer
	writeTimeout    = 30 * time.Second
	publishPatience = 300 * time.Millisecond // for the library to take a message; its write has a deadline of its own
	connectTimeout  = 20 * time.Second
	silence         = keepAlive + pingTimeout + 10*time.Second // without a byte: the connection is dead
	quiesce         = 100                                      // milliseconds for the last packets

	firstPause = time.Second // between attempts; doubles, with full jitter
	lastPause  = time.Minute
	stable     = time.Minute // a connection that held this long starts the pauses anew

	againFirst = 2 * time.Second // up to twice this after a connection, and
	againLater = time.Hour       // up to twice this from then on

	maxQueued     = 2048    // messages between the network and the reader of Events
	maxOutgoing   = 64      // messages on their way out; more is dropped
	maxQueueBytes = 8 << 20 // and their payloads; more is dropped, and asked for again by those who miss it
)

// Config says where to connect and as whom.
type Config struct {
	Broker   string      // tcp://host:port, mqtt://, or tls://, mqtts://
	TLS      *tls.Config // for tls://; nil: the system's roots
	ClientID string
	Filters  []string // subscribed to at QoS 0, before anything is published
	// Again is how long after a connection the subscriptions are made a second time; 0: 2 to 4 s.
	Again time.Duration
	// Will makes the message that the broker publishes when the connection of a session is lost, and that is published when Run ends.
	Will      func(session uint64) (topic string, payload []byte)
	MaxPacket int          // bytes of an incoming packet; larger ones end the connection before they are read. 0: 160 KiB
	Log       *slog.Logger // nil: none
}

// Kind says what happened.
type Kind uint8

// The kinds of events.
const (
	Up      Kind = iota + 1 // connected, as the session of the event
	Down                    // the session is over
	Message                 // Topic and Payload, which are the receiver's
)

// Event is something that came over the link.
type Event struct {
	Kind    Kind
	Session uint64
	Topic   string
	Payload []byte
}

// Link is one connection that is kept up. Its methods may be called concurrently.
type Link struct {
	config Config
	server *url.URL
	events chan Event
	out    chan outgoing
	online atomic.Bool
	queued atomic.Int64 // bytes of payloads in events
	drops  atomic.Uint64
}

type outgoing struct {
	topic   string
	payload []byte
}

// New checks the configuration. Run does the work.
func New(c Config) (*Link, error) {
	server, err := parseBroker(c.Broker)
	if err != nil {
		return nil, err
	}
	if c.MaxPacket == 0 {
		c.MaxPacket = 160 << 10
	}
	if c.Again == 0 {
		c.Again = againFirst + rand.N(againFirst)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Link{config: c, server: server, events: make(chan Event, maxQueued), out: make(chan outgoing, maxOutgoing)}, nil
}

// CheckBroker says what is wrong with the address of a broker.
func CheckBroker(s string) error {
	_, err := parseBroker(s)
	return err
}

func parseBroker(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "tcp://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("parse broker address: %w", err)
	}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
		u.Scheme = "tcp"
	case "tls", "ssl", "mqtts":
		u.Scheme, port = "tls", "8883"
	default:
		return nil, fmt.Errorf("parse broker address %q: unknown scheme %q", s, u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("parse broker address %q: no host", s)
	}
	if u.Port() == "" {
		u.Host = u.Hostname() + ":" + port
	}
	return u, nil
}

// Events is where everything comes out. Its reader must call Done for each Message it has taken.
func (l *Link) Events() <-chan Event { return l.events }

// Done gives the room of a message in the queue back.
func (l *Link) Done(e Event) { l.queued.Add(-int64(len(e.Payload))) }

// Drops is the number of messages that were dropped because their reader was too slow.
func (l *Link) Drops() uint64 { return l.drops.Load() }

// Run keeps the connection until ctx ends. It returns when everything it started has stopped.
func (l *Link) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > stable {
			pause = firstPause
		}
		wait := time.Duration(rand.Int64N(int64(pause))) + pause/4
		l.config.Log.Info("broker connection ended", "broker", l.server.Host, "err", err, "again_in", wait.Round(time.Millisecond))
		sleep(ctx, wait)
		pause = min(2*pause, lastPause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// session is one connection from dial to loss. A client is never used twice.
func (l *Link) session(ctx context.Context) error {
	id := rand.Uint64() | 1 // never zero
	lost := make(chan error, 1)
	conns := &dialed{}
	client := mqtt.NewClient(l.options(ctx, id, lost, conns))
	defer conns.close()
	if err := wait(ctx, client.Connect(), connectTimeout); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer client.Disconnect(quiesce)
	defer context.AfterFunc(ctx, conns.hurry)()
	l.drain()
	l.online.Store(true)
	defer l.online.Store(false)
	// Up is told before the subscriptions are asked for, because retained messages come right behind the answer; what is published
	// meanwhile waits for that answer.
	if !l.tell(ctx, Event{Kind: Up, Session: id}) {
		return ctx.Err()
	}
	if err := l.subscribe(ctx, client); err != nil {
		l.tell(ctx, Event{Kind: Down, Session: id})
		return err
	}
	return l.converse(ctx, id, client, lost)
}

// converse sends what is published until the connection is lost or ctx ends. Once soon and then now and then it subscribes again: a
// broker then sends its retained messages again, and one that was published while the first subscription was being made can otherwise
// be lost both ways (nats-server).
func (l *Link) converse(ctx context.Context, id uint64, client mqtt.Client, lost <-chan error) error {
	again := time.NewTimer(l.config.Again)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if err := l.subscribe(ctx, client); err != nil && ctx.Err() == nil {
				l.tell(ctx, Event{Kind: Down, Session: id})
				return err
			}
			again.Reset(againLater + rand.N(againLater))
		case err := <-lost:
			l.tell(ctx, Event{Kind: Down, Session: id})
			return err
		case <-ctx.Done():
			if l.config.Will != nil { // a clean disconnect discards the will: say it ourselves
				topic, payload := l.config.Will(id)
				client.Publish(topic, 0, false, payload).WaitTimeout(quiesce * time.Millisecond)
			}
			return ctx.Err()
		case m := <-l.out:
			client.Publish(m.topic, 0, false, m.payload) // its token would say nothing
		}
	}
}

// drain forgets what was published for a session that is over.
func (l *Link) drain() {
	for {
		select {
		case <-l.out:
		default:
			return
		}
	}
}

func (l *Link) options(ctx context.Context, id uint64, lost chan<- error, conns *dialed) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker(l.server.String()).
		SetClientID(l.config.ClientID).
		SetProtocolVersion(4).
		SetCleanSession(true).
		SetOrderMatters(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(keepAlive).
		SetPingTimeout(pingTimeout).
		SetWriteTimeout(publishPatience).
		SetConnectTimeout(connectTimeout).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (conn, error) { return l.dial(ctx, conns) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			select {
			case lost <- err:
			default:
			}
		}).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.received(id, m) })
	if l.server.User != nil {
		password, _ := l.server.User.Password()
		o.SetUsername(l.server.User.Username()).SetPassword(password)
	}
	if l.config.Will != nil {
		topic, payload := l.config.Will(id)
		o.SetBinaryWill(topic, payload, 0, false)
	}
	return o
}

// received runs inside the library's reader: it never blocks.
func (l *Link) received(session uint64, m mqtt.Message) {
	n := int64(len(m.Payload()))
	if l.queued.Add(n) <= maxQueueBytes {
		select {
		case l.events <- Event{Kind: Message, Session: session, Topic: m.Topic(), Payload: m.Payload()}:
			return
		default:
		}
	}
	l.queued.Add(-n)
	l.drops.Add(1)
}

// subscribe asks for all filters and believes only the broker's own answer for each.
func (l *Link) subscribe(ctx context.Context, client mqtt.Client) error {
	filters := make(map[string]byte, len(l.config.Filters))
	for _, f := range l.config.Filters {
		filters[f] = 0
	}
	token := client.SubscribeMultiple(filters, nil)
	if err := wait(ctx, token, connectTimeout); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	granted := token.(*mqtt.SubscribeToken).Result()
	for f := range filters {
		if code, ok := granted[f]; !ok || code > 2 {
			return fmt.Errorf("subscribe %s: refused by the broker (code %#x)", f, code)
		}
	}
	return nil
}

// wait ends with the token, the time or ctx, whichever is first.
func wait(ctx context.Context, t mqtt.Token, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return fmt.Errorf("no answer in %v", d)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell waits for room: sessions are never dropped.
func (l *Link) tell(ctx context.Context, e Event) bool {
	select {
	case l.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// Publish hands a message over to be sent at QoS 0, and never blocks. A nil error says nothing about delivery.
func (l *Link) Publish(topic string, payload []byte) error {
	if !l.online.Load() {
		return ErrOffline
	}
	select {
	case l.out <- outgoing{topic, payload}:
		return nil
	default:
		return fmt.Errorf("%w: %d messages wait", ErrOffline, maxOutgoing)
	}
}
