package core

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

const (
	maxUncommitted = 4 << 20          // bytes that may wait for a transaction before more are asked for
	frameAllowance = 256              // header bytes of a piece, inside its credit
	pieceCharge    = 2 << 10          // window taken by any message
	maxSpan        = 8 * 4096         // pieces one bitmap may span
	firstBackoff   = time.Second      // doubles at each failure in a row
	lastBackoff    = 10 * time.Minute // up to this
)

// Transfer is the fetching of one bundle.
type Transfer struct {
	Digest      bundle.Digest
	Kind        wire.Kind
	Pieces      []Piece // missing at the last survey, by index
	Done, Total uint64  // bytes of the bundle's chunks
	Window      window

	facts    *Facts
	flying   int // charge of what is asked for
	unstored int // bytes arrived and not committed
	requests uint32
	sent     map[uint32]time.Time // first piece of a request that was sent on an empty line: measures the round trip
	progress time.Time            // last arrival or request on an empty line
	timeouts int                  // in a row
}

// plan starts on the target, or settles when there is nothing to get. It waits for the job under way.
func (m *machine) plan() {
	if m.Job.Kind != 0 {
		return
	}
	t := m.target()
	served := m.Stored.Active != nil && m.Serving == m.Stored.Active.Digest
	if t.IsZero() || served && t == m.Serving {
		m.settle(t)
		return
	}
	if m.Transfer.Digest != t {
		m.Transfer = Transfer{Digest: t, Window: m.Transfer.Window, requests: m.Transfer.requests}
		m.Stored.Class, m.Stored.Reason = 0, ""
	}
	m.phase(wire.StateFetching)
	m.look()
}

// look surveys the store: what of the target is already here, from this bundle or any other.
func (m *machine) look() { m.start(Job{Look, m.Transfer.Digest}) }

// settle ends all fetching: the slot rests on what it serves.
func (m *machine) settle(t bundle.Digest) {
	m.Transfer = Transfer{Window: m.Transfer.Window, requests: m.Transfer.requests}
	if m.Serving.IsZero() {
		m.phase(wire.StateIdle)
		return
	}
	if t == m.Serving {
		m.Stored.Class, m.Stored.Reason = 0, ""
	}
	if m.Stored.Phase != wire.StateRolledBack || t == m.Serving {
		m.phase(wire.StateActive)
	}
}

// surveyed goes on to the first stage that is incomplete, or to the verification.
func (m *machine) surveyed(s Survey) {
	if m.Job != (Job{Look, s.Digest}) {
		return
	}
	m.Job = Job{}
	if s.Digest != m.target() {
		m.plan()
		return
	}
	t := &m.Transfer
	t.Kind, t.Pieces, t.Done, t.Total, t.facts = s.Kind, s.Pieces, s.Done, s.Total, s.Facts
	t.flying, t.unstored, t.sent = 0, 0, map[uint32]time.Time{}
	if s.Facts != nil {
		if reason := m.fits(*s.Facts); reason != "" {
			m.refuse(reason)
			return
		}
	}
	if len(s.Pieces) > 0 {
		return // advance asks for them
	}
	m.phase(wire.StateVerifying)
	m.start(Job{Verify, s.Digest})
}

// refuse leaves the target alone until another desired state, and keeps what is active.
func (m *machine) refuse(reason string) {
	w := m.Wish()
	m.refused = verdict{w.Bundle, w.Counter}
	m.complain(Failure{wire.ClassRefuse, reason})
	m.rest()
	m.collect()
}

// rest goes back to the phase of what is served.
func (m *machine) rest() {
	m.Transfer = Transfer{Window: m.Transfer.Window, requests: m.Transfer.requests}
	if m.Serving.IsZero() {
		m.phase(wire.StateIdle)
		return
	}
	m.phase(wire.StateActive)
}

// reject quarantines the target: these bytes are not asked for again without a signed retry.
func (m *machine) reject(f Failure) {
	m.quarantine(m.Transfer.Digest, f)
	m.complain(f)
	m.rest()
	m.collect()
}

// charge is what a piece takes of the window: many small messages fill a queue as well as a few large ones do.
func (p *Piece) charge() int { return p.Size + pieceCharge }

// piece finds a piece of the stage under way; nil when it is of none.
func (t *Transfer) piece(kind wire.Kind, index uint32) *Piece {
	i := sort.Search(len(t.Pieces), func(i int) bool { return t.Pieces[i].Index >= index })
	if kind != t.Kind || i == len(t.Pieces) || t.Pieces[i].Index != index {
		return nil
	}
	return &t.Pieces[i]
}

func (m *machine) arrived(a Arrived) {
	t := &m.Transfer
	p := t.piece(a.Kind, a.Index)
	if p == nil || p.state == waiting || p.state == done {
		return
	}
	t.land(p, waiting)
	t.unstored += p.Size
	t.progress, t.timeouts, m.attempts = m.at, 0, 0
	if at, ok := t.sent[a.Request]; ok {
		t.Window.roundTrip(m.at.Sub(at))
		delete(t.sent, a.Request)
	}
	t.Window.delivered(p.Size, m.at)
}

// land takes a piece out of flight.
func (t *Transfer) land(p *Piece, to pieceState) {
	if p.state == asked {
		t.flying -= p.charge()
	}
	p.state = to
}

// committed counts what is safe; when the stage is complete the store is surveyed for the next one.
func (m *machine) committed(c Committed) {
	t := &m.Transfer
	for _, index := range c.Indexes {
		p := t.piece(c.Kind, index)
		if p == nil || p.state == done {
			continue
		}
		if p.state == waiting {
			t.unstored -= p.Size
		}
		t.land(p, done)
		if c.Kind == wire.Chunks {
			t.Done += uint64(p.Size)
		}
	}
	if m.Stored.Class == wire.ClassRetry {
		m.Stored.Class, m.Stored.Reason = 0, ""
	}
	m.progress()
	if m.Job.Kind == 0 && len(t.Pieces) > 0 && !slices.ContainsFunc(t.Pieces, func(p Piece) bool { return p.state != done }) {
		t.Pieces = nil
		m.look()
	}
}

// spoiled asks again for a piece that came in wrong, a few times: the wire or a server may be at fault. Then the bundle is rejected.
func (m *machine) spoiled(s Spoiled) {
	t := &m.Transfer
	p := t.piece(s.Kind, s.Index)
	if p == nil || p.state == done {
		return
	}
	if p.state == waiting {
		t.unstored -= p.Size
	}
	t.land(p, wanted)
	p.spoiled++
	t.progress = m.at
	if p.spoiled >= maxSpoiled {
		reason := fmt.Sprintf("%s %d came in wrong %d times: %s", pieceName(s.Kind), s.Index, p.spoiled, s.Reason)
		m.reject(Failure{wire.ClassReject, reason})
	}
}

func pieceName(k wire.Kind) string {
	switch k {
	case wire.Envelope:
		return "envelope piece"
	case wire.Index:
		return "index part"
	}
	return "chunk"
}

// serverError gives a request up and waits as long as the server says.
func (m *machine) serverError(e ServerError) {
	t := &m.Transfer
	for i := range t.Pieces {
		if p := &t.Pieces[i]; p.state == asked && (e.Request == p.request || e.Request == 0) {
			t.land(p, wanted)
		}
	}
	delete(t.sent, e.Request)
	m.complain(Failure{wire.ClassRetry, "server: " + e.Reason})
	m.retryLater()
	if until := m.at.Add(min(e.RetryAfter, lastBackoff)); until.After(m.notBefore) {
		m.notBefore = until
	}
}

// retryLater backs off: doubling, with a jitter that is this device's own so that a fleet does not retry in step.
func (m *machine) retryLater() {
	d := min(firstBackoff<<min(m.attempts, 10), lastBackoff)
	m.attempts++
	m.notBefore = m.at.Add(d/2 + m.jitter(d/2))
}

// pump fills the window with requests for what is wanted.
func (m *machine) pump() {
	t := &m.Transfer
	m.expire()
	if m.at.Before(m.notBefore) || t.unstored > maxUncommitted {
		return
	}
	free := t.Window.size - t.flying
	if t.flying > 0 && free < t.Window.size/4 {
		return // a few larger requests rather than one per arrival
	}
	var indexes []uint32
	charge, credit, id := 0, 0, t.requests+1
	empty := t.flying == 0
	for i := range t.Pieces {
		p := &t.Pieces[i]
		if p.state != wanted {
			continue
		}
		first := len(indexes) == 0
		if !(first && empty) && charge+p.charge() > free || !first && p.Index-indexes[0] >= maxSpan {
			break
		}
		p.state, p.request = asked, id
		t.flying += p.charge()
		charge += p.charge()
		credit += p.Size + frameAllowance
		indexes = append(indexes, p.Index)
	}
	if len(indexes) == 0 {
		return
	}
	t.requests = id
	if empty {
		t.progress, t.sent[id] = m.at, m.at
	}
	m.do(Request{ID: id, Digest: t.Digest, Kind: t.Kind, Indexes: indexes, Credit: credit})
}

// expire gives up what is in flight when nothing has come in for too long.
func (m *machine) expire() {
	t := &m.Transfer
	if t.flying == 0 || m.at.Before(t.deadline()) {
		return
	}
	t.ground()
	t.Window.lost()
	t.timeouts++
	if t.timeouts > 1 {
		m.retryLater()
	}
}

func (t *Transfer) deadline() time.Time { return t.progress.Add(t.Window.timeout()) }

// ground takes everything out of flight.
func (t *Transfer) ground() {
	for i := range t.Pieces {
		if p := &t.Pieces[i]; p.state == asked {
			t.land(p, wanted)
		}
	}
	t.sent = map[uint32]time.Time{}
}
