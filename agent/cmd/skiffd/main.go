// Command skiffd is the device daemon: it keeps one model running on this machine and answers for it on a local HTTP API. It links
// neither packager nor fleet nor broker. Flags and a file of "name = value" lines say what device it is; see config.go.
//
// Standard output gets one line, {"ready":true,"http":...}, when the API answers; the log goes to standard error. Exit status: 0 stopped
// by a signal, 1 failed, 2 wrong use.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"skiff/agent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var said bytes.Buffer // by the flag package: a result where it was asked for, else a complaint
	c, level, err := configure(args, &said)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = said.WriteTo(stdout)
		return 0
	}
	_, _ = said.WriteTo(stderr)
	if err != nil {
		fmt.Fprintln(stderr, "skiffd:", err)
		return 2
	}
	c.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	c.Ready = func(addr string) {
		_ = json.NewEncoder(stdout).Encode(map[string]any{"ready": true, "http": addr}) // a closed pipe ends nothing
	}
	if err := agent.Run(ctx, c); err != nil {
		fmt.Fprintln(stderr, "skiffd:", err)
		if errors.Is(err, agent.ErrConfig) {
			return 2
		}
		return 1
	}
	return 0
}
