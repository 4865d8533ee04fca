package state

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

const defaultCache = 32 << 20

// Objects stores content under its SHA-256. Objects are small (one message of the
// delivery protocol) and never change; a cache in memory serves what many devices ask
// for at the same time. Its methods are safe for concurrent callers.
type Objects struct {
	kv jetstream.KeyValue

	mu    sync.Mutex // guards the rest
	age   int        // counts Replace, so that a read begun before one is not remembered after it
	room  int        // bytes the cache may still take
	byKey map[Key]*list.Element
	used  *list.List // of object, the most recently used in front
}

type object struct {
	key  Key
	data []byte
}

func newObjects(kv jetstream.KeyValue, cacheBytes int) *Objects {
	if cacheBytes == 0 {
		cacheBytes = defaultCache
	}
	return &Objects{kv: kv, room: max(cacheBytes, 0), byKey: make(map[Key]*list.Element), used: list.New()}
}

// Add stores data under key unless the key has an object already. The caller has
// checked that key is the SHA-256 of data.
func (o *Objects) Add(ctx context.Context, key Key, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := o.kv.Create(ctx, hex.EncodeToString(key[:]), data)
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("write object %x: %w", key[:8], explain(err))
	}
	return nil
}

// Replace stores data under key whatever is there. It exists so that tests and the demo
// can damage an object and prove that devices refuse it; the HTTP API has no way to it.
func (o *Objects) Replace(ctx context.Context, key Key, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	defer o.forget(key)
	if _, err := o.kv.Put(ctx, hex.EncodeToString(key[:]), data); err != nil {
		return fmt.Errorf("write object %x: %w", key[:8], explain(err))
	}
	return nil
}

// Get returns the object under key, or ErrNotFound. The caller must not change it.
func (o *Objects) Get(ctx context.Context, key Key) ([]byte, error) {
	data, age := o.cached(key)
	if data != nil {
		return data, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	e, err := o.kv.Get(ctx, hex.EncodeToString(key[:]))
	if err != nil {
		return nil, fmt.Errorf("read object %x: %w", key[:8], explain(err))
	}
	o.remember(key, e.Value(), age)
	return e.Value(), nil
}

func (o *Objects) cached(key Key) (data []byte, age int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, ok := o.byKey[key]; ok {
		o.used.MoveToFront(e)
		data = e.Value.(object).data
	}
	return data, o.age
}

func (o *Objects) remember(key Key, data []byte, age int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.byKey[key]; ok || age != o.age {
		return
	}
	o.byKey[key] = o.used.PushFront(object{key, data})
	o.room -= len(data)
	for o.room < 0 {
		o.drop(o.used.Back())
	}
}

func (o *Objects) forget(key Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.age++
	if e, ok := o.byKey[key]; ok {
		o.drop(e)
	}
}

// drop takes e out of the cache; the lock is held.
func (o *Objects) drop(e *list.Element) {
	old := o.used.Remove(e).(object)
	delete(o.byKey, old.key)
	o.room += len(old.data)
}
