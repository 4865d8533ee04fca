package delivery

import (
	"context"
	"time"

	"skiff/formats/wire"
)

const (
	remindEvery  = 15 * time.Second
	maxReminders = 4 // to a device about one state; it may have refused it for good
)

// reminder counts how often a device was told of a state.
type reminder struct {
	counter uint64
	times   int
}

// remind repeats the state of a channel to the devices that have not acted on it: what
// the others heard may have been lost on the way to them.
func (s *Service) remind(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Remind)
	defer tick.Stop()
	told := make(map[string]reminder)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var err error
		if told, err = s.remindOnce(ctx, told); err != nil && ctx.Err() == nil {
			s.log.Debug("devices not reminded", "error", err)
		}
	}
}

// remindOnce returns what to remember: the devices that are still behind.
func (s *Service) remindOnce(ctx context.Context, told map[string]reminder) (map[string]reminder, error) {
	all, err := s.cfg.Store.AllDesired(ctx)
	if err != nil {
		return told, err
	}
	next := make(map[string]reminder)
	for _, d := range all {
		channel, ok := d.Audience.Channel()
		if !ok {
			continue
		}
		for _, device := range s.cfg.Registry.Behind(channel, d.Counter) {
			r := told[device]
			if r.counter != d.Counter {
				r = reminder{counter: d.Counter}
			}
			if r.times++; r.times <= maxReminders {
				if err := s.mouth(device).publish(ctx, wire.TopicDesired(device), false, d.Sealed); err != nil {
					return told, err
				}
			}
			next[device] = r
		}
	}
	return next, nil
}
