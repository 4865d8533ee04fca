package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skiff/formats/bundle"
	"skiff/runtime/engine"
	"skiff/runtime/infer"
	"skiff/runtime/native"
)

// benchFlags is what skiff bench measures.
type benchFlags struct {
	json          bool
	trust         string
	engine        infer.Config
	tokens        []int
	batch, rounds int
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench BUNDLE|MODEL",
		Short: "Measure a model on this device, step by step",
		Long: `Measure a model on this device: what a pass takes at each length, and, for the longest, what each step
of the program takes of it, how fast its linears multiply, and what share that is of what one core of this device
was measured to be able to. Times are medians; tokenisation is not in them.

A step's time is that of all workers together. What no step takes is the way between them: calls, and workers that
wait for others.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(checkEngine(f.engine), f.check()); err != nil {
				return err
			}
			info, err := measure(cmd, args[0], f)
			switch {
			case err != nil:
				return err
			case f.json:
				return printJSON(cmd.OutOrStdout(), info)
			}
			return info.WriteText(plain{cmd.OutOrStdout()})
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object, with the steps of every length")
	cmd.Flags().IntSliceVar(&f.tokens, "tokens", nil, "`LENGTHS` of a text in tokens (default: 8, 32 and 128, as far as the model takes them)")
	cmd.Flags().IntVar(&f.batch, "batch", 1, "texts of one call")
	cmd.Flags().IntVar(&f.rounds, "rounds", 20, "times that each length is measured")
	trustFlag(cmd, &f.trust)
	engineFlags(cmd, &f.engine)
	return cmd
}

// check refuses what can never be measured, before a model is opened.
func (f *benchFlags) check() error {
	for _, n := range f.tokens {
		if n < 1 {
			return usageError{fmt.Errorf("--tokens %d, want 1 or more", n)}
		}
	}
	if f.batch < 1 {
		return usageError{fmt.Errorf("--batch %d, want 1 or more", f.batch)}
	}
	if f.rounds < 1 {
		return usageError{fmt.Errorf("--rounds %d, want 1 or more", f.rounds)}
	}
	return nil
}

// lengths are those asked for, or the usual ones that the model takes.
func (f *benchFlags) lengths(most int) ([]int, error) {
	if len(f.tokens) > 0 {
		if n := slices.Max(f.tokens); n > most {
			return nil, usageError{fmt.Errorf("--tokens %d: the model takes up to %d", n, most)}
		}
		return f.tokens, nil
	}
	var out []int
	for _, n := range []int{8, 32, 128} {
		if n < most {
			out = append(out, n)
		}
	}
	if len(out) < 3 {
		out = append(out, most)
	}
	return out, nil
}

// measure loads the model of an argument and times it.
func measure(cmd *cobra.Command, arg string, f benchFlags) (info benchInfo, err error) {
	ctx, p := cmd.Context(), newProgress(cmd.ErrOrStderr())
	defer p.stop()
	m, err := loadModel(ctx, arg, f.trust, f.engine, p)
	if err != nil {
		return benchInfo{}, err
	}
	defer func() { err = errors.Join(err, m.Close(context.WithoutCancel(ctx))) }()
	manifest := m.Manifest()
	lengths, err := f.lengths(manifest.Meta.MaxTokensPerText)
	if err != nil {
		return benchInfo{}, err
	}
	info = benchInfo{
		Digest: m.Digest(), Name: manifest.Name, Version: manifest.Version, Task: manifest.Task,
		Kernels: m.Kernels(), Workers: m.Workers(), Memory: memoryInfo(manifest.Memory),
	}
	info.Peak = peakOf(m.Kernels())
	for _, n := range lengths {
		pass, err := m.Profile(ctx, n, f.batch, f.rounds)
		if err != nil {
			return benchInfo{}, fmt.Errorf("measure %d tokens: %w", n, err)
		}
		info.add(pass)
	}
	return info, nil
}

// benchInfo is what skiff bench --json prints.
type benchInfo struct {
	Digest  bundle.Digest `json:"digest"`
	Name    string        `json:"name"`
	Version string        `json:"version"`
	Task    string        `json:"task"`
	Kernels string        `json:"kernels"` // what ran
	Workers int           `json:"workers"`
	Memory  memoryInfo    `json:"memory"`
	Peak    *peakInfo     `json:"peak,omitempty"` // none: not known for these kernels
	Passes  []passInfo    `json:"passes"`
}

// peakInfo is the most that one core of this device multiplies, measured now.
type peakInfo struct {
	Instruction string  `json:"instruction"`
	GMACs       float64 `json:"gmacs"` // 10^9 int8 multiply-accumulates a second
}

// passInfo is one length.
type passInfo struct {
	Tokens    int        `json:"tokens"`
	Batch     int        `json:"batch"`
	Micros    float64    `json:"us"` // of the whole batch
	PerSecond float64    `json:"tokens_per_second"`
	Steps     []stepInfo `json:"steps"`
	Between   float64    `json:"between"` // part of the workers' time that is in no step
}

// stepInfo is one step of the program.
type stepInfo struct {
	Step   int     `json:"step"`
	Op     string  `json:"op"`
	Kernel string  `json:"kernel"`
	Tensor string  `json:"tensor,omitempty"` // the weights of a linear
	K      int     `json:"k,omitempty"`      // depth of a linear
	N      int     `json:"n,omitempty"`      // columns of a linear
	Calls  int     `json:"calls"`
	Micros float64 `json:"us"`                // all workers together
	Share  float64 `json:"share"`             // of all steps
	MACs   int64   `json:"macs,omitempty"`    // of linears and attention
	GMACs  float64 `json:"gmacs,omitempty"`   // 10^9 a second, of one worker
	OfPeak float64 `json:"of_peak,omitempty"` // of linears
}

func (b *benchInfo) add(p infer.Pass) {
	pass := passInfo{
		Tokens: p.Tokens, Batch: p.Batch, Micros: micros(p.Time),
		PerSecond: float64(p.Tokens*p.Batch) / p.Time.Seconds(), Between: p.Between,
	}
	var all time.Duration
	for _, s := range p.Steps {
		all += s.Time
	}
	for i, s := range p.Steps {
		step := stepInfo{
			Step: i, Op: s.Op, Kernel: s.Kernel, Tensor: s.Tensor, K: s.K, N: s.N, Calls: s.Calls,
			Micros: micros(s.Time), Share: ratio(s.Time, all), MACs: s.MACs,
		}
		if s.Time > 0 {
			step.GMACs = float64(s.MACs) / float64(s.Time.Nanoseconds())
		}
		if b.Peak != nil && s.Op == "linear" {
			step.OfPeak = step.GMACs / b.Peak.GMACs
		}
		pass.Steps = append(pass.Steps, step)
	}
	b.Passes = append(b.Passes, pass)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// ratio is 0 where there is nothing to be a part of.
func ratio(a, b time.Duration) float64 {
	if b <= 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// WriteText prints the measurements for people.
func (b benchInfo) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s %s, %s: %s kernels, %d workers\n", b.Name, b.Version, b.Task, b.Kernels, b.Workers)
	fmt.Fprintf(w, "memory: %d bytes of weights, %d of activations for %d tokens at once, %d per worker\n",
		b.Memory.Weights, b.Memory.Arena, b.Memory.MaxTokens, b.Memory.Scratch)
	if b.Peak != nil {
		fmt.Fprintf(w, "one core does %.1f int8 GMAC/s at most (%s)\n", b.Peak.GMACs, b.Peak.Instruction)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ntokens\ttexts\tms\ttexts/s\ttokens/s\tin no step\t")
	longest := b.Passes[0]
	for _, p := range b.Passes {
		fmt.Fprintf(t, "%d\t%d\t%.3f\t%.0f\t%.0f\t%.1f %%\t\n", p.Tokens, p.Batch, p.Micros/1e3, p.PerSecond/float64(p.Tokens), p.PerSecond, 100*p.Between)
		if p.Tokens >= longest.Tokens {
			longest = p
		}
	}
	fmt.Fprintf(t, "\nsteps of %d tokens\n", longest.Tokens)
	return errors.Join(t.Flush(), longest.writeSteps(w))
}

// writeSteps prints the steps in order, then each operation's sum.
func (p passInfo) writeSteps(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "step\tkernel\tcalls\t       us\t  share\tGMAC/s\tof peak")
	sums, order := map[string]*stepInfo{}, []string{}
	for _, s := range p.Steps {
		s.write(t, strconv.Itoa(s.Step), s.describe())
		sum := sums[s.Op]
		if sum == nil {
			sum = &stepInfo{Op: s.Op}
			sums[s.Op], order = sum, append(order, s.Op)
		}
		if s.OfPeak > 0 {
			sum.OfPeak = s.GMACs / s.OfPeak // the peak, until all is summed
		}
		sum.Calls, sum.Micros, sum.Share, sum.MACs = sum.Calls+s.Calls, sum.Micros+s.Micros, sum.Share+s.Share, sum.MACs+s.MACs
	}
	for _, op := range order {
		s := sums[op]
		if s.Micros > 0 {
			s.GMACs = float64(s.MACs) / s.Micros / 1e3
		}
		if s.OfPeak > 0 {
			s.OfPeak = s.GMACs / s.OfPeak
		}
		s.write(t, "all", s.Op)
	}
	return t.Flush()
}

func (s stepInfo) write(w io.Writer, step, name string) {
	gmacs, peak := "", ""
	if s.GMACs > 0 {
		gmacs = fmt.Sprintf("%6.1f", s.GMACs)
	}
	if s.OfPeak > 0 {
		peak = fmt.Sprintf("%5.0f %%", 100*s.OfPeak)
	}
	fmt.Fprintf(w, "%s\t%s\t%5d\t%9.1f\t%5.1f %%\t%s\t%s\n", step, name, s.Calls, s.Micros, 100*s.Share, gmacs, peak)
}

// describe is the kernel without its digest, and what a linear multiplies with.
func (s stepInfo) describe() string {
	_, params, _ := strings.Cut(s.Kernel, "/")
	if s.Tensor == "" {
		return s.Op + " " + params
	}
	return fmt.Sprintf("%s %s %dx%d %s", s.Op, params, s.K, s.N, s.Tensor)
}

// peakOf measures what one core can do with the instruction that kernels multiply with; nil
// where there is none to compare with.
func peakOf(kernels string) *peakInfo {
	p, ok := native.WasmPeak()
	if set, err := native.Find(kernels); err == nil {
		p, ok = set.Peak()
	} else if kernels != engine.Wasm.String() {
		ok = false
	}
	if !ok {
		return nil
	}
	return &peakInfo{Instruction: p.Name, GMACs: p.Measure() / 1e9}
}
