package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// demoDevice is a device as a process of its own: skiff device run.
type demoDevice struct {
	id, kernels string
	args        []string
	log         string // file of its standard error
	cmd         *exec.Cmd
	url         string // of its local API
	killed      bool   // in mid-download, to show that it resumes
}

// deviceStatus is what the demo reads of a device's /v1/status.
type deviceStatus struct {
	Status, State, Active, Kernels, Wanted, Class, Reason string

	Done, Total int64
	Fetched     struct{ Total, Twice int64 }
}

// start runs the process and waits until its API answers.
func (v *demoDevice) start() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(v.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	v.cmd = exec.Command(self, v.args...)
	v.cmd.Stderr = log
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := v.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", v.id, err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var up ready
	if err == nil {
		err = json.Unmarshal(line, &up)
	}
	if err != nil {
		v.kill()
		said, _ := os.ReadFile(v.log)
		return fmt.Errorf("start %s: %w\n%s", v.id, err, said)
	}
	v.url = up.HTTP
	return nil
}

// kill is SIGKILL: the process has no chance to write anything.
func (v *demoDevice) kill() {
	if v.cmd == nil || v.cmd.Process == nil {
		return
	}
	v.cmd.Process.Kill() // it may be gone already; Wait tells
	v.cmd.Wait()
	v.cmd = nil
}

// interrupt asks the process to stop and waits for it.
func (v *demoDevice) interrupt() error {
	if err := v.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	err := v.cmd.Wait()
	v.cmd = nil
	return err
}

// status asks the device's own API; the zero status while it does not answer.
func (v *demoDevice) status(ctx context.Context) deviceStatus {
	var s deviceStatus
	if body, err := v.call(ctx, http.MethodGet, "/v1/status", nil); err == nil {
		_ = json.Unmarshal(body, &s) // an answer cut off by a kill counts as none
	}
	return s
}

// readVectors reads OpenAI's answer, bit for bit.
func readVectors(body []byte) ([][]float32, error) {
	var answer struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	rows := make([][]float32, len(answer.Data))
	for i, d := range answer.Data {
		raw, err := base64.StdEncoding.DecodeString(d.Embedding)
		if err != nil {
			return nil, err
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			rows[i] = append(rows[i], math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		}
	}
	return rows, nil
}

func (v *demoDevice) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer, err
}

// wait polls until seen is content with the device, or ctx or patience ends.
func (v *demoDevice) wait(ctx context.Context, what string, seen func(deviceStatus) bool) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !seen(v.status(ctx)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			said, _ := os.ReadFile(v.log)
			return fmt.Errorf("%s did not %s within %s; its log:\n%s", v.id, what, demoPatience, said)
		}
	}
	return nil
}

// demoPatience is how long a device may take for anything.
const demoPatience = 2 * time.Minute

// newDevices describes three devices on three engines.
func (d *demo) newDevices(trustFile string) {
	for _, v := range []demoDevice{
		{id: "alpha", kernels: "wasm"}, {id: "beta", kernels: "interp"}, {id: "gamma", kernels: "go"},
	} {
		data := filepath.Join(d.dir, v.id)
		v.log = data + ".log"
		v.args = []string{"device", "run", "--data", data, "--broker", d.server.MQTT(), "--id", v.id,
			"--channel", demoChannel, "--trust", trustFile, "--kernels", v.kernels, "--http", "127.0.0.1:0"}
		d.devices = append(d.devices, &v)
	}
}
