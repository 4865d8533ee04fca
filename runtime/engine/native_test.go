package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"skiff/runtime/kernel"
	"skiff/runtime/native"
	"skiff/runtime/program"
)

// fakeSet stands for assembly: it runs the references, with the scratch of its own.
type fakeSet struct {
	name    string
	lacks   string // op it has not
	wrong   string // op whose proof fails
	panics  string // op whose proof panics
	packed  atomic.Int64
	longest atomic.Int64 // units of a call
	askew   atomic.Int64 // calls whose scratch is not aligned or too short
}

func (s *fakeSet) Name() string { return s.name }

func (s *fakeSet) Bind(k *kernel.Kernel) (native.Kernel, bool) {
	if k.Form().Op == s.lacks {
		return native.Kernel{}, false
	}
	scratch := func(args []uint32, _, tokens int) int { return int(k.ScratchBytes(args, tokens)) + 1 }
	run := func(mem, own []byte, lo, hi int, args []uint32) {
		s.longest.Store(max(s.longest.Load(), int64(hi-lo)))
		at := uintptr(unsafe.Pointer(unsafe.SliceData(own))) - uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
		if at%64 != 0 || len(own) < scratch(args, hi-lo, 48) {
			s.askew.Add(1)
		}
		k.Run(unsafe.Slice(unsafe.SliceData(mem), at+uintptr(len(own))), uint32(lo), uint32(hi), uint32(at), args)
	}
	return native.Kernel{Run: run, Scratch: scratch, Grain: 4}, true
}

func (s *fakeSet) Prove(k *kernel.Kernel) error {
	switch k.Form().Op {
	case s.wrong:
		return errors.New("other bits")
	case s.panics:
		panic("index out of range")
	}
	return nil
}

func (s *fakeSet) PackWeights(dst, codes []byte, first, k int) error {
	s.packed.Add(1)
	return kernel.PackWeights(dst, codes, first, k)
}

// dense is mean with a linear before it: 48 wide, a tanh at its end. It returns where its
// weights and its rows are.
func dense(t testing.TB) (p *program.Program, w, x uint32) {
	t.Helper()
	p, y := mean(t)
	lin, err := kernel.NewLinear(0, kernel.ActTanh)
	if err != nil {
		t.Fatal(err)
	}
	p.Kernels = append(p.Kernels, lin.Name())
	w = program.Base
	const k, n = 48, 32 // 20 of the columns have weights
	scales := w + k*n
	weights := uint32(k*n + 2*4*n)
	shift := (weights + program.Align - 1) &^ (program.Align - 1)
	p.WeightsEnd += shift
	for _, at := range []*uint32{&p.IDs, &p.TypeIDs, &p.Positions, &p.Starts, &p.Output, &p.ArenaEnd} {
		*at += shift
	}
	y += shift
	x = p.ArenaEnd
	p.ArenaEnd += 64 * 4 * k
	args := []uint32{x, 4 * k, k, w, n, scales, scales + 4*n, 0, 0, y, stride}
	p.Scratch = uint32(lin.ScratchBytes(args, int(p.MaxLength)))
	p.Steps = []program.Step{
		{Kernel: 2, Args: args},
		{Kernel: 0, Args: []uint32{y, stride, p.Starts, p.Output}, Barrier: true},
		{Kernel: 1, Args: []uint32{p.Output, p.Output}, Barrier: true},
	}
	p.Taps[0].Offset = y
	return p, w, x
}

// fill lays weights, scales and rows down, the same on every machine.
func fill(t testing.TB, m *Machine, w, x uint32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	codes := make([]byte, cols*48)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	if err := m.PackWeights(m.Memory()[w:w+48*32], codes, 0, 48); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * cols { // scales, then biases
		at := int(w) + 48*32 + i/cols*4*32 + i%cols*4
		binary.LittleEndian.PutUint32(m.Memory()[at:], math.Float32bits(rng.Float32()/100))
	}
	for i := range 64 * 48 {
		binary.LittleEndian.PutUint32(m.Memory()[int(x)+4*i:], math.Float32bits(rng.Float32()-0.5))
	}
}

func startSets(t testing.TB, p *program.Program, cfg Config, sets ...assembly) (*Machine, error) {
	t.Helper()
	m, err := newMachine(context.Background(), p, cfg, sets)
	if err == nil {
		t.Cleanup(func() { m.Close(context.Background()) })
	}
	return m, err
}

func run(t testing.TB, m *Machine, in Input) []byte {
	t.Helper()
	out, err := m.Run(context.Background(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(out)
}

// Every kind, every set, with kernels missing or not, and any number of workers give the
// same bits.
func TestEveryKindSameBits(t *testing.T) {
	p, w, x := dense(t)
	in := pass(13, 0, 17, 1, 30, 2)
	reference := start(t, p, Config{Kind: Go, Workers: 1})
	fill(t, reference, w, x)
	want := run(t, reference, in)
	cases := map[string][]assembly{
		"all": {&fakeSet{name: "all"}}, "lacks+" + portable().String(): {&fakeSet{name: "lacks", lacks: "meanpool"}},
		"wrong+" + portable().String(): {&fakeSet{name: "wrong", wrong: "l2norm"}},
		portable().String():            {&fakeSet{name: "none", lacks: "linear"}}, "go": nil, "interp": nil,
	}
	for _, s := range assemblies() {
		cases[s.Name()] = []assembly{s}
	}
	for name, sets := range cases {
		for _, workers := range []int{1, 2, 3} {
			cfg := Config{Workers: workers}
			if sets == nil {
				cfg, _ = Parse(name)
				cfg.Workers = workers
			}
			m, err := startSets(t, p, cfg, sets...)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(m.Kernels(), "+")
			if m.Kernels() != name && (name != first || len(m.Choice().Others) == 0) {
				t.Errorf("%s: it says %s", name, m.Kernels())
			}
			fill(t, m, w, x)
			for range 3 {
				if got := run(t, m, in); !bytes.Equal(got, want) {
					t.Fatalf("%s, %d workers: other bits", name, workers)
				}
			}
			if got := run(t, m.Using(m.Most()), in); !bytes.Equal(got, want) {
				t.Fatalf("%s, all workers: other bits", name)
			}
		}
	}
}

// What the set runs is started of nothing else, and gets private scratch and calls of no more
// units than that is for.
func TestNativeAlone(t *testing.T) {
	p, w, x := dense(t)
	set := &fakeSet{name: "all"}
	m, err := startSets(t, p, Config{Workers: 3}, set)
	if err != nil {
		t.Fatal(err)
	}
	if b := m.backend.(*nativeBackend); b.rest != nil || m.Kind() != Native || len(m.Choice().Others) != 0 {
		t.Errorf("%+v", m.Choice())
	}
	fill(t, m, w, x)
	run(t, m, pass(40, 24))
	if set.packed.Load() == 0 || set.askew.Load() != 0 || set.longest.Load() > nativeUnits {
		t.Errorf("%d times packed, %d calls askew, longest of %d units", set.packed.Load(), set.askew.Load(), set.longest.Load())
	}
}

// A kernel whose proof fails is switched off; of a linear the whole set. What is left runs,
// and it is said why.
func TestFailedProofs(t *testing.T) {
	p, _, _ := dense(t)
	good, slow := &fakeSet{name: "good"}, portable().String()
	for name, c := range map[string]struct {
		cfg   Config
		sets  []assembly
		want  string // Kernels, "" for ErrNoNative
		notes []string
	}{
		"a linear":         {Config{}, []assembly{&fakeSet{name: "bad", wrong: "linear"}, good}, "good", []string{"bad: linear", "other bits"}},
		"a panic":          {Config{}, []assembly{&fakeSet{name: "bad", panics: "linear"}, good}, "good", []string{"bad: linear", "panicked"}},
		"another kernel":   {Config{}, []assembly{&fakeSet{name: "bad", wrong: "l2norm"}, good}, "bad+" + slow, []string{"bad: l2norm", "other bits"}},
		"all sets":         {Config{}, []assembly{&fakeSet{name: "bad", wrong: "linear"}}, slow, []string{"bad: linear"}},
		"all, and no else": {Config{Kind: Native}, []assembly{&fakeSet{name: "bad", wrong: "linear"}}, "", []string{"bad: linear"}},
		"the one wanted":   {Config{Kind: Native, Set: "bad"}, []assembly{&fakeSet{name: "bad", wrong: "linear"}, good}, "", []string{"bad: linear"}},
		"no set":           {Config{}, nil, slow, nil},
		"no set at all":    {Config{Kind: Native}, nil, "", nil},
		"not asked for":    {Config{Kind: Go}, []assembly{good}, "go", nil},
		"the second":       {Config{Kind: Native, Set: "good"}, []assembly{&fakeSet{name: "fast"}, good}, "good", nil},
	} {
		m, err := startSets(t, p, c.cfg, c.sets...)
		said := fmt.Sprint(err)
		if err == nil {
			said = strings.Join(m.Choice().Notes, "\n")
		}
		switch {
		case c.want == "" && !errors.Is(err, ErrNoNative), c.want != "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && m.Kernels() != c.want:
			t.Errorf("%s: %s runs, want %s", name, m.Kernels(), c.want)
		case c.notes == nil && err == nil && said != "":
			t.Errorf("%s: it says %s", name, said)
		}
		for _, part := range c.notes {
			if !strings.Contains(said, part) {
				t.Errorf("%s: %q says nothing of %q", name, said, part)
			}
		}
	}
}

// Choose tells without starting anything.
func TestChoose(t *testing.T) {
	p, _, _ := dense(t)
	for _, kind := range []Kind{Auto, Go} {
		c, err := Choose(p, Config{Kind: kind})
		m := start(t, p, Config{Kind: kind})
		if err != nil || c.Kernels != m.Kernels() || c.Kernels == "" {
			t.Errorf("%s: %q, %v; a machine runs %q", kind, c.Kernels, err, m.Kernels())
		}
	}
	p.Steps = nil
	if _, err := Choose(p, Config{}); !errors.Is(err, program.ErrInvalid) {
		t.Errorf("no steps: %v", err)
	}
}

// Two machines that run at once give what each gives alone.
func TestTwoMachines(t *testing.T) {
	p, w, x := dense(t)
	var all sync.WaitGroup
	for _, cfg := range []Config{{Workers: 2}, {Workers: 3}, {Kind: Wasm, Workers: 2}, {Kind: Go, Workers: 2}} {
		if cfg.Kind == Wasm && !CanCompile() {
			continue
		}
		m := start(t, p, cfg)
		fill(t, m, w, x)
		in := pass(13, 17, 34)
		want := run(t, m, in)
		all.Go(func() {
			for range 200 {
				if out, err := m.Run(context.Background(), in, nil); err != nil || !bytes.Equal(out, want) {
					t.Errorf("%s beside others: other bits, %v", m.Kernels(), err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestRunAllocatesNothing(t *testing.T) {
	p, w, x := dense(t)
	for _, sets := range [][]assembly{nil, {&fakeSet{name: "all"}}, assemblies()} {
		m, err := startSets(t, p, Config{Workers: 2}, sets...)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, m, w, x)
		in := pass(30, 30)
		if n := testing.AllocsPerRun(20, func() { run(t, m, in) }); n > 1 { // the clone of run
			t.Errorf("%s: %g allocations", m.Kernels(), n)
		}
	}
}

// ending is a context that ends after so many looks at it.
type ending struct {
	context.Context
	left atomic.Int64
}

func (e *ending) Err() error {
	if e.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// A pass whose context has ended calls no kernel more: workers look before every call.
func TestCancelled(t *testing.T) {
	p, w, x := dense(t)
	for _, workers := range []int{1, 2, 3} {
		m := start(t, p, Config{Kind: Go, Workers: workers})
		fill(t, m, w, x)
		want := run(t, m, pass(20, 20, 20))
		var calls atomic.Int64
		traced := m.Traced(func(int, int, int, int, time.Duration) { calls.Add(1) })
		for looks := range int64(5) {
			ctx := &ending{Context: context.Background()}
			ctx.left.Store(looks)
			calls.Store(0)
			_, err := traced.Run(ctx, pass(20, 20, 20), nil)
			if !errors.Is(err, context.Canceled) || calls.Load() > looks {
				t.Errorf("%d workers, %d looks: %d calls, %v", workers, looks, calls.Load(), err)
			}
		}
		if got := run(t, m, pass(20, 20, 20)); !bytes.Equal(got, want) {
			t.Errorf("%d workers: other bits after a pass that was cancelled", workers)
		}
	}
}

// However a stage is cut, shares are equal but for a unit and no call is longer than it may.
func TestCut(t *testing.T) {
	p, _, _ := dense(t)
	for _, sets := range [][]assembly{nil, {&fakeSet{name: "all"}}} {
		m, err := startSets(t, p, Config{Workers: 2}, sets...)
		if err != nil {
			t.Fatal(err)
		}
		for workers := 1; workers <= 4; workers++ {
			m.active = workers
			for units := 1; units < 3000; units = units*9/8 + 1 {
				c := m.cut(&m.stages[0], units, units, 1)
				shares := make([]int, c.shares)
				for i := range c.pieces() {
					lo, hi := c.piece(i)
					if m.Kind() == Native && hi-lo > nativeUnits {
						t.Errorf("%d units, %d workers: a call of %d", units, workers, hi-lo)
					}
					shares[i%c.shares] += max(hi-lo, 0)
				}
				least, most, sum := units, 0, 0
				for _, n := range shares {
					least, most, sum = min(least, n), max(most, n), sum+n
				}
				if most-least > 1 || sum != units || c.shares > workers {
					t.Errorf("%d units, %d workers: shares of %v", units, workers, shares)
				}
			}
		}
	}
}

// nothing is a caller that does nothing.
type nothing struct{}

func (nothing) call(context.Context, int, uint32, uint32, uint32, []uint32) error { return nil }

// BenchmarkBarrier is a stage of two workers without work: what handing it out and waiting
// for its end take.
func BenchmarkBarrier(b *testing.B) {
	p, _ := mean(b)
	m := start(b, p, Config{Kind: Go, Workers: 2})
	for _, w := range m.workers {
		w.caller = nothing{}
	}
	for b.Loop() {
		if err := m.pool.run(m.workers[0], 1, job{context.Background(), m, &m.stages[0], cut{2, 2, 1, 1}}); err != nil {
			b.Fatal(err)
		}
	}
}
