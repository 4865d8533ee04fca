// Package agent keeps one model running on a device: it hears from the fleet which bundle is wanted, fetches it over MQTT, proves it,
// switches to it and answers for it on a local HTTP API, with or without a network.
//
// Data flow: link brings messages, the loop turns them into events, core.Step decides, the loop performs the effects in order: store
// writes, link sends, probe loads and proves beside the loop, serve swaps the model. The loop is the one writer of the store and the
// only goroutine that touches the state; it may be killed between any two effects.
//
// It must not import packager nor fleet.
package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"skiff/agent/core"
	"skiff/agent/link"
	"skiff/agent/serve"
	"skiff/agent/store"
	"skiff/formats/sign"
	"skiff/formats/wire"
	"skiff/runtime/engine"
)

// ErrHalt is returned by Run when the device's own state is impossible. The next start examines the store.
var ErrHalt = errors.New("agent halted")

// ErrConfig is returned by Run when the Config cannot be right.
var ErrConfig = errors.New("configure agent")

// Config says what device this is. DataDir, ID and a trust are required.
type Config struct {
	DataDir string      // everything that must survive a restart
	Broker  string      // tcp://host:port or tls://host:port; empty: no network, only what is stored
	TLS     *tls.Config // for tls://; nil: the system's roots
	ID      string      // device id, also the MQTT client id
	Product string      // "default" when empty
	Channel string      // "stable" when empty
	Slot    string      // "default" when empty
	HTTP    string      // address of the local API; empty: a free loopback port
	Socket  string      // path of a Unix socket, instead of HTTP
	Trust   *sign.Trust // the keys believed; without a fleet key the first one met is pinned
	// TrustFile is read when Trust is nil.
	TrustFile string
	Kernels   string // as infer.Config
	Workers   int    // as infer.Config
	MaxStore  int64  // bytes the store may take; 0: as the disk allows
	Log       *slog.Logger
	// Ready is called once, when the local API answers and the stored bundle, if there is one, was loaded: "http://host:port" or
	// "unix:path". On a new device it answers 503 until its first bundle is active.
	Ready func(addr string)
}

func (c Config) validate() (Config, error) {
	for _, d := range []struct {
		field *string
		value string
	}{{&c.Product, "default"}, {&c.Channel, "stable"}, {&c.Slot, "default"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.DataDir == "" {
		return c, errors.New("no data folder")
	}
	for _, id := range []struct{ what, value string }{
		{"device", c.ID}, {"product", c.Product}, {"channel", c.Channel}, {"slot", c.Slot},
	} {
		if !wire.ValidID(id.value) {
			return c, fmt.Errorf("%s %q: want 1 to 64 characters of [A-Za-z0-9_-]", id.what, id.value)
		}
	}
	if _, err := engine.Parse(c.Kernels); err != nil {
		return c, err
	}
	if c.Broker != "" {
		if err := link.CheckBroker(c.Broker); err != nil {
			return c, err
		}
	}
	if c.Trust == nil && c.TrustFile != "" {
		var err error
		if c.Trust, err = sign.LoadTrust(c.TrustFile); err != nil {
			return c, err
		}
	}
	if !c.Trust.Has(sign.RoleModel) {
		return c, errors.New("no trusted model key: a device takes no bundle that it cannot verify")
	}
	return c, nil
}

// Run runs the device until ctx ends, then stops everything within a second and returns nil. Errors: of the configuration, of opening
// store and address (store.ErrInUse, ...), or ErrHalt.
func Run(ctx context.Context, c Config) error {
	c, err := c.validate()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	a := &agent{config: c, trust: c.Trust, log: c.Log.With("device", c.ID), results: make(chan done, 1), heard: map[string][]byte{}}
	if err := a.open(); err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	failed := make(chan error, 1)
	running.Go(func() { failed <- a.server.Run(inner) })
	if a.link != nil {
		running.Go(func() { a.link.Run(inner) })
	}
	err = a.loop(inner, failed)
	stop()
	a.jobs.Wait()
	a.abandon()
	running.Wait()
	return errors.Join(err, a.store.Close())
}

// open opens the store, the address and the link, and reads the stored state.
func (a *agent) open() error {
	var err error
	a.store, err = store.Open(store.Config{Dir: a.config.DataDir, MaxSize: a.config.MaxStore})
	if err != nil {
		return err
	}
	if a.store.Damage != "" {
		a.log.Error("STORE WAS DAMAGED and set aside: everything is fetched again", "damage", a.store.Damage)
	}
	err = a.restore()
	if err == nil {
		a.server, err = serve.Listen(serve.Config{Addr: a.config.HTTP, Socket: a.config.Socket, Status: a.status, Log: a.log})
	}
	if err == nil && a.config.Broker != "" {
		a.link, err = link.New(link.Config{
			Broker: a.config.Broker, TLS: a.config.TLS, ClientID: a.config.ID, Log: a.log, Will: a.will,
			Filters: []string{wire.TopicChannelDesired(a.config.Channel), wire.FilterDown(a.config.ID)},
		})
		if err != nil {
			err = errors.Join(err, a.server.Close())
		}
	}
	if err != nil {
		return errors.Join(err, a.store.Close())
	}
	return nil
}

// restore makes the state of a device from its store.
func (a *agent) restore() error {
	a.state.ID = core.Identity{
		Device: a.config.ID, Product: a.config.Product, Channel: a.config.Channel, Slot: a.config.Slot,
		TrustsFleet: a.trust.Has(sign.RoleFleet),
	}
	data, err := a.store.State()
	if errors.Is(err, store.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &a.boot); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if key := a.boot.FleetKey; len(key) == 32 && !a.state.ID.TrustsFleet {
		a.trust = a.trust.With(sign.Public{Key: [32]byte(key), Role: sign.RoleFleet})
	}
	return nil
}
