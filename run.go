package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"skiff/formats/tokenizer"
	"skiff/packager/graph"
	"skiff/runtime/infer"
)

// runBatch is how many texts are given to the model at once when they are there.
const runBatch = 32

// answer is what skiff run --json prints for each input.
type answer struct {
	Input     input       `json:"input"`
	Embedding []float32   `json:"embedding"`
	IDs       []int32     `json:"ids,omitempty"`
	Hidden    [][]float32 `json:"last_hidden_state,omitempty"` // T rows of H
}

// runner is a model that skiff run can ask: infer.Model, or the float32 reference.
type runner interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	Hidden(ctx context.Context, text string) (ids []int32, rows [][]float32, err error)
	Close(ctx context.Context) error
}

type runFlags struct {
	json, f32, hidden bool
	trust             string
	engine            infer.Config
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run MODEL|BUNDLE [TEXT...]",
		Short: "Answer each text, or each line of standard input",
		Long: `Answer each text, or each line of standard input, in order.

A MODEL (a folder, hf:owner/name[@revision] on a hub, or builtin) is quantised and compiled in memory first
and gives what its bundle would give; --f32 runs its float32 reference instead. With --json a line that starts
with " or [ is a JSON string or a pair of them.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkEngine(f.engine); err != nil {
				return err
			}
			if f.hidden && !f.json {
				return usageError{errors.New("--hidden needs --json")}
			}
			ctx := cmd.Context()
			r, err := openRunner(ctx, args[0], f, newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close(context.WithoutCancel(ctx))) }()
			return answerAll(ctx, r, newInputs(args[1:], cmd.InOrStdin(), f.json), cmd.OutOrStdout(), f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per input")
	cmd.Flags().BoolVar(&f.f32, "f32", false, "run the float32 reference of a MODEL")
	cmd.Flags().BoolVar(&f.hidden, "hidden", false, "add token ids and the last hidden state (with --json)")
	trustFlag(cmd, &f.trust)
	engineFlags(cmd, &f.engine)
	return cmd
}

// engineNames are the kinds of kernels a model may be run with.
var engineNames = []string{"", "auto", "wasm", "interp", "go"}

// engineFlags adds what says how a bundle is run.
func engineFlags(cmd *cobra.Command, cfg *infer.Config) {
	cmd.Flags().StringVar(&cfg.Kernels, "kernels", os.Getenv("SKIFF_KERNELS"), "auto, wasm (compiled), interp or go; they differ in speed, not in bits")
	cmd.Flags().IntVar(&cfg.Workers, "workers", 0, "threads of one answer (0: one per CPU, at most 4)")
}

func checkEngine(cfg infer.Config) error {
	if !slices.Contains(engineNames, cfg.Kernels) {
		return usageError{fmt.Errorf("unknown kernels %q, want auto, wasm, interp or go", cfg.Kernels)}
	}
	if cfg.Workers < 0 {
		return usageError{fmt.Errorf("%d workers", cfg.Workers)}
	}
	return nil
}

func openRunner(ctx context.Context, arg string, f runFlags, p *progress) (runner, error) {
	defer p.stop()
	if !f.f32 {
		return loadModel(ctx, arg, f.trust, f.engine, p)
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
	return newReference(m)
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
	texts := make([]string, len(batch))
	for i, in := range batch {
		if in.Pair != nil {
			return nil, fmt.Errorf("input %q is a pair of texts, and this model embeds one (a tab parts a pair; a JSON string may hold one)", in.Text)
		}
		texts[i] = in.Text
	}
	vectors, err := r.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(batch))
	for i := range batch {
		answers[i] = answer{Input: batch[i], Embedding: vectors[i]}
		if !hidden {
			continue
		}
		if answers[i].IDs, answers[i].Hidden, err = r.Hidden(ctx, texts[i]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// print writes an answer as JSON, or as the vector's numbers in one line.
func (a answer) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, a)
	}
	numbers := make([]string, len(a.Embedding))
	for i, x := range a.Embedding {
		numbers[i] = strconv.FormatFloat(float64(x), 'g', -1, 32)
	}
	_, err := fmt.Fprintln(out, strings.Join(numbers, " "))
	return err
}

// reference runs a MODEL in float32: what it means, before anything is quantised.
type reference struct {
	model *graph.Model
	ref   *graph.Reference
	tok   *tokenizer.Tokenizer
}

func newReference(m *graph.Model) (*reference, error) {
	tok, err := tokenizer.Parse(m.TokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	return &reference{m, m.Reference(), tok}, nil
}

func (r *reference) ids(text string) []int32 {
	return r.tok.AppendIDs(nil, r.model.Prefix+text, r.model.MaxTokens)
}

// Embed returns one vector per text.
func (r *reference) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, err := r.ref.EmbedIDs(r.ids(text), nil)
		if err != nil {
			return nil, err
		}
		vectors[i] = v
	}
	return vectors, nil
}

// Hidden returns the token ids and the rows of the last block's output.
func (r *reference) Hidden(_ context.Context, text string) ([]int32, [][]float32, error) {
	ids := r.ids(text)
	states, err := r.ref.Hidden(ids, make([]int32, len(ids)), nil)
	if err != nil {
		return nil, nil, err
	}
	return ids, slices.Collect(slices.Chunk(states[len(states)-1], r.model.Hidden)), nil
}

// Close has nothing to free.
func (r *reference) Close(context.Context) error { return nil }
