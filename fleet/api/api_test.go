package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skiff/fleet/registry"
	"skiff/fleet/state"
)

// fake is a fleet that takes every bundle and remembers its bytes.
type fake struct {
	got []byte
	err error
}

func (f *fake) AddBundle(_ context.Context, path string) (state.Bundle, error) {
	data, err := os.ReadFile(path)
	f.got = data
	return state.Bundle{Digest: "ab"}, errors.Join(err, f.err)
}

func (f *fake) SetChannel(context.Context, string, string) (state.Desired, error) {
	return state.Desired{}, f.err
}

func (f *fake) Devices() []registry.Device { return nil }

func serve(t *testing.T, f *fake, max int64) (*Client, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upload-1"+partSuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Fleet: f, TempDir: dir, MaxBundle: max, Key: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := NewClient(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// TestUpload: what was received is handed on whole, and no file of it or of an earlier
// process is left, whatever comes of it.
func TestUpload(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   string
		size   int64 // -1: not announced
		err    error
		status int // 0: taken
	}{
		{"announced", "hello", 5, nil, 0},
		{"not announced", "hello", -1, nil, 0},
		{"too large, announced", "hello, world", 12, nil, 413},
		{"too large, not announced", "hello, world", -1, nil, 413},
		{"refused", "hello", 5, state.ErrFull, 507},
		{"an error of ours", "hello", 5, errors.New("broken"), 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{err: tt.err}
			c, dir := serve(t, f, 10)
			_, err := c.AddBundle(t.Context(), strings.NewReader(tt.body), tt.size)
			var refused *Error
			switch {
			case tt.status == 0 && (err != nil || string(f.got) != tt.body):
				t.Errorf("stored %q, %v", f.got, err)
			case tt.status != 0 && (!errors.As(err, &refused) || refused.Status != tt.status):
				t.Errorf("got %v, want status %d", err, tt.status)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	c, _ := serve(t, &fake{}, 0)
	for _, tt := range []struct {
		method, path, body, origin string
		status                     int
		want                       string
	}{
		{"GET", "/healthz", "", "", 200, `{"status":"ok"}`},
		{"GET", "/v1/devices", "", "", 200, `[]`},
		{"GET", "/v1/key", "", "", 200, `key`},
		{"GET", "/v2/devices", "", "", 404, `{"error":{"message":"GET /v2/devices: not found"}}`},
		{"GET", "/v1/channels/a.b", "", "", 400, `{"error":{"message":"channel \"a.b\": bad request"}}`},
		{"PUT", "/v1/channels/a/desired", "{", "", 400, `{"error":{"message":"read body: bad request: unexpected EOF"}}`},
		{"PUT", "/v1/channels/a/desired", `{"bundel":""}`, "", 400, `{"error":{"message":"read body: bad request: json: unknown field \"bundel\""}}`},
		{"PUT", "/v1/channels/a/desired", `{"bundle":"` + strings.Repeat("x", maxJSON) + `"}`, "", 413, `{"error":{"message":"read body: bad request: http: request body too large"}}`},
		{"PUT", "/v1/channels/a/desired", "{}", "https://elsewhere.example", 403, `{"error":{"message":"request comes from a page of another site"}}`},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, c.base+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body strings.Builder
			if err := resp.Write(&body); err != nil {
				t.Fatal(err)
			}
			_, got, _ := strings.Cut(body.String(), "\r\n\r\n")
			if resp.StatusCode != tt.status || strings.TrimSpace(got) != tt.want {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, got, tt.status, tt.want)
			}
		})
	}
}

func TestNewClient(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:80", "mqtt://host", "http://", "http://%zz"} {
		if _, err := NewClient(bad); err == nil {
			t.Errorf("%q is a server", bad)
		}
	}
}
