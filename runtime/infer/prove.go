package infer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"

	"skiff/formats/bundle"
)

// Prove runs every golden of the bundle and compares the digests of its answers, once
// with all the workers there can be and once with one. A nil error means
// that this machine computes the bits the packager computed; the error wraps
// ErrMismatch and names golden and block otherwise.
func (m *Model) Prove(ctx context.Context) error {
	if len(m.manifest.Goldens) == 0 {
		return fmt.Errorf("%w: the bundle has none", ErrMismatch)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil {
		return ErrClosed
	}
	own := m.machine
	defer func() { m.machine = own }()
	for _, workers := range []int{own.Most(), 1} {
		m.machine = own.Using(workers)
		if err := m.replay(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) replay(ctx context.Context) error {
	for i, want := range m.manifest.Goldens {
		got, err := m.golden(ctx, want.Texts)
		if err != nil {
			return fmt.Errorf("golden %d, %d workers: %w", i, m.machine.Workers(), err)
		}
		for block := range min(len(got.Blocks), len(want.Blocks)) {
			if got.Blocks[block] != want.Blocks[block] {
				return fmt.Errorf("%w: golden %d, block %q, %d workers, %s kernels", ErrMismatch, i, m.prog.Taps[block].Name, m.machine.Workers(), m.machine.Kernels())
			}
		}
		if got.Answer != want.Answer {
			return fmt.Errorf("%w: golden %d, answer, %d workers, %s kernels", ErrMismatch, i, m.machine.Workers(), m.machine.Kernels())
		}
	}
	return nil
}

// Golden computes a golden from texts on this machine: the packager's way to make one.
func (m *Model) Golden(ctx context.Context, texts []string) (bundle.Golden, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.golden(ctx, texts)
}

func (m *Model) golden(ctx context.Context, texts []string) (bundle.Golden, error) {
	blocks := make([]hash.Hash, len(m.prog.Taps))
	for i := range blocks {
		blocks[i] = sha256.New()
	}
	answer := sha256.New()
	row := make([]float32, m.Dim())
	take := func(_ int, rows output) error {
		for i := range rows.rows() {
			if err := rows.read(i, row); err != nil {
				return err
			}
			answer.Write(rows.data[i*rows.stride:][:4*len(row)])
		}
		return nil
	}
	tap := func(i int, rows []byte) { blocks[i].Write(rows) }
	if err := m.forward(ctx, len(texts), m.adder(m.prompt, texts), take, tap); err != nil {
		return bundle.Golden{}, err
	}
	g := bundle.Golden{Texts: texts, Answer: bundle.Digest(answer.Sum(nil))}
	for _, h := range blocks {
		g.Blocks = append(g.Blocks, bundle.Digest(h.Sum(nil)))
	}
	return g, nil
}
