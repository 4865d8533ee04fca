package importer

import "skiff/packager/graph"

// arch is the table of an architecture: which tensors a checkpoint has, of
// which shape, and where they go. A new architecture is a new table.
type arch struct {
	modelType string   // of config.json
	root      string   // the encoder's prefix in checkpoints with a head
	outer     []string // prefixes that wrappers put before every name
	probe     string   // a tensor that every checkpoint has, to find its prefix
	encoder   []param
	layer     []param         // of each layer; # stands for its number
	pooler    []param         // may be absent unless the head wants it
	buffers   []string        // names that checkpoints carry and nothing needs, of any type
	heads     map[string]head // by class; "" is no class named
}

// param is one tensor.
type param struct {
	name  string
	old   string // another name for it; empty for none
	shape []axis
	fill  func(m *graph.Model, layer int, t matrix)
}

// matrix is a tensor on its way into the graph.
type matrix struct {
	rows, cols int // cols is 0 for a vector
	data       []float32
}

// head is what a class of an architecture puts on the encoder.
type head struct {
	task     string
	labels   bool // the labels of config.json belong to it
	pooler   bool // it needs the pooler
	params   []param
	optional []param // checked where present: copies of tied weights, remains of pre-training
}

// archOf is the table for a model_type, nil for an unknown one.
func archOf(modelType string) *arch {
	switch modelType {
	case "bert":
		return bert()
	}
	return nil
}

// archNames lists what archOf knows.
func archNames() []string { return []string{"bert"} }

// linear is the weight and the bias of a Linear, and where it goes.
func linear(name string, out, in axis, at func(m *graph.Model, layer int) *graph.Linear) []param {
	return []param{
		{name: name + ".weight", shape: []axis{out, in}, fill: func(m *graph.Model, i int, t matrix) {
			l := at(m, i)
			l.Out, l.In, l.Weight = t.rows, t.cols, t.data
		}},
		{name: name + ".bias", shape: []axis{out}, fill: func(m *graph.Model, i int, t matrix) { at(m, i).Bias = t.data }},
	}
}

// norm is a LayerNorm, which old checkpoints name gamma and beta.
func norm(name string, at func(m *graph.Model, layer int) *graph.Norm) []param {
	return []param{
		{name: name + ".weight", old: name + ".gamma", shape: []axis{axisH}, fill: func(m *graph.Model, i int, t matrix) {
			n := at(m, i)
			n.Gain, n.Eps = t.data, m.Eps
		}},
		{name: name + ".bias", old: name + ".beta", shape: []axis{axisH}, fill: func(m *graph.Model, i int, t matrix) { at(m, i).Bias = t.data }},
	}
}

// table is a lookup table of rows by H.
func table(name string, rows axis, at func(e *graph.Embedding) *[]float32) param {
	return param{name: name + ".weight", shape: []axis{rows, axisH}, fill: func(m *graph.Model, _ int, t matrix) { *at(&m.Embed) = t.data }}
}

// unkept is a tensor that is checked like the others and then dropped.
func unkept(name string, shape ...axis) param {
	return param{name: name, shape: shape, fill: func(*graph.Model, int, matrix) {}}
}

// join makes one list.
func join(lists ...[]param) []param {
	var all []param
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// bert is BERT and what was distilled from it without changing its shape
// (MiniLM, TinyBERT, BGE, E5, GTE of that type).
func bert() *arch {
	block := func(pick func(b *graph.Block) *graph.Linear) func(*graph.Model, int) *graph.Linear {
		return func(m *graph.Model, i int) *graph.Linear { return pick(&m.Blocks[i]) }
	}
	blockNorm := func(pick func(b *graph.Block) *graph.Norm) func(*graph.Model, int) *graph.Norm {
		return func(m *graph.Model, i int) *graph.Norm { return pick(&m.Blocks[i]) }
	}
	return &arch{
		modelType: "bert",
		root:      "bert.",
		outer:     []string{"", "model."},
		probe:     "embeddings.word_embeddings.weight",
		encoder: join(
			[]param{
				table("embeddings.word_embeddings", axisV, func(e *graph.Embedding) *[]float32 { return &e.Word }),
				table("embeddings.position_embeddings", axisP, func(e *graph.Embedding) *[]float32 { return &e.Position }),
				table("embeddings.token_type_embeddings", axisS, func(e *graph.Embedding) *[]float32 { return &e.Type }),
			},
			norm("embeddings.LayerNorm", func(m *graph.Model, _ int) *graph.Norm { return &m.Embed.Norm })),
		layer: join(
			linear("encoder.layer.#.attention.self.query", axisH, axisH, block(func(b *graph.Block) *graph.Linear { return &b.Query })),
			linear("encoder.layer.#.attention.self.key", axisH, axisH, block(func(b *graph.Block) *graph.Linear { return &b.Key })),
			linear("encoder.layer.#.attention.self.value", axisH, axisH, block(func(b *graph.Block) *graph.Linear { return &b.Value })),
			linear("encoder.layer.#.attention.output.dense", axisH, axisH, block(func(b *graph.Block) *graph.Linear { return &b.Out })),
			norm("encoder.layer.#.attention.output.LayerNorm", blockNorm(func(b *graph.Block) *graph.Norm { return &b.AttnNorm })),
			linear("encoder.layer.#.intermediate.dense", axisF, axisH, block(func(b *graph.Block) *graph.Linear { return &b.FFNIn })),
			linear("encoder.layer.#.output.dense", axisH, axisF, block(func(b *graph.Block) *graph.Linear { return &b.FFNOut })),
			norm("encoder.layer.#.output.LayerNorm", blockNorm(func(b *graph.Block) *graph.Norm { return &b.FFNNorm }))),
		pooler:  linear("pooler.dense", axisH, axisH, func(m *graph.Model, _ int) *graph.Linear { return poolerOf(m) }),
		buffers: []string{"embeddings.position_ids", "embeddings.token_type_ids"},
		heads:   bertHeads(),
	}
}

// poolerOf is the head's pooler, made when first asked for. A model without a
// head gets one that is dropped.
func poolerOf(m *graph.Model) *graph.Linear {
	if m.Head == nil {
		return new(graph.Linear)
	}
	if m.Head.Pooler == nil {
		m.Head.Pooler = new(graph.Linear)
	}
	return m.Head.Pooler
}

// denseOf is the head's last matrix, made when first asked for.
func denseOf(m *graph.Model, _ int) *graph.Linear {
	if m.Head.Dense == nil {
		m.Head.Dense = new(graph.Linear)
	}
	return m.Head.Dense
}

// bertHeads lists the classes that transformers builds on BertModel.
func bertHeads() map[string]head {
	transform := []param{
		unkept("cls.predictions.bias", axisV),
		unkept("cls.predictions.transform.dense.weight", axisH, axisH),
		unkept("cls.predictions.transform.dense.bias", axisH),
		{name: "cls.predictions.transform.LayerNorm.weight", old: "cls.predictions.transform.LayerNorm.gamma", shape: []axis{axisH}, fill: func(*graph.Model, int, matrix) {}},
		{name: "cls.predictions.transform.LayerNorm.bias", old: "cls.predictions.transform.LayerNorm.beta", shape: []axis{axisH}, fill: func(*graph.Model, int, matrix) {}},
	}
	tied := []param{unkept("cls.predictions.decoder.weight", axisV, axisH), unkept("cls.predictions.decoder.bias", axisV)}
	next := []param{unkept("cls.seq_relationship.weight", axisTwo, axisH), unkept("cls.seq_relationship.bias", axisTwo)}
	encoder := head{task: graph.TaskEncode, optional: join(transform, tied, next)}
	return map[string]head{
		"":          encoder,
		"BertModel": encoder,
		"BertForSequenceClassification": {task: graph.TaskClassify, labels: true, pooler: true,
			params: linear("classifier", axisL, axisH, denseOf)},
		"BertForTokenClassification": {task: graph.TaskTag, labels: true, params: linear("classifier", axisL, axisH, denseOf)},
		"BertForQuestionAnswering":   {task: graph.TaskAnswer, params: linear("qa_outputs", axisTwo, axisH, denseOf)},
		"BertForMaskedLM":            {task: graph.TaskFillMask, params: transform, optional: tied},
		"BertForPreTraining":         {task: graph.TaskFillMask, pooler: true, params: join(transform, next), optional: tied},
	}
}
