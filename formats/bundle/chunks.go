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
// into, unless nil, may give memory of the chunk's decoded length to read it into, which then is fn's data and stays the caller's:
// for chunks that need no more than a place. It holds anything at all until fn has had it. nil is a buffer of the walk.
//
// An error ends the walk. It is that of the chunk that comes first in which, whatever the number of workers, and unread is that
// chunk if it could not be read; -1 if the error is fn's, or ctx ended.
func (b *Bundle) Chunks(ctx context.Context, which []int, workers int, into func(chunk int) []byte, fn func(chunk int, data []byte) error) (unread int, err error) {
	if err := b.ready(); err != nil {
		return -1, err
	}
	for _, i := range which {
		if i < 0 || i >= len(b.Index) {
			return -1, fault("index", 0, ErrCorrupt, "no chunk %d among %d", i, len(b.Index))
		}
	}
	if into == nil {
		into = func(int) []byte { return nil }
	}
	w := &walk{bundle: b, which: which, into: into, fn: fn}
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
	into   func(chunk int) []byte
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

// run takes two chunks at a time, because two digests are computed faster side by side.
func (w *walk) run(ctx context.Context) {
	pool := w.bundle.readers
	readers := [2]*reader{pool.Get().(*reader), pool.Get().(*reader)}
	defer func() {
		for _, r := range readers {
			r.chunk, r.decoded = -1, nil // it may be the caller's
			pool.Put(r)
		}
	}()
	for !w.over.Load() {
		at := int(w.next.Add(2)) - 2
		if at >= len(w.which) {
			return
		}
		chunks := w.which[at:min(at+2, len(w.which))]
		good, err := w.read(ctx, chunks, readers)
		for i, chunk := range chunks[:good] {
			if err := w.fn(chunk, readers[i].decoded); err != nil {
				w.fail(failure{at + i, -1, err})
				return
			}
		}
		if err != nil {
			unread := chunks[good]
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				unread = -1
			}
			w.fail(failure{at + good, unread, err})
			return
		}
	}
}

// read reads one chunk or two, and returns how many are good, and the error of the first that is not.
func (w *walk) read(ctx context.Context, chunks []int, readers [2]*reader) (good int, err error) {
	n := 0
	for ; n < len(chunks) && err == nil; n++ {
		if err = ctx.Err(); err == nil {
			err = readers[n].load(ctx, w.bundle, chunks[n], w.into(chunks[n]))
		}
	}
	if err != nil {
		n--
	}
	var sums [2]Digest
	if n == 2 {
		sums[0], sums[1] = sumTwo(readers[0].decoded, readers[1].decoded)
	} else if n == 1 {
		sums[0] = Sum(readers[0].decoded)
	}
	for i := range n {
		if bad := w.bundle.Index[chunks[i]].compare(sums[i]); bad != nil {
			return i, bad
		}
	}
	return n, err
}
