package core

import (
	"fmt"
	"slices"
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

const (
	maxTrials     = 5   // starts or proofs that may die before the bundle is given up
	maxSpoiled    = 3   // times one piece may come in wrong
	maxFloors     = 64  // bundle names a device remembers
	maxQuarantine = 256 // the oldest is forgotten
)

// desired takes up a desired state when every check passes; one that fails changes nothing but the reported reason.
func (m *machine) desired(d Desired) {
	wish, reason := m.admit(d)
	before := m.target()
	if reason != "" {
		m.complain(Failure{wire.ClassRefuse, "desired state: " + reason})
		return
	}
	if wish.Sum == d.Sum {
		return // the same retained message again
	}
	*wish = Wish{Counter: d.Desired.Counter, Sum: d.Sum, NoOverride: d.Desired.NoOverride, Recalled: d.Desired.Recalled}
	for _, slot := range d.Desired.Slots {
		if slot.Name == m.ID.Slot {
			wish.Bundle, wish.Manifest, wish.Envelope, wish.Floor = slot.Bundle, slot.ManifestLength, slot.EnvelopeLength, slot.Floor
		}
	}
	m.dirty = true
	m.refused, m.attempts, m.notBefore = verdict{}, 0, time.Time{}
	m.pardon(wish)
	if w := m.Wish(); !w.Bundle.IsZero() && m.recalled(w.Bundle) {
		m.complain(Failure{wire.ClassRefuse, "recalled"})
	}
	if t := m.target(); t.IsZero() || t != before || t != m.Transfer.Digest {
		m.plan() // otherwise what is under way is what is wanted
	}
}

// admit checks everything a signed desired state claims about whom it is for and when. It returns the wish to replace, or why not.
func (m *machine) admit(d Desired) (*Wish, string) {
	w := d.Desired
	wish := m.audience(w.Audience)
	switch {
	case m.ID.Product != "" && w.Product != m.ID.Product:
		return nil, fmt.Sprintf("for product %q, this is %q", w.Product, m.ID.Product)
	case wish == nil:
		return nil, fmt.Sprintf("for another audience, %q", w.Audience.ID)
	case w.Counter < wish.Counter:
		return nil, fmt.Sprintf("counter %d after %d", w.Counter, wish.Counter)
	case w.Counter == wish.Counter && d.Sum != wish.Sum:
		return nil, fmt.Sprintf("counter %d twice with different contents", w.Counter)
	case d.Sum != wish.Sum && w.Expires != 0 && m.now() >= w.Expires:
		return nil, fmt.Sprintf("expired at %s", time.Unix(w.Expires, 0).UTC().Format(time.RFC3339))
	}
	return wish, ""
}

// audience returns the wish an audience speaks for; nil when it is not this device's.
func (m *machine) audience(a wire.Audience) *Wish {
	switch {
	case a.Kind == wire.AudienceChannel && a.ID == m.ID.Channel:
		return &m.Stored.Channel
	case a.Kind == wire.AudienceDevice && a.ID == m.ID.Device:
		return &m.Stored.Device
	}
	return nil
}

// now is the best known time in unix seconds: a device without a clock of its own believes the last time the fleet signed.
func (m *machine) now() int64 { return max(m.at.Add(m.skew).Unix(), m.Stored.Time) }

// Wish is the desired state that holds: the device's own before the channel's.
func (s *State) Wish() Wish {
	if s.Stored.Device.Counter > 0 && !s.Stored.Device.NoOverride {
		return s.Stored.Device
	}
	return s.Stored.Channel
}

// target is the bundle to get, zero when there is none that this device may take.
func (s *State) target() bundle.Digest {
	w := s.Wish()
	switch {
	case w.Bundle == s.refused.digest && w.Counter == s.refused.counter,
		s.recalled(w.Bundle),
		slices.ContainsFunc(s.Stored.Quarantine, func(q Quarantined) bool { return q.Digest == w.Bundle }):
		return bundle.Digest{}
	}
	return w.Bundle
}

func (s *State) recalled(d bundle.Digest) bool {
	return slices.Contains(s.Stored.Channel.Recalled, d) || slices.Contains(s.Stored.Device.Recalled, d)
}

// fits decides over the claims of a verified manifest.
func (m *machine) fits(f Facts) string {
	floor := m.Stored.Floors[f.Name]
	if w := m.Wish(); w.Floor > floor {
		floor = w.Floor
	}
	_, known := m.Stored.Floors[f.Name]
	switch {
	case m.ID.Product != "" && f.Product != m.ID.Product:
		return fmt.Sprintf("bundle for product %q, this is %q", f.Product, m.ID.Product)
	case len(f.Channels) > 0 && !slices.Contains(f.Channels, m.ID.Channel):
		return fmt.Sprintf("bundle for channels %q, this is %q", f.Channels, m.ID.Channel)
	case f.Release < floor:
		return fmt.Sprintf("downgrade: release %d of %s is below %d", f.Release, f.Name, floor)
	case !known && len(m.Stored.Floors) >= maxFloors:
		return fmt.Sprintf("more than %d bundle names", maxFloors)
	}
	return f.Misfit
}

// quarantine keeps a digest from being fetched again until a desired state with a higher counter names it.
func (m *machine) quarantine(d bundle.Digest, f Failure) {
	list := slices.DeleteFunc(m.Stored.Quarantine, func(q Quarantined) bool { return q.Digest == d })
	if len(list) >= maxQuarantine {
		list = list[1:]
	}
	m.Stored.Quarantine = append(list, Quarantined{d, m.Stored.Channel.Counter, m.Stored.Device.Counter, f.Reason})
	m.dirty = true
}

// pardon lifts the quarantine of the bundle that a wish names when its counter is above the one of the time it failed.
func (m *machine) pardon(w *Wish) {
	m.Stored.Quarantine = slices.DeleteFunc(m.Stored.Quarantine, func(q Quarantined) bool {
		failed := q.Channel
		if w == &m.Stored.Device {
			failed = q.Device
		}
		return q.Digest == w.Bundle && w.Counter > failed
	})
}

// clone copies what a later Step may change.
func (s Stored) clone() Stored {
	s.Quarantine = slices.Clone(s.Quarantine)
	floors := make(map[string]uint64, len(s.Floors))
	for name, release := range s.Floors {
		floors[name] = release
	}
	s.Floors = floors
	s.Active, s.Previous = s.Active.clone(), s.Previous.clone()
	return s
}

func (h *Held) clone() *Held {
	if h == nil {
		return nil
	}
	c := *h
	return &c
}
