package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skiff/fleet/broker"
)

func openBroker(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func open(t *testing.T, b *broker.Broker) *Store {
	t.Helper()
	user, password := b.Credentials()
	s, err := Open(t.Context(), Config{Server: b, User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func rise(d Desired) (Desired, error) {
	d.Counter++
	d.Sealed = []byte(fmt.Sprint("sealed ", d.Counter))
	return d, nil
}

// TestReopen writes one of everything, restarts broker and store, and reads it back.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, broker.Config{DataDir: dir})
	s := open(t, b)
	data := bytes.Repeat([]byte("skiff"), 20000)
	key := Key(sha256.Sum256(data))
	want := Bundle{Digest: "ab", Product: "p", Name: "n", Envelope: []Piece{{Key{0xcd}, 7}}, Added: time.Unix(5, 0).UTC()}
	must(t, s.Objects().Add(t.Context(), key, data))
	must(t, s.PutBundle(t.Context(), want))
	must(t, s.PutDevices(t.Context(), "000", json.RawMessage(`[{"id":"x"}]`)))
	for range 3 {
		_, err := s.ChangeDesired(t.Context(), ChannelAudience("stable"), rise)
		must(t, err)
	}
	s.Close()
	must(t, b.Close())

	s = open(t, openBroker(t, broker.Config{DataDir: dir}))
	got, err := s.Objects().Get(t.Context(), key)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("object differs")
	}
	bundles, err := s.Bundles(t.Context())
	must(t, err)
	if diff := cmp.Diff([]Bundle{want}, bundles); diff != "" {
		t.Error(diff)
	}
	snapshots, err := s.Devices(t.Context())
	must(t, err)
	if diff := cmp.Diff([]json.RawMessage{json.RawMessage(`[{"id":"x"}]`)}, snapshots); diff != "" {
		t.Error(diff)
	}
	d, err := s.ChangeDesired(t.Context(), ChannelAudience("stable"), rise)
	must(t, err)
	if d.Counter != 4 || string(d.Sealed) != "sealed 4" {
		t.Errorf("counter %d, sealed %q after reopening", d.Counter, d.Sealed)
	}
}

func TestNotFound(t *testing.T) {
	s := open(t, openBroker(t, broker.Config{DataDir: t.TempDir()}))
	_, err1 := s.Bundle(t.Context(), "00")
	_, err2 := s.Desired(t.Context(), ChannelAudience("stable"))
	_, err3 := s.Objects().Get(t.Context(), Key{1})
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	bundles, err := s.Bundles(t.Context())
	if err != nil || len(bundles) != 0 {
		t.Errorf("bundles of an empty store: %v, %v", bundles, err)
	}
}

// TestCounterRace changes one audience from many goroutines: no counter is given twice.
func TestCounterRace(t *testing.T) {
	s := open(t, openBroker(t, broker.Config{DataDir: t.TempDir()}))
	var wg sync.WaitGroup
	counters := make([]uint64, 4)
	for i := range counters {
		wg.Go(func() {
			d, err := s.ChangeDesired(t.Context(), ChannelAudience("x"), rise)
			if err != nil {
				t.Error(err)
			}
			counters[i] = d.Counter
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, c := range counters {
		if seen[c] {
			t.Errorf("counter %d given twice", c)
		}
		seen[c] = true
	}
	_, err := s.ChangeDesired(t.Context(), ChannelAudience("x"), func(d Desired) (Desired, error) { return d, nil })
	if err == nil {
		t.Error("a counter that does not rise was written")
	}
}

func TestObjects(t *testing.T) {
	s := open(t, openBroker(t, broker.Config{DataDir: t.TempDir()}))
	o := s.Objects()
	key := Key{7}
	read := func() string {
		t.Helper()
		data, err := o.Get(t.Context(), key)
		must(t, err)
		return string(data)
	}
	must(t, o.Add(t.Context(), key, []byte("one")))
	must(t, o.Add(t.Context(), key, []byte("two")))
	if got := read(); got != "one" {
		t.Errorf("second Add wrote %q", got)
	}
	must(t, o.Replace(t.Context(), key, []byte("three")))
	if got := read(); got != "three" {
		t.Errorf("Replace left %q", got)
	}
}

func TestCacheBound(t *testing.T) {
	o := newObjects(nil, 10)
	for i := range byte(5) {
		o.remember(Key{i}, make([]byte, 4), 0)
	}
	if len(o.byKey) != 2 || o.used.Len() != 2 || o.room != 2 {
		t.Errorf("%d objects, %d bytes free, want 2 and 2", len(o.byKey), o.room)
	}
	if data, _ := o.cached(Key{4}); data == nil {
		t.Error("the newest object is not cached")
	}
}

func TestFull(t *testing.T) {
	s := open(t, openBroker(t, broker.Config{DataDir: t.TempDir(), MaxStore: 1 << 20}))
	var err error
	for i := range byte(32) {
		if err = s.Objects().Add(t.Context(), Key{i}, make([]byte, 100_000)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
}

// TestBrokerAway: while the broker is stopped writes fail at once and clearly, after
// its return the same store works on.
func TestBrokerAway(t *testing.T) {
	b := openBroker(t, broker.Config{DataDir: t.TempDir()})
	s := open(t, b)
	must(t, s.PutBundle(t.Context(), Bundle{Digest: "ab"}))
	b.Stop()
	if err := s.PutBundle(t.Context(), Bundle{Digest: "cd"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	must(t, b.Start(t.Context()))
	deadline := time.Now().Add(opTimeout)
	for s.PutBundle(t.Context(), Bundle{Digest: "ef"}) != nil {
		if time.Now().After(deadline) {
			t.Fatal("store does not recover")
		}
	}
	if _, err := s.Bundle(t.Context(), "ab"); err != nil {
		t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
