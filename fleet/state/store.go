// Package state keeps what a fleet server must not forget, in JetStream streams whose
// every write is synced before it is acknowledged.
//
//	objects   content by SHA-256: encoded chunks, index parts, pieces of envelopes
//	bundles   one record per whole bundle, written after all its objects
//	desired   one signed state per audience, with its counter
//	devices   snapshots of the registry, many devices per record
//
// Each is a JetStream key-value bucket. Objects are one too, and not JetStream's own
// object store: none is larger than a message, so one synced write and one direct read
// do what the object store does with several writes and a consumer per read.
//
// It must not know what a bundle, a desired state or a device is (records carry bytes
// and digests made elsewhere), nor import any other package of ours.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrNotFound is returned when there is no record or object of that name.
	ErrNotFound = errors.New("not found")
	// ErrFull is returned when the disk or the store's limit has no room for a write.
	ErrFull = errors.New("no space left in the fleet's store")
	// ErrUnavailable is returned while the broker is stopped or does not answer in time.
	ErrUnavailable = errors.New("fleet state is not available")
)

const (
	opTimeout     = 10 * time.Second // one read or one write, its sync included
	reconnectWait = 50 * time.Millisecond
	conflictTries = 8
)

// Config says how to reach JetStream. Server, User and Password are required.
type Config struct {
	Server         nats.InProcessConnProvider
	User, Password string
	CacheBytes     int // objects kept in memory; 0 = 32 MiB, negative = none
}

// Store is an open state. Its methods are safe for concurrent callers; those that take
// a context give up after ten seconds at the latest.
type Store struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	objects *Objects
	bundles jetstream.KeyValue
	desired jetstream.KeyValue
	devices jetstream.KeyValue
}

// Open connects and makes the streams that do not exist yet. The caller must Close it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	nc, err := nats.Connect("", nats.InProcessServer(cfg.Server), nats.UserInfo(cfg.User, cfg.Password),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(0, 0),
		// Nothing may look written while the broker is away: no buffering.
		nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, fmt.Errorf("connect to state: %w", err)
	}
	s := &Store{nc: nc}
	if err := s.open(ctx, cfg.CacheBytes); err != nil {
		nc.Close()
		return nil, fmt.Errorf("open state: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, cacheBytes int) error {
	js, err := jetstream.New(s.nc)
	if err != nil {
		return err
	}
	s.js = js
	var objects jetstream.KeyValue
	for _, b := range []struct {
		name string
		kv   *jetstream.KeyValue
	}{{"objects", &objects}, {"bundles", &s.bundles}, {"desired", &s.desired}, {"devices", &s.devices}} {
		*b.kv, err = openBucket(ctx, js, b.name)
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b.name, err)
		}
	}
	s.objects = newObjects(objects, cacheBytes)
	return nil
}

func openBucket(ctx context.Context, js jetstream.JetStream, name string) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Storage: jetstream.FileStorage})
	return kv, explain(err)
}

// Close ends the connection. Writes already acknowledged are on disk.
func (s *Store) Close() { s.nc.Close() }

// Objects is the content-addressed part of the store.
func (s *Store) Objects() *Objects { return s.objects }

// Used is the size of all streams on disk in bytes, the broker's own included.
func (s *Store) Used(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	info, err := s.js.AccountInfo(ctx)
	if err != nil {
		return 0, fmt.Errorf("read usage: %w", explain(err))
	}
	return int64(info.Store), nil
}

// get reads key of kv into v, and returns its revision for a conditional write.
func get(ctx context.Context, kv jetstream.KeyValue, key string, v any) (revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	e, err := kv.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read %s %q: %w", kv.Bucket(), key, explain(err))
	}
	if err := json.Unmarshal(e.Value(), v); err != nil {
		return 0, fmt.Errorf("decode %s %q: %w", kv.Bucket(), key, err)
	}
	return e.Revision(), nil
}

func put(ctx context.Context, kv jetstream.KeyValue, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s %q: %w", kv.Bucket(), key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := kv.Put(ctx, key, data); err != nil {
		return fmt.Errorf("write %s %q: %w", kv.Bucket(), key, explain(err))
	}
	return nil
}

// keys lists kv, in no order.
func keys(ctx context.Context, kv jetstream.KeyValue) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	keys, err := kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kv.Bucket(), explain(err))
	}
	return keys, nil
}

// explain adds the sentinel that says what a caller can do about err.
func explain(err error) error {
	const insufficientResources, storageExceeded, storeFailed = 10023, 10047, 10077
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrNotFound
	case errors.As(err, &api) && (api.ErrorCode == insufficientResources || api.ErrorCode == storageExceeded || api.ErrorCode == storeFailed):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.As(err, &api) && api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabled, errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
