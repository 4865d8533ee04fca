package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"skiff/formats/bundle"
	"skiff/packager"
)

// packed is what skiff pack --json prints.
type packed struct {
	Bundle     string           `json:"bundle"` // path
	Digest     bundle.Digest    `json:"digest"`
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Release    uint64           `json:"release"`
	Key        string           `json:"key"` // id
	Bytes      int64            `json:"bytes"`
	Sections   map[string]int64 `json:"sections"` // encoded bytes by kind of content
	Params     int              `json:"params"`   // weights of the source
	Kept       int              `json:"kept"`     // tensors that kept their int8 codes
	Goldens    int              `json:"goldens"`
	Texts      int              `json:"texts"` // measured on
	CosineMean float64          `json:"cosine_mean"`
	CosineP1   float64          `json:"cosine_p1"`
	CosineMin  float64          `json:"cosine_min"`
	Notes      []string         `json:"notes,omitempty"` // of the import
}

func newPack() *cobra.Command {
	var cfg packager.Config
	var output, key string
	var thresholds []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pack MODEL -o BUNDLE",
		Short: "Quantise, compile, prove and sign a model into one file",
		Long: `Quantise, compile, prove and sign a model into one file.

MODEL is a folder, an ONNX file with its tokenizer beside it, hf:owner/name[@revision] on a hub, or builtin. What is pulled from a hub stays in the cache
that other tools share; HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean there.

The default key is made at first use; its public half lies beside it in the skiff folder of the user's
configuration directory, ready to be given to devices.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.Outliers < -1 || cfg.Outliers > 4 {
				return usageError{fmt.Errorf("%d outlier columns, want -1 to 4", cfg.Outliers)}
			}
			if err := checkAudience(cfg); err != nil {
				return err
			}
			var err error
			if cfg.Thresholds, err = parseThresholds(thresholds); err != nil {
				return usageError{err}
			}
			result, err := pack(cmd, args[0], output, key, cfg)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), result)
			}
			return result.print(plain{cmd.OutOrStdout()})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "`BUNDLE` to write")
	f.StringVar(&key, "key", "", "private key `FILE` to sign with (default: the default key)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	f.BoolVar(&cfg.Fast, "fast", false, "calibrate and measure on a quarter of the texts")
	f.StringVar(&cfg.Name, "name", "", "name of the model (default: its folder's, or that on the hub)")
	f.StringVar(&cfg.Version, "version", "", "version for people (default 1)")
	f.Uint64Var(&cfg.Release, "release", 0, "release counter, which devices do not let go down (default 1)")
	f.StringVar(&cfg.Product, "product", "", "product whose devices may install it (default "+packager.DefaultProduct+")")
	f.StringSliceVar(&cfg.Channels, "channel", nil, "channels it may be offered on (default: any)")
	f.StringSliceVar(&thresholds, "threshold", nil, "`SCORE` from which a label of a classifier holds, or LABEL=SCORE for one (default: the model's own, if it has any)")
	f.IntVar(&cfg.Outliers, "outliers", 0, "float32 columns per linear layer, 1 to 4, -1 for none (default 1)")
	return required(cmd, "output")
}

func pack(cmd *cobra.Command, arg, output, key string, cfg packager.Config) (packed, error) {
	if err := checkOutput(output); err != nil {
		return packed{}, err
	}
	p := newProgress(cmd.ErrOrStderr())
	defer p.stop()
	m, err := importModel(cmd.Context(), arg, p)
	if err != nil {
		return packed{}, err
	}
	if cfg.Key, err = signingKey(key); err != nil {
		return packed{}, err
	}
	stages := p.stages()
	cfg.Progress = stages.report
	b, report, err := packager.Pack(cmd.Context(), m, cfg)
	if err != nil {
		return packed{}, err
	}
	stages.done()
	if err := cmd.Context().Err(); err != nil {
		return packed{}, err
	}
	if err := b.WriteFile(output); err != nil {
		return packed{}, fmt.Errorf("write %s: %w", output, err)
	}
	q := report.Quality
	return packed{
		Bundle: output, Digest: b.Digest(), Name: b.Manifest.Name, Version: b.Manifest.Version, Release: b.Manifest.Release,
		Key: cfg.Key.ID().String(), Bytes: b.Size(), Sections: report.Sections, Params: report.Params, Kept: report.Kept, Goldens: report.Goldens,
		Texts: q.Count, CosineMean: q.CosineMean, CosineP1: q.CosineP1, CosineMin: q.CosineMin, Notes: m.Notes,
	}, nil
}

// parseThresholds reads scores for all labels and for single ones.
func parseThresholds(items []string) (map[string]float64, error) {
	out := map[string]float64{}
	for _, item := range items {
		label, score := packager.AllLabels, item
		if at := strings.LastIndex(item, "="); at >= 0 {
			label, score = item[:at], item[at+1:]
		}
		v, err := strconv.ParseFloat(score, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("--threshold %s: want a score from 0 to 1, or LABEL=SCORE", item)
		}
		if _, ok := out[label]; ok {
			return nil, fmt.Errorf("--threshold %s: said twice", item)
		}
		out[label] = v
	}
	return out, nil
}

// checkAudience tells before the work what devices could never match.
func checkAudience(cfg packager.Config) error {
	var errs []error
	if cfg.Product != "" {
		errs = append(errs, checkID("product", cfg.Product))
	}
	for _, c := range cfg.Channels {
		errs = append(errs, checkID("channel", c))
	}
	return errors.Join(errs...)
}

// checkOutput tells before the work what would stop its result from being written.
func checkOutput(path string) error {
	if path == "" {
		return usageError{errors.New("--output names no file")}
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("write %s: not a regular file, and would be replaced by one", path)
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("write %s: %s is no folder", path, filepath.Dir(path))
	}
	return nil
}

// print tells the same for people.
func (r packed) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %s %s, release %d\nbundle %s\nsigned by %s\n%d bytes for %d weights; %d golden batches run\n"+
		"int8 against float32 on %d texts: cosine %.5f on average, %.5f at worst\n",
		r.Bundle, r.Name, r.Version, r.Release, r.Digest, r.Key, r.Bytes, r.Params, r.Goldens, r.Texts, r.CosineMean, r.CosineMin)
	for _, note := range r.Notes {
		if err == nil {
			_, err = fmt.Fprintf(w, "note: %s\n", note)
		}
	}
	return err
}
