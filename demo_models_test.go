package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"skiff/formats/tokenizer"
	"skiff/packager"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

// demosAtOnce is how many demos run side by side: one waits for its devices most of the time.
const demosAtOnce = 6

// TestDemoModels sends one model of each architecture and task through skiff demo --model,
// as a user would: packed, shipped over a broker to three devices on three engines, proved
// on each, asked through their local API without the broker, byte for byte alike. Small
// models for each task of BERT are made here; the others are fixtures. In -short there is
// one.
func TestDemoModels(t *testing.T) {
	models := map[string]string{}
	tasks := map[string]string{
		"ForSequenceClassification": infer.TaskClassify, "ForTokenClassification": infer.TaskTag,
		"ForQuestionAnswering": infer.TaskAnswer, "ForMaskedLM": infer.TaskFillMask,
	}
	for class, task := range tasks {
		if !testing.Short() || task == infer.TaskClassify {
			models["bert, made here/"+task] = smallBert(t, class)
		}
	}
	if !testing.Short() {
		addFixtures(t, models)
	}
	h, temp := newHome(t), t.TempDir()
	t.Setenv("TMPDIR", temp)
	var all sync.WaitGroup
	free := make(chan struct{}, demosAtOnce)
	for name, dir := range models {
		cmd := h.command(t, "demo", "--model", dir)
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			if err := sawDemo(cmd, name[strings.LastIndex(name, "/")+1:]); err != nil {
				t.Errorf("%s: %s: %v", name, filepath.Base(dir), err)
			}
		})
	}
	all.Wait()
	t.Logf("%d models: %s", len(models), strings.Join(slices.Sorted(maps.Keys(models)), ", "))
	checkNothingLeft(t, temp)
}

// sawDemo runs a demo and looks for its proofs and for the answer of a device to the task.
func sawDemo(cmd *exec.Cmd, task string) error {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	path := map[string]string{
		infer.TaskEmbed: "equal bit for bit on 3 devices; cosine to float32 at least 0.9", infer.TaskClassify: "POST /v1/classify",
		infer.TaskRank: "POST /v1/rank", infer.TaskTag: "POST /v1/tag", infer.TaskAnswer: "POST /v1/answer", infer.TaskFillMask: "POST /v1/fill-mask",
	}[task]
	for _, want := range []string{path, "bits equal on wazero's compiler", "bits equal on wazero's interpreter", "bits equal on pure Go", "equal b", "gamma refused", "8. Stop"} {
		if err == nil && !strings.Contains(said.String(), want) {
			err = fmt.Errorf("the demo does not say %q", want)
		}
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, &said)
	}
	return nil
}

// addFixtures adds a fixture of each architecture and task. Those without a task are
// refused, with advice.
func addFixtures(t *testing.T, models map[string]string) {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		root = filepath.Join("..", "shared")
	}
	dirs, err := filepath.Glob(filepath.Join(root, "fixtures", "*", "golden.json"))
	if err != nil || len(dirs) == 0 {
		t.Logf("SKIPPED LOUDLY: no fixtures under %s (set SKIFF_SHARED)", root)
		return
	}
	archs := map[string]bool{}
	for _, golden := range dirs {
		dir := filepath.Dir(golden)
		m, err := importer.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Parse(m.TokenizerJSON)
		if err != nil {
			t.Fatal(err)
		}
		task, err := packager.TaskOf(m, tok)
		if errors.Is(err, packager.ErrTask) && strings.Contains(err.Error(), "modules.json") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		archs[m.Arch] = true
		if key := m.Arch + "/" + task.Name; models[key] == "" {
			models[key] = dir
		}
	}
	if len(archs) < 9 {
		t.Errorf("only the architectures %v", slices.Sorted(maps.Keys(archs)))
	}
}

// smallBert is a folder with a random BERT of a class, whose vocabulary is the letters.
func smallBert(t *testing.T, class string) string {
	t.Helper()
	const hidden, inner = 24, 40
	vocab := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", ".", "?"}
	for c := 'a'; c <= 'z'; c++ {
		vocab = append(vocab, string(c), "##"+string(c))
	}
	w := map[string][]int{
		"bert.embeddings.word_embeddings.weight": {len(vocab), hidden}, "bert.embeddings.position_embeddings.weight": {64, hidden},
		"bert.embeddings.token_type_embeddings.weight": {2, hidden},
	}
	part := func(name string, shape ...int) { w[name+".weight"], w[name+".bias"] = shape, shape[:1] }
	part("bert.embeddings.LayerNorm", hidden)
	for i := range 2 {
		at := fmt.Sprintf("bert.encoder.layer.%d.", i)
		for _, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
			part(at+name, hidden, hidden)
		}
		part(at+"intermediate.dense", inner, hidden)
		part(at+"output.dense", hidden, inner)
		part(at+"attention.output.LayerNorm", hidden)
		part(at+"output.LayerNorm", hidden)
	}
	switch class {
	case "ForMaskedLM":
		part("cls.predictions.transform.dense", hidden, hidden)
		part("cls.predictions.transform.LayerNorm", hidden)
		w["cls.predictions.bias"] = []int{len(vocab)}
	case "ForQuestionAnswering":
		part("qa_outputs", 2, hidden)
	case "ForSequenceClassification":
		part("bert.pooler.dense", hidden, hidden)
		part("classifier", 3, hidden)
	default:
		part("classifier", 3, hidden)
	}
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "model.safetensors", randomWeights(t, w))
	put(t, dir, "vocab.txt", []byte(strings.Join(vocab, "\n")+"\n"))
	put(t, dir, "tokenizer_config.json", []byte(`{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": 64}`))
	put(t, dir, "config.json", fmt.Appendf(nil, `{"architectures": ["Bert%s"], "model_type": "bert", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": 2,
  "num_attention_heads": 4, "intermediate_size": %d, "max_position_embeddings": 64, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
  "id2label": {"0": "O", "1": "B-X", "2": "I-X"}, "label2id": {"O": 0, "B-X": 1, "I-X": 2}}`, class, len(vocab), hidden, inner))
	return dir
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// randomWeights is a safetensors file with tensors of the given shapes: gains of norms
// around 1, matrices of a scale that keeps the size of what they multiply.
func randomWeights(t *testing.T, shapes map[string][]int) []byte {
	t.Helper()
	rng, header, data := rand.New(rand.NewPCG(3, 5)), map[string]any{}, []byte(nil)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		n, begin := 1, len(data)
		for _, d := range shapes[name] {
			n *= d
		}
		scale, middle := 0.2, 0.0
		switch {
		case strings.HasSuffix(name, "LayerNorm.weight"):
			middle = 1
		case len(shapes[name]) == 2:
			scale = 1.5 / math.Sqrt(float64(shapes[name][1]))
		}
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(middle+scale*rng.NormFloat64())))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
}
