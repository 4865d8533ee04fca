package importer

import (
	"slices"
	"strings"

	"skiff/packager/graph"
)

// arch is the table of an architecture: the keys of config.json that matter, the
// names of its tensors and the order of its blocks. A new architecture is a new
// table, a page of its own.
type arch struct {
	names []string // model_type in config.json
	keys  []key
	idle  string                 // further keys that change nothing, parted by spaces
	width func(c *config) string // the key whose columns the heads share; nil: hidden_size
	check func(c *config) error  // what the keys must be together; may be nil

	root   string   // the encoder's prefix in checkpoints with a head
	probe  string   // a tensor that every checkpoint has, to find its prefix
	stem   string   // names of a layer's tensors up to the number
	pooler string   // its tensors, where a classifier needs them
	spare  []string // names or stems of tensors of the encoder that nothing needs, of any type
	extra  []string // stems of tensors outside of the encoder that a folder without a head may carry

	encoder func(b *build)  // asks for the tensors and appends the operations
	heads   map[string]head // by class; "" is no class named
}

// head is what a class of an architecture puts on the encoder.
type head struct {
	task   string
	labels bool           // the labels of config.json belong to it
	spare  []string       // names or stems of its tensors that nothing needs: copies, remains of pre-training
	build  func(b *build) // nil for none
}

// archs lists the tables.
func archs() []*arch {
	return []*arch{bert(), distilbert(), roberta(), electra(), albert(), mpnet(), mobilebert(), deberta(), modernbert()}
}

// archOf is the table for a model_type, nil for an unknown one.
func archOf(modelType string) *arch {
	for _, a := range archs() {
		if slices.Contains(a.names, modelType) {
			return a
		}
	}
	return nil
}

// archNames lists what archOf knows.
func archNames() []string {
	var names []string
	for _, a := range archs() {
		names = append(names, a.names...)
	}
	return names
}

// inert reports whether a key is one of the architecture's that change nothing.
func (a *arch) inert(key string) bool {
	return slices.Contains(strings.Fields(a.idle), key)
}

// classes are the heads that an architecture's classes have in transformers,
// Prefix + "Model", Prefix + "ForMaskedLM" and so on. A nil build leaves out the
// class; the class Model, and none named, are the bare encoder.
type classes struct {
	prefixes                     []string
	classify, tag, answer, words func(b *build)
	masked                       []string // spare tensors of ForMaskedLM
	pretraining                  []string // further ones of ForPreTraining, which is ForMaskedLM otherwise; nil: no such class
}

func (c classes) heads() map[string]head {
	heads := map[string]head{"": {task: graph.TaskEncode}}
	for _, p := range c.prefixes {
		heads[p+"Model"] = head{task: graph.TaskEncode}
		if c.classify != nil {
			heads[p+"ForSequenceClassification"] = head{task: graph.TaskClassify, labels: true, build: c.classify}
		}
		if c.tag != nil {
			heads[p+"ForTokenClassification"] = head{task: graph.TaskTag, labels: true, build: c.tag}
		}
		if c.answer != nil {
			heads[p+"ForQuestionAnswering"] = head{task: graph.TaskAnswer, build: c.answer}
		}
		if c.words != nil {
			heads[p+"ForMaskedLM"] = head{task: graph.TaskFillMask, spare: c.masked, build: c.words}
			if c.pretraining != nil {
				heads[p+"ForPreTraining"] = head{task: graph.TaskFillMask, spare: slices.Concat(c.masked, c.pretraining), build: c.words}
			}
		}
	}
	return heads
}
