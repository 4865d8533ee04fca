package state

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bundle is the record of one stored bundle; it is written when every object it names
// is on disk, so a bundle that has a record is whole.
type Bundle struct {
	Digest   string    `json:"digest"` // hex SHA-256 of the manifest: the bundle's identity
	Product  string    `json:"product"`
	Channels []string  `json:"channels,omitempty"` // empty = any
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Release  uint64    `json:"release"`
	Task     string    `json:"task"`
	Key      string    `json:"key"`      // hex id of the key that signed, not judged here
	Size     int64     `json:"size"`     // bytes of the whole file
	Manifest uint32    `json:"manifest"` // bytes
	Chunks   int       `json:"chunks"`
	Added    time.Time `json:"added"`

	// The objects that make up the bundle. Envelope and Index travel as they are;
	// Table lists the chunks in the form of package catalog.
	Envelope []Piece `json:"envelope"`
	Index    []Piece `json:"index"`
	Table    []Piece `json:"table"`
}

// Piece names one object.
type Piece struct {
	Key    Key    `json:"key"`
	Length uint32 `json:"length"` // bytes
}

// Key is the SHA-256 of an object, its name in the store; hexadecimal as text.
type Key [32]byte

// MarshalText writes 64 hexadecimal digits.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (k *Key) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(k) {
		return fmt.Errorf("decode key: %d digits, want %d", len(text), 2*len(k))
	}
	_, err := hex.Decode(k[:], text)
	return err
}

// Desired is the signed state of one audience.
type Desired struct {
	Audience Audience  `json:"audience"`
	Counter  uint64    `json:"counter"` // rises with every change, never falls
	Bundle   string    `json:"bundle,omitempty"`
	Floor    uint64    `json:"floor,omitempty"`
	Expires  time.Time `json:"expires"`
	Sealed   []byte    `json:"sealed"` // what is published
}

// Audience is who a desired state is for, and its key in the store.
type Audience string

// ChannelAudience is a channel's; id is of the protocol's alphabet [A-Za-z0-9_-].
func ChannelAudience(id string) Audience { return Audience("channel." + id) }

// Channel returns the channel's name when a is one.
func (a Audience) Channel() (string, bool) { return strings.CutPrefix(string(a), "channel.") }

// PutBundle records a bundle, replacing an equal record.
func (s *Store) PutBundle(ctx context.Context, b Bundle) error {
	return put(ctx, s.bundles, b.Digest, b)
}

// Bundle returns the record of a bundle by the hex digest of its manifest, or ErrNotFound.
func (s *Store) Bundle(ctx context.Context, digest string) (Bundle, error) {
	var b Bundle
	_, err := get(ctx, s.bundles, digest, &b)
	return b, err
}

// Bundles lists every stored bundle, oldest first.
func (s *Store) Bundles(ctx context.Context) ([]Bundle, error) {
	all, err := readAll[Bundle](ctx, s.bundles)
	slices.SortFunc(all, func(a, b Bundle) int {
		return cmp.Or(a.Added.Compare(b.Added), strings.Compare(a.Digest, b.Digest))
	})
	return all, err
}

// Desired returns the state of an audience, or ErrNotFound.
func (s *Store) Desired(ctx context.Context, a Audience) (Desired, error) {
	var d Desired
	_, err := get(ctx, s.desired, string(a), &d)
	return d, err
}

// AllDesired lists the state of every audience, by name.
func (s *Store) AllDesired(ctx context.Context) ([]Desired, error) {
	all, err := readAll[Desired](ctx, s.desired)
	slices.SortFunc(all, func(a, b Desired) int { return cmp.Compare(a.Audience, b.Audience) })
	return all, err
}

// ChangeDesired replaces the state of an audience by what next makes of the current
// one (its Counter is 0 when there is none), and returns once the new one is on disk.
// Several servers may change the same audience: next may be called again, and the
// counter it gives must be above the current one.
func (s *Store) ChangeDesired(ctx context.Context, a Audience, next func(Desired) (Desired, error)) (Desired, error) {
	for range conflictTries {
		d, err := s.tryDesired(ctx, a, next)
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return d, err
		}
	}
	return Desired{}, fmt.Errorf("write desired %q: %w: changed by others %d times", a, ErrUnavailable, conflictTries)
}

func (s *Store) tryDesired(ctx context.Context, a Audience, next func(Desired) (Desired, error)) (Desired, error) {
	old := Desired{Audience: a}
	revision, err := get(ctx, s.desired, string(a), &old)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Desired{}, err
	}
	d, err := next(old)
	if err != nil {
		return Desired{}, err
	}
	if d.Counter <= old.Counter {
		return Desired{}, fmt.Errorf("write desired %q: counter %d is not above %d", a, d.Counter, old.Counter)
	}
	d.Audience = a
	data, err := json.Marshal(d)
	if err != nil {
		return Desired{}, fmt.Errorf("encode desired %q: %w", a, err)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	// Revision 0 demands that there is no record yet.
	if _, err := s.desired.Update(ctx, string(a), data, revision); err != nil {
		return Desired{}, fmt.Errorf("write desired %q: %w", a, explain(err))
	}
	return d, nil
}

// PutDevices writes one snapshot of many devices under a name of [A-Za-z0-9_-].
func (s *Store) PutDevices(ctx context.Context, name string, snapshot json.RawMessage) error {
	return put(ctx, s.devices, name, snapshot)
}

// Devices returns every snapshot of devices, in no order.
func (s *Store) Devices(ctx context.Context) ([]json.RawMessage, error) {
	return readAll[json.RawMessage](ctx, s.devices)
}

func readAll[T any](ctx context.Context, kv jetstream.KeyValue) ([]T, error) {
	names, err := keys(ctx, kv)
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, len(names))
	for _, name := range names {
		var v T
		if _, err := get(ctx, kv, name, &v); errors.Is(err, ErrNotFound) {
			continue // removed since it was listed
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
