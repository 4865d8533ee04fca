package registry

import (
	"slices"
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

// A device draws a session number at each start and numbers its messages within it.
//
//   - A hello of a new session makes it the device's session and retires the old one.
//   - Anything of a retired session is ignored: it was under way when the device restarted.
//   - A message whose number is not above the last is a repetition: acknowledged, not applied.
//   - A status of an unknown session is ignored until its hello has come, unless the device
//     was not heard since this server started: then the hello may have met its predecessor.
//   - A will speaks for one connection. It counts only when it is of the session, and not
//     older than the last hello's predecessor: then a newer connection stands.

const keepRetired = 4

// Verdict is what became of a message.
type Verdict struct {
	Seq     uint64 // acknowledge up to this number; 0: do not acknowledge
	Session uint64 // the device's session after the message
	Gone    bool   // the device has left, or an older start of it
}

// Hello takes a device's announcement. Errors: ErrFull.
func (r *Registry) Hello(now time.Time, h wire.Hello) (Verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, err := r.find(h.Device)
	if err != nil {
		return Verdict{}, err
	}
	if slices.Contains(rec.Retired, h.Session) {
		return Verdict{Session: rec.Session}, nil
	}
	restarted := rec.adopt(h.Session)
	if h.Seq > rec.Seq {
		rec.Before, rec.Seq = rec.Seq, h.Seq
		rec.greet(h)
	}
	r.touch(rec, now)
	return Verdict{Seq: rec.Seq, Session: rec.Session, Gone: restarted}, nil
}

// Status takes a device's report, or its will. Errors: ErrFull.
func (r *Registry) Status(now time.Time, s wire.Status) (Verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Offline {
		return r.will(s), nil
	}
	rec, err := r.find(s.Device)
	if err != nil {
		return Verdict{}, err
	}
	if s.Session != rec.Session && (rec.heard || slices.Contains(rec.Retired, s.Session)) {
		return Verdict{Session: rec.Session}, nil
	}
	restarted := rec.adopt(s.Session)
	if s.Seq > rec.Seq {
		rec.Seq = s.Seq
		rec.report(s)
	}
	r.touch(rec, now)
	return Verdict{Seq: rec.Seq, Session: rec.Session, Gone: restarted}, nil
}

// will takes note of a broken connection; wills are never acknowledged. It changes
// neither what was reported nor when the device was last seen.
func (r *Registry) will(s wire.Status) Verdict {
	rec, ok := r.devices[s.Device]
	if !ok || s.Session != rec.Session || (s.Seq != 0 && s.Seq < rec.Before) {
		return Verdict{}
	}
	rec.Online = false
	r.dirty[part(rec.ID)] = true
	return Verdict{Session: rec.Session, Gone: true}
}

// touch notes that the device lives; the lock is held.
func (r *Registry) touch(rec *record, now time.Time) {
	rec.heard, rec.Online, rec.LastSeen = true, true, now.UTC()
	r.dirty[part(rec.ID)] = true
}

// adopt makes session the device's own and reports whether another one was before it.
func (rec *record) adopt(session uint64) (restarted bool) {
	if session == rec.Session {
		return false
	}
	restarted = rec.Session != 0
	if restarted {
		rec.Retired = append(rec.Retired, rec.Session)
		rec.Retired = rec.Retired[max(0, len(rec.Retired)-keepRetired):]
	}
	rec.Session, rec.Seq, rec.Before = session, 0, 0
	return restarted
}

func (rec *record) greet(h wire.Hello) {
	rec.Product, rec.Channel, rec.Agent, rec.Kernels, rec.CPU = h.Product, h.Channel, h.Agent, h.Kernels, h.CPU
	rec.Counter = h.Counter
	if len(h.Slots) == 0 {
		return
	}
	// One slot is all a device has in this version; its statuses say the rest.
	active := digest(h.Slots[0].Active)
	if active != rec.Active {
		rec.Active, rec.Name, rec.Version = active, "", ""
	}
	if active != "" && rec.State == wire.StateIdle.String() {
		rec.State = wire.StateActive.String()
	}
}

func (rec *record) report(s wire.Status) {
	rec.Counter = s.Version
	if len(s.Slots) == 0 {
		return
	}
	slot := s.Slots[0]
	rec.State, rec.Class, rec.Reason = slot.State.String(), slot.Class.String(), slot.Reason
	rec.Active, rec.Name, rec.Version = digest(slot.Active), slot.ActiveName, slot.ActiveVersion
	rec.Bundle, rec.Done, rec.Total, rec.Refetched = digest(slot.Bundle), slot.Done, slot.Total, slot.Refetched
}

// digest is d in hexadecimal, or "" for none.
func digest(d bundle.Digest) string {
	if d == (bundle.Digest{}) {
		return ""
	}
	return d.String()
}
