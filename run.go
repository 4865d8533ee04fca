package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"skiff/runtime/engine"
	"skiff/runtime/infer"
)

// runBatch is how many texts are given to the model at once when they are there.
const runBatch = 32

// runner is a model that skiff run can ask: infer.Model, or the float32 reference.
type runner interface {
	// answers gives one answer per input.
	answers(ctx context.Context, batch []input) ([]answer, error)
	// hidden gives the token ids of an input and the rows of the last block's output.
	hidden(ctx context.Context, in input) (ids []int32, rows [][]float32, err error)
	close(ctx context.Context) error
}

type runFlags struct {
	json, f32, hidden bool
	trust             string
	engine            infer.Config
	ask               asking
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run MODEL|BUNDLE [TEXT...]",
		Short: "Answer each text, or each line of standard input",
		Long: `Answer each text, or each line of standard input, in order.

A MODEL (a folder, an ONNX file, hf:owner/name[@revision] on a hub, or builtin) is quantised and compiled in memory first
and gives what its bundle would give; --f32 runs its float32 reference instead. With --json a line that starts
with " or [ is a JSON string or a pair of them.

What the model is for comes from its own files, and so do labels, thresholds, prompts and the longest text. Flags
that begin with a task's name below are for that task alone.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkEngine(f.engine); err != nil {
				return err
			}
			if f.hidden && !f.json {
				return usageError{errors.New("--hidden needs --json")}
			}
			if err := f.ask.check(cmd); err != nil {
				return err
			}
			ctx := cmd.Context()
			r, err := openRunner(ctx, args[0], f, newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.close(context.WithoutCancel(ctx))) }()
			return answerAll(ctx, r, newInputs(args[1:], cmd.InOrStdin(), f.json), cmd.OutOrStdout(), f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per input")
	cmd.Flags().BoolVar(&f.f32, "f32", false, "run the float32 reference of a MODEL")
	cmd.Flags().BoolVar(&f.hidden, "hidden", false, "add token ids and the last hidden state (with --json)")
	askingFlags(cmd, &f.ask)
	trustFlag(cmd, &f.trust)
	engineFlags(cmd, &f.engine)
	return cmd
}

// engineFlags adds what says how a bundle is run.
func engineFlags(cmd *cobra.Command, cfg *infer.Config) {
	cmd.Flags().StringVar(&cfg.Kernels, "kernels", os.Getenv("SKIFF_KERNELS"),
		"`KERNELS` to run, one of "+strings.Join(engine.Names(), ", ")+"; they differ in speed, not in bits")
	cmd.Flags().IntVar(&cfg.Workers, "workers", 0, "threads of one answer (0: one per CPU, at most 4)")
}

func checkEngine(cfg infer.Config) error {
	if _, err := engine.Parse(cfg.Kernels); err != nil {
		return usageError{err}
	}
	if cfg.Workers < 0 {
		return usageError{fmt.Errorf("%d workers", cfg.Workers)}
	}
	return nil
}

func openRunner(ctx context.Context, arg string, f runFlags, p *progress) (runner, error) {
	defer p.stop()
	if !f.f32 {
		m, err := loadModel(ctx, arg, f.trust, f.engine, p)
		if err != nil {
			return nil, err
		}
		return newModelRunner(ctx, m, f.ask)
	}
	isFile, err := isBundle(arg)
	if err != nil {
		return nil, err
	}
	if isFile {
		return nil, usageError{fmt.Errorf("%s is a bundle: it holds no float32 weights for --f32", arg)}
	}
	m, err := importModel(ctx, arg, p)
	if err != nil {
		return nil, err
	}
	return newReference(m, f.ask)
}

func answerAll(ctx context.Context, r runner, in *inputs, out io.Writer, f runFlags) error {
	for {
		batch, err := in.next(runBatch)
		if err != nil || len(batch) == 0 {
			return err
		}
		answers, err := answerBatch(ctx, r, batch, f.hidden)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if err := a.print(out, f.json); err != nil {
				return err
			}
		}
	}
}

func answerBatch(ctx context.Context, r runner, batch []input, hidden bool) ([]answer, error) {
	answers, err := r.answers(ctx, batch)
	if err != nil {
		return nil, err
	}
	for i := range batch {
		answers[i].Input = &batch[i]
		if !hidden {
			continue
		}
		if answers[i].IDs, answers[i].Hidden, err = r.hidden(ctx, batch[i]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}
