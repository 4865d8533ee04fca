package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skiff/fleet/api"
)

// pushed is what skiff push --json prints.
type pushed struct {
	Bundle  api.Bundle  `json:"bundle"`
	Channel api.Channel `json:"channel"`
}

func newPush() *cobra.Command {
	var server, channel string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "push BUNDLE --server URL",
		Short: "Give a bundle to the fleet and make it what a channel's devices should run",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := api.NewClient(server)
			if err != nil {
				return usageError{err}
			}
			if err := checkID("channel", channel); err != nil {
				return err
			}
			p := newProgress(cmd.ErrOrStderr())
			defer p.stop()
			result, err := push(cmd.Context(), client, args[0], channel, p)
			switch {
			case err != nil:
				return fmt.Errorf("push %s: %w", args[0], err)
			case asJSON:
				return printJSON(cmd.OutOrStdout(), result)
			}
			_, err = fmt.Fprintf(plain{cmd.OutOrStdout()}, "%s %s is desired on channel %s (state %d)\nbundle %s\n",
				result.Bundle.Name, result.Bundle.Version, channel, result.Channel.Counter, result.Bundle.Digest)
			return err
		},
	}
	serverFlag(cmd, &server)
	cmd.Flags().StringVar(&channel, "channel", "stable", "channel whose devices get it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return required(cmd, "server")
}

func serverFlag(cmd *cobra.Command, server *string) {
	cmd.Flags().StringVar(server, "server", "", "`URL` of the fleet's HTTP interface")
}

// push uploads first, so that a channel never desires what the server lacks.
func push(ctx context.Context, client *api.Client, path, channel string, p *progress) (pushed, error) {
	f, err := openRegular(path)
	if err != nil {
		return pushed{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return pushed{}, err
	}
	upload := &counted{r: f, bar: p.bar("upload", info.Size(), true), total: info.Size()}
	b, err := client.AddBundle(ctx, upload, info.Size())
	if err != nil {
		return pushed{}, err
	}
	upload.bar.done()
	c, err := client.SetDesired(ctx, channel, b.Digest)
	return pushed{b, c}, err
}

// counted tells a bar how much has been read.
type counted struct {
	r           io.Reader
	bar         *bar
	done, total int64
}

// Read reads and counts.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.bar.set(c.done, c.total)
	return n, err
}
