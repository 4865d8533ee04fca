package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"skiff/fleet/registry"
)

const maxAnswer = 512 << 20 // bytes; a million devices

// Error is what a server answered instead of a result.
type Error struct {
	Status  int    // HTTP
	Message string // the server's, for people
}

// Error returns the server's message and the status.
func (e *Error) Error() string {
	return fmt.Sprintf("server: %s (%d %s)", e.Message, e.Status, http.StatusText(e.Status))
}

// Client talks to a fleet server. Its methods are safe for concurrent callers and return
// *Error when the server refuses.
type Client struct {
	base string
	http http.Client // no timeout: callers bound their context
}

// NewClient returns a client of the server at a URL like "http://127.0.0.1:8080".
func NewClient(server string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("parse server URL %q: want http://host:port", server)
	}
	return &Client{base: strings.TrimRight(u.String(), "/")}, nil
}

// AddBundle sends a bundle of size bytes. The server answers when all of it is checked and
// on its disk; sending one again does no harm.
func (c *Client) AddBundle(ctx context.Context, body io.Reader, size int64) (Bundle, error) {
	var b Bundle
	err := c.do(ctx, http.MethodPost, "/v1/bundles", body, size, &b)
	return b, err
}

// AddBundleFile sends the bundle file at path.
func (c *Client) AddBundleFile(ctx context.Context, path string) (Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return Bundle{}, fmt.Errorf("read bundle: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Bundle{}, fmt.Errorf("read bundle: %w", err)
	}
	return c.AddBundle(ctx, f, info.Size())
}

// SetDesired makes a stored bundle, named by its hex digest, the desired state of a channel.
func (c *Client) SetDesired(ctx context.Context, channel, digest string) (Channel, error) {
	var out Channel
	body, err := json.Marshal(wantDesired{Bundle: digest})
	if err != nil {
		return out, fmt.Errorf("encode body: %w", err)
	}
	err = c.do(ctx, http.MethodPut, "/v1/channels/"+url.PathEscape(channel)+"/desired", bytes.NewReader(body), int64(len(body)), &out)
	return out, err
}

// Channel returns the desired state of a channel.
func (c *Client) Channel(ctx context.Context, channel string) (Channel, error) {
	var out Channel
	err := c.do(ctx, http.MethodGet, "/v1/channels/"+url.PathEscape(channel), nil, 0, &out)
	return out, err
}

// Bundles lists the stored bundles, oldest first.
func (c *Client) Bundles(ctx context.Context) ([]Bundle, error) {
	var out []Bundle
	err := c.do(ctx, http.MethodGet, "/v1/bundles", nil, 0, &out)
	return out, err
}

// Devices lists the devices by id.
func (c *Client) Devices(ctx context.Context) ([]registry.Device, error) {
	var out []registry.Device
	err := c.do(ctx, http.MethodGet, "/v1/devices", nil, 0, &out)
	return out, err
}

// Key returns the fleet's public key in the form of a trust file.
func (c *Client) Key(ctx context.Context) ([]byte, error) {
	var out []byte
	err := c.do(ctx, http.MethodGet, "/v1/key", nil, 0, &out)
	return out, err
}

// do sends a request and decodes the answer into out: raw for a *[]byte, else JSON.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader, size int64, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.ContentLength = size
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, data)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = data
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

func refusal(status int, data []byte) error {
	var p problem
	if err := json.Unmarshal(data, &p); err != nil || p.Error.Message == "" {
		p.Error.Message = strings.TrimSpace(string(data[:min(len(data), 200)]))
	}
	return &Error{Status: status, Message: p.Error.Message}
}
