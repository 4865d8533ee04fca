package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"skiff/runtime/kernel"
	"skiff/runtime/native"
	"skiff/runtime/program"
)

const (
	cols   = 20
	stride = 4 * 32
)

// mean is a program that normalises the means of rows the test writes, with room for 64
// rows. It returns the offset of the rows.
func mean(t testing.TB) (*program.Program, uint32) {
	t.Helper()
	pool, err := kernel.NewMeanPool(cols)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := kernel.NewL2Norm(cols)
	if err != nil {
		t.Fatal(err)
	}
	p := &program.Program{
		MaxTokens: 64, MaxSeqs: 16, MaxLength: 48, Vocab: 10, Types: 2, Hidden: cols, Rows: uint32(program.Seqs), WeightsEnd: program.Base,
		Kernels: []string{pool.Name(), norm.Name()},
	}
	at := p.WeightsEnd
	take := func(n uint32) uint32 {
		off := at
		at += (n + program.Align - 1) &^ (program.Align - 1)
		return off
	}
	p.IDs, p.TypeIDs, p.Positions, p.Starts = take(256), take(256), take(256), take(68)
	x := take(64 * stride)
	p.Output = take(16 * stride)
	p.ArenaEnd = at
	p.Steps = []program.Step{
		{Kernel: 0, Args: []uint32{x, stride, p.Starts, p.Output}},
		{Kernel: 1, Args: []uint32{p.Output, p.Output}, Barrier: true},
	}
	p.Taps = []program.Tap{{Name: "x", Step: 0, Offset: x, Stride: stride}}
	return p, x
}

func start(t testing.TB, p *program.Program, cfg Config) *Machine {
	t.Helper()
	m, err := New(context.Background(), p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

func pass(lengths ...int) Input {
	in := Input{Starts: []int32{0}}
	for _, n := range lengths {
		in.IDs = append(in.IDs, make([]int32, n)...)
		in.Types = append(in.Types, make([]int32, n)...)
		in.Starts = append(in.Starts, int32(len(in.IDs)))
	}
	return in
}

// kinds are those that any CPU has, and the compiler where there is one.
func kinds() []Kind {
	out := []Kind{Auto, Interp, Go}
	if CanCompile() {
		out = append(out, Wasm)
	}
	return out
}

// Row r holds r+1 in column 0: the mean of any rows is a vector along column 0.
func TestRunOnEveryKind(t *testing.T) {
	for _, kind := range kinds() {
		for _, workers := range []int{0, 1, 3} {
			p, x := mean(t)
			m := start(t, p, Config{Kind: kind, Workers: workers})
			for r := range 64 {
				binary.LittleEndian.PutUint32(m.Memory()[int(x)+r*stride:], math.Float32bits(float32(r+1)))
			}
			taps := 0
			out, err := m.Run(context.Background(), pass(5, 0, 7, 1), func(i int, rows []byte) {
				if taps++; i != 0 || len(rows) != 13*stride {
					t.Errorf("tap %d of %d bytes", i, len(rows))
				}
			})
			if err != nil || taps != 1 {
				t.Fatalf("%s, %d workers: %d taps, %v", kind, workers, taps, err)
			}
			for s, want := range []float32{1, 0, 1, 1} {
				if got := math.Float32frombits(binary.LittleEndian.Uint32(out[s*stride:])); got != want {
					t.Errorf("%s, %d workers: sequence %d: %g, want %g", kind, workers, s, got, want)
				}
			}
		}
	}
}

func TestRunRefusesInput(t *testing.T) {
	p, _ := mean(t)
	m := start(t, p, Config{Kind: Go})
	for name, in := range map[string]Input{
		"no tokens":            pass(),
		"too many tokens":      pass(40, 25),
		"too long a sequence":  pass(49),
		"too many sequences":   pass(make([]int, 17)...),
		"an id past the words": {IDs: []int32{10}, Types: []int32{0}, Starts: []int32{0, 1}},
		"a negative id":        {IDs: []int32{-1}, Types: []int32{0}, Starts: []int32{0, 1}},
		"a type past the end":  {IDs: []int32{1}, Types: []int32{2}, Starts: []int32{0, 1}},
		"types missing":        {IDs: []int32{1}, Starts: []int32{0, 1}},
		"starts that fall":     {IDs: []int32{1, 1}, Types: []int32{0, 0}, Starts: []int32{0, 3, 2}},
		"starts from one":      {IDs: []int32{1, 1}, Types: []int32{0, 0}, Starts: []int32{1, 2}},
		"a skip of none":       {IDs: []int32{1}, Types: []int32{0}, Starts: []int32{0, 1}, Skip: 1},
		"a negative skip":      {IDs: []int32{1}, Types: []int32{0}, Starts: []int32{0, 1}, Skip: -1},
	} {
		if _, err := m.Run(context.Background(), in, nil); err == nil {
			t.Errorf("%s: ran", name)
		}
	}
	if _, err := m.Run(context.Background(), pass(3), nil); err != nil {
		t.Errorf("after refusals: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	p, _ := mean(t)
	if _, err := New(context.Background(), p, Config{Workers: MaxWorkers + 1}); err == nil {
		t.Error("any number of workers is started")
	}
	p.Scratch = 1 << 28
	if _, err := New(context.Background(), p, Config{Workers: 16}); !errors.Is(err, ErrMemory) {
		t.Errorf("4 GiB of scratch: %v", err)
	}
	p.Steps = nil
	if _, err := New(context.Background(), p, Config{}); !errors.Is(err, program.ErrInvalid) {
		t.Errorf("no steps: %v", err)
	}
}

func TestParse(t *testing.T) {
	for name, want := range map[string]Kind{"": Auto, "auto": Auto, "native": Native, "wasm": Wasm, "interp": Interp, "go": Go} {
		if got, err := Parse(name); err != nil || got != (Config{Kind: want}) {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	for _, set := range native.Sets() {
		if got, err := Parse(set.Name()); err != nil || got != (Config{Kind: Native, Set: set.Name()}) {
			t.Errorf("%q: %v, %v", set.Name(), got, err)
		}
	}
	if _, err := Parse("gpu"); err == nil {
		t.Error("gpu is a kind")
	}
}

// counter is a caller that records the units it was given, and may fail.
type counter struct {
	mu   sync.Mutex // guards seen
	seen map[uint32]int
	fail bool
}

func (c *counter) call(_ context.Context, _ int, lo, hi, _ uint32, _ []uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail {
		return fmt.Errorf("units %d to %d", lo, hi)
	}
	for u := lo; u < hi; u++ {
		c.seen[u]++
	}
	return nil
}

// However units are cut and whoever takes them, each is done once.
func TestEveryUnitOnce(t *testing.T) {
	p, _ := mean(t)
	m := start(t, p, Config{Kind: Go, Workers: 3})
	done := &counter{}
	for _, w := range m.workers {
		w.caller = done
	}
	for _, units := range []int{1, 2, 3, 7, 12, 13, 31} {
		for shares := 1; shares <= min(units, 4); shares++ {
			for block := 1; block < 7; block++ {
				for parts := 1; parts <= (units/shares+block)/block; parts++ {
					done.seen = map[uint32]int{}
					c := cut{units, shares, parts, block}
					err := m.pool.run(m.workers[0], 2, job{context.Background(), m, &m.stages[0], c})
					for u := range units {
						if done.seen[uint32(u)] != 1 {
							t.Fatalf("%+v: unit %d done %d times", c, u, done.seen[uint32(u)])
						}
					}
					if len(done.seen) != units || err != nil {
						t.Fatalf("%+v: %d done, %v", c, len(done.seen), err)
					}
				}
			}
		}
	}
}

// A failing worker stops the stage; the error says where.
func TestFailingKernel(t *testing.T) {
	p, _ := mean(t)
	for _, workers := range []int{1, 2} {
		m := start(t, p, Config{Kind: Go, Workers: workers})
		for _, w := range m.workers {
			w.caller = &counter{fail: true}
		}
		_, err := m.Run(context.Background(), pass(1, 1, 1, 1), nil)
		if err == nil || !strings.Contains(err.Error(), "step 0, meanpool") {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
}

// A panic in a Go kernel is an error, not the end of the process.
func TestPanicIsAnError(t *testing.T) {
	p, _ := mean(t)
	m := start(t, p, Config{Kind: Go, Workers: 1})
	if err := m.workers[0].call(context.Background(), 1, 0, 1, 0, []uint32{1 << 30, p.Output}); err == nil {
		t.Error("reading past memory was no error")
	}
}

// picking is mean over the picked rows: from each to the next one, the last to the end.
func picking(t testing.TB) (*program.Program, uint32) {
	t.Helper()
	p, x := mean(t)
	p.MaxPicks, p.Rows, p.Picked = 3, uint32(program.Picks), p.ArenaEnd
	p.ArenaEnd += program.Align
	p.Steps[0].Args[2] = p.Picked
	for i := range p.Steps {
		p.Steps[i].Over = program.Picks
	}
	return p, x
}

func TestPicks(t *testing.T) {
	for _, kind := range kinds() {
		p, x := picking(t)
		m := start(t, p, Config{Kind: kind, Workers: 2})
		for r := range 64 { // columns 1 and r: the ratio tells the mean row
			binary.LittleEndian.PutUint32(m.Memory()[int(x)+r*stride:], math.Float32bits(1))
			binary.LittleEndian.PutUint32(m.Memory()[int(x)+r*stride+4:], math.Float32bits(float32(r)))
		}
		in := pass(5, 5)
		in.Picks = []int32{2, 3, 7}
		out, err := m.Run(context.Background(), in, nil)
		if err != nil || len(out) != 3*stride {
			t.Fatalf("%s: %d bytes, %v", kind, len(out), err)
		}
		for i, want := range []float64{2, 4.5, 8} {
			one := math.Float32frombits(binary.LittleEndian.Uint32(out[i*stride:]))
			row := math.Float32frombits(binary.LittleEndian.Uint32(out[i*stride+4:]))
			if got := float64(row / one); math.Abs(got-want) > 1e-5 {
				t.Errorf("%s: pick %d is the mean of row %g, want %g", kind, i, got, want)
			}
		}
		in.Picks = nil
		if out, err := m.Run(context.Background(), in, nil); err != nil || len(out) != 0 {
			t.Errorf("%s: %d bytes for no picks, %v", kind, len(out), err)
		}
		for name, picks := range map[string][]int32{
			"too many": {1, 2, 3, 4}, "negative": {-1}, "past the rows": {10}, "twice": {4, 4}, "falling": {4, 3},
		} {
			in.Picks = picks
			if _, err := m.Run(context.Background(), in, nil); err == nil {
				t.Errorf("%s: %s: ran", kind, name)
			}
		}
	}
}

// A traced machine tells of every step of every range; the machine itself stays silent.
func TestTraced(t *testing.T) {
	p, _ := mean(t)
	m := start(t, p, Config{Kind: Go, Workers: 2})
	var mu sync.Mutex
	units := map[int]int{}
	view := m.Traced(func(worker, step, lo, hi int, d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		units[step] += hi - lo
		if worker < 0 || worker > 1 || d < 0 {
			t.Errorf("worker %d, %v", worker, d)
		}
	})
	for _, m := range []*Machine{view, m} {
		if _, err := m.Run(context.Background(), pass(3, 2, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	if units[0] != 3 || units[1] != 3 || len(units) != 2 {
		t.Errorf("units of steps: %v", units)
	}
}
