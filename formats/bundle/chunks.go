package bundle

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// Chunks calls fn once with the decoded bytes of each chunk of which, an index into Index, on up to workers goroutines; they begin
// the chunks in the order of which. data is only lent and must not be changed. Every chunk's decoded digest is checked every time.
// It holds at most two decoded chunks per worker.
//
// An error ends the walk. It is that of the chunk that comes first in which, whatever the number of workers, and unread is that
// chunk if it could not be read; -1 if the error is fn's, or ctx ended.
func (b *Bundle) Chunks(ctx context.Context, which []int, workers int, fn func(chunk int, data []byte) error) (unread int, err error) {
	if err := b.ready(); err != nil {
		return -1, err
	}
	for _, i := range which {
		if i < 0 || i >= len(b.Index) {
			return -1, fault("index", 0, ErrCorrupt, "no chunk %d among %d", i, len(b.Index))
		}
	}
	w := &walk{bundle: b, which: which, fn: fn}
	var wg sync.WaitGroup
	for range min(workers, len(which)) - 1 {
		wg.Go(func() { w.run(ctx) })
	}
	w.run(ctx)
	wg.Wait()
	if w.failed != nil {
		return w.failed.unread, w.failed.err
	}
	return -1, nil
}

// walk is one call of Chunks.
type walk struct {
	bundle *Bundle
	which  []int
	fn     func(chunk int, data []byte) error

	next atomic.Int64 // place in which
	over atomic.Bool

	mu     sync.Mutex
	failed *failure
}

// failure is why a walk ended.
type failure struct {
	at     int // place in which
	unread int
	err    error
}

// fail keeps the first failure by place. All before it were begun before it, and whoever began one ends it, so that none
// that comes earlier is missed.
func (w *walk) fail(f failure) {
	w.over.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil || f.at < w.failed.at {
		w.failed = &f
	}
}

func (w *walk) run(ctx context.Context) {
	r := w.bundle.readers.Get().(*reader)
	defer w.bundle.readers.Put(r)
	for !w.over.Load() {
		at := int(w.next.Add(1)) - 1
		if at >= len(w.which) {
			return
		}
		if err := ctx.Err(); err != nil {
			w.fail(failure{at, -1, err})
			return
		}
		chunk := w.which[at]
		r.chunk = -1 // what a reader still holds is read anew
		data, err := r.read(ctx, w.bundle, chunk)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				chunk = -1
			}
			w.fail(failure{at, chunk, err})
			return
		}
		if err := w.fn(chunk, data); err != nil {
			w.fail(failure{at, -1, err})
			return
		}
	}
}
