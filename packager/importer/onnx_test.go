package importer

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"skiff/formats/onnx"
	"skiff/packager/graph"
)

// files are empty files of these names.
func filesOf(names string) fstest.MapFS {
	out := make(fstest.MapFS)
	for name := range strings.FieldsSeq(names) {
		out[name] = &fstest.MapFile{}
	}
	return out
}

// TestFindONNX: which of a folder's files is the model.
func TestFindONNX(t *testing.T) {
	for _, c := range []struct{ files, sub, asked, want string }{
		{"config.json model.safetensors model.onnx", "", "", ""},
		{"model.safetensors.index.json model.onnx", "", "", ""},
		{"pytorch_model.bin model.onnx", "", "", ""},
		{"pytorch_model.bin.index.json model.onnx", "", "", ""},
		{"model.safetensors model.onnx a.onnx", "", "a.onnx", "a.onnx"},
		{"model.onnx a.onnx onnx/model.onnx", "", "", "model.onnx"},
		{"a.onnx onnx/model.onnx onnx/model_quantized.onnx", "", "", "onnx/model.onnx"},
		{"config.json encoder.onnx encoder.onnx.data .hidden.onnx", "", "", "encoder.onnx"},
		{"onnx/ENCODER.ONNX", "", "", "onnx/ENCODER.ONNX"},
		{"model.onnx 0_Transformer/onnx/model.onnx", "0_Transformer", "", "0_Transformer/onnx/model.onnx"},
		{"model.onnx 0_Transformer/config.json", "0_Transformer", "", ""},
		{"config.json other/model.onnx", "", "", ""},
		{"a.onnx onnx/b.onnx", "", "", "model.onnx: no such file, but 2 other ONNX files: a.onnx, onnx/b.onnx (give the one you want in place of the folder)"},
	} {
		f := fsFolder(filesOf(c.files), "m")
		f.exported = c.asked
		got, err := f.findONNX(c.sub)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s in %q: got %s, want %s", c.files, c.sub, got, c.want)
		}
	}
}

// TestFolder: where the files beside an ONNX file are.
func TestFolder(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, filesOf("m/config.json m/a.onnx m/onnx/b.onnx m/onnx/tokenizer.json lone/onnx/c.onnx lone/d.ONNX lone/e.onnx/f")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]struct{ dir, name, exported string }{
		"m/a.onnx":         {"m", "a", "a.onnx"},
		"m/onnx/b.onnx":    {"m", "b", "onnx/b.onnx"},
		"lone/onnx/c.onnx": {"lone/onnx", "c", "c.onnx"},
		"lone/d.ONNX":      {"lone", "d", "d.ONNX"},
		"lone/e.onnx":      {"lone/e.onnx", "e.onnx", ""},
		"m":                {"m", "m", ""},
	} {
		path := filepath.Join(root, file)
		if got := folderOf(path); want.exported != "" && got != filepath.Join(root, want.dir) {
			t.Errorf("%s: got %s", file, got)
		}
		f, err := modelAt(path)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if f.name != want.name || f.exported != want.exported {
			t.Errorf("%s: the folder is called %q, the file %q", file, f.name, f.exported)
		}
	}
	t.Chdir(filepath.Join(root, "m", "onnx"))
	if f, err := modelAt("b.onnx"); err != nil || f.exported != "onnx/b.onnx" {
		t.Errorf("from within the folder: got %+v, %v", f, err)
	}
	if _, err := Open(t.Context(), "none.onnx"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// graphOf is a model for a task as a graph gives it: an answer with cols columns.
func graphOf(task string, cols int) *graph.Model {
	return &graph.Model{Task: task, Hidden: 4, Layers: 1, Heads: 2, Vocab: 11, Values: []graph.Value{{}, {Cols: cols}}, Answer: 1}
}

// TestSide: what config.json may say beside a graph.
func TestSide(t *testing.T) {
	for _, c := range []struct{ config, task, want string }{
		{"", graph.TaskClassify, "LABEL_0 LABEL_1 LABEL_2|no labels in a config.json: they are called LABEL_0 and so on"},
		{"{}", graph.TaskEncode, ""},
		{`{"architectures":["BertModel"],"hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":11,"unheard_of":{"a":[1]}}`, graph.TaskEncode, ""},
		{`{"dim":4,"n_layers":1,"n_heads":2,"hidden_act":null,"num_labels":null}`, graph.TaskEncode, ""},
		{`{"id2label":{"0":"x","1":"y","2":"z"},"architectures":["BertForSequenceClassification"]}`, graph.TaskClassify, "x y z"},
		{`{"id2label":{"0":"x","1":"y","2":"z"},"num_labels":3,"problem_type":"multi_label_classification"}`, graph.TaskClassify, "x y z multi"},
		{`{"num_labels":3}`, graph.TaskTag, "LABEL_0 LABEL_1 LABEL_2"},
		{`{"architectures":["BertForMaskedLM"]}`, graph.TaskEncode, "|config.json names the class BertForMaskedLM, but the graph is for encode"},
		{`{"hidden_size":5}`, graph.TaskEncode, "config.json: hidden_size: 5, but the graph of m.onnx has 4 (config.json and graph do not belong together)"},
		{`{"n_layers":2}`, graph.TaskEncode, "config.json: n_layers: 2, but the graph of m.onnx has 1 (config.json and graph do not belong together)"},
		{`{"num_hidden_layers":2,"inner_group_num":2}`, graph.TaskEncode, "config.json: num_hidden_layers: 2, but the graph of m.onnx has 1 (config.json and graph do not belong together)"},
		{`{"num_attention_heads":4}`, graph.TaskEncode, "config.json: num_attention_heads: 4, but the graph of m.onnx has 2 (config.json and graph do not belong together)"},
		{`{"vocab_size":10}`, graph.TaskEncode, "config.json: vocab_size: 10, but the graph of m.onnx has 11 (config.json and graph do not belong together)"},
		{`{"id2label":{"0":"x","1":"y"}}`, graph.TaskClassify, "config.json: id2label: 2 labels, but the graph of m.onnx has 3 (config.json and graph do not belong together)"},
		{`{"num_labels":2}`, graph.TaskTag, "config.json: num_labels: 2 labels, but the graph of m.onnx has 3 (config.json and graph do not belong together)"},
		{`{"num_labels":4}`, graph.TaskClassify, "config.json: num_labels: 4 labels, but the graph of m.onnx has 3 (config.json and graph do not belong together)"},
		{`{"num_labels":2,"id2label":{"0":"x","1":"y","2":"z"}}`, graph.TaskTag, "config.json: id2label: 3 labels, but num_labels is 2"},
		{`{"id2label":{"0":"x","2":"y"}}`, graph.TaskEncode, "config.json: byte 12: id2label: 2 labels but none for 1"},
		{`{"hidden_size":4.5}`, graph.TaskEncode, "config.json: byte 15: hidden_size: 4.5 where an integer of at most 64 bits should stand"},
		{`{"hidden_size":-4}`, graph.TaskEncode, "config.json: byte 15: hidden_size: -4 is no size"},
		{`{"problem_type":"guess"}`, graph.TaskEncode, `config.json: problem_type: unknown value "guess" (known are single_label_classification, multi_label_classification and regression)`},
		{`{"a":1,"a":2}`, graph.TaskEncode, `config.json: byte 7: the key "a" comes twice in one object`},
		{`[]`, graph.TaskEncode, "config.json: byte 0: an array where an object should stand"},
		{`{`, graph.TaskEncode, "config.json: byte 1: the text ends where a value should stand"},
	} {
		files := fstest.MapFS{"config.json": {Data: []byte(c.config)}}
		if c.config == "" {
			delete(files, "config.json")
		}
		if got := sideOf(files, graphOf(c.task, 3)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.config, got, c.want)
		}
	}
}

// TestInnerLayers: a layer of ALBERT's may be several of the graph.
func TestInnerLayers(t *testing.T) {
	for config, want := range map[string]string{
		`{"num_hidden_layers":2,"inner_group_num":3}`: "",
		`{"num_hidden_layers":6,"inner_group_num":3}`: "config.json: num_hidden_layers: 6, but the graph of m.onnx has 2 (config.json and graph do not belong together)",
		`{"num_hidden_layers":6,"inner_group_num":1}`: "",
		`{"num_hidden_layers":6,"inner_group_num":4}`: "",
	} {
		m := graphOf(graph.TaskEncode, 3)
		m.Layers = 6
		if got := sideOf(fstest.MapFS{"config.json": {Data: []byte(config)}}, m); got != want {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
}

// sideOf tells what config.json makes of m: labels, problem, notes; or the error.
func sideOf(files fs.FS, m *graph.Model) string {
	s, err := readSide(fsFolder(files, "m"), "")
	if err == nil {
		err = s.agrees("m.onnx", &pipeline{}, m)
	}
	if err != nil {
		return err.Error()
	}
	got := ""
	if m.Head != nil {
		got = strings.Join(m.Head.Labels, " ")
		if m.Head.Problem == graph.MultiLabel {
			got += " multi"
		}
	}
	if len(s.notes) > 0 {
		got += "|" + strings.Join(s.notes, "|")
	}
	return got
}

// TestOneLogit: a graph with one logit is a cross-encoder, whose score is a sigmoid
// unless config.json says otherwise.
func TestOneLogit(t *testing.T) {
	for config, want := range map[string]graph.Head{
		`{}`: {Task: graph.TaskClassify, Labels: []string{"LABEL_0"}, Problem: graph.MultiLabel, RankSigmoid: true},
		`{"sentence_transformers":{"activation_fn":"torch.nn.modules.linear.Identity"},"id2label":{"0":"score"}}`:                                     {Task: graph.TaskClassify, Labels: []string{"score"}, Problem: graph.MultiLabel},
		`{"sbert_ce_default_activation_function":"torch.nn.modules.linear.Identity","problem_type":"regression","id2label":{"0":"s"},"num_labels":1}`: {Task: graph.TaskClassify, Labels: []string{"s"}, Problem: graph.Regression},
	} {
		m := graphOf(graph.TaskClassify, 1)
		if got := sideOf(fstest.MapFS{"config.json": {Data: []byte(config)}}, m); m.Head == nil {
			t.Errorf("%s: %s", config, got)
		} else if diff := cmp.Diff(want, *m.Head); diff != "" {
			t.Errorf("%s: %s", config, diff)
		}
	}
}

// TestRankerBesideGraph: what the file of prompts says of a cross-encoder's score counts.
func TestRankerBesideGraph(t *testing.T) {
	for _, linear := range []bool{false, true} {
		s, err := readSide(fsFolder(fstest.MapFS{}, "m"), "")
		if err != nil {
			t.Fatal(err)
		}
		m := graphOf(graph.TaskClassify, 1)
		if err := s.agrees("m.onnx", &pipeline{ranks: true, linear: &linear}, m); err != nil || m.Head.RankSigmoid == linear {
			t.Errorf("linear %t: %v, %+v", linear, err, m.Head)
		}
	}
}

// TestHints: what the files beside a graph tell about its task.
func TestHints(t *testing.T) {
	for class, want := range map[string]string{
		"": "", "BertModel": graph.TaskEncode, "DistilBertForSequenceClassification": graph.TaskClassify, "XForTokenClassification": graph.TaskTag,
		"AlbertForQuestionAnswering": graph.TaskAnswer, "RobertaForMaskedLM": graph.TaskFillMask, "ElectraForPreTraining": graph.TaskFillMask, "T5ForConditionalGeneration": "",
	} {
		s := &side{config: &config{architecture: class}}
		if got := s.hint(&pipeline{}); got != want {
			t.Errorf("%s: got %q, want %q", class, got, want)
		}
		if got := s.hint(&pipeline{present: true}); got != graph.TaskEmbed {
			t.Errorf("%s with modules: got %q", class, got)
		}
	}
}

// embedder is a model that makes a vector as a graph may: pooled, with a layer and
// normalised if asked for.
func embedder(how graph.Pooling, dense, normalise bool) *graph.Model {
	m := &graph.Model{Task: graph.TaskEmbed, Hidden: 2, Vocab: 3}
	m.Last = m.Embed(graph.Lookup{Table: &graph.Table{Name: "embed.word", Rows: 3, Cols: 2, Data: make([]float32, 6)}, By: graph.ByID})
	m.Pooled = m.Pool(m.Last, how)
	m.Answer = m.Pooled
	if dense {
		m.Answer = m.Linear(m.Answer, &graph.LinearWeights{Name: "dense", In: 2, Out: 2, Weight: make([]float32, 4)}, 0)
	}
	if normalise {
		m.Answer = m.Normalize(m.Answer)
	}
	return m
}

// TestAround: a graph that makes a vector is not pooled again, but is given what
// modules.json has beyond it.
func TestAround(t *testing.T) {
	normalise := []module{{kind: "Normalize"}}
	dense := []module{{kind: "Dense", path: "2_Dense"}, {kind: "Normalize"}}
	norm := module{kind: "LayerNorm", path: "2_LayerNorm"}
	for _, c := range []struct {
		name  string
		m     *graph.Model
		after []module
		ops   int // 0: an error
		want  string
	}{
		{"another width", embedder(graph.PoolMean, false, true), nil, 0, "1_Pooling/config.json: embedding_dimension: 3, but the hidden size is 2"},
		{"a norm behind a layer", embedder(graph.PoolMean, true, false), []module{{kind: "Dense"}, norm}, 0, "module 3: a LayerNorm beside what the graph of m.onnx already does"},
		{"a norm behind the unit vector", embedder(graph.PoolMean, false, true), []module{norm}, 0, "module 2: a LayerNorm beside"},
		{"a norm to add", embedder(graph.PoolMean, false, false), []module{norm}, 0, "2_LayerNorm/config.json"},
		{"the same", embedder(graph.PoolMean, false, true), normalise, 3, ""},
		{"not yet normalised", embedder(graph.PoolMean, false, false), normalise, 3, ""},
		{"nothing behind", embedder(graph.PoolMean, false, false), nil, 2, ""},
		{"a layer", embedder(graph.PoolMean, true, true), dense, 4, ""},
		{"another pooling", embedder(graph.PoolCLS, false, true), normalise, 0, "1_Pooling/config.json: pooling_mode: mean, but the graph of m.onnx pools by cls"},
		{"a heavier pooling", embedder(graph.PoolWeighted, false, true), normalise, 0, "pooling_mode: mean, but the graph of m.onnx pools by weightedmean"},
		{"a layer too many", embedder(graph.PoolMean, true, true), normalise, 0, "modules.json: 0 Dense modules, but the graph of m.onnx has 1"},
		{"a layer too few", embedder(graph.PoolMean, false, true), dense, 0, "modules.json: 1 Dense modules, but the graph of m.onnx has 0"},
		{"a layer to add", embedder(graph.PoolMean, false, false), dense, 0, "2_Dense/config.json"},
	} {
		p := &pipeline{present: true, pool: graph.Poolings{graph.PoolMean}, after: c.after, prefix: "query: ", prompts: map[string]string{"query": "query: "}, poolFile: "1_Pooling/config.json", width: 2, widthKey: "embedding_dimension"}
		if c.name == "another width" {
			p.width = 3
		}
		err := p.around(t.Context(), fsFolder(fstest.MapFS{}, "m"), "m.onnx", c.m)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case len(c.m.Ops) != c.ops || c.m.Prefix != "query: " || !c.m.LeavesPrompt():
			t.Errorf("%s: %d operations, want %d; prefix %q, left out: %t", c.name, len(c.m.Ops), c.ops, c.m.Prefix, c.m.LeavesPrompt())
		}
	}
}

// TestPipeline: rows of another width are no rows of the pooling's; where there are no
// prompts, none is left out.
func TestPipeline(t *testing.T) {
	for width, ok := range map[int]bool{0: true, 1: false, 2: true, 3: false} {
		p := &pipeline{width: width, widthKey: "embedding_dimension"}
		if err := p.fits(&graph.Model{Hidden: 2}); (err == nil) != ok {
			t.Errorf("width %d: %v", width, err)
		}
	}
	for _, prompts := range []map[string]string{nil, {"query": "q: "}} {
		for _, include := range []bool{false, true} {
			m := embedder(graph.PoolMean, false, false)
			(&pipeline{prompts: prompts, includePrompt: include}).prompt(m)
			if m.LeavesPrompt() != (prompts != nil && !include) {
				t.Errorf("prompts %v, included %t: left out %t", prompts, include, m.LeavesPrompt())
			}
		}
	}
}

// field, text and number write protobuf.
func field(num protowire.Number, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
}

func text(num protowire.Number, s string) []byte { return field(num, []byte(s)) }

func number(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

// product is the ONNX file of y = x W, with further parts of its graph.
func product(more ...[]byte) []byte {
	port := func(name string) []byte {
		return append(text(1, name), field(2, field(1, number(1, 1), field(2, field(1, text(2, "n")), field(1, number(1, 1)))))...)
	}
	w := field(5, number(1, 1), number(1, 1), number(2, 1), text(8, "W"), field(9, []byte{0, 0, 128, 63}))
	parts := [][]byte{field(1, text(1, "x"), text(1, "W"), text(2, "y"), text(4, "MatMul")), w, field(11, port("x")), field(12, port("y"))}
	out := append(number(1, 8), text(2, "hand")...)
	return append(append(out, field(7, append(parts, more...)...)...), field(8, number(2, 17))...)
}

// TestInspectONNX: a file that is no model of ours is described all the same, and says
// why it is none; one that is broken is refused.
func TestInspectONNX(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "product.onnx")
	if err := os.WriteFile(path, product(), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := &ONNXInfo{IR: 8, Producer: "hand", Opsets: map[string]int64{"ai.onnx": 17}, Nodes: 1, Operators: map[string]int{"MatMul": 1},
		Inputs: []PortInfo{{Name: "x", DType: "F32", Shape: []string{"n", "1"}}}, Outputs: []PortInfo{{Name: "y", DType: "F32", Shape: []string{"n", "1"}}}, Metadata: map[string]string{}}
	if diff := cmp.Diff(want, d.ONNX); diff != "" {
		t.Error(diff)
	}
	if d.Kind != KindONNX || d.Model != nil || d.Weights.Parameters != 1 || len(d.Files) != 1 || len(d.Notes) != 1 || !strings.HasPrefix(d.Notes[0], "not read as a model: ") {
		t.Errorf("got %+v", d)
	}
	var out strings.Builder
	if err := d.WriteText(&out); err != nil || !strings.Contains(out.String(), "MatMul 1") || !strings.Contains(out.String(), "x F32 [n 1]") {
		t.Errorf("%v\n%s", err, &out)
	}
	if err := os.WriteFile(path, product()[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path); !errors.Is(err, onnx.ErrFormat) {
		t.Errorf("got %v", err)
	}
}

// TestInspectOddONNX: a tensor with a number that is not finite is noted, a mask is not.
func TestInspectOddONNX(t *testing.T) {
	path := filepath.Join(t.TempDir(), "PRODUCT.ONNX")
	odd := field(5, number(1, 2), number(2, 1), text(8, "odd"), field(9, []byte{0, 0, 128, 63, 0, 0, 192, 127}))
	mask := field(5, number(1, 1), number(2, 1), text(8, "mask"), field(9, []byte{0, 0, 128, 255}))
	whole := field(5, number(1, 2), number(2, 6), text(8, "whole"), field(9, []byte{0, 0, 128, 63, 0, 0, 192, 127}))
	if err := os.WriteFile(path, product(odd, mask, whole), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Notes) != 2 || d.Notes[0] != "tensor odd: element 1 is NaN" {
		t.Errorf("notes %q", d.Notes)
	}
}

// TestSourceOfONNX: the graph is one of the files that the digest of a model is over.
func TestSourceOfONNX(t *testing.T) {
	files := make(fstest.MapFS)
	for _, name := range []string{"model.onnx", configName, "tokenizer_config.json", "vocab.txt"} {
		data, err := os.ReadFile(filepath.Join(exports, "bert", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	sources := make(map[string]bool)
	for range 2 {
		d, err := InspectFS(t.Context(), files, "m")
		if err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, f := range d.Files {
			names += f.Name + " "
			if int64(len(files[f.Name].Data)) != f.Size {
				t.Errorf("%s: %d bytes", f.Name, f.Size)
			}
		}
		if names != "config.json model.onnx tokenizer_config.json vocab.txt " {
			t.Errorf("files %s", names)
		}
		sources[d.Model.Source] = true
		files["model.onnx"].Data = append(files["model.onnx"].Data, field(14, text(1, "k"), text(2, "v"))...)
	}
	if len(sources) != 2 {
		t.Errorf("another graph, the same digest: %v", sources)
	}
}

// TestTokenizerJSON: the tokenizer of a model, wherever it is and however it is stored.
func TestTokenizerJSON(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, fstest.MapFS{
		"a/tokenizer.json": {Data: []byte("{}")}, "a/onnx/model.onnx": {}, "b/vocab.txt": {Data: []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")}, "b/model.onnx": {}, "c/model.onnx": {},
	}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": "{}", "a/onnx/model.onnx": "{}", "b": `"[MASK]"`, "b/model.onnx": `"[MASK]"`, "c/model.onnx": "no such file", "d": "no such file"} {
		got, err := TokenizerJSON(filepath.Join(root, path))
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// TestOpenONNXRefuses: errors name the file and what to do.
func TestOpenONNXRefuses(t *testing.T) {
	for _, c := range []struct {
		files fstest.MapFS
		want  string
	}{
		{fstest.MapFS{"model.onnx": {Data: product()}}, "model.onnx: the graph is not read as a model: "},
		{fstest.MapFS{"onnx/model.onnx": {Data: product()[:40]}}, "model.onnx: byte "},
		{fstest.MapFS{"onnx/model.onnx": {Data: product()}, "config.json": {Data: []byte(`{"hidden_size":0}`)}}, "config.json: byte 15: hidden_size: 0 is no size"},
		{fstest.MapFS{"onnx/a.onnx": {Data: product()}, "onnx/b.onnx": {Data: product()}}, "2 other ONNX files: onnx/a.onnx, onnx/b.onnx"},
	} {
		_, err := OpenFS(context.Background(), c.files, "m")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if strings.Contains(c.want, "not read") && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v is no ErrUnsupported", err)
		}
	}
}

// TestInspectHostileONNX holds Inspect to the verdicts of the shared corpus of malformed
// files.
func TestInspectHostileONNX(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	data, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(data, &expect); err != nil {
		t.Fatal(err)
	}
	for name, e := range expect {
		if !IsONNX(name) {
			continue
		}
		_, err := Inspect(t.Context(), filepath.Join(dir, name))
		if (err == nil) != (e.Verdict == "accept") || err != nil && !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s (%s): got %v, want %s", name, e.Wrong, err, e.Verdict)
		}
	}
}

// TestONNXFixtures imports every ONNX file among the fixtures with what is beside it,
// and compares ids, every hidden state and every output with the golden file.
func TestONNXFixtures(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range paths {
		dir, name := filepath.Split(path)
		if filepath.Base(dir) == "hostile" || strings.Contains(name, "qdq") {
			continue
		}
		bound := bound
		if name != "model.onnx" {
			bound = quantisedBound
		}
		seen++
		t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
			m, p := checkFixture(t, path, dir, bound)
			t.Logf("%s, %d outputs, at most %v away; %v", m.Task, p.outputs, p.worst, m.Notes)
			if p.outputs == 0 {
				t.Error("nothing was compared")
			}
		})
	}
	if seen < 21 {
		t.Errorf("only %d files", seen)
	}
}
