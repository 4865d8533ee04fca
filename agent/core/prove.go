package core

import (
	"fmt"
	"slices"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

// verified stages the target, or fetches again what turned out to be rotten.
func (m *machine) verified(r Result) {
	if r.Failure.Class != 0 {
		m.jobFailed(r)
		return
	}
	if r.Job.Digest != m.target() {
		m.plan()
		return
	}
	m.phase(wire.StateStaged)
}

// probe begins the proof of a staged bundle. The trial is persisted before: a proof that kills the process is not repeated for ever.
func (m *machine) probe() {
	t := &m.Stored.Trial
	if t.Digest != m.Transfer.Digest {
		*t = Trial{Digest: m.Transfer.Digest}
	}
	t.Count++
	m.dirty = true
	if t.Count > maxTrials {
		*t = Trial{}
		m.reject(Failure{wire.ClassRollback, fmt.Sprintf("proof did not end in %d trials", maxTrials)})
		return
	}
	m.phase(wire.StateProbing)
	m.start(Job{Prove, m.Transfer.Digest})
}

// proved switches: one pointer, in the transaction of this Step.
func (m *machine) proved(r Result) {
	if r.Failure.Class != 0 {
		m.jobFailed(r)
		return
	}
	if r.Job.Digest != m.target() {
		m.do(Drop{r.Job.Digest})
		m.plan()
		return
	}
	m.activate(r)
}

// activate moves the pointer. There is no soak yet: the switch is the commit, so the floor rises with it.
func (m *machine) activate(r Result) {
	f := m.Transfer.facts
	next := &Held{Digest: r.Job.Digest, Name: f.Name, Version: f.Version, Release: f.Release}
	if a := m.Stored.Active; a != nil && a.Digest != next.Digest {
		m.Stored.Previous = a
	}
	m.Stored.Active = next
	if m.Stored.Floors == nil {
		m.Stored.Floors = map[string]uint64{}
	}
	m.Stored.Floors[f.Name] = max(m.Stored.Floors[f.Name], f.Release)
	m.Stored.Trial, m.attempts = Trial{}, 0
	m.Stored.Class, m.Stored.Reason = 0, ""
	m.Stored.Phase = wire.StateActive
	m.dirty = true
	m.serve(r)
	m.report()
	m.Transfer = Transfer{Window: m.Transfer.Window, requests: m.Transfer.requests}
	m.collect()
}

// jobFailed acts on the class of an error while the target was verified or proved. What is active goes on.
func (m *machine) jobFailed(r Result) {
	f := r.Failure
	if r.Job.Digest != m.target() && f.Class != wire.ClassHalt {
		m.plan()
		return
	}
	switch f.Class {
	case wire.ClassReject:
		m.reject(f)
	case wire.ClassRollback:
		m.reject(f)
		m.phase(wire.StateRolledBack)
	case wire.ClassRefuse:
		m.refuse(f.Reason)
	case wire.ClassHalt:
		m.do(Halt{f.Reason})
	default:
		m.Stored.Trial = Trial{}
		m.complain(f)
		m.phase(wire.StateFetching)
		m.retryLater()
		m.stalled = true
	}
}

// failed takes an error from outside any job. Retry slows the transfer down; the rest is only told.
func (m *machine) failed(f Failed) {
	if f.Class == wire.ClassHalt {
		m.do(Halt{f.Reason})
		return
	}
	if f.Class == wire.ClassReject && m.Stored.Phase == wire.StateFetching {
		m.reject(f.Failure)
		return
	}
	m.complain(f.Failure)
	if f.Class == wire.ClassRetry {
		m.retryLater()
	}
}

// collect frees what neither the active, the previous nor the wanted bundle refers to.
func (m *machine) collect() {
	var keep []bundle.Digest
	for _, h := range []*Held{m.Stored.Active, m.Stored.Previous} {
		if h != nil {
			keep = append(keep, h.Digest)
		}
	}
	if t := m.target(); !t.IsZero() && !slices.Contains(keep, t) {
		keep = append(keep, t)
	}
	m.do(Collect{keep})
}
