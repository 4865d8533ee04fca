package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"

	"skiff/runtime/kernel"
	"skiff/runtime/native"
	"skiff/runtime/program"
)

// assembly is what the engine asks of a *native.Set.
type assembly interface {
	Name() string
	Bind(k *kernel.Kernel) (native.Kernel, bool)
	Prove(k *kernel.Kernel) error
	PackWeights(dst, codes []byte, first, k int) error
}

// Choice says what runs a program on this machine.
type Choice struct {
	// Kernels names it: a set of assembly, "wasm", "interp" or "go"; where a set lacks a
	// kernel both, as "avx512+wasm".
	Kernels string
	// Others are the kernels, by name, that the set does not run.
	Others []string
	// Notes say what was switched off and why: kernels, or whole sets, of assembly that do
	// not give the bits of the reference on this CPU.
	Notes []string

	kind  Kind            // never Auto
	set   assembly        // of Native
	bound []native.Kernel // of Native, by kernel; others lack Run
	rest  Kind            // of Native: what runs the others; Auto where there are none
}

// Choose proves p and says what New would run it with. It starts and allocates nothing.
func Choose(p *program.Program, cfg Config) (Choice, error) {
	kernels, err := p.Check()
	if err != nil {
		return Choice{}, fmt.Errorf("check program: %w", err)
	}
	return choose(kernels, cfg, assemblies())
}

// Sets are the names of the sets of assembly that this CPU can run, fastest first.
func Sets() []string {
	var out []string
	for _, s := range native.Sets() {
		out = append(out, s.Name())
	}
	return out
}

func assemblies() []assembly {
	var out []assembly
	for _, s := range native.Sets() {
		out = append(out, s)
	}
	return out
}

// choose takes the first of the sets that can run all linears, where cfg allows one.
func choose(kernels []*kernel.Kernel, cfg Config, sets []assembly) (Choice, error) {
	c := Choice{kind: cfg.Kind}
	if cfg.Kind == Auto || cfg.Kind == Native {
		for _, s := range sets {
			if (cfg.Set == "" || cfg.Set == s.Name()) && c.take(s, kernels) {
				return c, nil
			}
		}
		c.kind = portable()
	}
	c.Kernels = c.kind.String()
	switch {
	case cfg.Kind == Native && len(c.Notes) > 0:
		return c, fmt.Errorf("%w: %s", ErrNoNative, strings.Join(c.Notes, "; "))
	case cfg.Kind == Native:
		return c, ErrNoNative
	case c.kind == Wasm && !CanCompile():
		return c, ErrNoCompiler
	case c.kind == Go && !littleEndian():
		return c, ErrByteOrder
	}
	return c, nil
}

// take binds and proves the kernels of a set, and says whether it may run the program.
// Weights of linears lie in the panels of one machine, so a set runs all of them or none.
func (c *Choice) take(s assembly, kernels []*kernel.Kernel) bool {
	bound, others := make([]native.Kernel, len(kernels)), []string{}
	for i, k := range kernels {
		run, err := bind(s, k)
		if err != nil {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s: %v", s.Name(), k.Name(), err))
		}
		if run.Run == nil && k.Form().Op == "linear" {
			return false
		}
		if bound[i] = run; run.Run == nil {
			others = append(others, k.Name())
		}
	}
	if len(others) == len(kernels) {
		return false
	}
	c.kind, c.set, c.bound, c.Kernels = Native, s, bound, s.Name()
	if len(others) > 0 {
		c.rest = portable()
		c.Kernels += "+" + c.rest.String()
		c.Others = others
	}
	return true
}

// bind is the machine code of a kernel that was proved on this CPU. Run is nil where there
// is none, and with an error where its bits are not those of the reference.
func bind(s assembly, k *kernel.Kernel) (run native.Kernel, err error) {
	defer func() {
		if r := recover(); r != nil {
			run, err = native.Kernel{}, fmt.Errorf("kernel panicked: %v", r)
		}
	}()
	run, ok := s.Bind(k)
	if !ok {
		return native.Kernel{}, nil
	}
	if err := s.Prove(k); err != nil {
		return native.Kernel{}, err
	}
	return run, nil
}

// portable is the kind Auto stands for where there is no assembly. wazero's interpreter is
// slower than the Go references, so it is chosen only where those cannot run.
func portable() Kind {
	switch {
	case CanCompile():
		return Wasm
	case littleEndian():
		return Go
	}
	return Interp
}

// CanCompile says whether wazero has a compiler for this CPU; it answers by panicking.
func CanCompile() (ok bool) {
	defer func() { ok = recover() == nil }()
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigCompiler())
	return r.Close(context.Background()) == nil
}
