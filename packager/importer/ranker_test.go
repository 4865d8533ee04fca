package importer

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/packager/graph"
)

// ranker is a cross-encoder as sentence-transformers 5.7 saves it.
func ranker(t *testing.T) fstest.MapFS {
	t.Helper()
	dir, all := shared(t, "fixtures", "bert-cross-encoder"), fstest.MapFS{}
	for _, name := range []string{configName, "model.safetensors", tokenizerName, tokenizerConfigName} {
		data, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	for name, text := range map[string]string{
		modulesName:   `[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]`,
		sentencesName: `{"transformer_task": "sequence-classification", "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}, "module_output_name": "scores"}`,
		promptsName:   `{"__version__": {}, "activation_fn": "torch.nn.modules.activation.Sigmoid", "default_prompt_name": null, "model_type": "CrossEncoder", "prompts": {}}`,
	} {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// TestRanker: the modules of a cross-encoder say what its score is, and refuse what is none.
func TestRanker(t *testing.T) {
	base := ranker(t)
	for _, c := range []struct {
		file, old, new string
		sigmoid        bool
		err            string
	}{
		{promptsName, `"prompts": {}`, `"prompts": {"query": ""}`, true, ""},
		{promptsName, "activation.Sigmoid", "linear.Identity", false, ""},
		{promptsName, `"torch.nn.modules.activation.Sigmoid"`, "null", true, ""},
		{promptsName, "activation.Sigmoid", "activation.Tanh", false, "unknown function"},
		{promptsName, `"prompts": {}`, `"prompts": {"query": "q: "}`, false, "prompts of a cross-encoder"},
		{promptsName, "CrossEncoder", "SentenceTransformer", false, `unknown value "SentenceTransformer"`},
		{promptsName, `"model_type": "CrossEncoder", `, "", false, "1 modules"},
		{sentencesName, "logits", "last_hidden_state", false, `unknown value "last_hidden_state"`},
		{sentencesName, "sequence-classification", "feature-extraction", false, "feature-extraction"},
		{modulesName, "transformer.Transformer", "dense.Dense", false, "1 modules"},
	} {
		m, err := OpenFS(t.Context(), edit(t, base, c.file, c.old, c.new), "ranker")
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: got %v, want %q", c.new, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", c.new, err)
		case c.err == "" && (m.Task != graph.TaskClassify || m.Dim() != 1 || m.Head.RankSigmoid != c.sigmoid):
			t.Errorf("%s: task %s, %+v", c.new, m.Task, m.Head)
		}
	}
}
