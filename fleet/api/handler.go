package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"skiff/fleet/registry"
	"skiff/fleet/state"
	"skiff/formats/wire"
)

const (
	maxJSON    = 64 << 10         // bytes of a JSON body
	maxUploads = 2                // bundles received and checked at a time; others wait
	patience   = 30 * time.Second // without a byte of an upload
	partSuffix = ".part"
)

// Config is what a handler needs. All fields but MaxBundle and Log are required.
type Config struct {
	Fleet     Fleet
	Store     *state.Store
	Key       []byte       // the fleet's public key, PEM
	TempDir   string       // for uploads; what an earlier process left there is removed
	MaxBundle int64        // bytes; 0 = 4 GiB
	Log       *slog.Logger // nil discards
}

type handler struct {
	cfg     Config
	uploads chan struct{} // one element per upload under way
}

// New returns the interface of a fleet.
func New(cfg Config) (http.Handler, error) {
	if cfg.MaxBundle == 0 {
		cfg.MaxBundle = 4 << 30
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := prepare(cfg.TempDir); err != nil {
		return nil, err
	}
	h := &handler{cfg: cfg, uploads: make(chan struct{}, maxUploads)}
	mux := http.NewServeMux()
	for pattern, fn := range map[string]func(http.ResponseWriter, *http.Request) (any, error){
		"POST /v1/bundles":                   h.addBundle,
		"GET /v1/bundles":                    h.bundles,
		"PUT /v1/channels/{channel}/desired": h.setDesired,
		"GET /v1/channels/{channel}":         h.channel,
		"GET /v1/devices":                    h.devices,
		"GET /healthz":                       h.health,
	} {
		mux.HandleFunc(pattern, h.answer(fn))
	}
	mux.HandleFunc("GET /v1/key", h.key)
	mux.HandleFunc("/", h.answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, state.ErrNotFound)
	}))
	// A page in the operator's browser must not be able to push.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(h.answer(func(http.ResponseWriter, *http.Request) (any, error) { return nil, errForeignPage }))
	return guard.Handler(mux), nil
}

// prepare makes the folder for uploads and removes what a killed server left in it.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make upload folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"+partSuffix))
	if err != nil {
		return fmt.Errorf("list upload folder: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("clear upload folder: %w", err)
		}
	}
	return nil
}

// answer writes what fn returns, or its error, as JSON.
func (h *handler) answer(fn func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(w, r)
		code := http.StatusOK
		if err != nil {
			code = status(err)
			var p problem
			p.Error.Message = err.Error()
			v = p
			h.cfg.Log.Info("request failed", "method", r.Method, "path", r.URL.Path, "status", code, "error", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(v) // the only error is that the client has gone
	}
}

func (h *handler) addBundle(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.ContentLength > h.cfg.MaxBundle {
		return nil, fmt.Errorf("receive bundle: %w", &http.MaxBytesError{Limit: h.cfg.MaxBundle})
	}
	select {
	case h.uploads <- struct{}{}:
		defer func() { <-h.uploads }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	path, err := h.receive(w, r)
	if err != nil {
		return nil, fmt.Errorf("receive bundle: %w", err)
	}
	defer os.Remove(path)
	rec, err := h.cfg.Fleet.AddBundle(r.Context(), path)
	if err != nil {
		return nil, err
	}
	return showBundle(rec), nil
}

// receive writes the body to a temporary file.
func (h *handler) receive(w http.ResponseWriter, r *http.Request) (path string, err error) {
	f, err := os.CreateTemp(h.cfg.TempDir, "upload-*"+partSuffix)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	body := &patient{http.MaxBytesReader(w, r.Body, h.cfg.MaxBundle), http.NewResponseController(w)}
	n, err := io.Copy(f, body)
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %d of %d bytes came: %w", ErrRequest, n, r.ContentLength, err)
	}
	return f.Name(), err
}

// patient reads a body for as long as it keeps coming.
type patient struct {
	body    io.Reader
	control *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	// Where deadlines are not supported (tests without a socket) the body cannot stall.
	_ = p.control.SetReadDeadline(time.Now().Add(patience))
	return p.body.Read(b)
}

func (h *handler) bundles(_ http.ResponseWriter, r *http.Request) (any, error) {
	all, err := h.cfg.Store.Bundles(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]Bundle, len(all))
	for i, b := range all {
		out[i] = showBundle(b)
	}
	return out, nil
}

func (h *handler) setDesired(w http.ResponseWriter, r *http.Request) (any, error) {
	var want wantDesired
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		return nil, fmt.Errorf("read body: %w: %w", ErrRequest, err)
	}
	desired, err := h.cfg.Fleet.SetChannel(r.Context(), r.PathValue("channel"), want.Bundle)
	if err != nil {
		return nil, err
	}
	return h.show(r, desired)
}

func (h *handler) channel(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := r.PathValue("channel")
	if !wire.ValidID(name) {
		return nil, fmt.Errorf("channel %q: %w", name, ErrRequest)
	}
	d, err := h.cfg.Store.Desired(r.Context(), state.ChannelAudience(name))
	if err != nil {
		return nil, err
	}
	return h.show(r, d)
}

func (h *handler) show(r *http.Request, d state.Desired) (any, error) {
	name, _ := d.Audience.Channel()
	b, err := h.cfg.Store.Bundle(r.Context(), d.Bundle)
	if err != nil {
		return nil, err
	}
	return Channel{Channel: name, Counter: d.Counter, Bundle: d.Bundle, Name: b.Name, Version: b.Version, Expires: d.Expires}, nil
}

func (h *handler) devices(http.ResponseWriter, *http.Request) (any, error) {
	all := h.cfg.Fleet.Devices()
	if all == nil {
		all = []registry.Device{}
	}
	return all, nil
}

func (h *handler) health(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]string{"status": "ok"}, nil
}

func (h *handler) key(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Write(h.cfg.Key)
}
