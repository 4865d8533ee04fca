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
	Kernels string // as infer.Config; empty or "auto" also falls back to slower engines when the bits of a faster one differ
	Workers int    // 0: one per CPU
	Proved  []byte // binding of an earlier proof: it is not repeated where it still holds
}

// Model is a loaded and proved bundle. It is a serve.Model that answers every task; Info says which one it is for.
type Model struct {
	*infer.Model
	Binding []byte   // what the proof holds for
	Passed  []string // engines that did not give the golden bits, before the one that did
}

// Info describes the model for the local API.
func (m *Model) Info() serve.Info {
	man := m.Manifest()
	return serve.Info{
		Name: man.Name, Version: man.Version, Digest: m.Digest().String(), Task: man.Task,
		Dim: m.Dim(), MaxTokens: man.Meta.MaxTokensPerText, Kernels: m.Kernels(), Prompts: m.Prompts(),
	}
}

// Load loads a bundle and proves it, unless c.Proved is a proof that holds here. Errors: those of infer.Load and Model.Prove;
// infer.ErrMismatch when no engine that was allowed gives the golden bits.
func Load(ctx context.Context, b *bundle.Bundle, c Config) (*Model, error) {
	var passed []string
	var first error
	for _, kernels := range engines(c.Kernels) {
		m, err := load(ctx, b, kernels, c)
		if err == nil {
			m.Passed = passed
			return m, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, infer.ErrMismatch) {
			break
		}
		passed = append(passed, kernels)
	}
	return nil, first
}

// engines lists what to try, fastest first.
func engines(kernels string) []string {
	if kernels == "" || kernels == "auto" {
		return []string{"auto", "interp", "go"}
	}
	return []string{kernels}
}

func load(ctx context.Context, b *bundle.Bundle, kernels string, c Config) (*Model, error) {
	inner, err := infer.Load(ctx, b, infer.Config{Kernels: kernels, Workers: c.Workers})
	if err != nil {
		return nil, err
	}
	m := &Model{Model: inner, Binding: Binding(b.Digest(), inner.Kernels())}
	if bytes.Equal(m.Binding, c.Proved) {
		return m, nil
	}
	if err := inner.Prove(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prove: %w", err), inner.Close(context.WithoutCancel(ctx)))
	}
	return m, nil
}

// Binding is what a proof holds for: bundle, agent build, kernel set and CPU. 32 bytes.
func Binding(d bundle.Digest, kernels string) []byte {
	h := sha256.New()
	for _, part := range []string{d.String(), Build(), kernels, CPU()} {
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
