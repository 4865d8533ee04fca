package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"skiff/packager/builtin"
	"skiff/packager/graph"
)

// shared is the folder with the large test files, beside the repository or at
// SKIFF_SHARED; the test is skipped when there is none.
func shared(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is absent; set SKIFF_SHARED", path)
	}
	return path
}

// mine reports whether a case of the hostile corpus is about this package.
func mine(name string) bool {
	for _, prefix := range []string{"st-", "json-", "config-", "weights-", "shards-", "model-", "tok-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// TestHostile inspects every malformed model of the shared corpus.
func TestHostile(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	for name, e := range expect {
		if !mine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Inspect(context.Background(), filepath.Join(dir, name))
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("%d bytes allocated", grown)
			}
			switch {
			case e.Verdict == "accept" && err != nil:
				t.Errorf("a control was refused: %v", err)
			case e.Verdict == "refuse" && err == nil:
				t.Errorf("accepted, though %s", e.Wrong)
			case err != nil && !strings.Contains(err.Error(), ".json") && !strings.Contains(err.Error(), ".safetensors"):
				t.Errorf("the error names no file: %v", err)
			}
			t.Log(err)
		})
	}
}

// small is a model folder with everything, made from its parts.
func small(t testing.TB) fstest.MapFS {
	t.Helper()
	folder := make(fstest.MapFS)
	for name, text := range map[string]string{
		configName: smallConfig,
		"modules.json": `[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
			{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
			{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`,
		"1_Pooling/config.json": `{"word_embedding_dimension":4,"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true}`,
		sentencesName:           `{"max_seq_length":6,"do_lower_case":false}`,
		tokenizerConfigName:     `{"tokenizer_class":"BertTokenizer","do_lower_case":true,"model_max_length":7,"strip_accents":null}`,
		tokenizerName:           smallTokenizer,
	} {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	folder["model.safetensors"] = &fstest.MapFile{Data: store(smallWeights("bert.", "weight", "bias"))}
	return folder
}

// edit returns a copy of folder with one file rewritten by replacement.
func edit(t *testing.T, folder fstest.MapFS, name, old, new string) fstest.MapFS {
	t.Helper()
	out := make(fstest.MapFS)
	for n, f := range folder {
		out[n] = f
	}
	text := string(folder[name].Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	out[name] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
	return out
}

func TestSmall(t *testing.T) {
	m, err := OpenFS(context.Background(), small(t), "small")
	if err != nil {
		t.Fatal(err)
	}
	if m.Task != graph.TaskEmbed || m.Pooling().String() != "mean" || !m.Normalized() || m.MaxTokens != 6 || m.Head != nil || m.Name != "small" {
		t.Errorf("task %s, pool %v, normalize %v, %d tokens, head %v", m.Task, m.Pooling(), m.Normalized(), m.MaxTokens, m.Head)
	}
	in, ok := m.Ops[8].(*graph.Linear)
	if !ok || in.W.Name != "blocks.0.ffn_in" || in.W.In != 4 || in.W.Out != 6 || len(in.W.Weight) != 24 || in.Act != graph.Gelu {
		t.Errorf("the feed-forward is %+v", in)
	}
	if norm := m.Ops[1].(*graph.Norm); norm.W.Eps != 1e-12 || norm.W.Name != "embed.norm" {
		t.Errorf("the first norm is %+v", norm.W)
	}
	if _, err := m.Reference().Embed("a b"); err != nil {
		t.Error(err)
	}
	again, err := OpenFS(context.Background(), small(t), "other")
	if err != nil || again.Source != m.Source {
		t.Errorf("the source digest changed: %v", err)
	}
	changed, err := OpenFS(context.Background(), edit(t, small(t), configName, `"dtype": "float32"`, `"dtype": "float16"`), "small")
	if err != nil || changed.Source == m.Source {
		t.Errorf("the source digest did not change: %v", err)
	}
}

// TestBuiltin: the model in the binary opens from its file system.
func TestBuiltin(t *testing.T) {
	files, err := builtin.Model()
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenFS(context.Background(), files, builtin.Name)
	if err != nil || m.Task != graph.TaskEmbed || m.Hidden != 256 || m.MaxTokens != 128 {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestOtherLayouts: other spellings of the same model give the same answer.
func TestOtherLayouts(t *testing.T) {
	base := small(t)
	want := embedding(t, base)
	weights := func(prefix, gain, bias string) fstest.MapFS {
		f := edit(t, base, configName, "{", "{")
		f["model.safetensors"] = &fstest.MapFile{Data: store(smallWeights(prefix, gain, bias))}
		return f
	}
	newer := edit(t, base, "modules.json", "sentence_transformers.models.Transformer", "sentence_transformers.base.modules.transformer.Transformer")
	newer = edit(t, newer, "modules.json", "sentence_transformers.models.Pooling", "sentence_transformers.sentence_transformer.modules.pooling.Pooling")
	newer = edit(t, newer, "modules.json", "sentence_transformers.models.Normalize", "sentence_transformers.sentence_transformer.modules.normalize.Normalize")
	newer["1_Pooling/config.json"] = &fstest.MapFile{Data: []byte(`{"embedding_dimension":4,"pooling_mode":"mean","include_prompt":true}`)}
	newer[sentencesName] = &fstest.MapFile{Data: []byte(`{"transformer_task":"feature-extraction","module_output_name":"token_embeddings",
		"modality_config":{"text":{"method":"forward","method_output_name":"last_hidden_state"}}}`)}
	newer[promptsName] = &fstest.MapFile{Data: []byte(`{"model_type":"SentenceTransformer","default_prompt_name":null,"prompts":{"query":"x: "},"similarity_fn_name":"cosine"}`)}
	below := make(fstest.MapFS)
	for name, f := range edit(t, base, "modules.json", `"path":"",`, `"path":"0_Transformer",`) {
		if name != "modules.json" && !strings.Contains(name, "/") {
			name = "0_Transformer/" + name
		}
		below[name] = f
	}
	for name, folder := range map[string]fstest.MapFS{
		"no prefix": weights("", "weight", "bias"), "gamma and beta": weights("bert.", "gamma", "beta"),
		"wrapped": weights("model.bert.", "weight", "bias"), "version 5.7": newer, "transformer in a folder": below,
	} {
		if diff := cmp.Diff(want, embedding(t, folder)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	prompt := edit(t, newer, promptsName, "null", `"query"`)
	if m, err := OpenFS(context.Background(), prompt, "p"); err != nil || m.Prefix != "x: " || m.MaxTokens != 7 {
		t.Errorf("got prefix %q and %d tokens, %v", m.Prefix, m.MaxTokens, err)
	}
}

func embedding(t *testing.T, folder fs.FS) []float32 {
	t.Helper()
	m, err := OpenFS(context.Background(), folder, "m")
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.Reference().Embed("a b c")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRefused changes one thing at a time.
func TestRefused(t *testing.T) {
	base := small(t)
	for _, c := range []struct {
		file, old, new string
		want           string
		unsupported    bool
	}{
		{configName, `"hidden_size": 4`, `"hidden_size": 4.0`, "hidden_size: 4.0 where an integer", false},
		{configName, `"hidden_size": 4`, `"hidden_size": "4"`, "a string where a number", false},
		{configName, `"hidden_size": 4`, `"hidden_size": 4611686018427387904`, "outside 1 to", false},
		{configName, `"hidden_size": 4`, `"hidden_size": null`, "hidden_size: missing", false},
		{configName, `"hidden_size": 4`, `"hidden_size": 4, "hidden_size": 4`, "twice", false},
		{configName, `"num_attention_heads": 2`, `"num_attention_heads": 3`, "3 heads do not divide hidden_size 4", false},
		{configName, `"num_hidden_layers": 1`, `"num_hidden_layers": -1`, "num_hidden_layers: -1 is outside 1", false},
		{configName, `"num_hidden_layers": 1`, `"num_hidden_layers": 2`, "encoder.layer.1.attention.self.query.weight: the tensor is missing", false},
		{configName, `"layer_norm_eps": 1e-12`, `"layer_norm_eps": -1e-12`, "layer_norm_eps: -1e-12 is outside", false},
		{configName, `"model_type": "bert"`, `"model_type": "gpt"`, `unknown architecture "gpt"`, true},
		{configName, `"hidden_act": "gelu"`, `"hidden_act": "mish"`, `unknown activation "mish"`, true},
		{configName, `"position_embedding_type": "absolute"`, `"position_embedding_type": "relative_key"`, `"relative_key"`, true},
		{configName, `"BertModel"`, `"BertForFun"`, `"BertForFun"`, true},
		{configName, `{`, `{"rope_theta": 1,`, "rope_theta: an unknown key", true},
		{configName, `{`, `{"is_decoder": true,`, "is_decoder: true", true},
		{configName, `{`, `{"pruned_heads": {"0": [1]},`, "pruned_heads", true},
		{configName, `{`, `{"id2label": {"0": "a", "2": "b"},`, "none for 1", false},
		{configName, `{`, `{"id2label": {"00": "a"},`, `"00"`, false},
		{configName, `{`, `{"task_specific_params": ` + strings.Repeat("[", 40), "nested", false},
		{configName, `"vocab_size": 11`, `"vocab_size": 12`, "shape [11 4], config.json says [12 4]", false},
		{configName, `"intermediate_size": 6`, `"intermediate_size": 7`, "intermediate.dense.weight: shape [6 4]", false},
		{"modules.json", "models.Normalize", "models.Dense", "2_Normalize/config.json", false},
		{"modules.json", "models.Normalize", "models.CNN", `type "sentence_transformers.models.CNN"`, true},
		{"modules.json", `"idx":1`, `"idx":2`, "idx: 2 in place 1", false},
		{"modules.json", `"path":"1_Pooling"`, `"path":"../1_Pooling"`, "leaves the folder", false},
		{"modules.json", `"path":"1_Pooling"`, `"path":"9_Pooling"`, "9_Pooling/config.json", false},
		{"1_Pooling/config.json", `"pooling_mode_mean_tokens":true`, `"pooling_mode_median_tokens":true`, `mode "median_tokens"`, true},
		{"1_Pooling/config.json", `"pooling_mode_mean_tokens":true`, `"pooling_mode":["mean","median"]`, `mode "median"`, true},
		{"1_Pooling/config.json", `"pooling_mode_mean_tokens":true`, `"pooling_mode":[]`, "no mode", false},
		{"1_Pooling/config.json", `"pooling_mode_mean_tokens":true`, `"pooling_mode":[` + strings.Repeat(`"max",`, maxPoolings) + `"cls"]`, "more than 16 modes", false},
		{"1_Pooling/config.json", `:4`, `:5`, "5, but the hidden size is 4 (modules.json belongs to another model)", false},
		{"1_Pooling/config.json", `{`, `{"weights":1,`, "unknown key", true},
		{sentencesName, `"do_lower_case":false`, `"do_lower_case":true`, "do_lower_case: true", true},
		{sentencesName, `:6`, `:0`, "max_seq_length: 0 is outside", false},
		{sentencesName, `{`, `{"model_args":{"x":1},`, "model_args.x", true},
		{tokenizerConfigName, `"do_lower_case":true`, `"do_lower_case":false`, "do_lower_case: not what", true},
		{tokenizerName, `"WordPiece"`, `"WordPeace"`, "tokenizer.json", false},
		{tokenizerName, `"z": 10`, `"z": 11`, "vocab_size is 11", false},
	} {
		_, err := OpenFS(context.Background(), edit(t, base, c.file, c.old, c.new), "bad")
		if err == nil || !strings.Contains(err.Error(), c.want) || c.unsupported && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %s: got %v, want %q", c.file, c.new, err, c.want)
		}
	}
}

// TestRefusedWeights changes one tensor at a time.
func TestRefusedWeights(t *testing.T) {
	const key = "bert.encoder.layer.0.attention.self.key.bias"
	for _, c := range []struct {
		name, want string
		change     func(w map[string]weight)
	}{
		{"missing", key + ": the tensor is missing", func(w map[string]weight) { delete(w, key) }},
		{"unexpected", "bert.embeddings.extra: an unexpected tensor", func(w map[string]weight) { w["bert.embeddings.extra"] = w[key] }},
		{"layer", "a tensor of layer 7, but num_hidden_layers is 1", func(w map[string]weight) { w["bert.encoder.layer.7.output.dense.bias"] = w[key] }},
		{"integer", "the tensor is I32", func(w map[string]weight) { w[key] = weight{"I32", w[key].shape, w[key].data} }},
		{"transposed", "it is transposed", func(w map[string]weight) {
			x := w["bert.encoder.layer.0.intermediate.dense.weight"]
			w["bert.encoder.layer.0.intermediate.dense.weight"] = weight{x.dtype, []int{4, 6}, x.data}
		}},
		{"both names", "LayerNorm.gamma: an unexpected tensor", func(w map[string]weight) {
			w["bert.embeddings.LayerNorm.gamma"] = w["bert.embeddings.LayerNorm.weight"]
		}},
		{"two prefixes", "more than one prefix", func(w map[string]weight) {
			w["embeddings.word_embeddings.weight"] = w["bert.embeddings.word_embeddings.weight"]
		}},
		{"nan", key + ": element 3 is NaN", func(w map[string]weight) {
			w[key] = weight{"F32", []int{4}, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc0\x7f"}
		}},
		{"infinity", key + ": element 0 is +Inf", func(w map[string]weight) { w[key] = weight{"F16", []int{4}, "\x00\x7c\x00\x00\x00\x00\x00\x00"} }},
		{"none", "holds no tensors", func(w map[string]weight) { clear(w) }},
		{"other", "no such tensor", func(w map[string]weight) { delete(w, "bert.embeddings.word_embeddings.weight") }},
	} {
		folder, w := small(t), smallWeights("bert.", "weight", "bias")
		c.change(w)
		folder["model.safetensors"] = &fstest.MapFile{Data: store(w)}
		if _, err := OpenFS(context.Background(), folder, "bad"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	for _, name := range []string{"model.safetensors", tokenizerName, configName} {
		folder := small(t)
		delete(folder, name)
		if _, err := OpenFS(context.Background(), folder, "bad"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}

// TestHead: a model with a head opens with its task, and does not embed.
func TestHead(t *testing.T) {
	folder, w := small(t), smallWeights("bert.", "weight", "bias")
	delete(folder, "modules.json")
	w["bert.pooler.dense.weight"], w["bert.pooler.dense.bias"] = ones(4, 4), ones(4)
	w["classifier.weight"], w["classifier.bias"] = ones(3, 4), ones(3)
	folder = edit(t, folder, configName, `"BertModel"`, `"BertForSequenceClassification"`)
	folder = edit(t, folder, configName, `{`, `{"id2label":{"0":"x","1":"y","2":"z"},`)
	folder["model.safetensors"] = &fstest.MapFile{Data: store(w)}
	m, err := OpenFS(context.Background(), folder, "head")
	if err != nil {
		t.Fatal(err)
	}
	if m.Task != graph.TaskClassify || m.Dim() != 3 || m.Values[m.Pooler].Cols != 4 || m.Pooling() != nil || m.Head.Problem != graph.SingleLabel {
		t.Errorf("task %s, head %+v", m.Task, m.Head)
	}
	if diff := cmp.Diff([]string{"x", "y", "z"}, m.Head.Labels); diff != "" {
		t.Error(diff)
	}
	if _, err := m.Reference().Embed("a"); err == nil || !strings.Contains(err.Error(), "no pooling") {
		t.Errorf("embed: got %v", err)
	}
	delete(w, "bert.pooler.dense.weight")
	delete(w, "bert.pooler.dense.bias")
	bare := edit(t, folder, configName, "{", "{")
	bare["model.safetensors"] = &fstest.MapFile{Data: store(w)}
	if _, err := OpenFS(context.Background(), bare, "bad"); err == nil || !strings.Contains(err.Error(), "bert.pooler.dense.weight: the tensor is missing") {
		t.Errorf("without a pooler: got %v", err)
	}
	two := edit(t, folder, configName, `,"2":"z"`, "")
	if _, err := OpenFS(context.Background(), two, "bad"); err == nil || !strings.Contains(err.Error(), "classifier.weight: shape [3 4]") {
		t.Errorf("two labels for three rows: got %v", err)
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	for name, f := range small(t) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		"":                  {"kind model", "for embed", "at most 6 (16 positions)", "mean, normalised: true", "word_embeddings.weight F32 [11 4]", "1_Pooling/config.json"},
		configName:          {"kind config", "1 layers, hidden 4"},
		tokenizerName:       {"kind tokenizer", "ids below 11"},
		"model.safetensors": {"kind safetensors", "F32"},
	} {
		d, err := Inspect(context.Background(), filepath.Join(dir, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var text bytes.Buffer
		if err := d.WriteText(&text); err != nil {
			t.Error(err)
		}
		words := strings.Join(strings.Fields(text.String()), " ")
		for _, w := range want {
			if !strings.Contains(words, w) {
				t.Errorf("%s: no %q in\n%s", path, w, &text)
			}
		}
		if _, err := json.Marshal(d); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"modules.json", "absent", "1_Pooling/config.json"} {
		if _, err := Inspect(context.Background(), filepath.Join(dir, path)); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}

// TestMemory: refusing a hostile file costs a small multiple of its size.
func TestMemory(t *testing.T) {
	keys := &strings.Builder{}
	for i := range 1 << 16 {
		fmt.Fprintf(keys, `,"key%d":0`, i)
	}
	labels := &strings.Builder{}
	for i := range 1 << 16 {
		fmt.Fprintf(labels, `"%d":"",`, i)
	}
	modules := strings.Repeat(`{"idx":0,"name":"","path":"","type":""},`, 1<<14)
	for _, c := range []struct{ file, text string }{
		{configName, strings.Replace(smallConfig, "\n}", keys.String()+"}", 1)},
		{configName, `{"id2label":{` + labels.String()},
		{configName, `{"x":` + strings.Repeat("[", 1<<20)},
		{"modules.json", "[" + modules},
		{tokenizerConfigName, `{"x":0` + keys.String()},
	} {
		folder := small(t)
		folder[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenFS(context.Background(), folder, "bad")
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%.30s: accepted", c.text)
		}
		if got, most := int(after.TotalAlloc-before.TotalAlloc), 1<<20+24*len(c.text); got > most {
			t.Errorf("%.30s: %d bytes allocated for %d of input: %v", c.text, got, len(c.text), err)
		}
	}
	folder := small(t)
	folder[configName] = &fstest.MapFile{Data: []byte("{" + strings.Repeat(" ", maxConfig))}
	if _, err := OpenFS(context.Background(), folder, "bad"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a config.json of %d bytes: got %v", maxConfig+1, err)
	}
}

// TestMemoryOfWeights: opening a model costs its float32 weights and little more.
func TestMemoryOfWeights(t *testing.T) {
	dir := shared(t, "models", "skiff-mini-embed")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Open(context.Background(), dir)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	weights := 4 * 3_665_920
	if got := int(after.TotalAlloc - before.TotalAlloc); got > weights+24*len(m.TokenizerJSON) {
		t.Errorf("%d bytes allocated for %d of weights", got, weights)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OpenFS(ctx, small(t), "m"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
