// Package fleet runs a fleet server: who gets which bundle, and the bytes themselves.
//
//	skiff push --HTTP--> api --> catalog, state           (bundles, desired states)
//	                              |
//	devices <--MQTT--> broker <-- delivery --> registry   (pieces, acks, who is where)
//
// Everything that must not be forgotten is in JetStream below Config.DataDir; a server
// that is killed at any instant and started again on the same folder goes on. The server
// signs desired states with a key of its own and holds no key that could sign a model.
//
// The packages of fleet import formats and nothing else of ours: not runtime, not agent,
// not packager. This one ties them together.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"skiff/fleet/api"
	"skiff/fleet/broker"
	"skiff/fleet/catalog"
	"skiff/fleet/delivery"
	"skiff/fleet/registry"
	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/formats/sign"
)

const (
	defaultHTTP   = "127.0.0.1:0"
	defaultFlush  = 5 * time.Second
	startTimeout  = 30 * time.Second
	stopTimeout   = 500 * time.Millisecond // for HTTP requests under way when the server stops
	headerTimeout = 10 * time.Second
	uploadFolder  = "uploads"
)

// Config says how a server runs. DataDir is required; the zero value of the rest is good
// for one machine.
type Config struct {
	DataDir  string        // made when absent; one server at a time
	MQTT     string        // host:port for devices; "" picks a free loopback port
	HTTP     string        // host:port of the API; "" picks a free loopback port
	Product  string        // serve only this product; "" = any
	Pace     int           // bytes per second to one device; 0 = as fast as it asks
	MaxStore int64         // bytes of state on disk; 0 = what the disk has
	Flush    time.Duration // between writes of what devices reported; 0 = 5 s
	Remind   time.Duration // between looks for devices that missed a change; 0 = 15 s
	Log      *slog.Logger  // nil discards

	Ready func(mqttURL, httpURL string) // called once when both answer; nil for none
}

// Server is a running fleet server. Its methods are safe for concurrent callers.
type Server struct {
	cfg      Config
	key      sign.Private
	broker   *broker.Broker
	store    *state.Store
	catalog  *catalog.Catalog
	registry *registry.Registry
	delivery *delivery.Service
	http     *http.Server
	listener net.Listener

	asked  sync.RWMutex  // read-locked by each HTTP request under way; guards gone
	gone   bool          // nothing is open any more
	adding chan struct{} // holds one element while a bundle is stored: room is judged one by one

	stop   context.CancelFunc
	wg     sync.WaitGroup
	closed chan struct{} // when everything has stopped
	once   sync.Once
	err    error // why it stopped by itself; read after closed
}

// Serve runs a server until ctx ends; then it stops everything and returns nil. It prints
// nothing: Config.Ready and Config.Log tell what happens.
func Serve(ctx context.Context, cfg Config) error {
	s, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return s.Close()
	case <-s.closed:
		return s.Wait()
	}
}

// Start starts a server and returns when devices and operators can reach it. ctx bounds
// only the start: the server runs until Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Flush == 0 {
		cfg.Flush = defaultFlush
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s := &Server{cfg: cfg, closed: make(chan struct{}), adding: make(chan struct{}, 1), registry: registry.New()}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.open(ctx); err != nil {
		s.shutdown()
		return nil, err
	}
	s.wg.Go(func() { s.keepBooks(run) })
	s.wg.Go(s.serveHTTP)
	if cfg.Ready != nil {
		cfg.Ready(s.MQTT(), s.HTTP())
	}
	return s, nil
}

// open brings the parts up in the order they need each other. The HTTP port comes first
// because it is the cheapest to find taken.
func (s *Server) open(ctx context.Context) (err error) {
	if s.listener, err = listen(s.cfg.HTTP); err != nil {
		return err
	}
	s.broker, err = broker.Open(ctx, broker.Config{DataDir: s.cfg.DataDir, Addr: s.cfg.MQTT, MaxStore: s.cfg.MaxStore, Log: s.cfg.Log})
	if err != nil {
		return err
	}
	if s.key, err = loadKey(s.cfg.DataDir); err != nil {
		return err
	}
	user, password := s.broker.Credentials()
	s.store, err = state.Open(ctx, state.Config{Server: s.broker, User: user, Password: password})
	if err != nil {
		return err
	}
	s.catalog = catalog.New(s.store)
	if err := s.loadDevices(ctx); err != nil {
		return err
	}
	s.delivery, err = delivery.Open(ctx, delivery.Config{
		URL: s.broker.URL(), User: user, Password: password, Store: s.store, Catalog: s.catalog, Registry: s.registry,
		Key: s.key, Product: s.cfg.Product, Pace: s.cfg.Pace, Remind: s.cfg.Remind, Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	return s.openHTTP()
}

func listen(addr string) (net.Listener, error) {
	if addr == "" {
		addr = defaultHTTP
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("start api on http %s: %w", addr, err)
	}
	return l, nil
}

func (s *Server) openHTTP() error {
	key, err := sign.PEM(s.key.Public(sign.RoleFleet))
	if err != nil {
		return err
	}
	h, err := api.New(api.Config{
		Fleet: s, Store: s.store, Key: key, TempDir: filepath.Join(s.cfg.DataDir, uploadFolder), Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.RLock()
		defer s.asked.RUnlock()
		if s.gone {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
	s.http = &http.Server{Handler: counted, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)}
	return nil
}

// serveHTTP ends with the listener; when that breaks by itself the server stops.
func (s *Server) serveHTTP() {
	err := s.http.Serve(s.listener)
	if !errors.Is(err, http.ErrServerClosed) {
		go s.close(fmt.Errorf("serve http: %w", err))
	}
}

// MQTT is the URL devices connect to.
func (s *Server) MQTT() string { return s.broker.URL() }

// HTTP is the URL of the API.
func (s *Server) HTTP() string { return "http://" + s.listener.Addr().String() }

// Wait returns when the server has stopped, with the reason unless it was Close.
func (s *Server) Wait() error {
	<-s.closed
	return s.err
}

// Close stops the server and waits until nothing of it runs. What devices reported last
// is written first.
func (s *Server) Close() error {
	s.close(nil)
	return s.Wait()
}

func (s *Server) close(reason error) {
	s.once.Do(func() {
		s.err = errors.Join(reason, s.shutdown())
		close(s.closed)
	})
}

// shutdown stops whatever was opened, in reverse order.
func (s *Server) shutdown() error {
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.http.Close() // cut off what takes longer
		}
		s.asked.Lock() // waits for the requests under way
		s.gone = true
		s.asked.Unlock()
	}
	if s.listener != nil {
		s.listener.Close() // again, in most cases; there is nothing to learn from its error
	}
	if s.delivery != nil {
		s.delivery.Close()
	}
	s.stop()
	s.wg.Wait()
	if s.store != nil {
		if err := s.flush(context.Background()); err != nil {
			s.cfg.Log.Warn("last reports of devices not written", "error", err) // they say hello again
		}
		s.store.Close()
	}
	if s.broker != nil {
		return s.broker.Close()
	}
	return nil
}

// StopBroker cuts every connection, the server's own included, as a broker that crashes
// does. For tests of faults, and for showing that devices work without.
func (s *Server) StopBroker() {
	s.broker.Stop()
	s.registry.AllOffline()
}

// StartBroker starts a stopped broker again on the same port; the server and the devices
// come back by themselves.
func (s *Server) StartBroker(ctx context.Context) error { return s.broker.Start(ctx) }

// State is the server's store. It is here for tests and the demo, which damage an object
// to play a hostile server; the HTTP API gives no such access.
func (s *Server) State() *state.Store { return s.store }

// Plant stores envelope, whatever it holds, under the digest of manifest, with the index
// and the chunks of the stored bundle like. It is here for tests and the demo, to offer
// devices a forged bundle; the HTTP API gives no such access.
func (s *Server) Plant(ctx context.Context, envelope, manifest []byte, like bundle.Digest) (bundle.Digest, error) {
	return s.catalog.Plant(ctx, envelope, manifest, like)
}

// Stats counts what was delivered since the start.
func (s *Server) Stats() delivery.Stats { return s.delivery.Stats() }
