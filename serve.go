package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"skiff/agent/probe"
	"skiff/agent/serve"
	"skiff/runtime/infer"
)

// ready is the line that tells a program which started a server where it is.
type ready struct {
	Ready bool   `json:"ready"`
	MQTT  string `json:"mqtt,omitempty"`
	HTTP  string `json:"http"`
}

func newServe() *cobra.Command {
	var cfg serve.Config
	var engine infer.Config
	var trust string
	cmd := &cobra.Command{
		Use:   "serve MODEL|BUNDLE",
		Short: "Answer over the local HTTP API, without a fleet",
		Long: `Answer over the local HTTP API, without a fleet: POST /v1/embeddings in OpenAI's form, or, for a model of
another task, /v1/classify, /v1/rank, /v1/tag, /v1/answer or /v1/fill-mask; and GET /healthz.

Prints one JSON line {"ready":true,"http":...} when it answers, and stops at an interrupt. The golden inputs
are run first, as on a device.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkEngine(engine); err != nil {
				return err
			}
			cfg.Log = newLog(cmd.ErrOrStderr())
			m, err := proveModel(cmd, args[0], trust, engine)
			if err != nil {
				return err
			}
			for _, what := range m.Complaints() {
				cfg.Log.Warn("slower kernels answer", "kernels", m.Kernels(), "err", what)
			}
			return serveModel(cmd.Context(), m, cfg, cmd.OutOrStdout())
		},
	}
	addressFlags(cmd, &cfg.Addr, &cfg.Socket)
	trustFlag(cmd, &trust)
	engineFlags(cmd, &engine)
	return cmd
}

// addressFlags adds where a local API listens.
func addressFlags(cmd *cobra.Command, addr, socket *string) {
	cmd.Flags().StringVar(addr, "http", "", "`ADDRESS` to answer on (default: a free port of 127.0.0.1)")
	cmd.Flags().StringVar(socket, "socket", "", "`PATH` of a Unix socket to answer on instead")
	cmd.MarkFlagsMutuallyExclusive("http", "socket")
}

// newLog writes log lines for people.
func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func proveModel(cmd *cobra.Command, arg, trust string, engine infer.Config) (*probe.Model, error) {
	p := newProgress(cmd.ErrOrStderr())
	defer p.stop()
	b, err := openOrPack(cmd.Context(), arg, trust, p)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	m, err := probe.Load(cmd.Context(), b, probe.Config{Kernels: engine.Kernels, Workers: engine.Workers})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", arg, err)
	}
	return m, nil
}

// serveModel answers with m, which it owns, until ctx ends.
func serveModel(ctx context.Context, m *probe.Model, cfg serve.Config, out io.Writer) error {
	s, err := serve.Listen(cfg)
	if err != nil {
		return errors.Join(err, m.Close(context.WithoutCancel(ctx)))
	}
	s.Swap(m)
	if err := printJSON(out, ready{Ready: true, HTTP: s.Addr()}); err != nil {
		s.Swap(nil)
		return errors.Join(err, s.Close())
	}
	return stopped(ctx, s.Run(ctx))
}

// stopped makes the end that was asked for a success: a server's work is done
// when it is told to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
