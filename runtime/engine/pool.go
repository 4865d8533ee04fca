package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// job is one stage over one pass, cut into pieces that workers claim.
type job struct {
	ctx     context.Context
	machine *Machine
	stage   *stage
	cut     cut
}

// pool is the goroutines of the workers beside the caller's own.
//
// A job is published by setting pieces. Whoever claims a piece counts it down, so the job
// that is read after a claim is the one the claim is of, and it stays until that piece is
// done: left is counted down last. A goroutine that wakes late finds no piece and is not
// waited for.
type pool struct {
	job     job
	mu      sync.Mutex // guards err
	err     error      // the first of the job
	helpers []*sleeper
	owner   sleeper // waits for left
	exit    sync.WaitGroup
	used    bool // by the caller's last pass, or by this one

	_      [64]byte     // what is counted has cache lines of its own
	pieces atomic.Int64 // of the job, that nobody has claimed; below 0 after claims in vain
	_      [64]byte
	left   atomic.Int64 // of the job, that are not done
	_      [64]byte
	others atomic.Int32 // goroutines that may claim
	quit   atomic.Bool
}

func startPool(workers []*worker) *pool {
	p := &pool{owner: sleeper{wake: make(chan struct{}, 1)}}
	for i, w := range workers {
		h := &sleeper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		called := func() bool { return p.quit.Load() || p.pieces.Load() > 0 && i < int(p.others.Load()) }
		p.exit.Go(func() {
			for {
				h.await(called)
				if p.quit.Load() {
					return
				}
				p.work(w)
			}
		})
	}
	return p
}

// run does the job on up to so many goroutines and on the caller's, as worker w. It returns
// the first error.
func (p *pool) run(w *worker, others int, j job) error {
	p.job, p.err = j, nil
	p.others.Store(int32(others))
	p.left.Store(int64(j.cut.pieces()))
	p.pieces.Store(int64(j.cut.pieces()))
	p.rouse(min(others, j.cut.shares-1))
	p.used = true
	p.work(w)
	p.owner.await(p.done)
	p.job.ctx = nil
	return p.err
}

// rouse wakes so many goroutines.
func (p *pool) rouse(others int) {
	for _, h := range p.helpers[:others] {
		h.rouse()
	}
}

func (p *pool) done() bool { return p.left.Load() == 0 }

// work claims and does pieces, in order, until there is none.
func (p *pool) work(w *worker) {
	for p.pieces.Load() > 0 {
		n := p.pieces.Add(-1)
		if n < 0 {
			return
		}
		j := &p.job
		lo, hi := j.cut.piece(j.cut.pieces() - 1 - int(n))
		if err := w.runRange(j.ctx, j.machine, j.stage, lo, hi); err != nil {
			p.fail(err)
		}
		if p.left.Add(-1) == 0 {
			p.owner.rouse()
		}
	}
}

// fail keeps the first error and takes back what nobody has claimed. The caller's own piece
// is not done yet, so the job goes on meanwhile.
func (p *pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	if n := p.pieces.Swap(0); n > 0 {
		p.left.Add(-n)
	}
}

// stop ends the goroutines; no job runs.
func (p *pool) stop() {
	p.quit.Store(true)
	p.rouse(len(p.helpers))
	p.exit.Wait()
}

// sleeper is one goroutine that waits for others. It looks for a while, since sleep costs
// a tenth of a millisecond to wake from, as long as a short pass; then it sleeps, so that an
// idle machine burns nothing.
type sleeper struct {
	asleep atomic.Bool
	wake   chan struct{} // of one place
}

const (
	looks    = 2000                   // before the processor is offered to others: some microseconds
	patience = 300 * time.Microsecond // before a sleeper sleeps: a piece of the slower machines
)

// await returns when ready is true, which whoever makes it true says by rouse.
func (s *sleeper) await(ready func() bool) {
	for {
		if look(ready) {
			return
		}
		s.asleep.Store(true)
		if ready() && s.asleep.CompareAndSwap(true, false) {
			return
		}
		<-s.wake
	}
}

// look looks for as long as there is patience, and not at all where looking would only keep
// the other from running.
func look(ready func() bool) bool {
	if runtime.GOMAXPROCS(0) == 1 {
		return ready()
	}
	for began := time.Now(); ; {
		for range looks {
			if ready() {
				return true
			}
		}
		if time.Since(began) > patience {
			return false
		}
		runtime.Gosched()
	}
}

// rouse wakes the goroutine if it sleeps.
func (s *sleeper) rouse() {
	if s.asleep.CompareAndSwap(true, false) {
		s.wake <- struct{}{}
	}
}
