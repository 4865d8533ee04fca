package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"skiff/fleet"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/graph"
)

// demoChannel is the channel the demo's devices follow.
const demoChannel = "stable"

// demoDownload is how long the server's pace makes the demo's download last, so that one
// can watch it. Nothing but the demo sets a pace by default.
const demoDownload = 2 * time.Second

func newDemo() *cobra.Command {
	var model string
	cmd := &cobra.Command{
		Use:   "demo [--model MODEL]",
		Short: "The whole chain on this machine: pack, sign, ship over MQTT, prove, answer offline",
		Long: `The whole chain on this machine: import, quantise, compile and sign a model; start a broker, a fleet
service and three devices on three engines; ship the bundle over MQTT while one device is killed and comes back;
prove it on each; stop the broker and search offline; offer tampered bundles, which are refused.

Everything happens in a temporary folder and on 127.0.0.1, and is gone at the end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), model)
		},
	}
	cmd.Flags().StringVar(&model, "model", builtinName, "`MODEL` to ship: a folder, hf:owner/name[@revision], or builtin")
	return cmd
}

// demo is one run. Steps come in the order of their methods; each prints what it did.
type demo struct {
	out     io.Writer
	dir     string
	key     sign.Private
	model   *graph.Model
	bundle  *bundle.Bundle
	server  *fleet.Server
	devices []*demoDevice
	answers []byte // what the first device answered offline
}

func runDemo(ctx context.Context, out io.Writer, model string) (err error) {
	began := time.Now()
	d := &demo{out: out}
	if d.dir, err = os.MkdirTemp("", "skiff-demo-"); err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	if d.key, err = sign.Generate(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return d.importModel(ctx, model) },
		d.pack, d.startFleet, d.startDevices, d.deliver, d.showProofs, d.search, d.tamper, d.stop,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.say("\ndone in %.0f s", time.Since(began).Seconds())
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// title opens a step.
func (d *demo) title(n int, format string, args ...any) {
	d.say("\n%d. %s", n, fmt.Sprintf(format, args...))
}

func (d *demo) importModel(ctx context.Context, arg string) error {
	d.title(1, "Import")
	p := newProgress(d.out)
	defer p.stop()
	m, err := importModel(ctx, arg, p)
	if err != nil {
		return err
	}
	d.model = m
	d.say("   %s: %s, %d blocks, hidden size %d, %d heads, %d words, up to %d tokens", m.Name, m.Arch, m.Layers, m.Hidden, m.Heads, m.Vocab, m.MaxTokens)
	return nil
}

// pack makes the bundle and writes it to a file, as skiff pack does.
func (d *demo) pack(ctx context.Context) error {
	d.title(2, "Quantise to int8, compile to WebAssembly, prove, sign")
	b, report, err := d.packRelease(ctx, packager.Config{Release: 1})
	if err != nil {
		return err
	}
	d.bundle = b
	d.say("   %s: %s, signed by key %.12s", b.Digest().String()[:12], megabytes(b.Size()), d.key.ID().String())
	d.say("   %s in float32, %s in float16: the bundle takes %.0f %% of the latter", megabytes(4*int64(report.Params)), megabytes(2*int64(report.Params)), 100*float64(b.Size())/float64(2*report.Params))
	d.say("   cosine of int8 against float32 over %d sentences: %.5f on average, %.5f at worst", report.Quality.Count, report.Quality.CosineMean, report.Quality.CosineMin)
	d.say("   running it takes %s: weights %s, arena %s", megabytes(int64(report.Memory.Weights+report.Memory.Arena+2*report.Memory.Scratch)), megabytes(int64(report.Memory.Weights)), megabytes(int64(report.Memory.Arena)))
	return nil
}

func (d *demo) packRelease(ctx context.Context, cfg packager.Config) (*bundle.Bundle, packager.Report, error) {
	p := newProgress(d.out)
	defer p.stop()
	stages := p.stages()
	cfg.Key, cfg.Progress = d.key, stages.report
	cfg.Version = fmt.Sprint(cfg.Release)
	b, report, err := packager.Pack(ctx, d.model, cfg)
	if err != nil {
		return nil, report, err
	}
	stages.done()
	return b, report, b.WriteFile(d.file(cfg.Release))
}

func (d *demo) file(release uint64) string {
	return filepath.Join(d.dir, fmt.Sprintf("%s-%d.skiff", d.model.Name, release))
}

func (d *demo) startFleet(ctx context.Context) error {
	d.title(3, "Start the broker and the fleet service in this process")
	pace := int(float64(d.bundle.Size()) / demoDownload.Seconds())
	server, err := fleet.Start(ctx, fleet.Config{DataDir: filepath.Join(d.dir, "fleet"), Pace: pace})
	if err != nil {
		return err
	}
	d.server = server
	stored, err := server.AddBundle(ctx, d.file(1))
	if err != nil {
		return err
	}
	d.say("   broker %s, api %s", server.MQTT(), server.HTTP())
	d.say("   bundle %.12s is in the store; the pace is %s/s for each device, for this demo alone", stored.Digest, megabytes(int64(pace)))
	return nil
}

// stop ends everything in order and tells what is left, which is nothing.
func (d *demo) stop(context.Context) error {
	d.title(8, "Stop")
	for _, dev := range d.devices {
		if err := dev.interrupt(); err != nil {
			return fmt.Errorf("stop %s: %w", dev.id, err)
		}
	}
	if err := d.cleanUp(); err != nil {
		return err
	}
	if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("left behind: %s", d.dir)
	}
	d.say("   three devices, fleet service and broker stopped; %s removed", d.dir)
	return nil
}

// cleanUp leaves no process and no file, however far the demo came. Calling it again does
// nothing.
func (d *demo) cleanUp() error {
	var err error
	for _, dev := range d.devices {
		dev.kill()
	}
	d.devices = nil
	if d.server != nil {
		err = d.server.Close()
		d.server = nil
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// megabytes is a size for people, in units of 10^6 bytes.
func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
