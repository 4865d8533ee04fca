package delivery

import (
	"context"
	"hash/crc32"
	"sync"
	"time"

	"skiff/formats/wire"
)

const (
	maxQueued = 8  // requests of one device; a window is a few requests
	senders   = 32 // payloads in memory at a time, over all devices
	retryBusy = time.Second
)

// flows serves requests, one goroutine per device that has any. A device's requests are
// answered in order and at its pace; devices share nothing but the payload buffers and
// the connections, and hold a buffer only while it is written to a socket.
type flows struct {
	svc     *Service
	ctx     context.Context
	buffers chan []byte // senders of them
	wg      sync.WaitGroup

	mu     sync.Mutex // guards the rest, and the fields of flow that say so
	active map[string]*flow
	closed bool
}

// flow is one device being served.
type flow struct {
	device string
	wake   chan struct{}
	pace   pacer // of the flow's goroutine alone

	session uint64         // guarded by flows.mu
	queue   []wire.Request // guarded by flows.mu; the oldest first
	epoch   int            // guarded by flows.mu; rises when all requests are dropped
}

func newFlows(ctx context.Context, svc *Service) *flows {
	fs := &flows{svc: svc, ctx: ctx, active: make(map[string]*flow), buffers: make(chan []byte, senders)}
	for range senders {
		fs.buffers <- nil
	}
	return fs
}

// dispatch hands requests to flows.
func (s *Service) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.requests:
			r, err := wire.ParseRequest(m.payload)
			if err != nil {
				s.dropped.Add(1)
				continue
			}
			if !s.flows.add(m.topic.Device, r) {
				s.refuse(ctx, m.topic.Device, r.ID, busy(m.topic.Device))
			}
		}
	}
}

// busy tells a device when to come again; the time differs by device so that a fleet does
// not come again at once.
func busy(device string) wire.Error {
	spread := time.Duration(crc32.ChecksumIEEE([]byte(device))%4000) * time.Millisecond
	return wire.Error{Code: wire.CodeBusy, RetryAfterMs: uint32((retryBusy + spread).Milliseconds()), Reason: "too many devices at a time"}
}

// add queues a request and reports whether there was room for its device.
func (fs *flows) add(device string, r wire.Request) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.active[device]
	switch {
	case fs.closed:
		return true
	case f == nil && len(fs.active) >= fs.svc.cfg.MaxActive:
		return false
	case f == nil:
		f = &flow{device: device, wake: make(chan struct{}, 1), pace: pacer{rate: fs.svc.cfg.Pace}, session: r.Session}
		fs.active[device] = f
		fs.wg.Go(func() { fs.run(f) })
	case f.session != r.Session:
		f.forget() // the device started again and knows nothing of its older requests
		f.session = r.Session
	}
	f.push(r)
	poke(f.wake)
	return true
}

// push appends r in place of an equal id, or of the oldest when there are too many.
func (f *flow) push(r wire.Request) {
	for i := range f.queue {
		if f.queue[i].ID == r.ID {
			f.queue[i] = r
			return
		}
	}
	if len(f.queue) == maxQueued {
		f.queue = append(f.queue[:0], f.queue[1:]...)
	}
	f.queue = append(f.queue, r)
}

func (f *flow) forget() {
	f.queue = nil
	f.epoch++
}

// drop forgets what a device asked for, unless it was asked in the session keep.
func (fs *flows) drop(device string, keep uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.active[device]; f != nil && f.session != keep {
		f.forget()
		poke(f.wake)
	}
}

// close stops all flows and waits for them.
func (fs *flows) close() {
	fs.mu.Lock()
	fs.closed = true
	fs.mu.Unlock()
	fs.wg.Wait()
}

// run serves one device until nothing is asked for and its pace is paid off.
func (fs *flows) run(f *flow) {
	for {
		r, epoch, what := fs.next(f)
		switch what {
		case ended:
			return
		case serving:
			fs.serve(f, r, epoch)
		case waiting:
			fs.wait(f, f.pace.debt(time.Now()))
		}
	}
}

type step uint8

const (
	serving step = iota
	waiting
	ended
)

// next takes the oldest request. A flow that owes time to its pace must outlive its last
// request, or a device could be quicker by asking for one piece at a time.
func (fs *flows) next(f *flow) (r wire.Request, epoch int, s step) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case fs.ctx.Err() == nil && len(f.queue) > 0:
		r, f.queue = f.queue[0], f.queue[1:]
		return r, f.epoch, serving
	case fs.ctx.Err() == nil && f.pace.debt(time.Now()) > 0:
		return r, 0, waiting
	}
	delete(fs.active, f.device)
	return r, 0, ended
}

// wait returns after d, at a poke, or when the service stops.
func (fs *flows) wait(f *flow, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.wake:
	case <-fs.ctx.Done():
	}
}

// wanted reports whether piece k of a request that runs is still to be sent: not when the
// requests were dropped, and not when a newer request asks for the same piece, because
// the device has given up waiting for the older one.
func (fs *flows) wanted(f *flow, r wire.Request, epoch int, k uint32) (send, goOn bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.epoch != epoch || fs.ctx.Err() != nil {
		return false, false
	}
	for _, q := range f.queue {
		if q.Bundle == r.Bundle && q.Kind == r.Kind && q.Bitmap.Has(int(k)-int(q.First)) {
			return false, true
		}
	}
	return true, true
}
