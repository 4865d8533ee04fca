// Package probe loads a bundle and proves it: the golden inputs sealed in it, on this machine's own kernels, before anything is
// served. It also says what a proof was bound to, so that it is repeated when agent build, kernel set or CPU change.
//
// Data flow: bundle -> infer.Load -> infer.Prove -> Model, which package serve can answer with.
//
// It must not import store, core or link: whoever calls it keeps the binding.
package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"skiff/agent/serve"
	"skiff/formats/bundle"
	"skiff/runtime/infer"
)

// Config says how to run.
type Config struct {
	Kernels string // as infer.Config; empty or "auto" also falls back to slower kernels when the bits of faster ones differ
	Workers int    // 0: one per CPU
	Proved  []byte // binding of an earlier proof: it is not repeated where it still holds
}

// Model is a loaded and proved bundle. It is a serve.Model that answers every task; Info says which one it is for.
type Model struct {
	*infer.Model
	Binding []byte   // what the proof holds for
	Passed  []string // kernels that did not give the golden bits, before those that did
}

// Info describes the model for the local API.
func (m *Model) Info() serve.Info {
	man := m.Manifest()
	return serve.Info{
		Name: man.Name, Version: man.Version, Digest: m.Digest().String(), Task: man.Task,
		Dim: m.Dim(), MaxTokens: man.Meta.MaxTokensPerText, Kernels: m.Kernels(), Off: m.Complaints(), Prompts: m.Prompts(),
	}
}

// Load loads a bundle and proves it, unless c.Proved is a proof that holds here. Errors: those of infer.Load and Model.Prove;
// infer.ErrMismatch when no engine that was allowed gives the golden bits.
func Load(ctx context.Context, b *bundle.Bundle, c Config) (*Model, error) {
	m, ran, err := load(ctx, b, c.Kernels, c)
	if err == nil || !errors.Is(err, infer.ErrMismatch) || c.Kernels != "" && c.Kernels != "auto" {
		return m, err
	}
	passed := []string{ran}
	for _, kernels := range []string{"wasm", "go", "interp"} {
		if kernels == ran {
			continue
		}
		m, ran, wrong := load(ctx, b, kernels, c)
		switch {
		case wrong == nil:
			m.Passed = passed
			return m, nil
		case errors.Is(wrong, infer.ErrMismatch):
			passed = append(passed, ran)
		case !errors.Is(wrong, infer.ErrIncompatible): // else it does not run here at all
			return nil, errors.Join(err, wrong)
		}
	}
	return nil, err
}

// load also says what ran, where the bits differ.
func load(ctx context.Context, b *bundle.Bundle, kernels string, c Config) (m *Model, ran string, err error) {
	inner, err := infer.Load(ctx, b, infer.Config{Kernels: kernels, Workers: c.Workers})
	if err != nil {
		return nil, "", err
	}
	m = &Model{Model: inner, Binding: Binding(b.Digest(), inner.Kernels(), inner.Notes()...)}
	if bytes.Equal(m.Binding, c.Proved) {
		return m, inner.Kernels(), nil
	}
	if err := inner.Prove(ctx); err != nil {
		return nil, inner.Kernels(), errors.Join(fmt.Errorf("prove: %w", err), inner.Close(context.WithoutCancel(ctx)))
	}
	return m, inner.Kernels(), nil
}

// Complaints say what of this machine's faster kernels does not answer, and why: for a log.
func (m *Model) Complaints() []string {
	var out []string
	for _, kernels := range m.Passed {
		out = append(out, kernels+" kernels do not give the golden bits on this machine: "+m.Kernels()+" answers instead")
	}
	for _, note := range m.Notes() {
		out = append(out, "switched off, since it does not give the bits of its reference on this CPU: "+note)
	}
	return out
}

// Binding is what a proof holds for: bundle, agent build, kernel set without what was switched off in it, and CPU. 32 bytes.
func Binding(d bundle.Digest, kernels string, off ...string) []byte {
	h := sha256.New()
	for _, part := range append([]string{d.String(), Build(), kernels, CPU()}, off...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// CPU names architecture, word order and the features that could change which instructions run.
func CPU() string {
	features := cpuFeatures()
	slices.Sort(features)
	sum := sha256.Sum256(fmt.Append(nil, slices.Compact(features)))
	return fmt.Sprintf("%s/%s-%x", runtime.GOOS, runtime.GOARCH, sum[:4])
}
