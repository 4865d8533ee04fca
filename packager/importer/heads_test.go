package importer

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/safetensors"
	"skiff/packager/graph"
)

// headCase is a fixture turned into another class of its architecture.
type headCase struct {
	from, class string
	keys        map[string]any // of config.json
	drop        []string       // stems of tensors
	add         map[string][]int
	task        string
	cols        int  // of the answer
	pooled      bool // one row a text
	tied        bool // the decoder is the word table
}

// shapes are the tensors of layers, given as name, rows, columns, and norms, with
// columns alone.
func shapes(list ...any) map[string][]int {
	out := make(map[string][]int)
	for i := 0; i < len(list); {
		name, rows := list[i].(string), list[i+1].(int)
		out[name+".bias"] = []int{rows}
		if i+2 < len(list) {
			if cols, ok := list[i+2].(int); ok {
				out[name+".weight"] = []int{rows, cols}
				i += 3
				continue
			}
		}
		out[name+".weight"] = []int{rows}
		i += 2
	}
	return out
}

// with adds single tensors to a list.
func with(in map[string][]int, name string, shape ...int) map[string][]int {
	in[name] = shape
	return in
}

// folder is the fixture with another class and other tensors.
func (c *headCase) folder(t *testing.T) fs.FS {
	t.Helper()
	dir := shared(t, "fixtures", c.from)
	out := make(fstest.MapFS)
	for _, name := range []string{tokenizerName, tokenizerConfigName} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: data}
	}
	text, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		t.Fatal(err)
	}
	var cfg map[string]any
	if err := json.Unmarshal(text, &cfg); err != nil {
		t.Fatal(err)
	}
	cfg["architectures"] = []string{c.class}
	for key, v := range c.keys {
		cfg[key] = v
	}
	if text, err = json.Marshal(cfg); err != nil {
		t.Fatal(err)
	}
	out[configName] = &fstest.MapFile{Data: text}
	out["model.safetensors"] = &fstest.MapFile{Data: store(c.tensors(t, dir))}
	return out
}

// tensors are those of the fixture without drop and with add.
func (c *headCase) tensors(t *testing.T, dir string) map[string]weight {
	t.Helper()
	file, err := safetensors.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := make(map[string]weight)
	for _, name := range file.Names() {
		v, _ := file.Tensor(name)
		all[name] = weight{v.DType.String(), v.Shape, string(v.Data)}
	}
	for _, stem := range c.drop {
		for name := range all {
			if strings.HasPrefix(name, stem) {
				delete(all, name)
			}
		}
	}
	for name, shape := range c.add {
		all[name] = values(len(name), shape...)
	}
	return all
}

// transform are the tensors of BERT's head that predicts words.
func transform(h int) map[string][]int {
	return with(shapes("cls.predictions.transform.dense", h, h, "cls.predictions.transform.LayerNorm", h), "cls.predictions.bias", 750)
}

func headCases() []headCase {
	const seq = "-sequence-classification"
	words, tags, spans := graph.TaskFillMask, graph.TaskTag, graph.TaskAnswer
	distil := with(shapes("vocab_transform", 32, 32, "vocab_layer_norm", 32), "vocab_projector.bias", 750)
	lm := func(h, v int) map[string][]int {
		return with(shapes("lm_head.dense", h, h, "lm_head.layer_norm", h), "lm_head.bias", v)
	}
	modern := func(more ...any) map[string][]int {
		return with(with(shapes(more...), "head.dense.weight", 32, 32), "head.norm.weight", 32)
	}
	own := func(at string) map[string][]int { // DeBERTa's projections of its own
		return shapes(at+"0.attention.self.pos_key_proj", 40, 40, at+"0.attention.self.pos_query_proj", 40, 40,
			at+"1.attention.self.pos_key_proj", 40, 40, at+"1.attention.self.pos_query_proj", 40, 40)
	}
	return []headCase{
		{from: "bert-masked-lm", class: "BertForPreTraining", add: shapes("cls.seq_relationship", 2, 32, "bert.pooler.dense", 32, 32), task: words, cols: 750, tied: true},
		{from: "bert-masked-lm", class: "BertForMaskedLM", keys: map[string]any{"tie_word_embeddings": false},
			add: with(nilShapes(), "cls.predictions.decoder.weight", 750, 32), task: words, cols: 750},
		{from: "bert-masked-lm", class: "BertForMaskedLM", keys: map[string]any{"tie_word_embeddings": false}, // the bias under both names, as PyTorch's files have it
			add: shapes("cls.predictions.decoder", 750, 32), task: words, cols: 750},
		{from: "distilbert" + seq, class: "DistilBertForMaskedLM", drop: []string{"pre_classifier", "classifier"}, add: distil, task: words, cols: 750, tied: true},
		{from: "distilbert" + seq, class: "DistilBertForTokenClassification", drop: []string{"pre_classifier"}, task: tags, cols: 3},
		{from: "distilbert" + seq, class: "DistilBertForQuestionAnswering", drop: []string{"pre_classifier", "classifier"}, add: shapes("qa_outputs", 2, 32), task: spans, cols: 2},
		{from: "roberta" + seq, class: "RobertaForMaskedLM", drop: []string{"classifier"}, add: lm(36, 750), task: words, cols: 750, tied: true},
		{from: "roberta" + seq, class: "RobertaForTokenClassification", drop: []string{"classifier"}, add: shapes("classifier", 3, 36), task: tags, cols: 3},
		{from: "xlm-roberta-embed", class: "XLMRobertaForMaskedLM", add: lm(32, 692), task: words, cols: 692, tied: true},
		{from: "xlm-roberta-embed", class: "XLMRobertaForQuestionAnswering", add: shapes("qa_outputs", 2, 32), task: spans, cols: 2},
		{from: "electra" + seq, class: "ElectraForMaskedLM", drop: []string{"classifier"}, task: words, cols: 750, tied: true,
			add: with(shapes("generator_predictions.dense", 20, 44, "generator_predictions.LayerNorm", 20), "generator_lm_head.bias", 750)},
		{from: "electra" + seq, class: "ElectraForPreTraining", drop: []string{"classifier"}, task: graph.TaskEncode, cols: 44,
			add: shapes("discriminator_predictions.dense", 44, 44, "discriminator_predictions.dense_prediction", 1, 44)},
		{from: "albert" + seq, class: "AlbertForQuestionAnswering", drop: []string{"classifier"}, add: shapes("qa_outputs", 2, 40), task: spans, cols: 2},
		{from: "mpnet-embed", class: "MPNetForMaskedLM", add: lm(36, 751), task: words, cols: 751, tied: true},
		{from: "mpnet-embed", class: "MPNetForSequenceClassification", add: shapes("classifier.dense", 36, 36, "classifier.out_proj", 2, 36), task: graph.TaskClassify, cols: 2, pooled: true},
		{from: "mobilebert" + seq, class: "MobileBertForMaskedLM", drop: []string{"classifier"}, add: with(transform(40), "cls.predictions.dense.weight", 16, 750), task: words, cols: 750},
		{from: "mobilebert" + seq, class: "MobileBertForMaskedLM", keys: map[string]any{"tie_word_embeddings": false}, drop: []string{"classifier"}, task: words, cols: 750,
			add: with(with(with(transform(40), "cls.predictions.dense.weight", 16, 750), "cls.predictions.decoder.weight", 750, 24), "cls.predictions.decoder.bias", 750)},
		{from: "mobilebert" + seq, class: "MobileBertForTokenClassification", task: tags, cols: 3},
		{from: "deberta-v2" + seq, class: "DebertaV2ForMaskedLM", drop: []string{"classifier", "pooler"}, task: words, cols: 691, tied: true,
			add: with(transform(40), "cls.predictions.bias", 691)},
		{from: "deberta-v2" + seq, class: "DebertaV2ForMaskedLM", keys: map[string]any{"legacy": false, "tie_word_embeddings": false}, drop: []string{"classifier", "pooler"}, task: words, cols: 691, tied: true,
			add: with(shapes("lm_predictions.lm_head.dense", 40, 40, "lm_predictions.lm_head.LayerNorm", 40), "lm_predictions.lm_head.bias", 691)},
		{from: "deberta-v2" + seq, class: "DebertaV2ForTokenClassification", keys: map[string]any{"relative_attention": false}, task: tags, cols: 3,
			drop: []string{"pooler", "deberta.encoder.rel_embeddings"}},
		{from: "deberta-v2" + seq, class: "DebertaV2ForTokenClassification", keys: map[string]any{"share_att_key": false, "pos_att_type": "p2c|c2p"},
			drop: []string{"pooler"}, add: own("deberta.encoder.layer."), task: tags, cols: 3},
		{from: "deberta-v2" + seq, class: "DebertaV2ForQuestionAnswering", keys: map[string]any{"position_biased_input": true, "type_vocab_size": 2}, drop: []string{"pooler", "classifier"},
			add: with(with(shapes("qa_outputs", 2, 40), "deberta.embeddings.position_embeddings.weight", 64, 40), "deberta.embeddings.token_type_embeddings.weight", 2, 40), task: spans, cols: 2},
		{from: "modernbert-embed", class: "ModernBertForMaskedLM", add: with(modern(), "decoder.bias", 750), task: words, cols: 750, tied: true},
		{from: "modernbert-embed", class: "ModernBertForSequenceClassification", keys: map[string]any{"classifier_pooling": "mean"},
			add: modern("classifier", 2, 32), task: graph.TaskClassify, cols: 2, pooled: true},
		{from: "modernbert-embed", class: "ModernBertForTokenClassification", add: modern("classifier", 2, 32), task: tags, cols: 2},
		{from: "modernbert-embed", class: "ModernBertForQuestionAnswering", add: modern("classifier", 2, 32), task: spans, cols: 2},
	}
}

func nilShapes() map[string][]int { return make(map[string][]int) }

// TestHeads opens and runs the classes of which there is no fixture.
func TestHeads(t *testing.T) {
	for _, c := range headCases() {
		t.Run(c.class, func(t *testing.T) {
			m, err := OpenFS(context.Background(), c.folder(t), c.class)
			if err != nil {
				t.Fatal(err)
			}
			if m.Task != c.task || m.Dim() != c.cols || m.Values[m.Answer].Pooled != c.pooled {
				t.Errorf("task %s with %d columns, want %s with %d", m.Task, m.Dim(), c.task, c.cols)
			}
			out, err := m.Reference().Run([]int32{5, 6, 7}, nil, nil, m.Answer)
			rows := 3
			if c.pooled {
				rows = 1
			}
			if err != nil || len(out[0]) != rows*c.cols {
				t.Fatalf("%d values, %v", len(out[0]), err)
			}
			if _, ok := finite(out[0]); !ok {
				t.Error("the answer is not finite")
			}
			if decoder, ok := m.Ops[len(m.Ops)-1].(*graph.Linear); c.tied && (!ok || &decoder.W.Weight[0] != wordTable(m)) {
				t.Error("the decoder is not the word table")
			}
		})
	}
}

// wordTable is where the word table starts.
func wordTable(m *graph.Model) *float32 {
	for _, op := range m.Ops {
		if e, ok := op.(*graph.Embed); ok && e.Lookups[0].By == graph.ByID {
			return &e.Lookups[0].Table.Data[0]
		}
	}
	return nil
}

// TestBeside: MobileBERT's decoder is two tables side by side, one of them transposed.
func TestBeside(t *testing.T) {
	got := beside([]float32{1, 2, 3, 4, 5, 6}, []float32{7, 8, 9}, 3, 2, 3)
	if diff := cmp.Diff([]float32{1, 2, 7, 3, 4, 8, 5, 6, 9}, got); diff != "" {
		t.Error(diff)
	}
}

// TestShared: ALBERT's layers are stored once, however often they run.
func TestShared(t *testing.T) {
	for name, want := range map[string][2]int{"albert-sequence-classification": {1, 3}, "albert-groups": {4, 8}} {
		m := openModel(t, shared(t, "fixtures", name))
		weights, runs := make(map[*graph.LinearWeights]bool), 0
		for _, op := range m.Ops {
			if l, ok := op.(*graph.Linear); ok && strings.HasSuffix(l.W.Name, ".query") {
				weights[l.W] = true
				runs++
			}
		}
		if got := [2]int{len(weights), runs}; got != want {
			t.Errorf("%s: %d query layers that run %d times, want %v", name, got[0], got[1], want)
		}
	}
}

// TestProblem: what the scores of a classifier are.
func TestProblem(t *testing.T) {
	for name, want := range map[string]graph.Head{
		"bert-act-silu":                {Task: graph.TaskClassify, Labels: []string{"negative", "neutral", "positive"}, Problem: graph.MultiLabel},
		"bert-sequence-classification": {Task: graph.TaskClassify, Labels: []string{"negative", "neutral", "positive"}, Problem: graph.SingleLabel},
		"bert-cross-encoder":           {Task: graph.TaskClassify, Labels: []string{"LABEL_0"}, Problem: graph.MultiLabel, RankSigmoid: true},
	} {
		if diff := cmp.Diff(&want, openModel(t, shared(t, "fixtures", name)).Head); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestPublishedKeys: configurations as their publishers wrote them, with the odd
// keys of their time, are understood.
func TestPublishedKeys(t *testing.T) {
	for name, text := range map[string]string{
		"distilbert": `{"activation":"gelu","architectures":["DistilBertForMaskedLM"],"attention_dropout":0.1,"dim":768,"dropout":0.1,"hidden_dim":3072,
			"initializer_range":0.02,"max_position_embeddings":512,"model_type":"distilbert","n_heads":12,"n_layers":6,"output_past":true,"pad_token_id":0,
			"qa_dropout":0.1,"seq_classif_dropout":0.2,"sinusoidal_pos_embds":false,"tie_weights_":true,"transformers_version":"4.10.0","vocab_size":30522}`,
		"roberta for answers": `{"architectures":["RobertaForQuestionAnswering"],"attention_probs_dropout_prob":0.1,"bos_token_id":0,"eos_token_id":2,
			"gradient_checkpointing":false,"hidden_act":"gelu","hidden_dropout_prob":0.1,"hidden_size":768,"initializer_range":0.02,"intermediate_size":3072,
			"language":"english","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","name":"Roberta","num_attention_heads":12,
			"num_hidden_layers":12,"pad_token_id":1,"type_vocab_size":1,"vocab_size":50265}`,
		"deberta v3": `{"model_type":"deberta-v2","attention_probs_dropout_prob":0.1,"hidden_act":"gelu","hidden_dropout_prob":0.1,"hidden_size":768,
			"initializer_range":0.02,"intermediate_size":3072,"max_position_embeddings":512,"relative_attention":true,"position_buckets":256,
			"norm_rel_ebd":"layer_norm","share_att_key":true,"pos_att_type":"p2c|c2p","layer_norm_eps":1e-7,"max_relative_positions":-1,
			"position_biased_input":false,"num_attention_heads":12,"num_hidden_layers":12,"type_vocab_size":0,"vocab_size":128100}`,
		"modernbert": `{"architectures":["ModernBertForMaskedLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":50281,"classifier_activation":"gelu",
			"classifier_bias":false,"classifier_dropout":0.0,"classifier_pooling":"mean","cls_token_id":50281,"decoder_bias":true,"deterministic_flash_attn":false,
			"embedding_dropout":0.0,"eos_token_id":50282,"global_attn_every_n_layers":3,"global_rope_theta":160000.0,"gradient_checkpointing":false,
			"hidden_activation":"gelu","hidden_size":768,"initializer_cutoff_factor":2.0,"initializer_range":0.02,"intermediate_size":1152,"layer_norm_eps":1e-05,
			"local_attention":128,"local_rope_theta":10000.0,"max_position_embeddings":8192,"mlp_bias":false,"mlp_dropout":0.0,"model_type":"modernbert",
			"norm_bias":false,"norm_eps":1e-05,"num_attention_heads":12,"num_hidden_layers":22,"pad_token_id":50283,"position_embedding_type":"absolute",
			"reference_compile":null,"sep_token_id":50282,"tie_word_embeddings":true,"torch_dtype":"float32","transformers_version":"4.47.0.dev0","vocab_size":50368}`,
		"tinybert": `{"attention_probs_dropout_prob":0.1,"cell":{},"model_type":"bert","emb_size":312,"hidden_act":"gelu","hidden_dropout_prob":0.1,"hidden_size":312,
			"initializer_range":0.02,"intermediate_size":1200,"max_position_embeddings":512,"num_attention_heads":12,"num_hidden_layers":4,"pre_trained":"",
			"structure":[],"type_vocab_size":2,"vocab_size":30522}`,
	} {
		if _, err := parseConfig(configName, []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecoderBias: which of two biases counts, should they differ.
func TestDecoderBias(t *testing.T) {
	untied := map[string]any{"tie_word_embeddings": false}
	for _, c := range []struct {
		headCase
		want string
	}{
		{headCase{from: "bert-masked-lm", class: "BertForMaskedLM", add: shapes("cls.predictions.decoder", 750, 32)}, "cls.predictions.bias"},
		{headCase{from: "bert-masked-lm", class: "BertForMaskedLM", keys: untied, add: shapes("cls.predictions.decoder", 750, 32)}, "cls.predictions.decoder.bias"},
		{headCase{from: "mobilebert-sequence-classification", class: "MobileBertForMaskedLM", drop: []string{"classifier"}, keys: untied,
			add: with(with(with(transform(40), "cls.predictions.dense.weight", 16, 750), "cls.predictions.decoder.weight", 750, 24), "cls.predictions.decoder.bias", 750)}, "cls.predictions.decoder.bias"},
	} {
		all := c.tensors(t, shared(t, "fixtures", c.from))
		m, err := OpenFS(t.Context(), c.folder(t), "m")
		if err != nil {
			t.Errorf("%s: %v", c.class, err)
			continue
		}
		var got []byte
		for _, x := range m.Ops[len(m.Ops)-1].(*graph.Linear).W.Bias {
			got = binary.LittleEndian.AppendUint32(got, math.Float32bits(x))
		}
		if string(got) != all[c.want].data {
			t.Errorf("%s, %v: not the values of %s", c.class, c.keys, c.want)
		}
	}
}
