// Package registry knows every device from what it said of itself: its hello, its
// statuses and the will its broker publishes when the connection breaks.
//
//	wire.Hello, wire.Status -> Registry -> Device (for people and the API)
//	                                    -> Snapshot (many devices per write)
//
// It decides and does nothing else: no clock, no disk, no network. Messages come at
// QoS 0 and may be late, doubled or out of order; the rules are in session.go.
//
// It must not import any other package of fleet.
package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"skiff/formats/wire"
)

// ErrFull is returned for a new device when the registry holds as many as it may.
var ErrFull = errors.New("registry is full")

const (
	// MaxDevices bounds what invented ids can make the server hold.
	MaxDevices = 1 << 20
	// snapshots is the number of records devices are spread over: few enough to write
	// a busy fleet in one batch, many enough that a million devices stay below the
	// megabyte a record may have.
	snapshots = 512
)

// Device is what is known of one device; its JSON form is part of the HTTP API.
type Device struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`  // of its model slot: "idle", "fetching", ... "active"
	Active   string    `json:"active"` // hex digest of the bundle that answers; "" for none
	Name     string    `json:"name"`   // of that bundle
	Version  string    `json:"version"`
	LastSeen time.Time `json:"last_seen"`
	Product  string    `json:"product"`
	Channel  string    `json:"channel"`
	Online   bool      `json:"online"`
	Class    string    `json:"class"`  // of the last error: "retry", "reject", ...; "" for none
	Reason   string    `json:"reason"` // of the last error, for people
	Kernels  string    `json:"kernels"`
	CPU      string    `json:"cpu"`
	Agent    string    `json:"agent"`
	Counter  uint64    `json:"counter"` // of the desired state it acts on

	Bundle    string `json:"bundle"`    // hex digest of the bundle being worked on; "" for none
	Done      uint64 `json:"done"`      // encoded bytes held of it
	Total     uint64 `json:"total"`     // encoded bytes of it
	Refetched uint64 `json:"refetched"` // encoded bytes that arrived although they were held
}

// Registry holds all devices. Its methods are safe for concurrent callers. The zero
// value is not ready: use New.
type Registry struct {
	mu      sync.Mutex // guards the rest
	devices map[string]*record
	dirty   map[int]bool // snapshots that differ from what Take returned last
}

// record is a device and what is needed to order its messages; it is what snapshots hold.
type record struct {
	Device
	Session uint64   `json:"session"`
	Seq     uint64   `json:"seq"`     // highest of the session
	Before  uint64   `json:"before"`  // Seq when the last hello came
	Retired []uint64 `json:"retired"` // former sessions, the latest last

	heard bool // in this process, not only from a snapshot
}

// Snapshot is the state of a fixed part of all devices, to be written under Name.
type Snapshot struct {
	Name string
	Data json.RawMessage
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{devices: make(map[string]*record), dirty: make(map[int]bool)}
}

// Load adds the devices of a snapshot, all offline until they are heard of.
func (r *Registry) Load(data json.RawMessage) error {
	var records []*record
	if err := json.Unmarshal(data, &records); err != nil {
		return fmt.Errorf("decode devices: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		rec.Online = false
		r.devices[rec.ID] = rec
	}
	return nil
}

// Take returns the snapshots that changed since the last call. When writing one fails,
// give its name to Retake.
func (r *Registry) Take() ([]Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dirty) == 0 {
		return nil, nil
	}
	parts := make(map[int][]*record, len(r.dirty))
	for id, rec := range r.devices {
		if n := part(id); r.dirty[n] {
			parts[n] = append(parts[n], rec)
		}
	}
	var out []Snapshot
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		slices.SortFunc(parts[n], func(a, b *record) int { return cmp.Compare(a.ID, b.ID) })
		data, err := json.Marshal(parts[n])
		if err != nil {
			return nil, fmt.Errorf("encode devices: %w", err)
		}
		out = append(out, Snapshot{Name: partName(n), Data: data})
	}
	clear(r.dirty)
	return out, nil
}

// Retake puts a snapshot into the next Take again.
func (r *Registry) Retake(s Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range snapshots {
		if partName(n) == s.Name {
			r.dirty[n] = true
		}
	}
}

// Devices lists all devices by id.
func (r *Registry) Devices() []Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Device, 0, len(r.devices))
	for _, rec := range r.devices {
		out = append(out, rec.Device)
	}
	slices.SortFunc(out, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Device returns one device.
func (r *Registry) Device(id string) (Device, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.devices[id]
	if !ok {
		return Device{}, false
	}
	return rec.Device, true
}

// Behind lists the devices of a channel that are there and act on a state older than
// counter, by id.
func (r *Registry) Behind(channel string, counter uint64) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for id, rec := range r.devices {
		if rec.Online && rec.Channel == channel && rec.Counter < counter {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// AllOffline notes that the broker has gone and every connection with it.
func (r *Registry) AllOffline() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, rec := range r.devices {
		if rec.Online {
			rec.Online = false
			r.dirty[part(id)] = true
		}
	}
}

// find returns the record of a device, a new one when it is unknown; the lock is held.
func (r *Registry) find(id string) (*record, error) {
	if rec, ok := r.devices[id]; ok {
		return rec, nil
	}
	if len(r.devices) >= MaxDevices {
		return nil, fmt.Errorf("device %s: %w", id, ErrFull)
	}
	rec := &record{Device: Device{ID: id, State: wire.StateIdle.String()}}
	r.devices[id] = rec
	return rec, nil
}

func part(id string) int { return int(crc32.ChecksumIEEE([]byte(id)) % snapshots) }

func partName(n int) string { return fmt.Sprintf("part-%03d", n) }
