package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skiff/fleet/state"
	"skiff/formats/wire"
)

// hear takes hellos and statuses into the registry and acknowledges them.
func (s *Service) hear(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.ups:
			if err := s.heard(ctx, m); err != nil && ctx.Err() == nil {
				s.log.Debug("message not taken", "device", m.topic.Device, "error", err)
			}
		}
	}
}

func (s *Service) heard(ctx context.Context, m message) error {
	if m.topic.Kind == wire.KindHello {
		h, err := wire.ParseHello(m.payload)
		if err != nil {
			return s.malformed(err)
		}
		if h.Device != m.topic.Device {
			return s.malformed(fmt.Errorf("hello of %s on the topic of %s", h.Device, m.topic.Device))
		}
		return s.hello(ctx, h)
	}
	st, err := wire.ParseStatus(m.payload)
	if err != nil {
		return s.malformed(err)
	}
	if st.Device != m.topic.Device {
		return s.malformed(fmt.Errorf("status of %s on the topic of %s", st.Device, m.topic.Device))
	}
	return s.status(ctx, st)
}

func (s *Service) malformed(err error) error {
	s.dropped.Add(1)
	return err
}

// hello answers with the time, the fleet's key and the device's own desired state. Any of
// them may be lost: then the ack is too or the device says hello again by itself.
func (s *Service) hello(ctx context.Context, h wire.Hello) error {
	now := time.Now()
	v, err := s.cfg.Registry.Hello(now, h)
	if err != nil || v.Seq == 0 {
		return err
	}
	if v.Gone {
		s.flows.drop(h.Device, v.Session)
	}
	signed, err := wire.SealTime(s.cfg.Key, wire.SignedTime{Nonce: h.Nonce, Unix: now.Unix(), Device: h.Device})
	if err != nil {
		return err
	}
	ack := wire.Ack{Session: h.Session, Seq: v.Seq, Time: signed, FleetKey: s.cfg.Key.Public(0).Key}
	if err := s.ack(ctx, h.Device, ack); err != nil {
		return err
	}
	if err := s.own(ctx, h); err != nil {
		return err
	}
	return s.catchUp(ctx, h)
}

// catchUp sends a device the state of its channel when it has an older one. The retained
// topic alone is not enough: a broker may give a new subscriber the state before the one
// it has just published to the others (nats-server does, for some milliseconds).
func (s *Service) catchUp(ctx context.Context, h wire.Hello) error {
	d, err := s.cfg.Store.Desired(ctx, state.ChannelAudience(h.Channel))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil || d.Counter <= h.Counter {
		return err
	}
	return s.mouth(h.Device).publish(ctx, wire.TopicDesired(h.Device), false, d.Sealed)
}

// own sends the device's own desired state. Overrides come with rollouts; until then
// every device has the same one, which must keep its counter and so its every byte:
// hence no expiry.
func (s *Service) own(ctx context.Context, h wire.Hello) error {
	if s.cfg.Product != "" && h.Product != s.cfg.Product {
		return fmt.Errorf("device %s is of product %q, this fleet serves %q", h.Device, h.Product, s.cfg.Product)
	}
	sealed, err := wire.SealDesired(s.cfg.Key, wire.Desired{
		Product:    h.Product,
		Audience:   wire.Audience{Kind: wire.AudienceDevice, ID: h.Device},
		Counter:    1,
		NoOverride: true,
	})
	if err != nil {
		return err
	}
	return s.mouth(h.Device).publish(ctx, wire.TopicDesired(h.Device), false, sealed)
}

func (s *Service) status(ctx context.Context, st wire.Status) error {
	v, err := s.cfg.Registry.Status(time.Now(), st)
	if err != nil {
		return err
	}
	if v.Gone {
		keep := v.Session
		if st.Offline {
			keep = 0
		}
		s.flows.drop(st.Device, keep)
	}
	if v.Seq == 0 {
		return nil
	}
	return s.ack(ctx, st.Device, wire.Ack{Session: st.Session, Seq: v.Seq})
}

func (s *Service) ack(ctx context.Context, device string, a wire.Ack) error {
	data, err := a.Encode()
	if err != nil {
		return err
	}
	return s.mouth(device).publish(ctx, wire.TopicAck(device), false, data)
}
