// Package delivery speaks MQTT for the fleet: it hears what devices say, answers each
// hello and status, sends the pieces of bundles they ask for, and keeps the retained
// desired state of each channel equal to the one in the store.
//
//	up/hello, up/status --> uplink  --> registry, then dn/ack (and dn/desired at a hello)
//	q/{shard}/{device}  --> flows   --> catalog,  then dn/chunk or dn/error
//	store               --> board   --> c/{channel}/desired, checked by its echo
//	                    --> remind  --> dn/desired, to devices that missed it
//
// It keeps nothing about a device but the requests it has not answered yet; a device
// that is lost costs nothing once those are sent. Everything is at QoS 0 and repeated by
// whoever misses an answer, so a token of the MQTT client is never taken for a delivery,
// and any queue here may drop: it is bounded and the drop is counted.
//
// It must not import broker: any MQTT 3.1.1 broker will do.
package delivery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"skiff/fleet/catalog"
	"skiff/fleet/registry"
	"skiff/fleet/state"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

const (
	publishers = 2        // connections that send; a device is always served by the same one
	queueLen   = 4096     // messages heard and not yet looked at, per kind
	maxHeard   = 32 << 10 // bytes; no message of a device is longer
	settleWait = time.Second
)

// Config is what a service needs. All fields but Product, Pace, MaxActive,
// Remind and Log are required.
type Config struct {
	URL            string // of the broker
	User, Password string
	Store          *state.Store
	Catalog        *catalog.Catalog
	Registry       *registry.Registry
	Key            sign.Private  // the fleet's
	Product        string        // devices of others get no desired state; "" serves any
	Pace           int           // bytes per second to one device; 0 = as fast as it asks
	MaxActive      int           // devices served at a time, others are told to come again; 0 = 8192
	Remind         time.Duration // between looks for devices that missed a change; 0 = 15 s
	Log            *slog.Logger  // nil discards
}

// Stats counts since the start.
type Stats struct {
	Pieces  uint64 // sent to devices
	Bytes   uint64 // of those, headers included
	Dropped uint64 // messages of devices that found a full queue or were malformed
}

// Service is a running delivery server. Its methods are safe for concurrent callers.
type Service struct {
	cfg    Config
	log    *slog.Logger
	ear    *link
	mouths [publishers]*link
	board  *board
	flows  *flows

	connected chan struct{} // the ear has a new connection
	listening chan struct{} // closed at the first complete subscription
	ups       chan message
	requests  chan message
	echoes    chan message

	pieces, bytes, dropped atomic.Uint64

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// message is one publish that came in.
type message struct {
	topic   wire.Topic
	payload []byte
}

// Open connects to the broker and serves until Close. It returns when every subscription
// stands; ctx bounds only that.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	s := &Service{
		cfg:       cfg,
		log:       cfg.Log,
		connected: make(chan struct{}, 1),
		listening: make(chan struct{}),
		ups:       make(chan message, queueLen),
		requests:  make(chan message, queueLen),
		echoes:    make(chan message, queueLen),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.MaxActive == 0 {
		s.cfg.MaxActive = 8192
	}
	if s.cfg.Remind == 0 {
		s.cfg.Remind = remindEvery
	}
	run, stop := context.WithCancel(context.Background())
	s.stop, s.board, s.flows = stop, newBoard(), newFlows(run, s)
	if err := s.dial(ctx); err != nil {
		s.Close()
		return nil, err
	}
	s.wg.Go(func() { s.listen(run) })
	s.wg.Go(func() { s.hear(run) })
	s.wg.Go(func() { s.dispatch(run) })
	s.wg.Go(func() { s.remind(run) })
	select {
	case <-s.listening:
		return s, nil
	case <-ctx.Done():
		s.Close()
		return nil, fmt.Errorf("subscribe at %s: %w", cfg.URL, ctx.Err())
	}
}

func (s *Service) dial(ctx context.Context) error {
	var random [6]byte
	rand.Read(random[:])
	id := "skiff-fleet-" + hex.EncodeToString(random[:])
	for i := range s.mouths {
		m, err := dial(ctx, s.cfg, fmt.Sprintf("%s-%d", id, i), nil, nil)
		if err != nil {
			return err
		}
		s.mouths[i] = m
	}
	var err error
	s.ear, err = dial(ctx, s.cfg, id+"-ear", s.receive, func() { poke(s.connected) })
	return err
}

// Close stops answering, waits for what is under way and disconnects.
func (s *Service) Close() {
	s.stop()
	s.flows.close()
	s.wg.Wait()
	for _, l := range append(s.mouths[:], s.ear) {
		if l != nil {
			l.close()
		}
	}
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats {
	return Stats{Pieces: s.pieces.Load(), Bytes: s.bytes.Load(), Dropped: s.dropped.Load()}
}

// receive sorts what the ear hears into queues. It runs on the MQTT client's own
// goroutine and must never block: the client's pings would wait behind it.
func (s *Service) receive(_ mqtt.Client, m mqtt.Message) {
	topic, err := wire.ParseTopic(m.Topic())
	if err != nil || len(m.Payload()) > maxHeard {
		s.dropped.Add(1)
		return
	}
	queue := s.ups
	switch topic.Kind {
	case wire.KindRequest:
		queue = s.requests
	case wire.KindChannelDesired:
		queue = s.echoes
	}
	select {
	case queue <- message{topic, m.Payload()}:
	default:
		s.dropped.Add(1)
	}
}

// mouth is the connection that serves a device, so that its messages stay in order.
func (s *Service) mouth(device string) *link {
	return s.mouths[crc32.ChecksumIEEE([]byte(device))%publishers]
}

// poke wakes whoever waits on c, once.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
