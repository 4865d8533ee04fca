// Package packager makes a signed bundle of a model.
//
// Data flow, one verb after another: importer.Open reads the model into graph's operations;
// Pack calibrates and quantises (quantize), compiles (compile), runs the golden texts on
// the very kernels it ships (golden, runtime/infer), measures int8 against float32, and
// signs (formats/bundle). Nothing leaves that was not run.
//
// It must not import agent or fleet.
//
// Shapes: T tokens, H hidden.
package packager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tokenizer"
	"skiff/packager/compile"
	"skiff/packager/corpus"
	"skiff/packager/golden"
	"skiff/packager/graph"
	"skiff/packager/quantize"
	"skiff/runtime/infer"
)

// Tool is the name and version that a bundle's lineage states.
const Tool = "skiff 0.1.0"

// DefaultProduct is the product of bundles and devices that name none.
const DefaultProduct = "default"

// ErrTask is returned when a model is for a task that cannot be packed yet.
var ErrTask = errors.New("task cannot be packed")

// Config says how to pack. The zero value, with a key, packs with one outlier column per
// linear layer, release 1, version "1" and the model's own name.
type Config struct {
	Key      sign.Private // signs the bundle
	Name     string       // default: the model's name
	Version  string       // for people; default "1"
	Release  uint64       // for machines, rises with every release; default 1
	Product  string       // default DefaultProduct
	Channels []string     // audience; none means every channel
	// Outliers is how many input columns per linear layer stay in float32, 1 to 4;
	// 0 is one, -1 none.
	Outliers int
	// Thresholds are the scores from which a label of a classifier holds, by label or for
	// AllLabels; they go before the model's own.
	Thresholds map[string]float64
	// Fast calibrates and measures on a quarter of the corpus.
	Fast bool
	// Progress, if not nil, is told how far each stage is. Stages come in order.
	Progress func(stage string, done, total int)
}

// Report says what packing made and what it cost.
type Report struct {
	Quality  bundle.Quality
	Params   int              // weights of the source
	Kept     int              // tensors that have the int8 codes of the model's file; how activations are scaled is ours
	Outliers map[string]int   // float32 columns per linear layer
	Memory   bundle.Memory    // what running takes
	Kernels  []string         // kernels in the bundle
	Goldens  int              // golden batches
	Sections map[string]int64 // encoded bytes by kind of content
}

// Pack turns a model into a signed bundle. The same model and Config give the same bytes.
func Pack(ctx context.Context, m *graph.Model, cfg Config) (*bundle.Bundle, Report, error) {
	p, err := newPack(m, cfg)
	if err != nil {
		return nil, Report{}, err
	}
	if err := p.quantise(ctx); err != nil {
		return nil, Report{}, err
	}
	if err := p.compile(); err != nil {
		return nil, Report{}, err
	}
	if err := p.prove(ctx); err != nil {
		return nil, Report{}, err
	}
	b, err := p.build(ctx)
	if err != nil {
		return nil, Report{}, err
	}
	if err := p.check(ctx, b); err != nil {
		return nil, Report{}, err
	}
	return b, p.report(b), nil
}

// pack is one run of Pack.
type pack struct {
	cfg      Config
	model    *graph.Model
	task     Task
	tok      *tokenizer.Tokenizer
	tokJSON  []byte   // canonical
	corpus   []string // texts that the tokenizer takes
	texts    []string // those that are calibrated and measured on
	quant    *quantize.Model8
	compiled *compile.Result
	manifest bundle.Manifest
	outliers quantize.Inputs
}

func newPack(m *graph.Model, cfg Config) (*pack, error) {
	cfg = cfg.withDefaults(m)
	if cfg.Outliers < -1 || cfg.Outliers > 4 {
		return nil, fmt.Errorf("outliers %d: want -1 to 4", cfg.Outliers)
	}
	tok, err := tokenizer.Parse(m.TokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	p := &pack{cfg: cfg, model: m}
	if p.task, err = TaskOf(m, tok); err != nil {
		return nil, err
	}
	if p.task.Thresholds, err = cfg.thresholds(p.task); err != nil {
		return nil, err
	}
	p.tokJSON = tok.Canonical(m.MaxTokens)
	if p.tok, err = tokenizer.Parse(p.tokJSON); err != nil {
		return nil, fmt.Errorf("canonical tokenizer: %w", err)
	}
	if p.corpus = p.known(corpus.Texts()); len(p.corpus) < minTexts {
		return nil, fmt.Errorf("tokenizer.json: it refuses all but %d texts of the corpus: it has no token for what it does not know", len(p.corpus))
	}
	p.texts = p.task.masked(p.corpus)
	if cfg.Fast {
		p.texts = p.texts[:len(p.texts)/4]
	}
	return p, nil
}

// minTexts is the least that calibration and proof can be made of.
const minTexts = 16

// known are the texts that the tokenizer does not refuse.
func (p *pack) known(texts []string) []string {
	var out []string
	for _, text := range texts {
		if p.tok.Check(p.model.Prefix+p.task.withMask(text)) == nil {
			out = append(out, text)
		}
	}
	return out
}

func (c Config) withDefaults(m *graph.Model) Config {
	if c.Name == "" {
		c.Name = m.Name
	}
	if c.Version == "" {
		c.Version = "1"
	}
	if c.Release == 0 {
		c.Release = 1
	}
	if c.Product == "" {
		c.Product = DefaultProduct
	}
	if c.Outliers == 0 {
		c.Outliers = 1
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	return c
}

func (p *pack) encode(text string) []int32 {
	return p.tok.AppendIDs(nil, p.model.Prefix+text, p.model.MaxTokens)
}

func (p *pack) quantise(ctx context.Context) error {
	var err error
	tick := func(done, total int) { p.cfg.Progress("calibrate", done, total) }
	p.outliers, err = quantize.Calibrate(ctx, p.model, p.texts, max(p.cfg.Outliers, 0), p.encode, tick)
	if err != nil {
		return err
	}
	if p.quant, err = quantize.Quantise(p.model, p.outliers); err != nil {
		return fmt.Errorf("quantise: %w", err)
	}
	p.cfg.Progress("quantise", 1, 1)
	return nil
}

func (p *pack) compile() error {
	var err error
	if p.compiled, err = compile.Compile(p.quant, compile.Config{}); err != nil {
		return err
	}
	p.manifest = bundle.Manifest{
		Product: p.cfg.Product, Channels: p.cfg.Channels,
		Name: p.cfg.Name, Version: p.cfg.Version, Release: p.cfg.Release,
		Task:       p.task.Name,
		Meta:       p.meta(),
		Memory:     infer.PlanOf(p.compiled.Program),
		MinRuntime: infer.Version,
		Lineage:    bundle.Lineage{Source: p.model.Source, Recipe: p.recipe(), Tool: Tool},
	}
	p.cfg.Progress("compile", 1, 1)
	return nil
}

// meta is what running the model executes besides its program.
func (p *pack) meta() bundle.Meta {
	m := p.model
	meta := bundle.Meta{
		MaxTokensPerText: m.MaxTokens, Hidden: m.Dim(), Normalize: m.Normalized(), Prefix: m.Prefix, SkipPrompt: m.LeavesPrompt(),
		Pooling: m.Pooling().String(), Labels: p.task.Labels, Thresholds: p.task.Thresholds, MaskToken: p.task.Mask,
	}
	for _, name := range slices.Sorted(maps.Keys(m.Prompts)) {
		meta.Prompts = append(meta.Prompts, bundle.Prompt{Name: name, Text: m.Prompts[name]})
	}
	if p.task.Scores != 0 {
		meta.Scores = p.task.Scores.String()
	}
	if m.Hidden != m.Dim() {
		meta.Width = m.Hidden
	}
	return meta
}

func (p *pack) recipe() string {
	recipe := fmt.Sprintf("int8 per output channel, %d float32 columns, %d calibration texts", max(p.cfg.Outliers, 0), len(p.texts))
	if n := p.quant.Kept(); n > 0 {
		recipe += fmt.Sprintf(", %d tensors with the int8 codes of their file", n)
	}
	return recipe
}

// prove runs a draft of the bundle: goldens and quality come from the kernels and the
// loader that devices use.
func (p *pack) prove(ctx context.Context) error {
	draft, err := p.build(ctx)
	if err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	model, err := infer.Load(ctx, draft, infer.Config{})
	if err != nil {
		return fmt.Errorf("load draft: %w", err)
	}
	err = errors.Join(p.goldens(ctx, model), p.measure(ctx, model))
	return errors.Join(err, model.Close(ctx))
}

// check proves the finished bundle as a device would, on one worker and on several.
func (p *pack) check(ctx context.Context, b *bundle.Bundle) error {
	model, err := infer.Load(ctx, b, infer.Config{})
	if err != nil {
		return fmt.Errorf("load bundle: %w", err)
	}
	err = model.Prove(ctx)
	p.cfg.Progress("prove", 1, 1)
	return errors.Join(err, model.Close(ctx))
}

func (p *pack) goldens(ctx context.Context, model *infer.Model) error {
	count := func(text string) int { return model.Tokens(p.task.withMask(text)) }
	batches := golden.Batches(p.corpus, p.model.MaxTokens, count)
	for i, batch := range batches {
		g, err := model.Golden(ctx, p.task.masked(batch))
		if err != nil {
			return fmt.Errorf("golden %d: %w", i, err)
		}
		p.manifest.Goldens = append(p.manifest.Goldens, g)
		p.cfg.Progress("goldens", i+1, len(batches))
	}
	return nil
}

// build signs a bundle of what there is so far.
func (p *pack) build(ctx context.Context) (*bundle.Bundle, error) {
	b := bundle.NewBuilder()
	if err := b.AddBlob(bundle.KindTokenizer, "tokenizer", p.tokJSON); err != nil {
		return nil, fmt.Errorf("add tokenizer: %w", err)
	}
	if err := b.AddBlob(bundle.KindProgram, "program", p.compiled.Program.Encode()); err != nil {
		return nil, fmt.Errorf("add program: %w", err)
	}
	for _, k := range p.compiled.Kernels {
		if err := b.AddBlob(bundle.KindKernel, k.Name(), k.Body()); err != nil {
			return nil, fmt.Errorf("add kernel: %w", err)
		}
	}
	for _, t := range p.compiled.Tensors {
		if err := b.AddTensor(t.Block, t.Name, t.DType, t.Shape, t.Data); err != nil {
			return nil, fmt.Errorf("add tensor %s: %w", t.Name, err)
		}
	}
	out, err := b.Build(ctx, p.manifest, p.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("build bundle: %w", err)
	}
	return out, nil
}
