// Package core decides what a device does next, and does nothing else: Step takes the state and one event and returns the new state and
// the effects to perform. It has no socket, no disk, no clock and no goroutine; time is a field of the event.
//
// One State is one model slot. Its phases are wire's: idle, fetching, verifying, staged, probing, active, rolled back.
//
//	desired -> (survey -> request -> arrived -> stored)* -> verify -> staged -> probe -> persist the pointer -> serve
//
// The caller performs the effects in the order given. A Persist effect, if there is one, is the first: nothing is sent or served
// before the state that caused it is on disk. The caller may be killed between any two effects; Boot with what was last persisted
// continues, and nothing that was committed is fetched again.
//
// It must not import store, link, serve, nor anything that does I/O.
package core

import (
	"fmt"
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

// Identity is who the device is. It never changes while an agent runs.
type Identity struct {
	Device  string // id on the wire
	Product string // bundles and desired states for another product are refused; empty accepts any
	Channel string // the channel it follows
	Slot    string // the model slot this state is about

	TrustsFleet bool // the trust file names a fleet key: none is ever pinned
}

// State is all that Step knows. Stored is what survives a restart; the rest is rebuilt.
// Step owns the State it is given and may change what it points to.
type State struct {
	ID       Identity
	Stored   Stored
	Serving  bundle.Digest // the bundle the local API answers with; zero when none does
	Kernels  string        // the engine that serves it
	Job      Job           // the one long piece of work under way
	Link     Link
	Transfer Transfer

	refused   verdict   // a target this device will not take, until another desired state
	stalled   bool      // the last job may succeed later: resume at notBefore
	attempts  int       // consecutive Retry failures, for the backoff
	notBefore time.Time // no new work on the target before this
	skew      time.Duration
}

// Event is something that happened, and when.
type Event struct {
	At   time.Time
	Body Body
}

// Body is one of the event types of this package.
type Body interface{ body() }

// Effect is something to do: one of the effect types of this package.
type Effect interface{ effect() }

// Step applies one event. The zero State with an ID is a device that has never run; its first event is Boot.
func Step(s State, e Event) (State, []Effect) {
	m := &machine{State: s, at: e.At}
	m.handle(e.Body)
	m.advance()
	return m.State, m.effects()
}

// machine is one Step under way: the state and what it has caused so far.
type machine struct {
	State
	at    time.Time
	dirty bool     // Stored changed: persist before anything else
	out   []Effect // in order
}

func (m *machine) do(e Effect) { m.out = append(m.out, e) }

// effects puts the Persist effect before all others.
func (m *machine) effects() []Effect {
	if !m.dirty {
		return m.out
	}
	return append([]Effect{Persist{m.Stored.clone()}}, m.out...)
}

func (m *machine) handle(b Body) {
	switch b := b.(type) {
	case Boot:
		m.boot(b)
	case Connected:
		m.connected(b)
	case Disconnected:
		m.disconnected()
	case Acked:
		m.acked(b)
	case Desired:
		m.desired(b)
	case Survey:
		m.surveyed(b)
	case Arrived:
		m.arrived(b)
	case Committed:
		m.committed(b)
	case Spoiled:
		m.spoiled(b)
	case ServerError:
		m.serverError(b)
	case Result:
		m.result(b)
	case Failed:
		m.failed(b)
	case Tick:
	default:
		m.do(Halt{fmt.Sprintf("unknown event %T", b)})
	}
}

// boot takes up the stored state. The active bundle is loaded first: it must answer without any network.
func (m *machine) boot(b Boot) {
	m.Stored = b.Stored.clone()
	m.Transfer.Window = newWindow(m.Stored.Ceiling)
	if m.Stored.Active == nil {
		m.plan()
		return
	}
	m.Stored.Starts++
	m.dirty = true
	if m.Stored.Starts > maxTrials && m.Stored.Previous != nil {
		reason := fmt.Sprintf("did not come up in %d starts", maxTrials)
		m.fallBack(Failure{wire.ClassRollback, reason})
		return
	}
	m.start(Job{Load, m.Stored.Active.Digest})
}

// start begins the one long job.
func (m *machine) start(j Job) {
	m.Job = j
	m.do(j)
}

// result ends the job under way.
func (m *machine) result(r Result) {
	if r.Job != m.Job {
		return // of a job that a later decision overtook
	}
	m.Job = Job{}
	switch r.Job.Kind {
	case Look:
		m.jobFailed(r) // only its failure comes this way
	case Load:
		m.loaded(r)
	case Verify:
		m.verified(r)
	case Prove:
		m.proved(r)
	}
}

// loaded serves the active bundle, or falls back to the one before it.
func (m *machine) loaded(r Result) {
	if r.Failure.Class != 0 {
		m.fallBack(r.Failure)
		return
	}
	m.serve(r)
	m.Stored.Starts = 0
	m.dirty = true
	if m.Stored.Phase != wire.StateRolledBack {
		m.phase(wire.StateActive)
	}
	m.plan()
	m.collect()
}

// serve answers with another bundle from now on. What a hello said of it is said anew.
func (m *machine) serve(r Result) {
	m.Serving, m.Kernels = r.Job.Digest, r.Kernels
	m.do(Serve{r.Job.Digest})
	if m.Link.Online {
		m.greet()
	}
}

// fallBack leaves an active bundle that does not come up for the one that was active before it. Bits that rotted on the disk
// are fetched again (the wish still stands); a bundle that misbehaves is quarantined.
func (m *machine) fallBack(f Failure) {
	bad := m.Stored.Active.Digest
	if f.Class == wire.ClassHalt {
		m.do(Halt{f.Reason})
		return
	}
	if f.Class == wire.ClassRollback || f.Class == wire.ClassReject {
		m.quarantine(bad, f)
	}
	m.complain(f)
	if m.Stored.Previous == nil {
		m.phase(wire.StateIdle)
		m.retryLater()
		m.stalled = true
		return
	}
	m.Stored.Active, m.Stored.Previous = m.Stored.Previous, nil
	m.Stored.Starts = 0
	m.phase(wire.StateRolledBack)
	m.start(Job{Load, m.Stored.Active.Digest})
}

// resume tries again what failed for a reason that may have passed.
func (m *machine) resume() {
	m.stalled = false
	a := m.Stored.Active
	if a != nil && m.Serving != a.Digest && m.target().IsZero() {
		m.start(Job{Load, a.Digest})
		return
	}
	m.plan()
}

// phase moves the slot; every move is persisted and reported.
func (m *machine) phase(p wire.State) {
	m.dirty = true
	if m.Stored.Phase != p {
		m.Stored.Phase = p
		m.report()
	}
}

// complain reports why something did not happen. It is written with the next transition, not by itself: whoever can send messages must
// not be able to wear the disk out.
func (m *machine) complain(f Failure) {
	if m.Stored.Class == f.Class && m.Stored.Reason == f.Reason {
		return
	}
	m.Stored.Class, m.Stored.Reason = f.Class, f.Reason
	m.report()
}
