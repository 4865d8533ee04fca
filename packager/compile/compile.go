// Package compile turns a quantised model into a program, the kernels it calls and the
// tensors it reads.
//
// Data flow: the model's operations become kernel calls in order (steps.go); every weight
// gets an offset in linear memory as it is first named (layout.go); the activations
// get theirs from their lifetimes (live.go, arena.go), so that the peak is known before the
// bundle leaves the packager. Row-wise steps are chained without a barrier: a worker
// takes a few rows through output projection, norm, feed-forward, norm and the next
// block's query, key and value while they are in its cache. What relative positions need
// is a table made here (attend.go); no device computes an angle or a bucket.
//
// A model that fills masks runs its head over the picked rows alone.
//
// The package writes no files and must not import bundle or engine.
//
// Shapes: B sequences, M token rows, H hidden, A heads, D head size, F feed-forward,
// N columns, K depth.
package compile

import (
	"fmt"

	"skiff/formats/tensor"
	"skiff/packager/quantize"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// DefaultTokens is how many token rows a pass holds unless Config says otherwise.
const DefaultTokens = 512

// Config bounds a pass. The zero value is DefaultTokens, or the model's longest text
// where that is more.
type Config struct {
	MaxTokens int
}

// Tensor is one array that the bundle must carry.
type Tensor struct {
	Block string // tensors of one block may share a chunk
	Name  string
	DType tensor.DType
	Shape []int
	Data  []byte // little-endian
}

// Result is a compiled model.
type Result struct {
	Program *program.Program
	Kernels []*kernel.Kernel // in the order of Program.Kernels
	Tensors []Tensor
}

// Compile plans and lists the calls that run q. The program it returns has passed Check.
func Compile(q *quantize.Model8, cfg Config) (*Result, error) {
	m := q.Source
	tokens := max(cfg.MaxTokens, m.MaxTokens)
	if cfg.MaxTokens == 0 {
		tokens = max(DefaultTokens, m.MaxTokens)
	}
	c := &compiler{q: q, kernelAt: map[string]uint32{}, cut: map[string][2]int{}, weights: newLayout()}
	c.prog = &program.Program{
		MaxTokens: uint32(tokens), MaxSeqs: uint32(max(tokens/2, 1)), MaxLength: uint32(m.MaxTokens),
		Vocab: uint32(m.Vocab), Types: uint32(max(m.Types, 1)), Hidden: uint32(m.Dim()),
	}
	c.model()
	if c.err != nil {
		return nil, fmt.Errorf("compile: %w", c.err)
	}
	c.finish()
	if _, err := c.prog.Check(); err != nil {
		return nil, fmt.Errorf("check program: %w", err)
	}
	return &Result{Program: c.prog, Kernels: c.kernels, Tensors: c.weights.tensors}, nil
}

// compiler collects steps. After an error every call does nothing.
type compiler struct {
	q        *quantize.Model8
	prog     *program.Program
	kernels  []*kernel.Kernel
	kernelAt map[string]uint32
	weights  layout
	arena    arena
	fixups   []fixup
	taps     []tapAt
	stage    int
	domain   kernel.Domain     // of the stage's units; 0 before the first step
	over     program.Over      // what the stage's units are
	cut      map[string][2]int // first row and number of rows of each table
	numbered bool              // a lookup goes by position
	live     *liveness
	at       int // index of the operation at hand
	err      error

	ids, types, positions, starts, picked, skips *buffer
}

// fixup is an argument that is an address in an activation, known once all lifetimes are;
// until then it is the distance from the activation's start.
type fixup struct {
	to  *uint32
	buf *buffer
}

// tapAt is a tap on a buffer.
type tapAt struct {
	name string
	step uint32
	buf  *buffer
}

// arg is one argument of a call: a number, a weight's offset, or an activation.
type arg struct {
	value uint32
	buf   *buffer
}

func num[T int | uint32](v T) arg { return arg{value: uint32(v)} }
func at(b *buffer) arg            { return arg{buf: b} }

// within is the place so many bytes into an activation.
func within(b *buffer, bytes int) arg { return arg{value: uint32(bytes), buf: b} }

// barrier opens a stage: what follows waits for all workers.
func (c *compiler) barrier() { c.stage++ }

// call appends a step. Buffers it names live through the present stage.
func (c *compiler) call(k *kernel.Kernel, err error, args ...arg) {
	if c.err != nil {
		return
	}
	if err != nil {
		c.err = err
		return
	}
	first := len(c.prog.Steps) == 0 || c.stage != c.lastStage()
	s := program.Step{Kernel: c.kernel(k), Barrier: first && len(c.prog.Steps) > 0, Over: c.over, Args: make([]uint32, len(args))}
	for i, a := range args {
		s.Args[i] = a.value
		if a.buf != nil {
			a.buf.use(c.stage)
			c.fixups = append(c.fixups, fixup{&s.Args[i], a.buf})
		}
	}
	c.prog.Steps = append(c.prog.Steps, s)
	c.arena.stageOf = append(c.arena.stageOf, c.stage)
}

func (c *compiler) lastStage() int { return c.arena.stageOf[len(c.arena.stageOf)-1] }

func (c *compiler) kernel(k *kernel.Kernel) uint32 {
	i, ok := c.kernelAt[k.Name()]
	if !ok {
		i = uint32(len(c.kernels))
		c.kernelAt[k.Name()] = i
		c.kernels = append(c.kernels, k)
		c.prog.Kernels = append(c.prog.Kernels, k.Name())
	}
	return i
}

// tap asks for the bits of b after the step that was called last.
func (c *compiler) tap(name string, b *buffer) {
	c.taps = append(c.taps, tapAt{name: name, step: uint32(len(c.prog.Steps) - 1), buf: b})
}

// finish places the activations, writes the addresses into the steps and sizes scratch.
func (c *compiler) finish() {
	p := c.prog
	p.Weights = c.weights.weights
	p.WeightsEnd = c.weights.end
	p.ArenaEnd = c.arena.place(p.WeightsEnd)
	for _, f := range c.fixups {
		*f.to += f.buf.offset
	}
	for _, t := range c.taps {
		p.Taps = append(p.Taps, program.Tap{Name: t.name, Step: t.step, Offset: t.buf.offset, Stride: t.buf.stride})
	}
	for _, s := range p.Steps {
		need := c.kernels[s.Kernel].ScratchBytes(s.Args, int(p.MaxLength))
		p.Scratch = max(p.Scratch, uint32(need))
	}
}
