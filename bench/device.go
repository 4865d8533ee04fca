package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is one of ours that prints a line of JSON when it is ready.
type process struct {
	cmd *exec.Cmd
	// What the line says: of skiffd and of skiff fleet serve.
	HTTP, MQTT string
}

// start runs a program of ours until its line.
func (b *bench) start(ctx context.Context, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, filepath.Join(installed, name), args...)}
	p.cmd.Env = append(os.Environ(), b.env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	said, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(said, p)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// stop ends it as an operator would.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait() // how it ends is not measured
}

// device are the flags of the daemon that runs these kernels. Each has a store of its own: a
// bundle is proved anew when other kernels than the last are to run it.
func (b *bench) device(kernels string, more ...string) []string {
	flags := []string{"--data", filepath.Join(installed, "device", kernels), "--id", "bench", "--trust", b.model.trust, "--kernels", kernels}
	return append(flags, more...)
}

// install brings the bundle into the daemons' stores, the way devices get theirs.
func (b *bench) install(ctx context.Context) error {
	fleet := filepath.Join(installed, "fleet")
	if err := errors.Join(os.RemoveAll(fleet), os.RemoveAll(filepath.Join(installed, "device"))); err != nil {
		return err
	}
	server, err := b.start(ctx, "skiff", "fleet", "serve", "--data", fleet, "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.stop()
	if err := b.command(ctx, filepath.Join(installed, "skiff"), "push", b.model.bundle, "--server", server.HTTP, "--channel", "stable"); err != nil {
		return err
	}
	for _, p := range b.peers {
		if p.Ours && p.Threads == coldThreads && err == nil {
			err = b.fetch(ctx, p.Kernels, server.MQTT)
		}
	}
	return err
}

// fetch runs a daemon until it has the bundle.
func (b *bench) fetch(ctx context.Context, kernels, broker string) error {
	d, err := b.start(ctx, "skiffd", b.device(kernels, "--broker", broker)...)
	if err != nil {
		return err
	}
	defer d.stop()
	for healthy := false; !healthy; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			healthy = get(ctx, d.HTTP+"/healthz") == nil
		}
	}
	return nil
}

// coldSkiff starts the daemon and asks it for one text.
func (b *bench) coldSkiff(ctx context.Context, p *peer) (float64, error) {
	begin := time.Now()
	d, err := b.start(ctx, "skiffd", b.device(p.Kernels)...)
	if err != nil {
		return 0, err
	}
	defer d.stop()
	err = d.embed(ctx, "the boat is on the lake")
	return float64(time.Since(begin).Microseconds()) / 1e3, err
}

// serving is the peak of a daemon that answered the texts.
func (b *bench) serving(ctx context.Context, p *peer, texts []string) (float64, error) {
	d, err := b.start(ctx, "skiffd", b.device(p.Kernels)...)
	if err != nil {
		return 0, err
	}
	defer d.stop()
	for _, t := range texts {
		if err := d.embed(ctx, t); err != nil {
			return 0, err
		}
	}
	return peak(d.cmd.Process.Pid)
}

// embed asks for one text.
func (p *process) embed(ctx context.Context, text string) error {
	body, err := json.Marshal(map[string]any{"model": "m", "input": text})
	if err != nil {
		return err
	}
	return request(ctx, http.MethodPost, p.HTTP+"/v1/embeddings", body)
}

func get(ctx context.Context, url string) error { return request(ctx, http.MethodGet, url, nil) }

func request(ctx context.Context, method, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, answer)
	}
	return err
}
