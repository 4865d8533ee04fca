package graph

import (
	"fmt"
	"runtime"
	"sync"
)

// Tap sees the input of a linear layer just before it runs: rows of cols values,
// which it must neither change nor keep. The name is that of LinearWeights, so a
// layer whose weights are shared is seen under one name as often as it runs.
// Taps are called from one goroutine, in the order of the computation; query,
// key and value of a block share one input and are three calls.
type Tap func(name string, x []float32, rows, cols int)

// Reference computes what a Model means, in plain Go and as accurately as
// float32 results allow: every sum is held in float64, where the product of
// two float32 values is exact. It is the truth that quantised models are
// measured against, not a thing to serve from. Its bits do not depend on the
// number of goroutines; they may depend on the CPU through exp and erf.
//
// It may be used by several goroutines; each call starts goroutines of its own
// and waits for them.
type Reference struct {
	m *Model

	mu     sync.Mutex // guards tables
	tables map[*Disentangled]projections
}

// projections are the keys and queries of relative positions.
type projections struct{ keys, queries []float32 }

// Reference returns the interpreter of m, which must pass Check.
func (m *Model) Reference() *Reference {
	return &Reference{m: m, tables: make(map[*Disentangled]projections)}
}

// Embed returns the sentence vector of a text: Prefix and text, tokenised and
// cut to MaxTokens.
func (r *Reference) Embed(text string) ([]float32, error) { return r.EmbedWith(r.m.Prefix, text) }

// EmbedWith is Embed with a prompt of the caller's in place of Prefix.
func (r *Reference) EmbedWith(prompt, text string) ([]float32, error) {
	if err := r.m.Tokenizer.Check(prompt + text); err != nil {
		return nil, err
	}
	return r.embed(r.m.Tokenizer.AppendIDs(nil, prompt+text, r.m.MaxTokens), r.m.PromptTokens(prompt), nil)
}

// EmbedIDs returns the sentence vector, [Dim], of one tokenised text without a
// prompt whose token types are all 0.
func (r *Reference) EmbedIDs(ids []int32, tap Tap) ([]float32, error) { return r.embed(ids, 0, tap) }

func (r *Reference) embed(ids []int32, prompt int, tap Tap) ([]float32, error) {
	if r.m.Task != TaskEmbed {
		return nil, fmt.Errorf("embed with %s: the model declares no pooling (its task is %s)", r.m.Name, r.m.Task)
	}
	out, err := r.RunPrompted(ids, prompt, tap, r.m.Answer)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// Hidden runs one text of T tokens through the encoder. It returns the L+1
// States: the embeddings and the output of each layer.
func (r *Reference) Hidden(ids, types []int32, tap Tap) ([][]float32, error) {
	return r.Run(ids, types, tap, r.m.States...)
}

// run is one text on its way through the operations.
type run struct {
	m          *Model
	r          *Reference
	ids, types []int32
	rows       int
	prompt     int         // tokens of the prompt among the rows
	values     [][]float32 // by ID; nil before they are made and after their last use
	tap        Tap
}

// Run computes the values want of one text of T tokens: [T][Cols] of a token
// value, [Cols] of a pooled one. types may be nil for zeros, tap may be nil. Ids
// and types outside the model's tables, and a T of 0 or of more than
// MaxPositions, are errors.
func (r *Reference) Run(ids, types []int32, tap Tap, want ...ID) ([][]float32, error) {
	return r.run(ids, types, 0, tap, want...)
}

// RunPrompted is Run for a text whose first tokens are those of a prompt, which a
// pooling may leave out; token types are all 0.
func (r *Reference) RunPrompted(ids []int32, prompt int, tap Tap, want ...ID) ([][]float32, error) {
	return r.run(ids, nil, prompt, tap, want...)
}

func (r *Reference) run(ids, types []int32, prompt int, tap Tap, want ...ID) ([][]float32, error) {
	if err := r.m.checkInput(ids, types); err != nil {
		return nil, err
	}
	if types == nil {
		types = make([]int32, len(ids))
	}
	if tap == nil {
		tap = func(string, []float32, int, int) {}
	}
	u := &run{m: r.m, r: r, ids: ids, types: types, rows: len(ids), prompt: prompt, values: make([][]float32, len(r.m.Values)), tap: tap}
	ops := r.m.Needed(want...)
	last := lastUse(ops)
	for _, id := range want {
		last[id] = len(ops)
	}
	for i, op := range ops {
		u.values[op.Makes()] = op.run(u)
		for _, id := range op.Reads() {
			if last[id] == i {
				u.values[id] = nil
			}
		}
	}
	out := make([][]float32, len(want))
	for i, id := range want {
		out[i] = u.values[id]
	}
	return out, nil
}

// lastUse is the index of the last of ops that reads each value.
func lastUse(ops []Op) map[ID]int {
	last := make(map[ID]int)
	for i, op := range ops {
		for _, id := range op.Reads() {
			last[id] = i
		}
	}
	return last
}

// projected are the projections of d, made once.
func (u *run) projected(d *Disentangled) projections {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	p, ok := u.r.tables[d]
	if !ok {
		p.keys, p.queries = d.Projected()
		u.r.tables[d] = p
	}
	return p
}

// parallel splits n items over the CPUs and waits for all of them.
func parallel(n int, do func(lo, hi int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { do(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}
