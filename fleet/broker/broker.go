// Package broker runs the message broker and the durable log that a fleet server
// lives on: one embedded nats-server with an MQTT 3.1.1 listener for devices and
// JetStream (every write synced) for state.
//
//	devices --MQTT--> listener \
//	                            nats-server --> DataDir/jetstream
//	fleet/state --in-process--> /
//
// The broker judges nothing but who may publish where: a device may publish only
// below its "up" topics and requests, the fleet's own secret is needed for the rest,
// and neither can reach the streams that hold the state.
//
// It must not import any other package of ours: what travels through it is the
// business of fleet/delivery, what it stores that of fleet/state.
package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrLocked is returned by Open when another server runs on the same data folder.
var ErrLocked = errors.New("data folder is in use by another server")

const (
	maxPayload  = 1 << 20 // bytes; eight times the largest message of the protocol
	maxMemory   = 16 << 20
	maxConn     = 1 << 17
	unlimited   = 1 << 60 // bytes; zero would mean 75 % of what is free at the start
	startWait   = 20 * time.Second
	serverName  = "skiff-fleet"
	fleetUser   = "fleet"
	deviceUser  = "device"
	lockName    = "lock"
	defaultAddr = "127.0.0.1:0"
)

// Config says where a broker listens and keeps its files. DataDir is required.
type Config struct {
	DataDir  string       // made when absent; one server at a time
	Addr     string       // MQTT host:port; "" or port 0 picks a free loopback port
	MaxStore int64        // bytes of JetStream files; 0 = what the disk has. A full one refuses devices, too
	Log      *slog.Logger // nil discards
}

// Broker is a running server. Its methods are safe for concurrent callers.
type Broker struct {
	cfg    Config
	host   string
	secret string
	lock   *os.File

	mu   sync.Mutex // guards srv and port
	srv  *server.Server
	port int // the port picked at the first start is kept over restarts
}

// Open locks the data folder and starts the broker. The caller must Close it.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	host, port, err := splitAddr(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, host: host, port: port, lock: lock, secret: newSecret()}
	if err := b.Start(ctx); err != nil {
		lock.Close()
		return nil, err
	}
	return b, nil
}

// Start starts a stopped broker again, on the same port and files. It does nothing
// when the broker runs.
func (b *Broker) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.srv != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	opts := b.options()
	log := &logger{log: b.cfg.Log}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("configure broker: %w", err)
	}
	srv.SetLoggerV2(log, false, false, false)
	if err := run(srv, log); err != nil {
		return fmt.Errorf("start broker on mqtt %s, data %s: %w", net.JoinHostPort(b.host, strconv.Itoa(b.port)), b.cfg.DataDir, err)
	}
	b.srv, b.port = srv, opts.MQTT.Port
	return nil
}

// run starts srv and waits until it accepts; on an error nothing of it is left running.
func run(srv *server.Server, log *logger) error {
	srv.Start()
	err := log.fatal()
	if err == nil && !srv.ReadyForConnections(startWait) {
		err = errors.New("not ready in time")
	}
	if err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	return err
}

func (b *Broker) options() *server.Options {
	port := b.port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		ServerName: serverName,
		DontListen: true,
		NoSigs:     true,
		MaxConn:    maxConn,
		MaxPayload: maxPayload,
		JetStream:  true,
		StoreDir:   b.cfg.DataDir,
		SyncAlways: true,
		// Nothing of ours is kept in memory streams; zero would mean 75 % of the machine.
		JetStreamMaxMemory: maxMemory,
		JetStreamMaxStore:  cmp.Or(b.cfg.MaxStore, unlimited),
		Users:              users(b.secret),
		MQTT:               server.MQTTOpts{Host: b.host, Port: port, NoAuthUser: deviceUser},
	}
	opts.DisableJetStreamBanner = true
	return opts
}

// users lists who may say what. NATS subjects are MQTT topics with '.' for '/'. Without
// these rules any MQTT client could write "$KV/..." and so the fleet's own state.
func users(secret string) []*server.User {
	const (
		down    = "skiff.1.d.*.dn" // a filter that ends in "#" covers the level above, too
		session = "$MQTT.sub.>"    // where nats-server delivers QoS 1 to a subscriber
	)
	return []*server.User{
		{Username: fleetUser, Password: secret},
		{Username: deviceUser, Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"skiff.1.d.*.up.>", "skiff.1.q.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"skiff.1.c.>", "skiff.1.d.*.dn", "skiff.1.d.*.dn.>", "skiff.1.b.>", session}},
		}},
	}
}

// Stop shuts the broker down, connections included, and keeps its files and port for Start.
func (b *Broker) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.srv == nil {
		return
	}
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
	b.srv = nil
}

// Close stops the broker and releases the data folder.
func (b *Broker) Close() error {
	b.Stop()
	if err := b.lock.Close(); err != nil {
		return fmt.Errorf("release %s: %w", b.lock.Name(), err)
	}
	return nil
}

// URL is the address devices connect to, "mqtt://host:port".
func (b *Broker) URL() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return "mqtt://" + net.JoinHostPort(b.host, strconv.Itoa(b.port))
}

// Credentials are the name and password of the fleet's own connections, MQTT and NATS.
// The password is made anew in each process and never stored.
func (b *Broker) Credentials() (user, password string) { return fleetUser, b.secret }

// InProcessConn connects to the running server without a socket; it has the form
// nats.InProcessServer wants, and serves the current server after a restart.
func (b *Broker) InProcessConn() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.srv == nil {
		return nil, errors.New("broker is stopped")
	}
	return b.srv.InProcessConn()
}

func splitAddr(addr string) (host string, port int, err error) {
	if addr == "" {
		addr = defaultAddr
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("parse mqtt address %q: %w", addr, err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("parse mqtt port %q: %w", text, err)
	}
	return host, int(n), nil
}

func newSecret() string {
	var b [24]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// lockDir makes dir and takes its lock, which also proves that it can be written to.
func lockDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("open data folder: no path given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write in data folder: %w", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}
