package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"skiffbench/line"
)

// begin starts every peer; those that do not start are left out, loudly.
func (b *bench) begin(ctx context.Context) {
	var running []*peer
	for _, p := range b.peers {
		var err error
		if p.child, err = startChild(ctx, b.environment(p), p.argv...); err != nil {
			b.miss(p.Name, err)
			continue
		}
		p.hello = p.child.hello.Kernels
		b.result.Peers = append(b.result.Peers, peerInfo{Name: p.Name, Runs: p.hello})
		running = append(running, p)
	}
	b.peers = running
}

// environment holds Go programs to as many threads as they are measured with.
func (b *bench) environment(p *peer) []string {
	return append(slices.Clone(b.env), fmt.Sprintf("GOMAXPROCS=%d", max(p.Threads, 1)))
}

// agree makes sentences of known words, and holds every peer's answer to one of them
// against the others: who computes something else is no peer.
func (b *bench) agree() error {
	ours := slices.IndexFunc(b.peers, func(p *peer) bool { return p.Ours })
	if ours < 0 {
		return errors.New("no skiff among the peers: nothing to compare")
	}
	list, err := b.peers[ours].child.ask(line.Request{Op: "words", Count: 1024})
	if err != nil {
		return err
	}
	if b.words = list.Words; len(b.words) < 300 {
		return fmt.Errorf("%d words of one token in the vocabulary", len(b.words))
	}
	r, err := b.request("embed", 40, 1)
	if err != nil {
		return err
	}
	var first []float32
	for i, p := range b.peers {
		a, err := p.child.ask(r)
		if err != nil || len(a.Vectors) != 1 {
			return fmt.Errorf("%s: %d vectors, %w", p.Name, len(a.Vectors), err)
		}
		if first == nil {
			first = a.Vectors[0]
		}
		b.result.Peers[i].Cosine = cosine(first, a.Vectors[0])
		if c := b.result.Peers[i].Cosine; !(c > 0.95) {
			return fmt.Errorf("%s computes something else: cosine %.3f", p.Name, c)
		}
	}
	return nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range min(len(a), len(b)) {
		ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// request is so many different sentences of so many tokens each, as texts and as ids.
func (b *bench) request(op string, tokens, batch int) (line.Request, error) {
	r := line.Request{Op: op, Micros: b.micros}
	for s := range batch {
		var w []string
		for i := range tokens - 2 {
			w = append(w, b.words[(s*37+i*5)%len(b.words)])
		}
		r.Texts = append(r.Texts, strings.Join(w, " "))
	}
	for _, p := range b.peers {
		if !p.Ours {
			continue
		}
		a, err := p.child.ask(line.Request{Op: "ids", Texts: r.Texts})
		if err != nil {
			return r, err
		}
		for _, ids := range a.IDs {
			if len(ids) != tokens {
				return r, fmt.Errorf("a sentence of %d tokens has %d", tokens, len(ids))
			}
		}
		r.IDs = a.IDs
		return r, nil
	}
	return r, errors.New("no skiff to make ids")
}

// cases measures all lengths of one batch size, round by round. A round goes through the
// peers of one length before the next length; every other round goes backwards, so that
// what drifts slowly falls on all alike.
func (b *bench) cases(ctx context.Context, batch int) error {
	rounds, begin := b.rounds, time.Now()
	if batch > 1 {
		rounds = b.rounds32
	}
	var requests []line.Request
	var measured []*measurement
	for _, tokens := range b.lengths {
		r, err := b.request("time", tokens, batch)
		if err != nil {
			return err
		}
		requests = append(requests, r)
		measured = append(measured, &measurement{Tokens: tokens, Batch: batch, Micros: map[string]series{}, Allocs: map[string]float64{}})
	}
	for round := range rounds {
		for i, r := range requests {
			order := slices.Clone(b.peers)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, p := range order {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := b.measure(p, r, measured[i], round); err != nil {
					return err
				}
			}
		}
		fmt.Fprintf(b.log, "batch %d: round %d of %d, %.0f s\n", batch, round+1, rounds, time.Since(begin).Seconds())
	}
	for _, m := range measured {
		b.result.Cases = append(b.result.Cases, *m)
	}
	return nil
}

// measure times one peer once.
func (b *bench) measure(p *peer, r line.Request, m *measurement, round int) error {
	if p.slow && (round%4 != 0 || m.Batch > 1 && (round > 0 || b.rounds32 < 2)) {
		m.Micros[p.Name] = append(m.Micros[p.Name], math.NaN())
		return nil
	}
	// Compilers that look at what runs often, and graphs built for a shape, settle first.
	if key := fmt.Sprint(m.Tokens, m.Batch); !p.warm[key] && m.Batch == 1 {
		p.warm[key] = true
		settle := r
		if len(p.warm) == 1 && !p.Ours && !p.slow {
			settle.Micros = 1500000
		}
		if _, err := p.child.ask(settle); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	a, err := p.child.ask(r)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	m.Micros[p.Name] = append(m.Micros[p.Name], a.Micros)
	if a.Allocs != nil {
		m.Allocs[p.Name] = *a.Allocs
	}
	return nil
}
