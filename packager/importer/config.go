package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// configName is the file that every model folder starts from.
const configName = "config.json"

// Limits on a config.json beyond those of the sizes.
const (
	maxConfigDepth = 32
	maxLabels      = 100_000
)

// inertKeys are keys of config.json that do not change what an encoder
// computes: training, generation, presentation and bookkeeping. An
// architecture's own table comes before them.
func inertKeys() map[string]bool {
	keys := make(map[string]bool)
	for key := range strings.FieldsSeq(`
		attention_dropout attention_probs_dropout_prob bad_words_ids begin_suppress_tokens bos_token_id
		chunk_size_feed_forward classifier_dropout classifier_dropout_prob cls_token_id decoder_start_token_id
		directionality diversity_penalty do_sample dropout dtype early_stopping embedding_dropout
		encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
		forced_bos_token_id forced_eos_token_id gradient_checkpointing hidden_dropout_prob initializer_range label2id language
		length_penalty max_length min_length name no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
		output_attentions output_hidden_states output_past output_scores pad_token_id pooler_fc_size
		pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type prefix qa_dropout
		remove_invalid_values repetition_penalty return_dict return_dict_in_generate
		sep_token_id seq_classif_dropout suppress_tokens task_specific_params
		temperature tf_legacy_loss tie_encoder_decoder tokenizer_class top_k top_p torch_dtype
		torchscript transformers_version typical_p use_bfloat16 use_cache cross_attention_hidden_size`) {
		keys[key] = true
	}
	return keys
}

// config is a checked config.json.
type config struct {
	file string
	arch *arch
	head head

	values map[string]any // of the keys in the architecture's table, by their names there

	labels     []string // nil where the file declares none
	numLabels  int      // 0 where the file declares none, the number of labels after check
	problem    graph.Problem
	rankLinear bool // a cross-encoder's score is its logit
	thresholds thresholds
	tied       bool // the decoder is the word table

	modelType, architecture string
	keys                    map[string]*key // of the table, by their names in the file
	inert                   map[string]bool
	unknown                 string // the first key of that kind
}

// model is the graph without operations.
func (c *config) model() *graph.Model {
	m := &graph.Model{
		Arch: c.modelType, Task: c.head.task,
		Hidden: c.num("hidden_size"), Layers: c.num("num_hidden_layers"), Heads: c.num("num_attention_heads"), Inner: c.num("intermediate_size"),
		Vocab: c.num("vocab_size"), MaxPositions: c.num("max_position_embeddings"), Eps: float32(c.number("layer_norm_eps")),
	}
	if c.has("type_vocab_size") {
		m.Types = c.num("type_vocab_size")
	}
	return m
}

// readConfig reads config.json of the folder's part sub.
func readConfig(f *folder, sub string) (*config, error) {
	name := path.Join(sub, configName)
	data, err := f.read(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: name, Problem: "no such file", Cure: "give a folder in the layout of Hugging Face", Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return parseConfig(name, data)
}

// parseConfig checks the text of a config.json: once for the architecture, and
// once for what that architecture depends on.
func parseConfig(name string, data []byte) (*config, error) {
	c := &config{file: name, values: make(map[string]any), keys: make(map[string]*key), inert: inertKeys(), tied: true}
	if err := c.readModelType(data); err != nil {
		return nil, err
	}
	if err := c.choose(); err != nil {
		return nil, err
	}
	err := object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return c.member(s, key) })
	})
	if err != nil {
		return nil, err
	}
	return c, c.check()
}

// readModelType reads up to the key model_type; what follows is read later.
func (c *config) readModelType(data []byte) error {
	found := errors.New("found")
	err := object(c.file, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) (err error) {
			if key != "model_type" || null(s) {
				return s.Skip()
			}
			if c.modelType, err = s.String(); err != nil {
				return err
			}
			return found
		})
	})
	if errors.Is(err, found) {
		return nil
	}
	return err
}

// choose picks the architecture.
func (c *config) choose() error {
	if c.modelType == "" {
		return invalid(c.file, "model_type", "give the config.json of a transformer", "missing")
	}
	if c.arch = archOf(c.modelType); c.arch == nil {
		return unsupported(c.file, "model_type", "known: "+strings.Join(archNames(), ", "), "unknown architecture %q", c.modelType)
	}
	for i := range c.arch.keys {
		k := &c.arch.keys[i]
		c.keys[k.name] = k
	}
	return nil
}

// member reads one key of config.json.
func (c *config) member(s *strictjson.Scanner, key string) error {
	kind, err := s.Kind()
	if err != nil {
		return err
	}
	k, ok := c.keys[key]
	if kind == strictjson.Null {
		if ok && k.null != nil {
			c.values[k.as] = k.null
		}
		return s.Null() // as if it were not there
	}
	switch {
	case ok:
		v, err := k.read(c, s)
		c.values[k.as] = v
		return err
	case c.arch.inert(key):
		return s.Skip()
	}
	switch key {
	case "architectures":
		err = c.architectures(s)
	case "position_embedding_type":
		err = exactly(s, c.file, key, "absolute")
	case "num_labels":
		err = c.countLabels(s)
	case "id2label":
		err = c.id2label(s)
	case "problem_type":
		err = c.problemType(s)
	case "threshold", "thresholds":
		err = c.thresholds.read(s, key)
	case "tie_word_embeddings":
		c.tied, err = s.Bool()
	case "sentence_transformers":
		err = s.Object(func(key string) error { return c.crossEncoder(s, key) })
	case "sbert_ce_default_activation_function":
		err = c.crossEncoder(s, "activation_fn")
	case "is_decoder", "add_cross_attention", "is_encoder_decoder":
		err = c.mustBeFalse(s, key)
	case "pruned_heads":
		err = c.empty(s, key)
	case "model_type":
		err = s.Skip()
	default:
		if !strings.HasPrefix(key, "_") && !c.inert[key] {
			c.unknown = cmp.Or(c.unknown, key) // something wrong that follows is the better message
		}
		err = s.Skip()
	}
	return err
}

// architectures reads the list of class names, which may have one entry.
func (c *config) architectures(s *strictjson.Scanner) error {
	return s.Array(func(i int) error {
		name, err := s.String()
		if err == nil && i > 0 {
			return unsupported(c.file, "architectures", "keep the class that wrote the weights", "more than one class")
		}
		c.architecture = name
		return err
	})
}

// problemType reads what a classifier was trained for.
func (c *config) problemType(s *strictjson.Scanner) error {
	name, err := s.String()
	if err != nil {
		return err
	}
	switch name {
	case "single_label_classification":
		c.problem = graph.SingleLabel
	case "multi_label_classification":
		c.problem = graph.MultiLabel
	case "regression":
		c.problem = graph.Regression
	default:
		return unsupported(c.file, "problem_type", "known are single_label_classification, multi_label_classification and regression", "unknown value %q", name)
	}
	return nil
}

// crossEncoder reads what sentence-transformers notes about the score of a pair.
func (c *config) crossEncoder(s *strictjson.Scanner, key string) error {
	if key != "activation_fn" || null(s) {
		return s.Skip()
	}
	var err error
	c.rankLinear, err = linearScore(s, c.file, key)
	return err
}

// linearScore reads the function that makes the score of a pair, the identity or the sigmoid.
func linearScore(s *strictjson.Scanner, file, key string) (linear bool, err error) {
	class, err := s.String()
	switch {
	case err != nil:
		return false, err
	case class == "torch.nn.modules.linear.Identity":
		return true, nil
	case class == "torch.nn.modules.activation.Sigmoid":
		return false, nil
	}
	return false, unsupported(file, key, "known are Identity and Sigmoid", "unknown function %q", class)
}

// mustBeFalse reads a switch that changes the architecture.
func (c *config) mustBeFalse(s *strictjson.Scanner, key string) error {
	on, err := s.Bool()
	if err == nil && on {
		return unsupported(c.file, key, "only encoders are supported", "true")
	}
	return err
}

// empty reads an object that must have no members.
func (c *config) empty(s *strictjson.Scanner, key string) error {
	return s.Object(func(string) error {
		return unsupported(c.file, key, "save the model after pruning", "not empty")
	})
}

// countLabels reads num_labels.
func (c *config) countLabels(s *strictjson.Scanner) error {
	off := s.Offset()
	n, err := s.Int()
	if err == nil && (n < 1 || n > maxLabels) {
		return s.Errorf(off, "%d is outside 1 to %d", n, maxLabels)
	}
	c.numLabels = int(n)
	return err
}

// id2label reads {"0": label, ...}; the keys must be 0 to n-1.
func (c *config) id2label(s *strictjson.Scanner) error {
	off := s.Offset()
	byID := make(map[int]string)
	err := s.Object(func(key string) error {
		at := s.Offset()
		label, err := s.String()
		if err != nil {
			return err
		}
		id, bad := strconv.Atoi(key)
		if bad != nil || strconv.Itoa(id) != key || id < 0 || id >= maxLabels {
			return s.Errorf(at, "the key %q is no label's number", key)
		}
		byID[id] = label
		return nil
	})
	if err != nil {
		return err
	}
	c.labels = make([]string, len(byID))
	for id := range c.labels {
		label, ok := byID[id]
		if !ok {
			return s.Errorf(off, "%d labels but none for %d", len(byID), id)
		}
		c.labels[id] = label
	}
	return nil
}

// check compares the values with each other and picks the head.
func (c *config) check() error {
	if c.unknown != "" {
		return unsupported(c.file, c.unknown, "remove the key if the model does not depend on it", "an unknown key that may change the result")
	}
	for i := range c.arch.keys {
		k := &c.arch.keys[i]
		if c.has(k.as) {
			continue
		}
		if k.absent == nil {
			return invalid(c.file, k.name, "take config.json from where the weights came from", "missing")
		}
		c.values[k.as] = k.absent
	}
	if err := c.checkHeads(); err != nil {
		return err
	}
	if c.arch.check != nil {
		if err := c.arch.check(c); err != nil {
			return err
		}
	}
	head, ok := c.arch.heads[c.architecture]
	if !ok {
		return unsupported(c.file, "architectures", "", "unknown class %q", c.architecture)
	}
	c.head = head
	return c.checkLabels()
}

// checkHeads wants whole columns for every head.
func (c *config) checkHeads() error {
	width, heads := "hidden_size", c.num("num_attention_heads")
	if c.arch.width != nil {
		width = c.arch.width(c)
	}
	if c.num(width)%heads == 0 {
		return nil
	}
	return invalid(c.file, c.nameOf("num_attention_heads"), "", "%d heads do not divide %s %d", heads, c.nameOf(width), c.num(width))
}

// nameOf is the name in the file of a key that the tables call as.
func (c *config) nameOf(as string) string {
	for i := range c.arch.keys {
		if k := &c.arch.keys[i]; k.as == as {
			return k.name
		}
	}
	return as
}

// checkLabels fills in what transformers takes where nothing is declared: two
// labels, called LABEL_0 and LABEL_1; and, for a problem, what its pipeline does.
func (c *config) checkLabels() error {
	n := c.numLabels
	switch {
	case c.labels != nil && n != 0 && n != len(c.labels):
		return invalid(c.file, "id2label", "", "%d labels, but num_labels is %d", len(c.labels), n)
	case c.labels != nil:
		n = len(c.labels)
	case n == 0:
		n = 2
	}
	c.numLabels = n
	if !c.head.labels {
		c.labels = nil
		return c.checkThresholds()
	}
	if n == 0 {
		return invalid(c.file, "id2label", "", "no labels for %s", c.architecture)
	}
	for i := len(c.labels); i < n; i++ {
		c.labels = append(c.labels, fmt.Sprintf("LABEL_%d", i))
	}
	switch {
	case c.head.task != graph.TaskClassify:
		c.problem = 0
	case c.problem == 0 && n == 1:
		c.problem = graph.MultiLabel // one label: the sigmoid of its logit
	case c.problem == 0:
		c.problem = graph.SingleLabel
	}
	return c.checkThresholds()
}
