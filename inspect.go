package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager/builtin"
	"skiff/packager/importer"
	"skiff/runtime/engine"
	"skiff/runtime/infer"
)

func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect BUNDLE|MODEL|FILE",
		Short: "Check a bundle, a model's folder or a single model file wholly, and tell what is in it",
		Long: `Check a bundle, a model's folder (also hf:owner/name[@revision] on a hub) or a single model file
(safetensors, PyTorch, ONNX, config.json, tokenizer.json) wholly, and tell what is in it. A bundle's signature is checked
when it is by the default key; who else signed, and whether he is trusted, is what skiff verify answers.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := inspect(cmd, args[0])
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), info)
			}
			return info.WriteText(plain{cmd.OutOrStdout()})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// description is what inspect found, for JSON and for people.
type description interface {
	WriteText(w io.Writer) error
}

func inspect(cmd *cobra.Command, arg string) (description, error) {
	ctx := cmd.Context()
	isFile, err := isBundle(arg)
	if err != nil {
		return nil, err
	}
	if isFile {
		return inspectBundle(ctx, arg)
	}
	if arg != builtinName {
		p := newProgress(cmd.ErrOrStderr())
		defer p.stop()
		dir, _, err := pulled(ctx, arg, false, p)
		if err != nil {
			return nil, err
		}
		collectOften()
		return importer.Inspect(ctx, dir)
	}
	files, err := builtin.Model()
	if err != nil {
		return nil, err
	}
	return importer.InspectFS(ctx, files, builtin.Name)
}

// bundleInfo is what skiff inspect --json prints for a bundle.
type bundleInfo struct {
	Kind       string         `json:"kind"` // "bundle"
	Digest     bundle.Digest  `json:"digest"`
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	Release    uint64         `json:"release"`
	Product    string         `json:"product"`
	Channels   []string       `json:"channels,omitempty"` // none: any
	SignedBy   []string       `json:"signed_by"`          // key ids, as the file says
	VerifiedBy string         `json:"verified_by"`        // the default key's id where that signed; "": no signature could be checked
	Task       string         `json:"task"`
	Dim        int            `json:"dim"`
	MaxTokens  int            `json:"max_tokens"` // of one text
	Pooling    string         `json:"pooling,omitempty"`
	Normalize  bool           `json:"normalize"`
	Prefix     string         `json:"prefix,omitempty"`  // the default prompt
	Prompts    []promptInfo   `json:"prompts,omitempty"` // by name
	Labels     []string       `json:"labels,omitempty"`
	Thresholds []float64      `json:"thresholds,omitempty"` // of the labels; one for all where there is one
	MinRuntime uint32         `json:"min_runtime"`
	Bytes      int64          `json:"bytes"`
	Chunks     int            `json:"chunks"`
	Codecs     map[string]int `json:"codecs"` // chunks by first encoding
	Goldens    int            `json:"goldens"`
	Memory     memoryInfo     `json:"memory"`
	Quality    *qualityInfo   `json:"quality,omitempty"`
	Source     bundle.Digest  `json:"source"`
	Tool       string         `json:"tool,omitempty"`
	Objects    []objectInfo   `json:"objects"`
	Here       hereInfo       `json:"here"`
}

// hereInfo is how this machine would run a bundle.
type hereInfo struct {
	Kernels string   `json:"kernels"`          // as SKIFF_KERNELS allows; "": it does not run here
	Sets    []string `json:"sets"`             // assembly that this CPU can run, fastest first
	Others  []string `json:"others,omitempty"` // kernels that the set has not
	Off     []string `json:"off,omitempty"`    // what was switched off, and why
	Misfit  string   `json:"misfit,omitempty"` // why it does not run here
}

// promptInfo is a text that may be put before others.
type promptInfo struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// memoryInfo is the memory plan; sizes in bytes.
type memoryInfo struct {
	Weights   uint64 `json:"weights"`
	Arena     uint64 `json:"arena"`
	Scratch   uint64 `json:"scratch"` // per worker
	MaxTokens uint64 `json:"max_tokens"`
	MaxSeqs   uint64 `json:"max_seqs"`
}

// qualityInfo is what the packager measured, int8 against float32.
type qualityInfo struct {
	Texts      int     `json:"texts"`
	CosineMean float64 `json:"cosine_mean"`
	CosineP1   float64 `json:"cosine_p1"`
	CosineMin  float64 `json:"cosine_min"`
}

type objectInfo struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	DType string `json:"dtype,omitempty"`
	Shape []int  `json:"shape,omitempty"`
	Bytes uint64 `json:"bytes"`
}

// inspectBundle reads every byte of a bundle, whoever signed it.
func inspectBundle(ctx context.Context, path string) (info bundleInfo, err error) {
	b, err := bundle.OpenFile(path, nil)
	if err != nil {
		return bundleInfo{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.VerifyAll(ctx); err != nil {
		return bundleInfo{}, fmt.Errorf("verify %s: %w", path, err)
	}
	m := b.Manifest
	info = bundleInfo{
		Kind: "bundle", Digest: b.Digest(), Name: m.Name, Version: m.Version, Release: m.Release,
		Product: m.Product, Channels: m.Channels, Task: m.Task, Dim: m.Meta.Hidden, MaxTokens: m.Meta.MaxTokensPerText,
		Pooling: m.Meta.Pooling, Normalize: m.Meta.Normalize, MinRuntime: m.MinRuntime,
		Bytes: b.Size(), Chunks: len(b.Index), Codecs: codecs(b.Index), Goldens: len(m.Goldens),
		Memory: memoryInfo(m.Memory), Source: m.Lineage.Source, Tool: m.Lineage.Tool,
	}
	info.Prefix, info.Labels, info.Thresholds = m.Meta.Prefix, m.Meta.Labels, m.Meta.Thresholds
	for _, p := range m.Meta.Prompts {
		info.Prompts = append(info.Prompts, promptInfo(p))
	}
	for _, s := range b.Signatures {
		info.SignedBy = append(info.SignedBy, s.Key.String())
	}
	if info.VerifiedBy, err = ownSignature(b); err != nil {
		return bundleInfo{}, fmt.Errorf("verify %s: %w", path, err)
	}
	if q := m.Quality; q.Count > 0 {
		info.Quality = &qualityInfo{q.Count, q.CosineMean, q.CosineP1, q.CosineMin}
	}
	for _, o := range m.Objects {
		info.Objects = append(info.Objects, describe(o))
	}
	info.Here = here(ctx, b)
	return info, nil
}

// here chooses kernels for a bundle as running it would.
func here(ctx context.Context, b *bundle.Bundle) hereInfo {
	c, err := infer.Choose(ctx, b, infer.Config{Kernels: os.Getenv("SKIFF_KERNELS")})
	info := hereInfo{Kernels: c.Kernels, Sets: engine.Sets(), Others: c.Others, Off: c.Notes}
	if err != nil {
		info.Kernels, info.Misfit = "", err.Error()
	}
	return info
}

// ownSignature checks the signature of the default key, where there is such a key and it
// is named; it returns the key's id, or "". A bundle names the keys of its signatures and
// does not hold them, so only those that are known can be checked.
func ownSignature(b *bundle.Bundle) (string, error) {
	trust, err := ownTrust()
	if err != nil || trust == nil {
		return "", err
	}
	key, err := trust.Verify(sign.RoleModel, sign.TypeManifest, b.ManifestBytes, b.Signatures)
	switch {
	case errors.Is(err, sign.ErrUntrusted):
		return "", nil
	case err != nil:
		return "", err
	}
	return key.String(), nil
}

func describe(o bundle.Object) objectInfo {
	info := objectInfo{Kind: o.Kind.String(), Name: o.Name, Shape: o.Shape, Bytes: o.Length}
	if o.Kind == bundle.KindTensor {
		info.DType = o.DType.String()
	}
	return info
}

func codecs(index []bundle.Chunk) map[string]int {
	count := map[string]int{}
	for _, c := range index {
		count[c.Encodings[0].Codec.String()]++
	}
	return count
}

// WriteText prints the description for people.
func (b bundleInfo) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "bundle %s\n%s %s, release %d, for product %q", b.Digest, b.Name, b.Version, b.Release, b.Product)
	if len(b.Channels) > 0 {
		fmt.Fprintf(w, " in channels %q", b.Channels)
	}
	for _, k := range b.SignedBy {
		how := "(not checked: skiff verify --trust)"
		if k == b.VerifiedBy {
			how = "(checked)"
		}
		fmt.Fprintf(w, "\nsigned by %s %s", k, how)
	}
	fmt.Fprintf(w, "\ntask %s: %d numbers for a text of up to %d tokens\n", b.Task, b.Dim, b.MaxTokens)
	b.writeMeta(w)
	fmt.Fprintf(w, "%d bytes in %d chunks %v, all as their digests say\n", b.Bytes, b.Chunks, b.Codecs)
	fmt.Fprintf(w, "memory: %d bytes of weights, %d of activations for %d tokens at once, %d per worker\n",
		b.Memory.Weights, b.Memory.Arena, b.Memory.MaxTokens, b.Memory.Scratch)
	if q := b.Quality; q != nil {
		fmt.Fprintf(w, "int8 against float32 on %d texts: cosine %.5f on average, %.5f at worst\n", q.Texts, q.CosineMean, q.CosineMin)
	}
	b.Here.write(w)
	fmt.Fprintf(w, "%d golden batches; made from %s by %s\n", b.Goldens, b.Source, b.Tool)
	for _, o := range b.Objects {
		if _, err := fmt.Fprintf(w, "  %-9s %-40s %-4s %v\t%d bytes\n", o.Kind, o.Name, o.DType, o.Shape, o.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// write prints the choice; the caller sees errors of w.
func (h hereInfo) write(w io.Writer) {
	have := "has no assembly here"
	if len(h.Sets) > 0 {
		have = "has assembly " + strings.Join(h.Sets, ", ")
	}
	if h.Misfit != "" {
		fmt.Fprintf(w, "does not run here: %s\n", h.Misfit)
	} else {
		fmt.Fprintf(w, "%s kernels run it here; this CPU %s\n", h.Kernels, have)
	}
	for _, k := range h.Others {
		fmt.Fprintf(w, "not in assembly: %s\n", k)
	}
	for _, note := range h.Off {
		fmt.Fprintf(w, "switched off, since it does not give the bits of its reference: %s\n", note)
	}
}

// writeMeta prints what is done with texts and answers; the caller sees errors of w.
func (b bundleInfo) writeMeta(w io.Writer) {
	if b.Prefix != "" {
		fmt.Fprintf(w, "%q before every text\n", b.Prefix)
	}
	for _, p := range b.Prompts {
		fmt.Fprintf(w, "prompt %s: %q\n", p.Name, p.Text)
	}
	for i, label := range b.Labels {
		switch n := len(b.Thresholds); {
		case n == 0:
			fmt.Fprintf(w, "label %s\n", label)
		default:
			fmt.Fprintf(w, "label %s, from %g\n", label, b.Thresholds[min(i, n-1)])
		}
	}
}
