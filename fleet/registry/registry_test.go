package registry

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

func at(s int64) time.Time { return time.Unix(s, 0).UTC() }

func hello(session, seq uint64) wire.Hello {
	return wire.Hello{Device: "cam", Product: "p", Channel: "stable", Session: session, Seq: seq, Kernels: "wasm"}
}

func status(session, seq uint64, state wire.State) wire.Status {
	return wire.Status{Device: "cam", Session: session, Seq: seq, Slots: []wire.SlotStatus{{Slot: "default", State: state}}}
}

func will(session, seq uint64) wire.Status {
	return wire.Status{Device: "cam", Session: session, Seq: seq, Offline: true}
}

// TestSessions plays messages in order and states what each must lead to.
func TestSessions(t *testing.T) {
	type step struct {
		msg    any // wire.Hello, wire.Status, or "restart" of the server
		want   Verdict
		online bool
		state  string
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"hello, status, will", []step{
			{hello(1, 2), Verdict{Seq: 2, Session: 1}, true, "idle"},
			{status(1, 3, wire.StateFetching), Verdict{Seq: 3, Session: 1}, true, "fetching"},
			{will(1, 1), Verdict{Session: 1, Gone: true}, false, "fetching"},
		}},
		{"a repetition is acknowledged and not applied", []step{
			{hello(1, 1), Verdict{Seq: 1, Session: 1}, true, "idle"},
			{status(1, 5, wire.StateActive), Verdict{Seq: 5, Session: 1}, true, "active"},
			{status(1, 4, wire.StateFetching), Verdict{Seq: 5, Session: 1}, true, "active"},
			{status(1, 5, wire.StateActive), Verdict{Seq: 5, Session: 1}, true, "active"},
		}},
		{"will of an older session is ignored", []step{
			{hello(1, 1), Verdict{Seq: 1, Session: 1}, true, "idle"},
			{hello(2, 1), Verdict{Seq: 1, Session: 2, Gone: true}, true, "idle"},
			{will(1, 9), Verdict{}, true, "idle"},
			{status(1, 9, wire.StateFetching), Verdict{Session: 2}, true, "idle"},
			{hello(1, 9), Verdict{Session: 2}, true, "idle"},
			{will(2, 0), Verdict{Session: 2, Gone: true}, false, "idle"},
		}},
		{"will of an older connection of the session is ignored", []step{
			{hello(1, 2), Verdict{Seq: 2, Session: 1}, true, "idle"},
			{status(1, 3, wire.StateFetching), Verdict{Seq: 3, Session: 1}, true, "fetching"},
			{hello(1, 5), Verdict{Seq: 5, Session: 1}, true, "fetching"},
			{will(1, 1), Verdict{}, true, "fetching"},
			{will(1, 4), Verdict{Session: 1, Gone: true}, false, "fetching"},
		}},
		{"status before its hello", []step{
			{hello(1, 1), Verdict{Seq: 1, Session: 1}, true, "idle"},
			{status(2, 2, wire.StateFetching), Verdict{Session: 1}, true, "idle"},
			{hello(2, 1), Verdict{Seq: 1, Session: 2, Gone: true}, true, "idle"},
			{status(2, 2, wire.StateFetching), Verdict{Seq: 2, Session: 2}, true, "fetching"},
		}},
		{"the hello met the server's predecessor", []step{
			{hello(1, 1), Verdict{Seq: 1, Session: 1}, true, "idle"},
			{"restart", Verdict{}, false, "idle"},
			{status(2, 7, wire.StateActive), Verdict{Seq: 7, Session: 2, Gone: true}, true, "active"},
			{will(1, 9), Verdict{}, true, "active"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := New()
			for i, s := range tt.steps {
				if s.msg == "restart" {
					r = reload(t, r)
				}
				if got := play(t, r, s.msg, at(int64(i))); got != s.want {
					t.Errorf("step %d: %+v, want %+v", i, got, s.want)
				}
				if d, _ := r.Device("cam"); d.Online != s.online || d.State != s.state {
					t.Errorf("step %d: online %v, %s; want %v, %s", i, d.Online, d.State, s.online, s.state)
				}
			}
		})
	}
}

func play(t *testing.T, r *Registry, msg any, now time.Time) (v Verdict) {
	t.Helper()
	var err error
	switch m := msg.(type) {
	case wire.Hello:
		v, err = r.Hello(now, m)
	case wire.Status:
		v, err = r.Status(now, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reload is a server's restart: all that was written is read back.
func reload(t *testing.T, r *Registry) *Registry {
	t.Helper()
	taken, err := r.Take()
	if err != nil {
		t.Fatal(err)
	}
	fresh := New()
	for _, s := range taken {
		if err := fresh.Load(s.Data); err != nil {
			t.Fatal(err)
		}
	}
	return fresh
}

func TestSnapshots(t *testing.T) {
	r := New()
	for i := range 3000 {
		h := hello(7, 1)
		h.Device = fmt.Sprintf("device-%d", i)
		play(t, r, h, at(9))
	}
	fresh := reload(t, r)
	r.AllOffline()
	if diff := cmp.Diff(r.Devices(), fresh.Devices()); diff != "" {
		t.Error(diff)
	}
	if taken, err := fresh.Take(); err != nil || len(taken) != 0 {
		t.Errorf("%d snapshots of an unchanged registry, %v", len(taken), err)
	}
	h := hello(8, 1)
	h.Device = "device-0"
	play(t, fresh, h, at(10))
	taken, err := fresh.Take()
	if err != nil || len(taken) != 1 {
		t.Fatalf("%d snapshots after one change, %v", len(taken), err)
	}
	fresh.Retake(taken[0])
	again, err := fresh.Take()
	if diff := cmp.Diff(taken, again); err != nil || diff != "" {
		t.Errorf("a failed write is not repeated: %v\n%s", err, diff)
	}
	if err := fresh.Load(json.RawMessage("{")); err == nil {
		t.Error("a torn snapshot was read")
	}
}

func TestReport(t *testing.T) {
	active, next := bundle.Sum([]byte("a")), bundle.Sum([]byte("b"))
	r := New()
	h := hello(1, 1)
	h.Slots, h.CPU, h.Agent = []wire.Holding{{Slot: "default", Active: active}}, "amd64", "skiff 0"
	play(t, r, h, at(1))
	s := status(1, 2, wire.StateFetching)
	s.Version = 4
	s.Slots[0] = wire.SlotStatus{Slot: "default", State: wire.StateFetching, Class: wire.ClassRetry, Reason: "no space", Bundle: next,
		Active: active, ActiveName: "mini", ActiveVersion: "1.0", Done: 10, Total: 20, Refetched: 3}
	play(t, r, s, at(2))
	want := Device{ID: "cam", State: "fetching", Active: active.String(), Name: "mini", Version: "1.0", LastSeen: at(2), Product: "p",
		Channel: "stable", Online: true, Class: "retry", Reason: "no space", Kernels: "wasm", CPU: "amd64", Agent: "skiff 0", Counter: 4,
		Bundle: next.String(), Done: 10, Total: 20, Refetched: 3}
	got, _ := r.Device("cam")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBehind(t *testing.T) {
	r := New()
	for i, id := range []string{"here", "other", "gone", "done"} {
		h := hello(1, 1)
		h.Device, h.Counter = id, 3
		if id == "other" {
			h.Channel = "canary"
		}
		play(t, r, h, at(int64(i)))
	}
	gone := will(1, 0)
	gone.Device = "gone"
	play(t, r, gone, at(5))
	done := status(1, 2, wire.StateActive)
	done.Device, done.Version = "done", 4
	play(t, r, done, at(6))
	if diff := cmp.Diff([]string{"here"}, r.Behind("stable", 4)); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownWill(t *testing.T) {
	r := New()
	play(t, r, will(1, 1), at(1))
	if n := len(r.Devices()); n != 0 {
		t.Errorf("a will made %d devices", n)
	}
}
