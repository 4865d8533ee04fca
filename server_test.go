package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skiff/fleet/registry"
)

// server is a running skiff that said it is ready.
type server struct {
	ready
	cmd    *exec.Cmd
	stderr *syncBuffer
	end    sync.Once
}

// start runs a command that serves and waits for its line. It is interrupted when
// the test ends, and must then succeed.
func start(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{cmd: cmd, stderr: new(syncBuffer)}
	cmd.Stderr = s.stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s%s", err, line, s.stderr)
	}
	if err := json.Unmarshal([]byte(line), &s.ready); err != nil || !s.Ready {
		t.Fatalf("%v in %s", err, line)
	}
	return s
}

// stop interrupts the server and waits for it; a second call does nothing.
func (s *server) stop(t *testing.T) {
	s.end.Do(func() {
		if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("%v ends with %v: %s", s.cmd.Args[1:], err, s.stderr)
		}
	})
}

// syncBuffer is a buffer that may be read while a process writes to it.
type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write appends.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// embed asks a local API for vectors, over TCP or a Unix socket.
func embed(t *testing.T, at string, texts ...string) [][]float32 {
	t.Helper()
	client, base := http.DefaultClient, at
	if socket, ok := strings.CutPrefix(at, "unix:"); ok {
		base = "http://skiff"
		client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	}
	body, err := json.Marshal(map[string]any{"model": "any", "input": texts, "encoding_format": "float"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(base+"/v1/embeddings", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data []struct{ Embedding []float32 }
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v in %.300s", resp.Status, err, text)
	}
	var vectors [][]float32
	for _, d := range answer.Data {
		vectors = append(vectors, d.Embedding)
	}
	return vectors
}

// texts are what the servers are asked.
var texts = []string{"A man is playing a guitar.", "", "naïve café"}

// answers is what skiff run says to texts.
func (m mini) answers(t *testing.T) [][]float32 {
	t.Helper()
	var vectors [][]float32
	for _, a := range lines[ranAnswer](t, m.home.must(t, "", append([]string{"run", m.bundle, "--json"}, texts...)...)) {
		vectors = append(vectors, a.Embedding)
	}
	return vectors
}

// TestServe: the local API gives the bits of skiff run, over TCP and over a socket.
func TestServe(t *testing.T) {
	m := packedMini(t)
	want := m.answers(t)
	tcp := start(t, m.home.command(t, "serve", m.bundle))
	unix := start(t, m.home.command(t, "serve", m.bundle, "--socket", filepath.Join(t.TempDir(), "s")))
	for _, s := range []*server{tcp, unix} {
		if diff := cmp.Diff(want, embed(t, s.HTTP, texts...)); diff != "" {
			t.Errorf("%s (-run +serve)\n%s", s.HTTP, diff)
		}
	}
	taken := strings.TrimPrefix(tcp.HTTP, "http://")
	r := m.home.run(t, "", "serve", m.bundle, "--http", taken)
	if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, taken) {
		t.Errorf("a port in use: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
}

// TestChain: a bundle goes from the operator through the server to a device, by
// commands only; the device answers with the operator's bits, also when the server
// is gone and when it was killed itself.
func TestChain(t *testing.T) {
	m := packedMini(t)
	want := m.answers(t)
	fleet := start(t, m.home.command(t, "fleet", "serve", "--data", t.TempDir(), "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"))
	data := t.TempDir()
	device := start(t, m.home.command(t, "device", "run", "--data", data, "--id", "buoy-1", "--broker", fleet.MQTT, "--trust", m.pub))
	result := lines[pushed](t, m.home.must(t, "", "push", m.bundle, "--server", fleet.HTTP, "--json"))[0]
	d := m.await(t, fleet.HTTP, "buoy-1", result.Bundle.Digest)
	if d.Name != "skiff-mini-embed" || d.Version != "1" || d.Channel != "stable" || !d.Online || d.LastSeen.IsZero() {
		t.Errorf("the fleet says %+v", d)
	}
	if table := m.home.must(t, "", "devices", "list", "--server", fleet.HTTP).stdout; !strings.Contains(table, "buoy-1") {
		t.Errorf("devices list prints %s", table)
	}
	if diff := cmp.Diff(want, embed(t, device.HTTP, texts...)); diff != "" {
		t.Errorf("(-run +device)\n%s", diff)
	}
	fleet.stop(t)
	if diff := cmp.Diff(want, embed(t, device.HTTP, texts...)); diff != "" {
		t.Errorf("without a server (-run +device)\n%s", diff)
	}
	device.stop(t)
	again := start(t, m.home.command(t, "device", "run", "--data", data, "--id", "buoy-1", "--trust", m.pub))
	again.healthy(t)
	if diff := cmp.Diff(want, embed(t, again.HTTP, texts...)); diff != "" {
		t.Errorf("started again (-run +device)\n%s", diff)
	}
}

// patience bounds a wait for something that takes a second, so that a test that
// hangs says where.
const patience = time.Minute

// await asks the fleet until a device runs a bundle.
func (m mini) await(t *testing.T, server, id, digest string) registry.Device {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last string
	for ctx.Err() == nil {
		r := m.home.must(t, "", "devices", "list", "--server", server, "--json")
		last = r.stdout
		var devices []registry.Device
		if err := json.Unmarshal([]byte(r.stdout), &devices); err != nil {
			t.Fatalf("%v in %s", err, r.stdout)
		}
		for _, d := range devices {
			if d.ID == id && d.Active == digest && d.State == "active" {
				return d
			}
			if d.Class != "" && d.Class != "retry" {
				t.Fatalf("%s: %s", d.Class, d.Reason)
			}
		}
	}
	t.Fatalf("%v: the fleet says %s", ctx.Err(), last)
	return registry.Device{}
}

// healthy asks a device until it has loaded its model.
func (s *server) healthy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		resp, err := http.Get(s.HTTP + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("%v: %s", ctx.Err(), s.stderr)
}

// TestServersRefuse: what stops a server from starting is said, and nothing is printed.
func TestServersRefuse(t *testing.T) {
	m := packedMini(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"fleet", "serve", "--data", file}, file},
		{[]string{"fleet", "serve", "--data", t.TempDir(), "--mqtt", "nowhere"}, "nowhere"},
		{[]string{"device", "run", "--data", file, "--id", "a"}, file},
		{[]string{"device", "run", "--data", t.TempDir(), "--id", "a", "--trust", file}, file},
		{[]string{"push", m.bundle, "--server", "http://127.0.0.1:1"}, "127.0.0.1:1"},
		{[]string{"devices", "list", "--server", "http://127.0.0.1:1"}, "127.0.0.1:1"},
	} {
		r := m.home.run(t, "", c.args...)
		if r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
			t.Errorf("skiff %v: status %d, stdout %q, stderr %q; want %q", c.args, r.status, r.stdout, r.stderr, c.want)
		}
	}
}
