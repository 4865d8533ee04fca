package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"skiff/agent/core"
	"skiff/agent/link"
	"skiff/agent/probe"
	"skiff/agent/serve"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

// agent is a running device. Only its loop touches the fields, but for snapshot.
type agent struct {
	config Config
	log    *slog.Logger
	store  *store.Store
	server *serve.Server
	link   *link.Link // nil without a broker
	trust  *sign.Trust

	boot    core.Stored
	state   core.State
	queue   []core.Body       // events that the loop owes to Step
	results chan done         // of the job that runs beside the loop
	jobs    sync.WaitGroup    // that job
	ready   *probe.Model      // proved, not yet served
	fetch   fetch             // the bundle that is coming in
	heard   map[string][]byte // desired states that came before any fleet key was known, by topic
	session uint64
	nonce   [16]byte

	snapshot atomic.Pointer[status]
}

// loop performs what Step decides until ctx ends or the local API fails.
func (a *agent) loop(ctx context.Context, failed <-chan error) error {
	var events <-chan link.Event
	if a.link != nil {
		events = a.link.Events()
	}
	a.queue = append(a.queue, core.Boot{Stored: a.boot})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := a.settle(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if a.state.Job.Kind != core.Load {
			a.tellReady()
		}
		timer.Reset(a.pause())
		select {
		case <-ctx.Done():
			return a.flush(ctx, true)
		case err := <-failed:
			if ctx.Err() != nil {
				return a.flush(ctx, true)
			}
			return fmt.Errorf("serve: %w", err)
		case e := <-events:
			a.hear(e)
		case b := <-a.results:
			a.queue = append(a.queue, a.finish(b))
		case <-timer.C:
			a.queue = append(a.queue, core.Tick{})
		}
		if err := a.flush(ctx, false); err != nil {
			return err
		}
	}
}

// tellReady calls Ready the first time: what else a start does, such as collecting garbage, needs no one to wait for it.
func (a *agent) tellReady() {
	if a.config.Ready != nil {
		a.config.Ready(a.server.Addr())
		a.config.Ready = nil
	}
}

// pause is how long nothing is due.
func (a *agent) pause() time.Duration {
	wake := a.state.Wake()
	if due := a.fetch.due; !due.IsZero() && (wake.IsZero() || due.Before(wake)) {
		wake = due
	}
	if wake.IsZero() {
		return time.Hour
	}
	return max(0, time.Until(wake))
}

// settle steps through all events that are owed.
func (a *agent) settle(ctx context.Context) error {
	for len(a.queue) > 0 {
		body := a.queue[0]
		a.queue = a.queue[1:]
		before := a.state.Stored.Phase
		var effects []core.Effect
		a.state, effects = core.Step(a.state, core.Event{At: time.Now(), Body: body})
		a.tell(before)
		for _, e := range effects {
			if err := a.perform(ctx, e); err != nil {
				return err
			}
		}
		a.publish()
	}
	return nil
}

// tell logs what moved.
func (a *agent) tell(before wire.State) {
	s := &a.state.Stored
	if s.Phase != before && before != 0 {
		a.log.Info("slot moves", "from", before, "to", s.Phase, "class", s.Class, "reason", s.Reason)
	}
}

// perform does one effect. Its errors end the loop; whatever can be tried again becomes an event.
func (a *agent) perform(ctx context.Context, e core.Effect) error {
	switch e := e.(type) {
	case core.Persist:
		return a.persist(ctx, e.Stored)
	case core.Job:
		a.start(ctx, e)
	case core.Request:
		a.request(e)
	case core.Hello:
		e.Hello.Agent, e.Hello.CPU = probe.Build(), probe.CPU()
		a.send(wire.TopicHello(a.config.ID), e.Hello)
	case core.Report:
		a.publish() // who hears of it from the fleet may ask the device at once
		a.report(e.Status)
	case core.Serve:
		if a.ready == nil || a.ready.Digest() != e.Digest {
			return a.halt(fmt.Sprintf("no proved model %.8s to serve", e.Digest))
		}
		a.server.Swap(a.ready)
		a.ready = nil
		a.publish() // who hears that the device is ready may ask what it is
		a.tellReady()
	case core.Drop:
		a.drop()
	case core.Collect:
		return a.collect(ctx, e.Keep)
	case core.Trust:
		a.pin(e.FleetKey)
	case core.Halt:
		return a.halt(e.Reason)
	}
	return nil
}

// halt ends the agent. The store is examined at the next start.
func (a *agent) halt(reason string) error {
	return errors.Join(fmt.Errorf("%w: %s", ErrHalt, reason), a.store.Condemn())
}

// persist writes the state before anything that follows from it happens. A full disk is waited for: meanwhile the model goes on
// answering, and nothing else moves.
func (a *agent) persist(ctx context.Context, s core.Stored) error {
	data, err := json.Marshal(s)
	if err != nil {
		return a.halt(err.Error())
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := a.store.SetState(data)
		if err == nil {
			return nil
		}
		if errors.Is(err, store.ErrDamaged) {
			return a.halt(err.Error())
		}
		a.log.Error("state cannot be written; waiting", "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// collect frees space. That it cannot is told and changes nothing.
func (a *agent) collect(ctx context.Context, keep []bundle.Digest) error {
	n, err := a.store.Collect(ctx, keep)
	if errors.Is(err, store.ErrDamaged) {
		return a.halt(err.Error())
	}
	if err != nil && ctx.Err() == nil {
		a.log.Error("collect garbage", "err", err)
	}
	if n > 0 {
		a.log.Info("freed space", "values", n)
	}
	return nil
}

// pin believes the first fleet key that was met, and hears again what could not be judged before.
func (a *agent) pin(key []byte) {
	p := sign.Public{Key: [32]byte(key), Role: sign.RoleFleet}
	a.trust = a.trust.With(p)
	a.log.Warn("no fleet key was trusted: PINNED the first one met", "key", p.ID())
	for topic, sealed := range a.heard {
		a.hearDesired(topic, sealed)
	}
	clear(a.heard)
}

// start begins a job. Look is done at once; the others run beside the loop, one at a time.
func (a *agent) start(ctx context.Context, j core.Job) {
	if j.Kind == core.Look {
		a.queue = append(a.queue, a.survey(j.Digest))
		return
	}
	a.drop()
	trust := a.trust
	var proved []byte
	if j.Kind == core.Load {
		proved, _ = a.store.Proof(j.Digest) // without it the proof is repeated
	}
	a.jobs.Go(func() {
		m, err := a.work(ctx, j, trust, proved)
		select {
		case a.results <- done{core.Result{Job: j}, m, err}:
		case <-ctx.Done():
			if m != nil {
				_ = m.Close(context.WithoutCancel(ctx)) // the process ends
			}
		}
	})
}

// abandon closes what a job left that ended when nobody listened any more.
func (a *agent) abandon() {
	select {
	case d := <-a.results:
		a.drop()
		a.ready = d.model
	default:
	}
	a.drop()
}

// drop closes a proved model that is not served.
func (a *agent) drop() {
	if a.ready == nil {
		return
	}
	if err := a.ready.Close(context.Background()); err != nil {
		a.log.Error("close model", "err", err)
	}
	a.ready = nil
}
