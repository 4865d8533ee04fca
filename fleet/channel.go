package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skiff/fleet/api"
	"skiff/fleet/registry"
	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/formats/wire"
)

const (
	slotName = "default"
	// validity of a signed channel state. It is signed anew with a third of it left, and
	// not often: a higher counter also tells devices to try again what they rejected.
	validity = 90 * 24 * time.Hour
	renewAt  = validity / 3

	renewEvery   = time.Hour
	announceWait = 5 * time.Second
)

// AddBundle checks the whole bundle file at path and stores it; one is stored at a time.
func (s *Server) AddBundle(ctx context.Context, path string) (state.Bundle, error) {
	select {
	case s.adding <- struct{}{}:
		defer func() { <-s.adding }()
	case <-ctx.Done():
		return state.Bundle{}, ctx.Err()
	}
	if err := s.haveRoom(ctx, path); err != nil {
		return state.Bundle{}, err
	}
	b, err := s.catalog.Add(ctx, path)
	if err == nil && s.cfg.Product != "" && b.Product != s.cfg.Product {
		s.cfg.Log.Warn("bundle is for a product this fleet does not serve", "bundle", b.Digest, "product", b.Product)
	}
	return b, err
}

// Devices lists what is known of every device, by id.
func (s *Server) Devices() []registry.Device { return s.registry.Devices() }

// SetChannel makes a stored bundle, named by its hex digest, the desired state of a
// channel. When it returns without error the state is on disk and will be published; it
// waits a few seconds for the broker to have it. Asking for the same bundle again is a
// signed retry: the counter rises.
func (s *Server) SetChannel(ctx context.Context, channel, digest string) (state.Desired, error) {
	if !wire.ValidID(channel) {
		return state.Desired{}, fmt.Errorf("channel %q: %w: want 1 to 64 of A-Z a-z 0-9 _ -", channel, api.ErrRequest)
	}
	if _, err := bundle.ParseDigest(digest); err != nil {
		return state.Desired{}, fmt.Errorf("bundle %q: %w: want the 64 hexadecimal digits of its digest", digest, api.ErrRequest)
	}
	b, err := s.store.Bundle(ctx, digest)
	if err != nil {
		return state.Desired{}, err
	}
	if s.cfg.Product != "" && b.Product != s.cfg.Product {
		return state.Desired{}, fmt.Errorf("%w: bundle %s is for product %q, this fleet serves %q", api.ErrRefused, digest, b.Product, s.cfg.Product)
	}
	if len(b.Channels) > 0 && !slices.Contains(b.Channels, channel) {
		return state.Desired{}, fmt.Errorf("%w: bundle %s is for channels %q, not %q", api.ErrRefused, digest, b.Channels, channel)
	}
	d, err := s.store.ChangeDesired(ctx, state.ChannelAudience(channel), func(old state.Desired) (state.Desired, error) {
		return s.seal(channel, old, b)
	})
	if err != nil {
		return state.Desired{}, err
	}
	s.announce(ctx, channel)
	return d, nil
}

// announce waits a little for the broker; the state is durable and published in any case.
func (s *Server) announce(ctx context.Context, channel string) {
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	if err := s.delivery.Announce(ctx, channel); err != nil {
		s.cfg.Log.Warn("desired state not published yet", "channel", channel, "error", err)
	}
}

// seal makes the successor of old that names b.
func (s *Server) seal(channel string, old state.Desired, b state.Bundle) (state.Desired, error) {
	digest, err := bundle.ParseDigest(b.Digest)
	if err != nil {
		return state.Desired{}, err
	}
	d := state.Desired{Counter: old.Counter + 1, Bundle: b.Digest, Floor: old.Floor, Expires: time.Now().Add(validity).UTC().Truncate(time.Second)}
	slot := wire.Slot{Name: slotName, Bundle: digest, ManifestLength: b.Manifest, Floor: d.Floor}
	for _, p := range b.Envelope {
		slot.EnvelopeLength += p.Length
	}
	d.Sealed, err = wire.SealDesired(s.key, wire.Desired{
		Product:  b.Product,
		Audience: wire.Audience{Kind: wire.AudienceChannel, ID: channel},
		Counter:  d.Counter,
		Expires:  d.Expires.Unix(),
		Slots:    []wire.Slot{slot},
	})
	return d, err
}

// keepBooks writes what devices reported, many at a time, and renews signed states before
// they expire.
func (s *Server) keepBooks(ctx context.Context) {
	flush := time.NewTimer(s.cfg.Flush)
	renew := time.NewTimer(0)
	defer flush.Stop()
	defer renew.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			err = s.flush(ctx)
			flush.Reset(s.cfg.Flush)
		case <-renew.C:
			err = s.renew(ctx, time.Now())
			renew.Reset(renewEvery)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("books", "error", err)
		}
	}
}

// renew signs again, with a higher counter, what would expire.
func (s *Server) renew(ctx context.Context, now time.Time) error {
	all, err := s.store.AllDesired(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		channel, ok := d.Audience.Channel()
		if !ok || d.Expires.Sub(now) > renewAt {
			continue
		}
		if _, renewErr := s.SetChannel(ctx, channel, d.Bundle); renewErr != nil {
			err = errors.Join(err, fmt.Errorf("renew channel %s: %w", channel, renewErr))
		}
	}
	return err
}

func (s *Server) loadDevices(ctx context.Context) error {
	all, err := s.store.Devices(ctx)
	if err != nil {
		return err
	}
	for _, data := range all {
		if err := s.registry.Load(data); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the devices that changed since the last flush.
func (s *Server) flush(ctx context.Context) error {
	taken, err := s.registry.Take()
	for _, t := range taken {
		if putErr := s.store.PutDevices(ctx, t.Name, t.Data); putErr != nil {
			s.registry.Retake(t)
			err = errors.Join(err, putErr)
		}
	}
	return err
}
