package infer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/tokenizer"
	"skiff/runtime/engine"
)

// openTiny opens the committed bundle of a tiny random model, which packager's
// TestTinyBundle writes.
func openTiny(t testing.TB) *bundle.Bundle {
	t.Helper()
	b, err := bundle.OpenFile("testdata/tiny.skiff", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func load(t testing.TB, b *bundle.Bundle, cfg Config) *Model {
	t.Helper()
	m, err := Load(context.Background(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

// someTexts are n texts of mixed lengths, empty and overlong ones among them.
func someTexts(n int) []string {
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	words := strings.Fields("the man is water, and of the sea a bird zzz ? x")
	out := make([]string, n)
	for i := range out {
		var text []string
		for range rng.IntN(60) * rng.IntN(2) {
			text = append(text, words[rng.IntN(len(words))])
		}
		out[i] = strings.Join(text, " ")
	}
	return out
}

func embed(t testing.TB, m *Model, texts []string) [][]float32 {
	t.Helper()
	rows, err := m.Embed(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Law 1: engine, number of workers, batch and neighbours change no bit.
func TestSameBits(t *testing.T) {
	b := openTiny(t)
	texts := someTexts(64)
	if raceEnabled {
		texts = texts[:8] // the interpreter takes a minute for all
	}
	want := embed(t, load(t, b, Config{Kernels: "go", Workers: 1}), texts)
	for _, kernels := range runnable(t, b) {
		for _, workers := range []int{1, 2, 3} {
			m := load(t, b, Config{Kernels: kernels, Workers: workers})
			name := fmt.Sprintf("%s, %d workers", kernels, workers)
			for _, size := range []int{1, 3, len(texts)} {
				for lo := 0; lo < len(texts); lo += size {
					hi := min(lo+size, len(texts))
					if diff := cmp.Diff(want[lo:hi], embed(t, m, texts[lo:hi])); diff != "" {
						t.Fatalf("%s, texts %d to %d:\n%s", name, lo, hi, diff)
					}
				}
			}
		}
	}
}

// A batch larger than a pass is split, which nobody can see.
func TestLargeBatch(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	texts := someTexts(700)
	total := 0
	for _, s := range texts {
		total += m.Tokens(s)
	}
	if total < 4*int(m.prog.MaxTokens) {
		t.Fatalf("%d tokens fill too few passes of %d", total, m.prog.MaxTokens)
	}
	all := embed(t, m, texts)
	for _, i := range []int{0, 1, 255, 256, 257, 511, 512, 699} {
		if diff := cmp.Diff(embed(t, m, texts[i:i+1])[0], all[i]); diff != "" {
			t.Errorf("text %d alone:\n%s", i, diff)
		}
	}
	if got := embed(t, m, nil); len(got) != 0 {
		t.Errorf("%d vectors for no text", len(got))
	}
}

func TestProve(t *testing.T) {
	ctx := context.Background()
	b := openTiny(t)
	for _, kernels := range runnable(t, b) {
		m := load(t, b, Config{Kernels: kernels, Workers: 1})
		if err := m.Prove(ctx); err != nil {
			t.Errorf("%s: %v", kernels, err)
		}
		m.manifest.Goldens[2].Answer[5] ^= 1
		if err := m.Prove(ctx); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "golden 2") {
			t.Errorf("%s: another answer passed: %v", kernels, err)
		}
		m.manifest.Goldens[2].Answer[5] ^= 1
		m.manifest.Goldens[1].Blocks[1][0] ^= 1
		if err := m.Prove(ctx); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), `golden 1, block "blocks.0"`) {
			t.Errorf("%s: another block passed: %v", kernels, err)
		}
		m.manifest.Goldens[1].Blocks[1][0] ^= 1
	}
	m := load(t, b, Config{})
	m.manifest.Goldens = nil
	if err := m.Prove(ctx); !errors.Is(err, ErrMismatch) {
		t.Errorf("a bundle without goldens was proved: %v", err)
	}
}

// One weight that is off by one step changes a golden: the proof sees it.
func TestProveSeesOneWeight(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	w := m.prog.Weights[len(m.prog.Weights)-1]
	for _, cand := range m.prog.Weights {
		if strings.HasSuffix(cand.Tensor, "ffn_in") {
			w = cand
		}
	}
	m.machine.Memory()[w.Offset] ^= 1
	if err := m.Prove(context.Background()); !errors.Is(err, ErrMismatch) {
		t.Errorf("a changed weight in %s was proved: %v", w.Tensor, err)
	}
}

func TestNotFinite(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	for _, w := range m.prog.Weights {
		if w.Tensor == "embed.norm.bias" {
			binary.LittleEndian.PutUint32(m.machine.Memory()[w.Offset:], 0x7fc00000)
		}
	}
	if _, err := m.Embed(context.Background(), []string{"the man"}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("a NaN came out: %v", err)
	}
}

func TestFit(t *testing.T) {
	good := openTiny(t).Manifest
	for name, change := range map[string]func(m *bundle.Manifest, c *Config){
		"a newer runtime":   func(m *bundle.Manifest, _ *Config) { m.MinRuntime = Version + 1 },
		"an unknown task":   func(m *bundle.Manifest, _ *Config) { m.Task = "paint" },
		"too much memory":   func(m *bundle.Manifest, _ *Config) { m.Memory.Arena = 1 << 40 },
		"memory that wraps": func(m *bundle.Manifest, _ *Config) { m.Memory.Weights, m.Memory.Arena = 1<<63, 1<<63 },
		"unknown kernels":   func(_ *bundle.Manifest, c *Config) { c.Kernels = "gpu" },
		"another CPU's":     func(_ *bundle.Manifest, c *Config) { c.Kernels = others() },
	} {
		m, cfg := good, Config{}
		change(&m, &cfg)
		if err := Fit(&m, cfg); !errors.Is(err, ErrIncompatible) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Fit(&good, Config{}); err != nil {
		t.Error(err)
	}
}

// others is a set of assembly that this CPU cannot run, or that nobody has.
func others() string {
	for _, name := range engine.Names() {
		if _, err := engine.Parse(name); err != nil {
			return name
		}
	}
	return "mmx"
}

func TestLoadRefusesAnotherPlan(t *testing.T) {
	b := *openTiny(t)
	b.Manifest.Memory.Arena -= 64
	if _, err := Load(context.Background(), &b, Config{}); !errors.Is(err, ErrIncompatible) {
		t.Errorf("a plan that hides 64 bytes passed: %v", err)
	}
	b = *openTiny(t)
	b.Manifest.Meta.SkipPrompt = true
	if _, err := Load(context.Background(), &b, Config{}); !errors.Is(err, ErrIncompatible) {
		t.Errorf("prompts to be left out by a program that pools over them: %v", err)
	}
}

func TestCloseAndCancel(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Embed(ctx, []string{"x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	embed(t, m, []string{"it works after a cancelled call"})
	for range 2 {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.Embed(context.Background(), []string{"x"}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestConcurrentCallers(t *testing.T) {
	m := load(t, openTiny(t), Config{Workers: 2})
	texts := someTexts(20)
	want := embed(t, m, texts)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			got, err := m.Embed(context.Background(), texts)
			if err != nil || !cmp.Equal(want, got) {
				t.Errorf("beside others: %v", err)
			}
		})
	}
	wait.Wait()
}

// A call allocates its result and nothing else.
func TestEmbedAllocatesOnlyTheResult(t *testing.T) {
	b := openTiny(t)
	for _, kernels := range runnable(t, b) {
		if kernels == "interp" { // its stack is its own
			continue
		}
		m := load(t, b, Config{Kernels: kernels, Workers: 2})
		texts := someTexts(12)
		ctx := context.Background()
		embed(t, m, texts)
		if n := testing.AllocsPerRun(20, func() { m.Embed(ctx, texts) }); n > 2 && !raceEnabled {
			t.Errorf("%s: %v allocations a call, the result is 2", kernels, n)
		}
	}
}

// A call on one text is answered between the passes of a call on many.
func TestTurns(t *testing.T) {
	m := load(t, openTiny(t), Config{Workers: 2})
	texts := someTexts(400)
	want := embed(t, m, texts)
	answered := make(chan struct{})
	long := m.adder(m.prompt, texts)
	add := func(i int, b *batch) error {
		if i == len(texts)/2 {
			go func() {
				defer close(answered)
				if got, err := m.Embed(context.Background(), texts[:1]); err != nil || !cmp.Equal(want[:1], got) {
					t.Errorf("between passes: %v", err)
				}
			}()
			<-answered
		}
		return long(i, b)
	}
	got := make([]float32, m.Dim())
	take := func(i int, rows output) error {
		if err := rows.read(0, got); err != nil || !cmp.Equal(want[i], got) {
			t.Errorf("text %d: %v", i, err)
		}
		return nil
	}
	if err := m.answer(context.Background(), len(texts), add, take, nil); err != nil {
		t.Fatal(err)
	}
}

// A call that waits for its turn ends with its context.
func TestCancelledTurn(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	<-m.turn // another call runs
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Embed(ctx, []string{"x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	m.turn <- struct{}{}
	embed(t, m, []string{"x"})
}

// However many texts a call has, the memory beside its result is that of a pass.
func TestCallIsBounded(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	texts := someTexts(1000)
	memory := len(m.machine.Memory())
	embed(t, m, texts)
	most := int(m.prog.MaxTokens + m.prog.MaxLength)
	if b := m.idle[0]; len(m.idle) != 1 || len(b.ids) > most || cap(b.ids) > 2*most || cap(b.starts) > 2*int(m.prog.MaxSeqs+2) {
		t.Errorf("room for %d ids and %d starts, a pass is of %d tokens", cap(b.ids), cap(b.starts), m.prog.MaxTokens)
	}
	if len(m.machine.Memory()) != memory {
		t.Errorf("memory grew from %d to %d bytes", memory, len(m.machine.Memory()))
	}
}

// Close waits for the call that runs, and calls that wait are told.
func TestCloseWhileRunning(t *testing.T) {
	b := openTiny(t)
	for _, kernels := range runnable(t, b) {
		if kernels == "interp" { // slow, and like wasm
			continue
		}
		m := load(t, b, Config{Kernels: kernels, Workers: 2})
		texts := someTexts(16)
		want := embed(t, m, texts)
		var calls sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range 4 {
			calls.Go(func() {
				for {
					got, err := m.Embed(context.Background(), texts)
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil || !cmp.Equal(want, got) {
						t.Errorf("%s: %v", kernels, err)
						return
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		<-begun
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		calls.Wait()
	}
}

// Models in one process do not disturb one another.
func TestTwoModels(t *testing.T) {
	texts := someTexts(20)
	var calls sync.WaitGroup
	b := openTiny(t)
	for _, kernels := range append(runnable(t, b), "auto") {
		m := load(t, b, Config{Kernels: kernels, Workers: 2})
		want := embed(t, m, texts)
		calls.Go(func() {
			for range 5 {
				if got, err := m.Embed(context.Background(), texts); err != nil || !cmp.Equal(want, got) {
					t.Errorf("%s beside others: %v", m.Kernels(), err)
				}
			}
		})
	}
	calls.Wait()
}

func TestHidden(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	ids, rows, err := m.Hidden(context.Background(), "the man is")
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 5 || len(rows) != 5 || len(rows[0]) != m.Dim() {
		t.Errorf("%d ids, %d rows of %d", len(ids), len(rows), len(rows[0]))
	}
}

// TestNoUnknown: a word that the vocabulary has no token for is the client's error, where
// leaving it out would be a guess.
func TestNoUnknown(t *testing.T) {
	m := load(t, openTiny(t), Config{})
	var err error
	m.tok, err = tokenizer.Parse([]byte(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"post_processor":null,"decoder":null,
		"pre_tokenizer":{"type":"WhitespaceSplit"},"model":{"type":"WordLevel","unk_token":"?","vocab":{"a":0,"man":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if rows := embed(t, m, []string{"a man", "man"}); len(rows) != 2 {
		t.Errorf("%d rows", len(rows))
	}
	_, err = m.Embed(t.Context(), []string{"a man", "a woman"})
	if bad, ok := errors.AsType[*InputError](err); !ok || bad.Field != "text" || !strings.Contains(err.Error(), "text 1") {
		t.Errorf("a word that is not known: %v", err)
	}
}

// TestFinding: what leaves no room for the text is refused, by the name of what is wrong.
func TestFinding(t *testing.T) {
	tok := load(t, openTiny(t), Config{}).Tokenizer()
	for _, c := range []struct {
		question string
		f        Finding
		field    string
	}{
		{strings.Repeat("the ", 20), Finding{}, "question"},
		{"is the man", Finding{Window: 6}, "question"},
		{"is the man", Finding{Stride: 10}, "stride"},
		{"is the man", Finding{Window: 9, Stride: 3}, "stride"},
		{"is the man", Finding{Window: 9, Stride: 2}, ""},
		{"short", Finding{Window: 9, Stride: 100}, ""},
	} {
		text := strings.Repeat("the man ", 20)
		if c.question == "short" {
			text = "the"
		}
		windows, err := c.f.Windows(tok, c.question, text, 16)
		bad, is := errors.AsType[*InputError](err)
		if is != (c.field != "") || is && bad.Field != c.field {
			t.Errorf("%q %+v: %v, want %q", c.question, c.f, err, c.field)
		}
		for _, w := range windows {
			if w.Len() > 9 {
				t.Errorf("a window of %d tokens", w.Len())
			}
		}
	}
}

// A text to be searched is cut into windows that share tokens, each with the whole question;
// a question that nearly fills a window still leaves windows that move on.
func TestWindows(t *testing.T) {
	tok := load(t, openTiny(t), Config{}).Tokenizer()
	text := strings.TrimSpace(strings.Repeat("the man is water of a b c d e f ", 6))
	for _, question := range []string{"is the man", strings.Repeat("the ", 11)} {
		const max = 16
		windows, err := Finding{}.Windows(tok, question, text, max)
		if err != nil {
			t.Fatal(err)
		}
		end, shared := 0, 0
		for i, w := range windows {
			if w.Len() > max {
				t.Errorf("window %d has %d tokens", i, w.Len())
			}
			first, last := -1, 0
			for j, seq := range w.Sequences {
				if seq != 1 {
					continue
				}
				if first < 0 {
					first = w.Offsets[j][0]
				}
				last = w.Offsets[j][1]
			}
			if i > 0 && first < end {
				shared++
			}
			if last <= end {
				t.Errorf("window %d ends at %d after %d", i, last, end)
			}
			end = last
		}
		if end != len(text) || len(windows) < 3 {
			t.Errorf("%d windows reach %d of %d", len(windows), end, len(text))
		}
		if question == "is the man" && shared != len(windows)-1 {
			t.Errorf("%d of %d windows share tokens with the one before", shared, len(windows)-1)
		}
	}
}
