package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"skiffbench/line"
)

// child is a peer's process.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	log   bytes.Buffer
	hello line.Answer
}

// startChild starts a peer and waits until it is ready.
func startChild(ctx context.Context, env []string, argv ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	c.cmd.Stderr, c.cmd.Env = &c.log, append(os.Environ(), env...)
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.out = bufio.NewReaderSize(out, 1<<20)
	if c.hello, err = c.read(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// ask sends a request and waits for its answer.
func (c *child) ask(r line.Request) (line.Answer, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return line.Answer{}, err
	}
	if _, err := c.in.Write(append(data, '\n')); err != nil {
		return line.Answer{}, fmt.Errorf("%w: %s", err, c.complaint())
	}
	return c.read()
}

func (c *child) read() (line.Answer, error) {
	var a line.Answer
	text, err := c.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("read answer: %w: %s", err, c.complaint())
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read answer %.80q: %w", text, err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// complaint is the last line that the process wrote to its error output.
func (c *child) complaint() string {
	_ = c.in.Close()
	_ = c.cmd.Wait() // its log is whole only then; how it ended says less than what it wrote
	lines := strings.Split(strings.TrimSpace(c.log.String()), "\n")
	return lines[len(lines)-1]
}

// close ends the process.
func (c *child) close() error {
	if c == nil || c.cmd.ProcessState != nil {
		return nil
	}
	_ = c.in.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // killed is how it was meant to end
	return nil
}

// peak is the most memory that a process has had resident, in bytes.
func peak(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("no VmHWM")
}
