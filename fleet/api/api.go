// Package api is the fleet's HTTP interface and its client.
//
//	POST /v1/bundles                     a .skiff file            -> Bundle
//	GET  /v1/bundles                                              -> [Bundle]
//	PUT  /v1/channels/{channel}/desired  {"bundle": digest}       -> Channel
//	GET  /v1/channels/{channel}                                   -> Channel
//	GET  /v1/devices                                              -> [registry.Device]
//	GET  /v1/key                         the fleet's public key, PEM
//	GET  /healthz                                                 -> {"status": "ok"}
//
// Bodies are JSON; an error is {"error": {"message": ...}} with a status that says whose
// fault it is. Nobody is asked who they are: in this version the server belongs on a
// loopback address or behind a proxy that does.
//
// It must not import broker nor delivery: what it shows it reads from the store, what it
// changes goes through the Fleet interface.
package api

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"time"

	"skiff/fleet/catalog"
	"skiff/fleet/registry"
	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/formats/sign"
)

var (
	// ErrRequest is returned for a request that makes no sense.
	ErrRequest = errors.New("bad request")
	// ErrRefused is returned for a bundle that is not meant for where it is to go.
	ErrRefused = errors.New("refused")
)

var errForeignPage = errors.New("request comes from a page of another site")

// Fleet is what the interface changes and asks.
type Fleet interface {
	// AddBundle checks the whole bundle file at path and stores it.
	AddBundle(ctx context.Context, path string) (state.Bundle, error)
	// SetChannel makes a stored bundle the desired state of a channel, durably.
	SetChannel(ctx context.Context, channel, digest string) (state.Desired, error)
	// Devices lists what is known of every device, by id.
	Devices() []registry.Device
}

// Bundle is a stored bundle as the API shows it.
type Bundle struct {
	Digest   string    `json:"digest"` // hex SHA-256 of the manifest
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Size     int64     `json:"size"` // bytes of the whole file
	Release  uint64    `json:"release"`
	Product  string    `json:"product"`
	Channels []string  `json:"channels"` // empty = any
	Task     string    `json:"task"`
	Key      string    `json:"key"` // hex id of the key that signed; only devices can judge it
	Chunks   int       `json:"chunks"`
	Added    time.Time `json:"added"`
}

// Channel is the desired state of a channel as the API shows it.
type Channel struct {
	Channel string    `json:"channel"`
	Counter uint64    `json:"counter"` // rises with every change
	Bundle  string    `json:"bundle"`
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Expires time.Time `json:"expires"`
}

// wantDesired is the body of a PUT.
type wantDesired struct {
	Bundle string `json:"bundle"`
}

// problem is the body of every error.
type problem struct {
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

func showBundle(b state.Bundle) Bundle {
	channels := b.Channels
	if channels == nil {
		channels = []string{}
	}
	return Bundle{
		Digest: b.Digest, Name: b.Name, Version: b.Version, Size: b.Size, Release: b.Release, Product: b.Product,
		Channels: channels, Task: b.Task, Key: b.Key, Chunks: b.Chunks, Added: b.Added,
	}
}

// status says whose fault an error is.
func status(err error) int {
	var tooLarge *http.MaxBytesError
	for _, c := range []struct {
		is     bool
		status int
	}{
		{errors.As(err, &tooLarge), http.StatusRequestEntityTooLarge},
		{errors.Is(err, errForeignPage), http.StatusForbidden},
		{errors.Is(err, ErrRequest), http.StatusBadRequest},
		{errors.Is(err, ErrRefused), http.StatusConflict},
		{errors.Is(err, catalog.ErrConflict), http.StatusConflict},
		{errors.Is(err, state.ErrNotFound), http.StatusNotFound},
		{errors.Is(err, state.ErrFull), http.StatusInsufficientStorage},
		{errors.Is(err, syscall.ENOSPC), http.StatusInsufficientStorage},
		{errors.Is(err, state.ErrUnavailable), http.StatusServiceUnavailable},
		{errors.Is(err, bundle.ErrCorrupt), http.StatusUnprocessableEntity},
		{errors.Is(err, bundle.ErrUnsupported), http.StatusUnprocessableEntity},
		{errors.Is(err, bundle.ErrLimit), http.StatusUnprocessableEntity},
		{errors.Is(err, sign.ErrEnvelope), http.StatusUnprocessableEntity},
	} {
		if c.is {
			return c.status
		}
	}
	return http.StatusInternalServerError
}
