package quantize

import (
	"context"
	"fmt"

	"skiff/packager/graph"
)

// Linear8 is a quantised linear layer: int8 weights, float32 bias.
type Linear8 struct {
	Matrix
	Bias []float32 // [Rows]
}

// Block8 is a quantised transformer block. Query, key and value share one input, so
// they are one matrix of 3H rows and are quantised together at run time.
type Block8 struct {
	QKV, Out, FFNIn, FFNOut Linear8
}

// Model8 is what the quantiser made of a model; norms and pooling stay in Source.
type Model8 struct {
	Source               *graph.Model
	Word, Position, Type Matrix
	Blocks               []Block8
}

// Inputs maps the name of a linear layer to the columns kept in float32 there.
type Inputs map[string][]int32

// Calibrate runs texts through the float32 reference and names up to n outlier columns
// for the input of each linear layer. encode turns a text into token ids. With n = 0
// nothing is run. progress, if not nil, is told after each text.
func Calibrate(ctx context.Context, m *graph.Model, texts []string, n int, encode func(string) []int32, progress func(done, total int)) (Inputs, error) {
	if n == 0 {
		return Inputs{}, nil
	}
	watch := map[string]*Outliers{}
	for layer := range m.Blocks {
		for _, l := range m.Blocks[layer].Linears(layer) {
			watch[l.Name] = NewOutliers(l.In)
		}
	}
	tap := func(name string, x []float32, rows, cols int) {
		if o := watch[name]; o != nil {
			o.Watch(x)
		}
	}
	reference := m.Reference()
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("calibrate: %w", err)
		}
		ids := encode(text)
		if _, err := reference.Hidden(ids, make([]int32, len(ids)), tap); err != nil {
			return nil, fmt.Errorf("calibrate: %w", err)
		}
		if progress != nil {
			progress(i+1, len(texts))
		}
	}
	in := Inputs{}
	for name, o := range watch {
		in[name] = o.Top(n)
	}
	return in, nil
}

// Quantise makes the int8 form of m with the given outlier columns.
func Quantise(m *graph.Model, outliers Inputs) (*Model8, error) {
	q := &Model8{Source: m}
	var err error
	if q.Word, err = Table(m.Embed.Word, m.Vocab, m.Hidden); err != nil {
		return nil, fmt.Errorf("word table: %w", err)
	}
	if q.Position, err = Table(m.Embed.Position, m.MaxPositions, m.Hidden); err != nil {
		return nil, fmt.Errorf("position table: %w", err)
	}
	if q.Type, err = Table(m.Embed.Type, m.Types, m.Hidden); err != nil {
		return nil, fmt.Errorf("type table: %w", err)
	}
	for layer := range m.Blocks {
		b, err := quantiseBlock(&m.Blocks[layer], layer, outliers)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", layer, err)
		}
		q.Blocks = append(q.Blocks, b)
	}
	return q, nil
}

func quantiseBlock(b *graph.Block, layer int, outliers Inputs) (Block8, error) {
	at := func(l *graph.Linear) []int32 {
		for _, named := range b.Linears(layer) {
			if named.Linear == l {
				return outliers[named.Name]
			}
		}
		return nil
	}
	fused := graph.Linear{In: b.Query.In, Out: b.Query.Out + b.Key.Out + b.Value.Out}
	for _, l := range []*graph.Linear{&b.Query, &b.Key, &b.Value} {
		fused.Weight = append(fused.Weight, l.Weight...)
		fused.Bias = append(fused.Bias, l.Bias...)
	}
	var out Block8
	var err error
	for _, step := range []struct {
		to       *Linear8
		from     *graph.Linear
		outliers []int32
	}{
		{&out.QKV, &fused, at(&b.Query)},
		{&out.Out, &b.Out, at(&b.Out)},
		{&out.FFNIn, &b.FFNIn, at(&b.FFNIn)},
		{&out.FFNOut, &b.FFNOut, at(&b.FFNOut)},
	} {
		step.to.Bias = step.from.Bias
		if step.to.Matrix, err = Linear(step.from.Weight, step.from.Out, step.from.In, step.outliers); err != nil {
			return Block8{}, err
		}
	}
	return out, nil
}
