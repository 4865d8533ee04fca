// Package infer loads a bundle and runs it: text in, answer out.
//
// Data flow: Load checks that this build can run the bundle (Fit), decodes the program
// and hands it to runtime/engine, streams each tensor's verified chunks to its place in linear memory
// (place.go), and reads the tokenizer. Embed turns texts into token ids, packs them
// without padding into passes of at most MaxTokens, runs the passes and copies the
// rows out. Prove replays the bundle's golden texts and compares digests.
//
// Law: the same bundle and the same text give the same bits, whatever the engine, the
// number of workers, the batch or the CPU.
//
// The package must not know MQTT, bbolt or files; a bundle.Source hides them.
//
// Shapes: B texts, M token rows, T tokens of one text, H hidden.
package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"skiff/formats/bundle"
	"skiff/formats/tokenizer"
	"skiff/runtime/engine"
	"skiff/runtime/program"
)

// Version is the runtime's version: a bundle whose MinRuntime is higher is refused.
const Version = 1

var (
	// ErrIncompatible is returned when the bundle is sound but not for this build or device.
	ErrIncompatible = errors.New("bundle does not fit this runtime")
	// ErrNotFinite is returned when an answer holds a NaN or an infinity.
	ErrNotFinite = errors.New("answer is not finite")
	// ErrMismatch is returned by Prove when a golden answer has other bits.
	ErrMismatch = errors.New("golden answer differs")
	// ErrTask is returned when a model is asked for what it is not for.
	ErrTask = errors.New("model is for another task")
	// ErrInput is wrapped by every *InputError.
	ErrInput = errors.New("input does not suit the model")
	// ErrClosed is returned by calls on a closed model.
	ErrClosed = errors.New("model is closed")
)

// InputError is an input that the model can never answer.
type InputError struct {
	Field string // what is wrong: "text", "question", "stride"
	Err   error
}

// Error names the field.
func (e *InputError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns ErrInput and the cause.
func (e *InputError) Unwrap() []error { return []error{ErrInput, e.Err} }

// Config says how to run a bundle. The zero value picks the engine by CPU and uses one
// worker per CPU, at most 4.
type Config struct {
	Kernels string // one of engine.Names: auto, native, wasm, interp, go or a set of assembly; empty is auto
	Workers int
}

// Model is a loaded bundle. Its methods may be called concurrently: their passes run one at
// a time, in turns. Models do not disturb one another. Close frees it.
//
// Its memory is planned when it is loaded: a call on any number of texts runs them in passes
// that fit the plan, and needs beside that only its result and the token ids of one pass. A
// context that ends stops a call within about a millisecond.
type Model struct {
	manifest bundle.Manifest
	digest   bundle.Digest
	tok      *tokenizer.Tokenizer
	prog     *program.Program
	prompt   prompt // the default one
	mask     int32  // id of the token that stands for a word to be found; -1 for none
	choice   engine.Choice
	workers  int

	lending sync.Mutex // guards idle
	idle    []*batch

	turn    chan struct{} // holds one token: calls queue for it, first come first served, before they take mu
	mu      sync.Mutex    // guards all below
	machine *engine.Machine
	batch   batch
}

// Fit says whether this build can run a bundle, from its manifest alone: before a byte
// of a chunk is fetched. The error wraps ErrIncompatible.
func Fit(m *bundle.Manifest, cfg Config) error {
	engineCfg, err := engine.Parse(cfg.Kernels)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	need := m.Memory.Weights + m.Memory.Arena + m.Memory.Scratch
	switch {
	case m.MinRuntime > Version:
		return fmt.Errorf("%w: it needs runtime %d, this is %d", ErrIncompatible, m.MinRuntime, Version)
	case !slices.Contains([]string{TaskEmbed, TaskClassify, TaskRank, TaskTag, TaskAnswer, TaskFillMask}, m.Task):
		return fmt.Errorf("%w: task %q", ErrIncompatible, m.Task)
	case need > engine.MaxMemory || m.Memory.Weights > engine.MaxMemory || m.Memory.Arena > engine.MaxMemory:
		return fmt.Errorf("%w: it needs %d bytes of memory, the most is %d", ErrIncompatible, need, uint64(engine.MaxMemory))
	case engineCfg.Kind == engine.Wasm && !engine.CanCompile():
		return fmt.Errorf("%w: %w", ErrIncompatible, engine.ErrNoCompiler)
	case engineCfg.Kind == engine.Native && len(engine.Sets()) == 0:
		return fmt.Errorf("%w: %w", ErrIncompatible, engine.ErrNoNative)
	}
	return nil
}

// Load makes a bundle ready to run. Every byte it reads is verified against the
// manifest, whose signature the opener of the bundle has checked.
func Load(ctx context.Context, b *bundle.Bundle, cfg Config) (*Model, error) {
	if err := Fit(&b.Manifest, cfg); err != nil {
		return nil, err
	}
	m := &Model{manifest: b.Manifest, digest: b.Digest(), turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	var wrong error
	var beside sync.WaitGroup
	beside.Go(func() { wrong = m.readTokenizer(ctx, b) }) // takes as long as the weights
	err := m.readMachine(ctx, b, cfg)
	beside.Wait()
	if wrong != nil {
		err = fmt.Errorf("load tokenizer: %w", wrong)
	}
	if err == nil && m.tok.VocabSize() > int(m.prog.Vocab) {
		err = fmt.Errorf("load program: %w: tokenizer of %d tokens, program of %d", ErrIncompatible, m.tok.VocabSize(), m.prog.Vocab)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close(context.WithoutCancel(ctx)))
	}
	return m, nil
}

// Choose says what Load would run a bundle with on this machine. It lays no weights.
func Choose(ctx context.Context, b *bundle.Bundle, cfg Config) (engine.Choice, error) {
	if err := Fit(&b.Manifest, cfg); err != nil {
		return engine.Choice{}, err
	}
	m := &Model{manifest: b.Manifest}
	if err := m.readProgram(ctx, b); err != nil {
		return engine.Choice{}, fmt.Errorf("load program: %w", err)
	}
	engineCfg, err := engine.Parse(cfg.Kernels)
	if err != nil {
		return engine.Choice{}, err
	}
	return engine.Choose(m.prog, engineCfg)
}

// readMachine reads the program, starts the engine for it and lays the weights.
func (m *Model) readMachine(ctx context.Context, b *bundle.Bundle, cfg Config) error {
	if err := m.readProgram(ctx, b); err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	engineCfg, err := engine.Parse(cfg.Kernels)
	if err != nil {
		return err
	}
	engineCfg.Workers = cfg.Workers
	machine, err := engine.New(ctx, m.prog, engineCfg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	m.machine, m.choice, m.workers = machine, machine.Choice(), machine.Workers()
	if err := place(ctx, b, m.prog, machine); err != nil {
		return fmt.Errorf("load weights: %w", err)
	}
	return nil
}

func (m *Model) readTokenizer(ctx context.Context, b *bundle.Bundle) error {
	objects := b.Objects(bundle.KindTokenizer)
	if len(objects) != 1 {
		return fmt.Errorf("%w: %d tokenizers", ErrIncompatible, len(objects))
	}
	data, err := b.Read(ctx, objects[0])
	if err != nil {
		return err
	}
	if m.tok, err = tokenizer.Parse(data); err != nil {
		return err
	}
	m.prompt = m.promptOf(m.manifest.Meta.Prefix)
	m.mask = -1
	if name := m.manifest.Meta.MaskToken; name != "" {
		var ok bool
		if m.mask, ok = m.tok.ID(name); !ok {
			return fmt.Errorf("%w: no mask token %q", ErrIncompatible, name)
		}
	}
	return nil
}

// readProgram reads the program. Its kernels are found by name: a name fixes every bit of
// a result, so this build runs its own emission of it, and code from outside is never
// executed. A name it does not know is refused.
func (m *Model) readProgram(ctx context.Context, b *bundle.Bundle) error {
	objects := b.Objects(bundle.KindProgram)
	if len(objects) != 1 {
		return fmt.Errorf("%w: %d programs", ErrIncompatible, len(objects))
	}
	if objects[0].Length > program.MaxEncoded {
		return fmt.Errorf("%w: program of %d bytes", ErrIncompatible, objects[0].Length)
	}
	data, err := b.Read(ctx, objects[0])
	if err != nil {
		return err
	}
	if m.prog, err = program.Decode(data); err != nil {
		return err
	}
	if _, err := m.prog.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	return m.checkPlan()
}

// checkPlan holds the program against the manifest, which a device judged before the
// download: a program that needs more than its plan said is refused.
func (m *Model) checkPlan() error {
	p, plan := m.prog, m.manifest.Memory
	if plan != PlanOf(p) {
		return fmt.Errorf("%w: memory plan %+v, the program needs %+v", ErrIncompatible, plan, PlanOf(p))
	}
	if m.manifest.Task == TaskAnswer && p.Hidden != 2 {
		return fmt.Errorf("%w: %d columns for the ends of an answer", ErrIncompatible, p.Hidden)
	}
	if labelled := m.manifest.Task == TaskClassify || m.manifest.Task == TaskTag; labelled && len(m.manifest.Meta.Labels) != int(p.Hidden) {
		return fmt.Errorf("%w: %d labels, the program makes %d", ErrIncompatible, len(m.manifest.Meta.Labels), p.Hidden)
	}
	if m.manifest.Meta.MaxTokensPerText > int(p.MaxLength) || m.manifest.Meta.Hidden != int(p.Hidden) {
		return fmt.Errorf("%w: metadata and program disagree", ErrIncompatible)
	}
	if m.manifest.Meta.SkipPrompt != (p.Skips != 0) {
		return fmt.Errorf("%w: metadata and program disagree on prompts", ErrIncompatible)
	}
	return nil
}

// PlanOf is the memory plan of a program as a manifest states it.
func PlanOf(p *program.Program) bundle.Memory {
	return bundle.Memory{
		Weights: uint64(p.WeightsEnd), Arena: uint64(p.ArenaEnd - p.WeightsEnd), Scratch: uint64(p.Scratch),
		MaxTokens: uint64(p.MaxTokens), MaxSeqs: uint64(p.MaxSeqs),
	}
}

// wants says whether the model is for a task.
func (m *Model) wants(task string) error {
	if m.manifest.Task != task {
		return fmt.Errorf("%w: %q, not %q", ErrTask, m.manifest.Task, task)
	}
	return nil
}

// Manifest is the bundle's manifest.
func (m *Model) Manifest() bundle.Manifest { return m.manifest }

// Digest is the bundle's identity.
func (m *Model) Digest() bundle.Digest { return m.digest }

// Dim is the length of an embedding, H.
func (m *Model) Dim() int { return int(m.prog.Hidden) }

// Kernels names what runs the kernels: a set of assembly, wasm, interp or go; or a set and
// what runs the kernels that it lacks, as "avx512+wasm".
func (m *Model) Kernels() string { return m.choice.Kernels }

// Notes say which kernels of faster sets were switched off on this CPU, and why; nil for
// none.
func (m *Model) Notes() []string { return m.choice.Notes }

// Workers is the number of workers.
func (m *Model) Workers() int { return m.workers }

// Tokenizer is the model's tokenizer, with the bundle's truncation.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Close frees the model once the pass that is running has ended.
func (m *Model) Close(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil {
		return nil
	}
	err := m.machine.Close(ctx)
	m.machine = nil
	return err
}
