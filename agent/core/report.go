package core

import (
	"hash/fnv"
	"strconv"
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

const (
	firstRepeat   = 2 * time.Second // until acked; doubles
	lastRepeat    = time.Minute
	progressEvery = 500 * time.Millisecond
	helloEvery    = 6 * time.Hour // covers desired states lost on the way; up to twice this
)

// Link is the session with the fleet.
type Link struct {
	Online  bool
	Session uint64
	Nonce   [16]byte

	seq    uint64 // of the last message sent in this session
	hello  repeat
	status repeat
	told   time.Time // when the last status was made
	news   bool      // the state changed since
}

// repeat is a message sent again until acked.
type repeat struct {
	seq   uint64
	tries int
	next  time.Time // zero: nothing due
}

func (m *machine) connected(c Connected) {
	m.Link = Link{Online: true, Session: c.Session, Nonce: c.Nonce, news: true}
	m.notBefore, m.attempts = time.Time{}, 0
	m.Transfer.timeouts = 0
	m.greet()
}

// disconnected gives up what is in flight. In mid-transfer it may have been our own appetite: the remembered ceiling is halved.
func (m *machine) disconnected() {
	m.Link = Link{}
	if m.Transfer.flying == 0 {
		return
	}
	m.Transfer.ground()
	m.Transfer.Window.cut()
	m.Stored.Ceiling = m.Transfer.Window.ceiling
	m.dirty = true
}

// acked stops a repetition, pins the first fleet key met by a device that was given none, and sets the clock right.
func (m *machine) acked(a Acked) {
	if a.Session != m.Link.Session || !m.Link.Online {
		return
	}
	if !m.ID.TrustsFleet && len(m.Stored.FleetKey) == 0 && len(a.FleetKey) > 0 {
		m.Stored.FleetKey = a.FleetKey
		m.dirty = true
		m.do(Trust{a.FleetKey})
	}
	if a.Time != 0 {
		m.skew = time.Unix(a.Time, 0).Sub(m.at)
		if m.skew.Abs() < time.Minute {
			m.skew = 0
		}
		if a.Time-m.Stored.Time > int64(time.Hour/time.Second) {
			m.Stored.Time = a.Time
			m.dirty = true
		}
	}
	if a.ForHello || a.Seq == m.Link.hello.seq {
		m.Link.hello = repeat{next: m.at.Add(helloEvery + m.jitter(helloEvery))}
	}
	if a.Seq >= m.Link.status.seq {
		m.Link.status.next = time.Time{}
	}
}

// greet says hello with a new sequence number.
func (m *machine) greet() {
	m.Link.seq++
	m.Link.hello.seq = m.Link.seq
	m.Link.hello.again(m)
	m.do(Hello{wire.Hello{
		Session: m.Link.Session, Seq: m.Link.seq, Nonce: m.Link.Nonce,
		Device: m.ID.Device, Product: m.ID.Product, Channel: m.ID.Channel,
		Counter: m.Stored.Channel.Counter, Own: m.Stored.Device.Counter,
		Slots:   []wire.Holding{{Slot: m.ID.Slot, Active: m.Stored.Active.digest(), Previous: m.Stored.Previous.digest()}},
		Kernels: m.Kernels,
	}})
}

func (h *Held) digest() bundle.Digest {
	if h == nil {
		return bundle.Digest{}
	}
	return h.Digest
}

// again schedules the next repetition.
func (r *repeat) again(m *machine) {
	d := min(firstRepeat<<min(r.tries, 6), lastRepeat)
	r.tries++
	r.next = m.at.Add(d + m.jitter(d/4))
}

// report marks the state as news: advance sends one status for all that happened in a Step.
func (m *machine) report() { m.Link.news = true }

// progress reports a running transfer now and then.
func (m *machine) progress() {
	if m.at.Sub(m.Link.told) >= progressEvery {
		m.report()
	}
}

// status sends the newest state; an older one that was not acked no longer matters.
func (m *machine) status(tries int) {
	m.Link.seq++
	m.Link.status = repeat{seq: m.Link.seq, tries: tries}
	m.Link.status.again(m)
	m.Link.told, m.Link.news = m.at, false
	slot := wire.SlotStatus{
		Slot: m.ID.Slot, State: m.Stored.Phase, Bundle: m.Wish().Bundle,
		Done: m.Transfer.Done, Total: m.Transfer.Total,
		Class: m.Stored.Class, Reason: m.Stored.Reason,
	}
	if a := m.Stored.Active; a != nil {
		slot.Active, slot.ActiveName, slot.ActiveVersion = a.Digest, a.Name, a.Version
	}
	m.do(Report{wire.Status{
		Session: m.Link.Session, Seq: m.Link.seq, Version: m.Wish().Counter,
		Device: m.ID.Device, Slots: []wire.SlotStatus{slot},
	}})
}

// advance does what is due by time or by the new state.
func (m *machine) advance() {
	if !m.at.Before(m.notBefore) {
		m.notBefore = time.Time{}
	}
	if m.Job.Kind == 0 && m.Stored.Phase == wire.StateStaged && m.Transfer.facts != nil && !m.dirty {
		m.probe()
	}
	if m.Job.Kind == 0 && m.stalled && m.notBefore.IsZero() {
		m.resume()
	}
	if !m.Link.Online {
		return
	}
	if l := &m.Link; !l.hello.next.IsZero() && !m.at.Before(l.hello.next) {
		m.greet()
	}
	if l := &m.Link; l.news {
		m.status(0)
	} else if !l.status.next.IsZero() && !m.at.Before(l.status.next) {
		m.status(l.status.tries)
	}
	if m.Job.Kind == 0 && m.Stored.Phase == wire.StateFetching {
		m.pump()
	}
}

// Wake is when the next Tick is due; zero when only an event can change anything.
func (s *State) Wake() time.Time {
	var wake time.Time
	due := func(t time.Time) {
		if !t.IsZero() && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	if s.Stored.Phase == wire.StateStaged && s.Job.Kind == 0 {
		return time.Unix(0, 1) // now
	}
	if s.Job.Kind == 0 && (s.stalled || s.Link.Online) {
		due(s.notBefore)
	}
	if !s.Link.Online {
		return wake
	}
	due(s.Link.hello.next)
	due(s.Link.status.next)
	if s.Transfer.flying > 0 {
		due(s.Transfer.deadline())
	}
	return wake
}

// jitter spreads d over devices and time, without a source of randomness: 0 to d.
func (m *machine) jitter(d time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(m.ID.Device))
	h.Write([]byte(strconv.FormatUint(m.Link.Session+m.Link.seq+uint64(m.attempts), 10)))
	return time.Duration(float64(d) * float64(h.Sum32()) / (1 << 32))
}
