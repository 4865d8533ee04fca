package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
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

// axis is a size that tensors' shapes are made of.
type axis int

// The axes; the letters are those of package graph.
const (
	axisH axis = iota // hidden_size
	axisF             // intermediate_size
	axisV             // vocab_size
	axisP             // max_position_embeddings
	axisS             // type_vocab_size
	axisL             // labels
	axisTwo
	axisCount
)

// size is a required integer of config.json.
type size struct {
	key string
	max int64
	dst func(c *config) *int
}

// configSizes lists them with bounds beyond any model of this kind: what is
// larger is a mistake or an attack.
func configSizes() map[string]size {
	of := func(a axis) func(*config) *int { return func(c *config) *int { return &c.sizes[a] } }
	list := []size{
		{"hidden_size", 1 << 14, of(axisH)},
		{"intermediate_size", 1 << 17, of(axisF)},
		{"vocab_size", 1 << 22, of(axisV)},
		{"max_position_embeddings", 1 << 20, of(axisP)},
		{"type_vocab_size", 1 << 10, of(axisS)},
		{"num_hidden_layers", 1 << 9, func(c *config) *int { return &c.layers }},
		{"num_attention_heads", 1 << 10, func(c *config) *int { return &c.heads }},
	}
	byKey := make(map[string]size)
	for _, z := range list {
		byKey[z.key] = z
	}
	return byKey
}

// inertKeys are keys of config.json that do not change what the encoder
// computes: training, generation, presentation and bookkeeping.
func inertKeys() map[string]bool {
	keys := make(map[string]bool)
	for key := range strings.FieldsSeq(`
		attention_probs_dropout_prob bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward
		classifier_dropout decoder_start_token_id directionality diversity_penalty do_sample dtype early_stopping
		encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
		forced_bos_token_id forced_eos_token_id gradient_checkpointing hidden_dropout_prob initializer_range label2id
		length_penalty max_length min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
		output_attentions output_hidden_states output_past output_scores pad_token_id pooler_fc_size
		pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type prefix problem_type
		remove_invalid_values repetition_penalty return_dict return_dict_in_generate
		sbert_ce_default_activation_function sentence_transformers sep_token_id suppress_tokens task_specific_params
		temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype
		torchscript transformers_version typical_p use_bfloat16 use_cache cross_attention_hidden_size`) {
		keys[key] = true
	}
	return keys
}

// config is a checked config.json.
type config struct {
	file  string
	arch  *arch
	head  head
	sizes [axisCount]int

	layers, heads int
	act           graph.Activation
	eps           float64
	labels        []string // nil where the file declares none
	numLabels     int      // 0 where the file declares none

	modelType, architecture string
	sizeKeys                map[string]size
	inert                   map[string]bool
	unknown                 string // the first key of that kind
}

// model is the graph without weights.
func (c *config) model() *graph.Model {
	s := &c.sizes
	return &graph.Model{
		Arch: c.arch.modelType, Task: c.head.task,
		Hidden: s[axisH], Layers: c.layers, Heads: c.heads, Inner: s[axisF],
		Vocab: s[axisV], MaxPositions: s[axisP], Types: s[axisS], Eps: float32(c.eps),
	}
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

// parseConfig checks the text of a config.json.
func parseConfig(name string, data []byte) (*config, error) {
	c := &config{file: name, eps: 1e-12, sizeKeys: configSizes(), inert: inertKeys()}
	err := object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return c.member(s, key) })
	})
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// member reads one key of config.json.
func (c *config) member(s *strictjson.Scanner, key string) error {
	kind, err := s.Kind()
	if err != nil {
		return err
	}
	if kind == strictjson.Null {
		return s.Null() // as if it were not there
	}
	if size, ok := c.sizeKeys[key]; ok {
		return c.size(s, size)
	}
	switch key {
	case "model_type":
		c.modelType, err = s.String()
	case "architectures":
		err = c.architectures(s)
	case "hidden_act":
		err = c.activation(s)
	case "position_embedding_type":
		err = exactly(s, c.file, key, "absolute")
	case "layer_norm_eps":
		err = c.epsilon(s)
	case "num_labels":
		err = c.countLabels(s)
	case "id2label":
		err = c.id2label(s)
	case "is_decoder", "add_cross_attention", "is_encoder_decoder":
		err = c.mustBeFalse(s, key)
	case "pruned_heads":
		err = c.empty(s, key)
	default:
		if !strings.HasPrefix(key, "_") && !c.inert[key] {
			c.unknown = cmp.Or(c.unknown, key) // an unknown model_type, which may follow, is the better message
		}
		err = s.Skip()
	}
	return err
}

// size reads one of the required integers.
func (c *config) size(s *strictjson.Scanner, z size) error {
	off := s.Offset()
	n, err := s.Int()
	if err != nil {
		return err
	}
	if n < 1 || n > z.max {
		return s.Errorf(off, "%d is outside 1 to %d", n, z.max)
	}
	*z.dst(c) = int(n)
	return nil
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

// activation reads hidden_act.
func (c *config) activation(s *strictjson.Scanner) error {
	name, err := s.String()
	if err != nil {
		return err
	}
	switch name {
	case "gelu", "gelu_python":
		c.act = graph.Gelu
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		c.act = graph.GeluTanh
	case "relu":
		c.act = graph.Relu
	case "silu", "swish":
		c.act = graph.Silu
	case "tanh":
		c.act = graph.Tanh
	default:
		return unsupported(c.file, "hidden_act", "known are gelu, gelu_new, relu, silu and tanh", "unknown activation %q", name)
	}
	return nil
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

// epsilon reads layer_norm_eps.
func (c *config) epsilon(s *strictjson.Scanner) error {
	off := s.Offset()
	eps, err := s.Float()
	if err == nil && !(eps > 1e-30 && eps <= 1) {
		return s.Errorf(off, "%g is outside 1e-30 to 1", eps)
	}
	c.eps = eps
	return err
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

// check compares the values with each other and picks the architecture.
func (c *config) check() error {
	if c.modelType == "" {
		return invalid(c.file, "model_type", "give the config.json of a transformer", "missing")
	}
	if c.arch = archOf(c.modelType); c.arch == nil {
		return unsupported(c.file, "model_type", "known: "+strings.Join(archNames(), ", "), "unknown architecture %q", c.modelType)
	}
	if c.unknown != "" {
		return unsupported(c.file, c.unknown, "remove the key if the model does not depend on it", "an unknown key that may change the result")
	}
	for _, key := range slices.Sorted(maps.Keys(c.sizeKeys)) {
		if *c.sizeKeys[key].dst(c) == 0 {
			return c.missing(key)
		}
	}
	if c.act == 0 {
		return c.missing("hidden_act")
	}
	if c.sizes[axisH]%c.heads != 0 {
		return invalid(c.file, "num_attention_heads", "", "%d heads do not divide hidden_size %d", c.heads, c.sizes[axisH])
	}
	head, ok := c.arch.heads[c.architecture]
	if !ok {
		return unsupported(c.file, "architectures", "", "unknown class %q", c.architecture)
	}
	c.head = head
	return c.checkLabels()
}

// missing is the error for a required key that is not there.
func (c *config) missing(key string) error {
	return invalid(c.file, key, "take config.json from where the weights came from", "missing")
}

// checkLabels fills in what transformers takes where nothing is declared: two
// labels, called LABEL_0 and LABEL_1.
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
	c.sizes[axisL], c.sizes[axisTwo] = n, 2
	if !c.head.labels {
		c.labels = nil
		return nil
	}
	if n == 0 {
		return invalid(c.file, "id2label", "", "no labels for %s", c.architecture)
	}
	for i := len(c.labels); i < n; i++ {
		c.labels = append(c.labels, fmt.Sprintf("LABEL_%d", i))
	}
	return nil
}
