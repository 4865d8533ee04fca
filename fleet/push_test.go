package fleet

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/fleet/api"
	"skiff/formats/bundle"
	"skiff/formats/sign"
)

// refused returns the status of a server's refusal.
func refused(t *testing.T, err error) int {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if e.Message == "" || strings.Contains(e.Message, "\n") {
		t.Errorf("message %q", e.Message)
	}
	return e.Status
}

// TestBadBundles: a body that is not wholly right stores nothing.
func TestBadBundles(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	_, file := makeBundle(t, "1.0.0", 2, nil)
	flip := func(at int) []byte {
		out := bytes.Clone(file)
		out[at] ^= 1
		return out
	}
	for _, tt := range []struct {
		name string
		body []byte
		size int
		want int
	}{
		{"empty", nil, 0, http.StatusUnprocessableEntity},
		{"no bundle", []byte("hello"), 5, http.StatusUnprocessableEntity},
		{"cut short", file[:len(file)-1], len(file) - 1, http.StatusUnprocessableEntity},
		{"a byte more", append(bytes.Clone(file), 0), len(file) + 1, http.StatusUnprocessableEntity},
		{"a chunk damaged", flip(len(file) - 1000), len(file), http.StatusUnprocessableEntity},
		{"the header damaged", flip(1), len(file), http.StatusUnprocessableEntity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.Client.AddBundle(t.Context(), bytes.NewReader(tt.body), int64(tt.size))
			if got := refused(t, err); got != tt.want {
				t.Errorf("status %d, want %d: %v", got, tt.want, err)
			}
		})
	}
	if all, err := f.Bundles(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("stored %v, %v", all, err)
	}
}

func TestPushAgain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	path, file := makeBundle(t, "1.0.0", 2, nil)
	first, err := f.AddBundleFile(t.Context(), path)
	must(t, err)
	again, err := f.AddBundleFile(t.Context(), path)
	must(t, err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	if first.Size != int64(len(file)) || first.Key != modelKey().ID().String() || first.Name != "tiny" {
		t.Errorf("stored as %+v", first)
	}
	// The same manifest under another signature must not take the place of the first.
	b, err := bundle.OpenFile(path, nil)
	must(t, err)
	forged := bytes.Clone(file)
	forged[len(b.Envelope)-len(b.ManifestBytes)-1] ^= 1 // the signature's last byte
	must(t, b.Close())
	_, err = f.Client.AddBundle(t.Context(), bytes.NewReader(forged), int64(len(forged)))
	if got := refused(t, err); got != http.StatusConflict {
		t.Errorf("status %d, want 409: %v", got, err)
	}
}

func TestDesiredErrors(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Product: "default"})
	add := func(version string, change func(*bundle.Manifest)) string {
		path, _ := makeBundle(t, version, 1, change)
		b, err := f.AddBundleFile(t.Context(), path)
		must(t, err)
		return b.Digest
	}
	good := add("1.0.0", nil)
	canary := add("1.0.1", func(m *bundle.Manifest) { m.Channels = []string{"canary"} })
	other := add("1.0.2", func(m *bundle.Manifest) { m.Product = "other" })
	for _, tt := range []struct {
		name, channel, digest string
		want                  int
	}{
		{"no digest", "stable", "latest", http.StatusBadRequest},
		{"channel name", "a.b", good, http.StatusBadRequest},
		{"unknown bundle", "stable", strings.Repeat("0", 64), http.StatusNotFound},
		{"other channel", "stable", canary, http.StatusConflict},
		{"other product", "stable", other, http.StatusConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.SetDesired(t.Context(), tt.channel, tt.digest)
			if got := refused(t, err); got != tt.want {
				t.Errorf("status %d, want %d: %v", got, tt.want, err)
			}
		})
	}
	_, err := f.Channel(t.Context(), "stable")
	if got := refused(t, err); got != http.StatusNotFound {
		t.Errorf("unset channel: %d", got)
	}
	set, err := f.SetDesired(t.Context(), "canary", canary)
	must(t, err)
	got, err := f.Channel(t.Context(), "canary")
	must(t, err)
	if diff := cmp.Diff(set, got); diff != "" || got.Counter != 1 || got.Version != "1.0.1" {
		t.Errorf("%+v\n%s", got, diff)
	}
}

// TestFullStore: a bundle that does not fit is refused, what is there goes on working.
func TestFullStore(t *testing.T) {
	t.Parallel()
	f := start(t, Config{MaxStore: 3 << 20})
	small, file := makeBundle(t, "1.0.0", 5, nil)
	f.push(t, small)
	large, _ := makeBundle(t, "2.0.0", 40, nil)
	_, err := f.AddBundleFile(t.Context(), large)
	if got := refused(t, err); got != http.StatusInsufficientStorage {
		t.Errorf("status %d, want 507: %v", got, err)
	}
	if all, err := f.Bundles(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("bundles %v, %v", all, err)
	}
	d := join(t, f, "cam-1")
	same(t, d.fetch(d.await(f.trust, 1)), file)
}

func TestKey(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	text, err := f.Key(t.Context())
	must(t, err)
	keys, err := sign.ParsePEM(text)
	must(t, err)
	if len(keys) != 1 || keys[0] != f.key.Public(sign.RoleFleet) {
		t.Errorf("keys %v", keys)
	}
}
