package delivery

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

func ids(f *flow) (out []uint32) {
	for _, r := range f.queue {
		out = append(out, r.ID)
	}
	return out
}

func TestQueueIsBounded(t *testing.T) {
	f := &flow{}
	for id := range uint32(maxQueued + 2) {
		f.push(wire.Request{ID: id})
	}
	f.push(wire.Request{ID: 4, First: 9})
	if diff := cmp.Diff([]uint32{2, 3, 4, 5, 6, 7, 8, 9}, ids(f)); diff != "" {
		t.Error(diff)
	}
	if f.queue[2].First != 9 {
		t.Error("an equal id does not replace")
	}
}

// TestNewestRequestWins: a piece that a newer request asks for is left to it.
func TestNewestRequestWins(t *testing.T) {
	digest := bundle.Sum([]byte("a"))
	running := wire.Request{Bundle: digest, Kind: wire.Chunks, Bitmap: wire.Bitmap{0xff}}
	f := &flow{device: "cam", queue: []wire.Request{
		{ID: 2, Bundle: digest, Kind: wire.Chunks, First: 2, Bitmap: wire.Bitmap{0b101}},
		{ID: 3, Bundle: digest, Kind: wire.Index, Bitmap: wire.Bitmap{0b11}},
		{ID: 4, Bundle: bundle.Sum([]byte("b")), Kind: wire.Chunks, Bitmap: wire.Bitmap{0b11}},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	fs := newFlows(ctx, nil)
	fs.active["cam"] = f
	var sent []uint32
	for k := range uint32(6) {
		if send, goOn := fs.wanted(f, running, 0, k); send && goOn {
			sent = append(sent, k)
		}
	}
	if diff := cmp.Diff([]uint32{0, 1, 3, 5}, sent); diff != "" {
		t.Error(diff)
	}
	fs.drop("cam", 0) // the device's own session: 0 in this test
	if len(f.queue) != 3 {
		t.Error("requests of the session that stays were dropped")
	}
	fs.drop("cam", 7)
	if _, goOn := fs.wanted(f, running, 0, 0); goOn || len(f.queue) != 0 {
		t.Error("a dropped request goes on")
	}
	cancel()
	if _, goOn := fs.wanted(f, running, f.epoch, 0); goOn {
		t.Error("a request outlives the service")
	}
}

func TestBusySpreads(t *testing.T) {
	a, b := busy("cam-1"), busy("cam-2")
	if a.Code != wire.CodeBusy || a.RetryAfterMs < 1000 || a.RetryAfterMs > 5000 || a.RetryAfterMs == b.RetryAfterMs {
		t.Errorf("%+v, %+v", a, b)
	}
}
