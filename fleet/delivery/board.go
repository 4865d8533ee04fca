package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"skiff/fleet/state"
	"skiff/formats/wire"
)

const filterBoard = "skiff/1/c/+/desired"

// board knows which channels' retained topics may differ from the store. A channel is
// settled when the broker has echoed exactly the stored state.
type board struct {
	changed chan struct{}

	mu        sync.Mutex // guards the rest
	unsettled map[string]chan struct{}
}

func newBoard() *board {
	return &board{changed: make(chan struct{}, 1), unsettled: make(map[string]chan struct{})}
}

// unsettle notes that a channel must be published, and returns what is closed once it is.
func (b *board) unsettle(channel string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer poke(b.changed)
	if b.unsettled[channel] == nil {
		b.unsettled[channel] = make(chan struct{})
	}
	return b.unsettled[channel]
}

func (b *board) settle(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if done := b.unsettled[channel]; done != nil {
		close(done)
		delete(b.unsettled, channel)
	}
}

func (b *board) list() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]string, 0, len(b.unsettled))
	for channel := range b.unsettled {
		out = append(out, channel)
	}
	return out
}

// Announce publishes the stored state of a channel, retained, and returns when the broker
// has it. When ctx ends first the service goes on trying.
func (s *Service) Announce(ctx context.Context, channel string) error {
	select {
	case <-s.board.unsettle(channel):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("announce channel %s: %w", channel, ctx.Err())
	}
}

// listen subscribes at every connection and keeps the retained topics as they should be.
func (s *Service) listen(ctx context.Context) {
	retry := time.NewTimer(0)
	retry.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.connected:
			if err = s.subscribe(ctx); err != nil {
				poke(s.connected) // again after the wait below
			}
		case m := <-s.echoes:
			err = s.echo(ctx, m)
		case <-s.board.changed:
			err = s.post(ctx)
			retry.Reset(settleWait)
		case <-retry.C:
			if len(s.board.list()) > 0 {
				poke(s.board.changed)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("mqtt", "error", err)
			pause(ctx, settleWait)
		}
	}
}

// subscribe hears devices and its own announcements again, and publishes every channel
// anew: a broker may have lost what it retained.
func (s *Service) subscribe(ctx context.Context) error {
	if err := s.ear.subscribe(ctx, wire.FilterHello, wire.FilterStatus, wire.FilterRequests, filterBoard); err != nil {
		return err
	}
	all, err := s.cfg.Store.AllDesired(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if channel, ok := d.Audience.Channel(); ok {
			s.board.unsettle(channel)
		}
	}
	select {
	case <-s.listening:
	default:
		close(s.listening)
	}
	return nil
}

// post publishes every unsettled channel as the store has it now, so that no older state
// can follow a newer one.
func (s *Service) post(ctx context.Context) error {
	for _, channel := range s.board.list() {
		d, err := s.cfg.Store.Desired(ctx, state.ChannelAudience(channel))
		if errors.Is(err, state.ErrNotFound) {
			s.board.settle(channel)
			continue
		}
		if err != nil {
			return err
		}
		if err := s.mouths[0].publish(ctx, wire.TopicChannelDesired(channel), true, d.Sealed); err != nil {
			return err
		}
	}
	return nil
}

// echo compares what the broker has with the store.
func (s *Service) echo(ctx context.Context, m message) error {
	d, err := s.cfg.Store.Desired(ctx, state.ChannelAudience(m.topic.Channel))
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil // a channel of another server
	case err != nil:
		return err
	case bytes.Equal(d.Sealed, m.payload):
		s.board.settle(m.topic.Channel)
	default:
		s.board.unsettle(m.topic.Channel)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
