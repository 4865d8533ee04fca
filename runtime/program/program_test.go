package program

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/runtime/kernel"
)

// tiny is a program of two steps: the mean of rows that nobody wrote, normalised.
func tiny(t testing.TB) *Program {
	t.Helper()
	pool, err := kernel.NewMeanPool(20)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := kernel.NewL2Norm(20)
	if err != nil {
		t.Fatal(err)
	}
	const stride = 4 * 32
	p := &Program{
		MaxTokens: 8, MaxSeqs: 4, MaxLength: 8, Vocab: 10, Types: 1, Hidden: 20, Rows: uint32(Seqs),
		WeightsEnd: Base + 64,
		Kernels:    []string{pool.Name(), norm.Name()},
		Weights:    []Weight{{Tensor: "w", Layout: Vector, Rows: 1, Cols: 7, Offset: Base}},
	}
	at := p.WeightsEnd
	take := func(n uint32) uint32 {
		off := at
		at += (n + Align - 1) &^ (Align - 1)
		return off
	}
	p.IDs, p.TypeIDs, p.Positions, p.Starts = take(32), take(32), take(32), take(20)
	x := take(8 * stride)
	p.Output = take(4 * stride)
	p.ArenaEnd = at
	p.Steps = []Step{
		{Kernel: 0, Args: []uint32{x, stride, p.Starts, p.Output}},
		{Kernel: 1, Args: []uint32{p.Output, p.Output}},
	}
	p.Taps = []Tap{{Name: "x", Step: 1, Offset: x, Stride: stride}}
	return p
}

func TestEncodeDecode(t *testing.T) {
	p := tiny(t)
	got, err := Decode(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
	kernels, err := got.Check()
	if err != nil || len(kernels) != 2 {
		t.Errorf("check: %d kernels, %v", len(kernels), err)
	}
}

// picking is tiny with a row picked from x by the mean of one row, normalised.
func picking(t testing.TB) *Program {
	t.Helper()
	p := tiny(t)
	p.MaxPicks, p.Rows = 3, uint32(Picks)
	p.Picked = p.Starts
	for i := range p.Steps {
		p.Steps[i].Over = Picks
	}
	return p
}

func TestPicks(t *testing.T) {
	p := picking(t)
	got, err := Decode(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
	if _, err := got.Check(); err != nil {
		t.Error(err)
	}
	got.Steps[0].Args[0] = got.ArenaEnd - 4*got.Steps[0].Args[1] // room for as many rows as picks
	if _, err := got.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a pool over picks that reads past the arena: %v", err)
	}
	got = picking(t)
	got.Steps[1].Over = Seqs
	if _, err := got.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("sequences after picks without a barrier: %v", err)
	}
	got.Steps[1].Over, got.MaxPicks = Picks, 0
	if _, err := got.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("picks of none: %v", err)
	}
}

// TestSkips: a program that skips rows is of another version, and of that alone.
func TestSkips(t *testing.T) {
	p := tiny(t)
	plain := p.Encode()
	p.Skips = p.Starts
	got, err := Decode(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
	if _, err := got.Check(); err != nil {
		t.Error(err)
	}
	got.MaxTokens, got.MaxSeqs, got.ArenaEnd = 17, 17, p.ArenaEnd+1<<16
	for room, bad := range map[uint32]bool{64: true, 128: false} { // what else is wrong now is found later
		got.Skips = got.ArenaEnd - room
		if _, err := got.Check(); err == nil || strings.Contains(err.Error(), "skips") != bad {
			t.Errorf("%d bytes for the skips of %d sequences: %v", room, got.MaxSeqs, err)
		}
	}
	got.Skips = p.WeightsEnd - 64
	if _, err := got.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("skips among the weights: %v", err)
	}
	data := p.Encode()
	for _, version := range []byte{0, 1, 2, 4} {
		data[4] = version
		if _, err := Decode(data); !errors.Is(err, ErrInvalid) {
			t.Errorf("version %d with skips: %v", version, err)
		}
	}
	p.Skips = 0
	if !bytes.Equal(p.Encode(), plain) {
		t.Error("a program that skips nothing has other bytes than before")
	}
	data = append(plain[:4:4], 3)
	data = append(data, plain[5:]...)
	if _, err := Decode(data); !errors.Is(err, ErrInvalid) {
		t.Errorf("version 3 without need: %v", err)
	}
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	data := tiny(t).Encode()
	for n := range len(data) {
		if _, err := Decode(data[:n]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := Decode(append(data, 0)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a byte after the end: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, breakIt := range map[string]func(p *Program){
		"no steps":                  func(p *Program) { p.Steps = nil },
		"unknown kernel":            func(p *Program) { p.Kernels[0] = "meanpool.v9.00000000/h20" },
		"kernel out of range":       func(p *Program) { p.Steps[0].Kernel = 2 },
		"missing argument":          func(p *Program) { p.Steps[1].Args = p.Steps[1].Args[:1] },
		"output over a weight":      func(p *Program) { p.Steps[1].Args = []uint32{Base, Base} },
		"read past the arena":       func(p *Program) { p.Steps[0].Args[0] = p.ArenaEnd - 64 },
		"read below the guard":      func(p *Program) { p.Steps[0].Args[0] = 64 },
		"unaligned":                 func(p *Program) { p.Steps[0].Args[0] += 4 },
		"stride that wraps":         func(p *Program) { p.Steps[0].Args[1] = 1 << 31 },
		"weight past its region":    func(p *Program) { p.Weights[0].Cols = 1 << 30 },
		"weights overlap":           func(p *Program) { p.Weights = append(p.Weights, p.Weights[0]) },
		"weight of no layout":       func(p *Program) { p.Weights[0].Layout = 0 },
		"inputs outside":            func(p *Program) { p.IDs = Base },
		"output outside":            func(p *Program) { p.Output = p.ArenaEnd },
		"tap of no step":            func(p *Program) { p.Taps[0].Step = 9 },
		"tap without a barrier":     func(p *Program) { p.Taps[0].Step = 0 },
		"tap outside":               func(p *Program) { p.Taps[0].Stride = 1 << 20 },
		"more sequences than rows":  func(p *Program) { p.MaxSeqs = 9 },
		"longer than a pass":        func(p *Program) { p.MaxLength = 9 },
		"memory map out of order":   func(p *Program) { p.ArenaEnd = p.WeightsEnd - 64 },
		"more tokens than its plan": func(p *Program) { p.MaxTokens = 1 << 12 },
	} {
		p := tiny(t)
		breakIt(p)
		if _, err := p.Check(); !errors.Is(err, ErrInvalid) && !errors.Is(err, kernel.ErrName) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckWantsOneDomainAStage(t *testing.T) {
	p := tiny(t)
	k, err := kernel.NewAddNorm(20, 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	p.Kernels = append(p.Kernels, k.Name())
	x := p.Steps[0].Args[0]
	p.Steps = append(p.Steps, Step{Kernel: 2, Args: []uint32{x, x, p.Output, p.Output, x}})
	p.Taps = nil
	if _, err := p.Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("rows after sequences without a barrier: %v", err)
	}
	p.Steps[2].Barrier = true
	if _, err := p.Check(); err != nil {
		t.Errorf("with a barrier: %v", err)
	}
}

// What Decode accepts, it accepts in one form only, and Check never panics on it.
func FuzzDecode(f *testing.F) {
	f.Add(tiny(f).Encode())
	f.Add([]byte(magic))
	f.Add(picking(f).Encode())
	padded := picking(f)
	padded.Pads, padded.Weights[0].Layout = 3, Ints
	f.Add(padded.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(data)
		if err != nil {
			return
		}
		if diff := cmp.Diff(data, p.Encode()); diff != "" {
			t.Fatalf("another encoding of the same program:\n%s", diff)
		}
		if _, err := p.Check(); err == nil {
			p.Stages()
		}
	})
}
