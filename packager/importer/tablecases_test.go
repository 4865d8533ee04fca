package importer

import (
	"fmt"
	"maps"
	"testing"
	"testing/fstest"

	"skiff/formats/safetensors"
	"skiff/packager/graph"
)

// fixtureFamily is a fixture whose encoder can get every head of its architecture.
type fixtureFamily struct {
	from, prefix string
	hidden       int
	heads        []string         // stems of the fixture's own head
	classify     map[string][]int // the head of a classifier of 2 labels
	single       map[string][]int // and of one
	words        map[string][]int // of masked words; nil where headCases has them
	keys         map[string]any   // of config.json
}

// families are the fixtures of each architecture but BERT, which has a fixture a task.
func families() []fixtureFamily {
	const seq = "-sequence-classification"
	dense := func(h, labels int) map[string][]int {
		return shapes("classifier.dense", h, h, "classifier.out_proj", labels, h)
	}
	plain := func(h, labels int) map[string][]int { return shapes("classifier", labels, h) }
	deberta := func(labels int) map[string][]int {
		return shapes("pooler.dense", 40, 40, "classifier", labels, 40)
	}
	modern := func(labels int) map[string][]int {
		return with(with(plain(32, labels), "head.dense.weight", 32, 32), "head.norm.weight", 32)
	}
	lm := with(shapes("lm_head.dense", 36, 36, "lm_head.layer_norm", 36), "lm_head.bias", 750)
	own := []string{"classifier", "pre_classifier", "pooler"}
	return []fixtureFamily{
		{from: "distilbert" + seq, prefix: "DistilBert", hidden: 32, heads: own,
			classify: with(shapes("pre_classifier", 32, 32, "classifier", 2, 32), "classifier.bias", 2), single: shapes("pre_classifier", 32, 32, "classifier", 1, 32)},
		{from: "roberta" + seq, prefix: "Roberta", hidden: 36, heads: own, classify: dense(36, 2), single: dense(36, 1)},
		{from: "roberta" + seq, prefix: "Camembert", hidden: 36, heads: own, classify: dense(36, 2), single: dense(36, 1), words: lm, keys: map[string]any{"model_type": "camembert"}},
		{from: "xlm-roberta-embed", prefix: "XLMRoberta", hidden: 32, classify: dense(32, 2), single: dense(32, 1)},
		{from: "electra" + seq, prefix: "Electra", hidden: 44, heads: own, classify: dense(44, 2), single: dense(44, 1)},
		{from: "albert" + seq, prefix: "Albert", hidden: 40, heads: own[:1], classify: plain(40, 2), single: plain(40, 1)},
		{from: "mpnet-embed", prefix: "MPNet", hidden: 36, classify: dense(36, 2), single: dense(36, 1)},
		{from: "mobilebert" + seq, prefix: "MobileBert", hidden: 40, heads: own[:1], classify: plain(40, 2), single: plain(40, 1)},
		{from: "deberta-v2" + seq, prefix: "DebertaV2", hidden: 40, heads: own, classify: deberta(2), single: deberta(1)},
		{from: "modernbert-embed", prefix: "ModernBert", hidden: 32, classify: modern(2), single: modern(1)},
	}
}

// cases are the classes of a family.
func (f *fixtureFamily) cases() []headCase {
	tag, answer := shapes("classifier", 3, f.hidden), shapes("qa_outputs", 2, f.hidden)
	if f.prefix == "ModernBert" {
		tag, answer = maps.Clone(f.classify), maps.Clone(f.classify)
	}
	labels := func(n int) map[string]any {
		keys, names := maps.Clone(f.keys), map[string]string{}
		if keys == nil {
			keys = make(map[string]any)
		}
		for i := range n {
			names[fmt.Sprint(i)] = fmt.Sprintf("LABEL_%d", i)
		}
		keys["id2label"], keys["label2id"] = names, nil
		return keys
	}
	of := func(class string, keys map[string]any, add map[string][]int) headCase {
		return headCase{from: f.from, class: f.prefix + class, keys: keys, drop: f.heads, add: add}
	}
	all := []headCase{
		of("Model", f.keys, nil), of("ForSequenceClassification", labels(2), f.classify), of("ForSequenceClassification", labels(1), f.single),
		of("ForTokenClassification", labels(tag["classifier.bias"][0]), tag), of("ForQuestionAnswering", f.keys, answer),
	}
	if f.words != nil {
		all = append(all, of("ForMaskedLM", f.keys, f.words))
	}
	return all
}

// familySources are the classes of all families, and each bare encoder with pooling.
func familySources(t *testing.T) []tableSource {
	t.Helper()
	var all []tableSource
	for _, f := range families() {
		for i, c := range f.cases() {
			files := c.folder(t).(fstest.MapFS)
			delete(files, safetensors.SingleName)
			s := tableSource{c.class, files, c.tensors(t, shared(t, "fixtures", c.from))}
			all = append(all, s)
			if i == 0 {
				s.name, s.files = f.prefix+" with pooling", maps.Clone(files)
				s.files[modulesName] = &fstest.MapFile{Data: []byte(`[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]`)}
				s.files["1_Pooling/"+configName] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"word_embedding_dimension": %d, "pooling_mode_%s_tokens": true}`, f.hidden, graph.PoolMean)}
				all = append(all, s)
			}
		}
	}
	return all
}
