package agent

import (
	"bytes"
	"errors"
	"testing"

	"skiff/agent/store"
	"skiff/formats/bundle"
)

// A batch that does not fit is kept as far as it does: what was fetched is not fetched again.
func TestKeepWhatFits(t *testing.T) {
	s, err := store.Open(store.Config{Dir: t.TempDir(), MaxSize: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := &agent{store: s}
	for i := range 32 { // 3.8 MB for 2 MiB
		data := bytes.Repeat([]byte{byte(i)}, 120_000)
		a.fetch.batch = append(a.fetch.batch, arrival{index: uint32(i), Chunk: store.Chunk{Digest: bundle.Sum(data), Data: data}})
		a.fetch.bytes += len(data)
	}
	whole := a.fetch.batch
	if err := a.commit(); !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full store: %v", err)
	}
	kept := len(whole) - len(a.fetch.batch)
	if kept < 4 || a.fetch.bytes != 120_000*len(a.fetch.batch) || a.fetch.due.IsZero() {
		t.Errorf("%d chunks kept, %d wait with %d bytes", kept, len(a.fetch.batch), a.fetch.bytes)
	}
	for i, c := range whole {
		if s.Has(c.Digest) != (i < kept) {
			t.Errorf("chunk %d of %d kept: held %v", i, kept, s.Has(c.Digest))
		}
	}
}
