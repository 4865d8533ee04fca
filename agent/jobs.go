package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"skiff/agent/core"
	"skiff/agent/probe"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
	"skiff/runtime/infer"
)

// done is the end of a job on its way to the loop: what Step will hear, and what only the shell holds.
type done struct {
	core.Result
	model *probe.Model
	err   error
}

// finish takes the end of a job into the loop: the proved model is kept for Serve, the error is classified.
func (a *agent) finish(d done) core.Result {
	r := d.Result
	if d.err != nil {
		r.Failure = classify(a.rotten(r.Job.Digest, d.err))
		return r
	}
	if d.model == nil {
		return r
	}
	a.ready, r.Kernels = d.model, d.model.Kernels()
	for _, what := range d.model.Complaints() {
		a.log.Error("slower kernels answer", "kernels", r.Kernels, "err", what)
	}
	if old, err := a.store.Proof(r.Job.Digest); err == nil && bytes.Equal(old, d.model.Binding) {
		return r // a start that repeats no proof need not write one
	}
	if err := a.store.SetProof(r.Job.Digest, d.model.Binding); err != nil {
		a.log.Warn("proof is not remembered and will be repeated", "err", err)
	}
	return r
}

// facts are what core judges of a verified manifest.
func (a *agent) facts(b *bundle.Bundle) *core.Facts {
	m := &b.Manifest
	f := &core.Facts{Name: m.Name, Version: m.Version, Product: m.Product, Channels: m.Channels, Release: m.Release}
	if err := infer.Fit(m, infer.Config{Kernels: a.config.Kernels, Workers: a.config.Workers}); err != nil {
		f.Misfit = err.Error()
	}
	return f
}

// work runs beside the loop: it only reads the store.
func (a *agent) work(ctx context.Context, j core.Job, trust *sign.Trust, proved []byte) (*probe.Model, error) {
	b, err := a.store.Bundle(j.Digest, trust)
	if err != nil {
		return nil, err
	}
	if j.Kind == core.Verify {
		return nil, b.VerifyAll(ctx)
	}
	return probe.Load(ctx, b, probe.Config{Kernels: a.config.Kernels, Workers: a.config.Workers, Proved: proved})
}

// rotten tells bytes that changed on the disk from bytes that were never good: a value that no longer has the digest it is named by is
// thrown away, and fetched again.
func (a *agent) rotten(d bundle.Digest, err error) error {
	if !errors.Is(err, bundle.ErrCorrupt) && !errors.Is(err, store.ErrMissing) && !errors.Is(err, sign.ErrSignature) {
		return err
	}
	n, sweep := a.store.Sweep(d)
	if sweep != nil {
		return fmt.Errorf("sweep bundle %.8s: %w", d, sweep)
	}
	if n == 0 {
		return err
	}
	return fmt.Errorf("%d values rotted on the disk: %w", n, store.ErrMissing)
}

// survey looks what of a bundle is held: envelope, then index, then chunks, whichever bundle brought them.
func (a *agent) survey(d bundle.Digest) core.Body {
	a.commit()
	s, err := a.look(d)
	if err == nil {
		return s
	}
	return core.Result{Job: core.Job{Kind: core.Look, Digest: d}, Failure: classify(a.rotten(d, err))}
}

func (a *agent) look(d bundle.Digest) (core.Survey, error) {
	s := core.Survey{Digest: d}
	a.fetch = fetch{digest: d, batch: a.fetch.batch, bytes: a.fetch.bytes, due: a.fetch.due}
	b, err := a.store.Envelope(d, a.trust)
	if errors.Is(err, store.ErrMissing) {
		s.Kind = wire.Envelope
		s.Pieces = a.envelopePieces()
		a.fetch.kind = s.Kind
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Facts = a.facts(b)
	a.fetch.bundle = b
	parts, err := a.store.Parts(b)
	if err != nil {
		return s, err
	}
	s.Kind = wire.Index
	for i, p := range b.Manifest.IndexParts {
		if parts[i] == nil {
			s.Pieces = append(s.Pieces, core.Piece{Index: uint32(i), Size: int(p.Length)})
		}
	}
	a.fetch.kind = s.Kind
	if len(s.Pieces) > 0 {
		return s, nil
	}
	if b, err = b.WithIndex(parts); err != nil {
		return s, err
	}
	a.fetch.bundle, a.fetch.kind, s.Kind = b, wire.Chunks, wire.Chunks
	return a.missing(s, b)
}

// envelopePieces cuts the length that the signed desired state gives into messages.
func (a *agent) envelopePieces() []core.Piece {
	length := int(a.state.Wish().Envelope)
	pieces := make([]core.Piece, wire.EnvelopePieces(length))
	for i := range pieces {
		pieces[i] = core.Piece{Index: uint32(i), Size: min(bundle.MaxPart, length-i*bundle.MaxPart)}
	}
	a.fetch.envelope = make([][]byte, len(pieces))
	return pieces
}

// missing lists the chunks that are not held, and counts bytes as they travel.
func (a *agent) missing(s core.Survey, b *bundle.Bundle) (core.Survey, error) {
	missing, err := a.store.Missing(b.Index)
	if err != nil {
		return s, err
	}
	for i := range b.Index {
		s.Total += uint64(travels(b.Index[i]))
	}
	s.Done = s.Total
	seen := make(map[bundle.Digest]bool, len(missing))
	for _, i := range missing {
		n := travels(b.Index[i])
		s.Done -= uint64(n)
		if !seen[b.Index[i].Digest] {
			s.Pieces = append(s.Pieces, core.Piece{Index: uint32(i), Size: n})
		}
		seen[b.Index[i].Digest] = true
	}
	return s, nil
}

// travels is the most bytes that a chunk takes on the wire: the server chooses the encoding, but no delta is asked for yet.
func travels(c bundle.Chunk) int {
	n := 0
	for _, e := range c.Encodings {
		if e.Base.IsZero() {
			n = max(n, int(e.Length))
		}
	}
	return n
}
