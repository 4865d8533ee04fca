package bundle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// all are the numbers of all chunks.
func all(b *Bundle) []int {
	which := make([]int, len(b.Index))
	for i := range which {
		which[i] = i
	}
	return which
}

// TestChunksOnce: whatever the number of workers, each chunk that was asked for comes once, whole.
func TestChunksOnce(t *testing.T) {
	b := build(t, testManifest(), testObjects())
	for _, which := range [][]int{all(b), {7, 2, 3}, {4}, nil} {
		for _, workers := range []int{-1, 0, 1, 2, 5, 100} {
			var mu sync.Mutex
			var got []int
			unread, err := b.Chunks(t.Context(), which, workers, nil, func(i int, data []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if got = append(got, i); Sum(data) != b.Index[i].Digest {
					t.Errorf("chunk %d is not whole", i)
				}
				clear(data) // lent: nobody else is harmed
				return nil
			})
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(which)); unread != -1 || err != nil || !slices.Equal(got, want) {
				t.Errorf("%d workers: chunks %v, want %v; %d, %v", workers, got, want, unread, err)
			}
		}
	}
	if _, err := b.Chunks(t.Context(), []int{len(b.Index)}, 1, nil, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a chunk that is none: %v", err)
	}
}

// TestChunksCorrupt: every chunk that is changed is noticed and named, and of two of them the first, for any number of workers.
func TestChunksCorrupt(t *testing.T) {
	built := build(t, testManifest(), testObjects())
	for first := range built.Index {
		for _, second := range []int{first, len(built.Index) - 1} {
			bad := built.WithEncoded(func(_ context.Context, i int, _ []byte) ([]byte, error) {
				data, _, err := built.EncodedChunk(i)
				if i == first || i == second {
					data = slices.Clone(data)
					data[len(data)/2] ^= 1
				}
				return data, err
			})
			for _, workers := range []int{1, 2, 4} {
				unread, err := bad.Chunks(t.Context(), all(bad), workers, nil, func(i int, _ []byte) error {
					if i == first || i == second {
						t.Errorf("chunk %d was lent though it is changed", i)
					}
					return nil
				})
				if unread != first || !errors.Is(err, ErrCorrupt) {
					t.Errorf("chunks %d and %d changed, %d workers: %d, %v", first, second, workers, unread, err)
				}
			}
		}
	}
}

// TestChunksInto: what is read into memory of the caller's comes to lie there, and is his afterwards.
func TestChunksInto(t *testing.T) {
	built := build(t, testManifest(), testObjects())
	into := make([][]byte, len(built.Index))
	for i, c := range built.Index {
		if i%3 > 0 {
			into[i] = make([]byte, c.Length)
		}
	}
	for _, workers := range []int{1, 3} {
		unread, err := built.Chunks(t.Context(), all(built), workers, func(i int) []byte { return into[i] }, func(i int, data []byte) error {
			if into[i] != nil && &data[0] != &into[i][0] {
				t.Errorf("chunk %d lies elsewhere", i)
			}
			return nil
		})
		if unread != -1 || err != nil {
			t.Fatal(unread, err)
		}
		for i, c := range built.Index {
			if into[i] != nil && Sum(into[i]) != c.Digest {
				t.Errorf("chunk %d is not whole", i)
			}
			clear(into[i])
		}
		if err := built.VerifyAll(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range into {
			if slices.Max(append(into[i], 0)) != 0 {
				t.Errorf("the memory of chunk %d was used again", i)
			}
		}
	}
	unread, err := built.Chunks(t.Context(), []int{3}, 1, func(int) []byte { return make([]byte, 5) }, nil)
	if unread != 3 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("too little room: %d, %v", unread, err)
	}
}

// TestChunksError: the first error of the visitor ends the walk, and is not one of reading.
func TestChunksError(t *testing.T) {
	b := build(t, testManifest(), testObjects())
	for at := range b.Index {
		for _, workers := range []int{1, 3} {
			stop := fmt.Errorf("stop at %d", at)
			unread, err := b.Chunks(t.Context(), all(b), workers, nil, func(i int, _ []byte) error {
				if i >= at {
					return fmt.Errorf("stop at %d", i)
				}
				return nil
			})
			if unread != -1 || err == nil || err.Error() != stop.Error() {
				t.Errorf("%d workers: %d, %v, want %v", workers, unread, err, stop)
			}
		}
	}
}

// counted counts the calls of Chunk that run at once.
type counted struct {
	decodedStore
	now, most atomic.Int64
	block     chan struct{}
}

func (c *counted) Chunk(ctx context.Context, i int, dst []byte) error {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if c.block != nil && i == 2 {
		close(c.block)
		<-ctx.Done()
		return ctx.Err()
	}
	return c.decodedStore.Chunk(ctx, i, dst)
}

// TestChunksBounded: no more are read at once than there are workers, and an end of the context ends the walk.
func TestChunksBounded(t *testing.T) {
	built := build(t, testManifest(), testObjects())
	source := &counted{}
	for i, c := range built.Index {
		data, enc, err := built.EncodedChunk(i)
		dst := make([]byte, c.Length)
		if err = errors.Join(err, Decode(c, enc, data, dst)); err != nil {
			t.Fatal(err)
		}
		source.decodedStore = append(source.decodedStore, dst)
	}
	b := built.WithSource(source)
	for _, workers := range []int{1, 3} {
		source.most.Store(0)
		if _, err := b.Chunks(t.Context(), all(b), workers, nil, func(int, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if most := source.most.Load(); most > int64(workers) {
			t.Errorf("%d reads at once, %d workers", most, workers)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	source.block = make(chan struct{})
	go func() {
		<-source.block
		cancel()
	}()
	unread, err := b.Chunks(ctx, all(b), 2, nil, func(int, []byte) error { return nil })
	if unread != -1 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %d, %v", unread, err)
	}
}
