package importer

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// The files of sentence-transformers.
const (
	modulesName   = "modules.json"
	promptsName   = "config_sentence_transformers.json"
	sentencesName = "sentence_bert_config.json"
)

// maxModules bounds the list in modules.json.
const maxModules = 16

// pipeline is what modules.json and the modules' own files say: a transformer,
// a pooling, and what follows it. Its zero value is a folder without them.
type pipeline struct {
	present   bool
	sub       string // folder of the transformer, "" for the model's own
	pool      graph.Poolings
	after     []module // what follows the pooling, in order
	prefix    string
	prompts   map[string]string // nil where all are empty
	maxTokens int               // 0 where not said

	// ranks: the modules are those of a cross-encoder, which is a transformer with its
	// head and nothing after it.
	ranks  bool
	linear *bool  // its score is the logit; nil where not said
	class  string // what the file of prompts says that the modules are

	width              int // of the vectors that pooling expects; 0 where not said
	poolFile, widthKey string
	includePrompt      bool
}

// module is one entry of modules.json.
type module struct{ path, kind, class string }

// readModules reads everything of sentence-transformers in the folder but the
// weights of dense layers.
func readModules(f *folder) (*pipeline, error) {
	p := &pipeline{includePrompt: true}
	data, ok, err := f.readIfThere(modulesName, maxConfig)
	if err != nil || !ok {
		return p, err
	}
	modules, err := parseModules(data)
	if err != nil {
		return nil, err
	}
	if len(modules) == 1 && modules[0].kind == "Transformer" {
		p.sub = modules[0].path
		return p, p.readRanker(f)
	}
	if err := order(modules); err != nil {
		return nil, err
	}
	p.present = true
	p.sub, p.after = modules[0].path, modules[2:]
	if err := p.readPooling(f, modules[1].path); err != nil {
		return nil, err
	}
	if err := p.readSentences(f); err != nil {
		return nil, err
	}
	return p, p.readPrompts(f)
}

// readRanker reads what is said of a transformer without a pooling, which must be the one
// of a cross-encoder.
func (p *pipeline) readRanker(f *folder) error {
	p.ranks = true
	if err := p.readPrompts(f); err != nil {
		return err
	}
	if p.class == "" {
		return order(make([]module, 1))
	}
	return p.readSentences(f)
}

// finish appends the pipeline's part to the model. A model with a pipeline
// embeds, whatever head its checkpoint has.
func (p *pipeline) finish(ctx context.Context, f *folder, m *graph.Model) error {
	if !p.present {
		return nil
	}
	if err := p.fits(m); err != nil {
		return err
	}
	m.Task, m.Head = graph.TaskEmbed, nil
	m.Pooled = m.Pool(m.Last, p.pool...)
	p.prompt(m)
	m.Answer = m.Pooled
	for i, mod := range p.after {
		if err := mod.append(ctx, f, i, m); err != nil {
			return err
		}
	}
	return nil
}

// fits compares the width that the pooling expects with that of m's rows.
func (p *pipeline) fits(m *graph.Model) error {
	if p.width != 0 && p.width != m.Hidden {
		return invalid(p.poolFile, p.widthKey, modulesName+" belongs to another model", "%d, but the hidden size is %d", p.width, m.Hidden)
	}
	return nil
}

// append puts the module, the one with number i after the pooling, behind the sentence vector.
func (mod module) append(ctx context.Context, f *folder, i int, m *graph.Model) error {
	switch mod.kind {
	case "Normalize":
		m.Answer = m.Normalize(m.Answer)
	case "Dense":
		return readDense(ctx, f, mod.path, fmt.Sprintf("dense.%d", i), m)
	case "LayerNorm":
		return readLayerNorm(ctx, f, mod.path, fmt.Sprintf("dense.%d", i), m)
	}
	return nil // a dropout, which does nothing but in training
}

// prompt gives a model that pools its prompts, and what pooling does with them.
func (p *pipeline) prompt(m *graph.Model) {
	m.Prefix, m.Prompts = p.prefix, p.prompts
	for _, op := range m.Ops {
		if pool, ok := op.(*graph.Pool); ok && pool.Out == m.Pooled {
			pool.AfterPrompt = !p.includePrompt && p.prompts != nil
		}
	}
}

// order checks that the modules are transformer and pooling, then what changes a
// vector.
func order(modules []module) error {
	if len(modules) < 2 {
		return unsupported(modulesName, "", "a transformer and a pooling make an embedding", "%d modules", len(modules))
	}
	for i, m := range modules {
		if i == 0 && m.kind == "Transformer" || i == 1 && m.kind == "Pooling" || i > 1 && i < maxModules && slices.Contains([]string{"Normalize", "Dense", "LayerNorm", "Dropout"}, m.kind) {
			continue
		}
		return unsupported(modulesName, fmt.Sprintf("module %d", i), "known are Transformer, Pooling, then Dense, LayerNorm, Dropout and Normalize", "type %q", m.class)
	}
	return nil
}

// parseModules reads modules.json.
func parseModules(data []byte) ([]module, error) {
	var modules []module
	err := object(modulesName, data, func(s *strictjson.Scanner) error {
		return s.Array(func(i int) error {
			var m module
			if err := m.read(s, i); err != nil {
				return err
			}
			modules = append(modules, m)
			return nil
		})
	})
	return modules, err
}

// read reads the entry at index i.
func (m *module) read(s *strictjson.Scanner, i int) error {
	return s.Object(func(key string) (err error) {
		off := s.Offset()
		switch key {
		case "idx":
			n, err := s.Int()
			if err == nil && n != int64(i) {
				return s.Errorf(off, "%d in place %d", n, i)
			}
			return err
		case "name":
			_, err = s.String()
		case "path":
			if m.path, err = s.String(); err == nil && !inside(m.path) {
				return s.Errorf(off, "%q leaves the folder", m.path)
			}
		case "type":
			m.class, err = s.String()
			m.kind = moduleKind(m.class)
		default:
			return unknownKey(s, modulesName, key)
		}
		return err
	})
}

// inside reports whether a module's path is below its model's folder.
func inside(p string) bool {
	return p == "" || fs.ValidPath(p) && p != "." && !strings.ContainsAny(p, "\\:")
}

// moduleKind shortens the class names of the versions of sentence-transformers;
// "" for any that is not implemented.
func moduleKind(class string) string {
	switch class {
	case "sentence_transformers.models.Transformer", "sentence_transformers.base.modules.transformer.Transformer":
		return "Transformer"
	case "sentence_transformers.models.Pooling", "sentence_transformers.sentence_transformer.modules.pooling.Pooling":
		return "Pooling"
	case "sentence_transformers.models.Normalize", "sentence_transformers.sentence_transformer.modules.normalize.Normalize":
		return "Normalize"
	case "sentence_transformers.models.Dense", "sentence_transformers.base.modules.dense.Dense":
		return "Dense"
	case "sentence_transformers.models.LayerNorm", "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm":
		return "LayerNorm"
	case "sentence_transformers.models.Dropout", "sentence_transformers.sentence_transformer.modules.dropout.Dropout":
		return "Dropout"
	}
	return ""
}

// readSentences reads sentence_bert_config.json, which may be absent.
func (p *pipeline) readSentences(f *folder) error {
	name := path.Join(p.sub, sentencesName)
	data, ok, err := f.readIfThere(name, maxConfig)
	if err != nil || !ok {
		return err
	}
	return object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return p.sentencesMember(s, name, key) })
	})
}

func (p *pipeline) sentencesMember(s *strictjson.Scanner, name, key string) error {
	off := s.Offset()
	switch key {
	case "max_seq_length":
		if null(s) {
			return s.Null()
		}
		n, err := s.Int()
		if err == nil && (n < 3 || n > 1<<20) {
			return s.Errorf(off, "%d is outside 3 to %d", n, 1<<20)
		}
		p.maxTokens = int(n)
		return err
	case "do_lower_case":
		on, err := s.Bool()
		if err == nil && on {
			return unsupported(name, key, "let the tokenizer lower the case", "true")
		}
		return err
	case "transformer_task":
		return exactly(s, name, key, p.either("sequence-classification", "feature-extraction"))
	case "module_output_name":
		return exactly(s, name, key, p.either("scores", "token_embeddings"))
	case "modality_config":
		return modality(s, name, p.either("logits", "last_hidden_state"))
	case "model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs", "config_kwargs":
		return harmless(s, name, key)
	}
	return unknownKey(s, name, key)
}

// either chooses between what a cross-encoder says and what others say.
func (p *pipeline) either(ranks, embeds string) string {
	if p.ranks {
		return ranks
	}
	return embeds
}

// modality checks {"text": {"method": "forward", "method_output_name": output}}.
func modality(s *strictjson.Scanner, name, output string) error {
	return s.Object(func(key string) error {
		if key != "text" {
			return unsupported(name, "modality_config", "known is text", "modality %q", key)
		}
		return s.Object(func(key string) error {
			switch key {
			case "method":
				return exactly(s, name, key, "forward")
			case "method_output_name":
				return exactly(s, name, key, output)
			}
			return unknownKey(s, name, key)
		})
	})
}

// harmless checks arguments that are handed to transformers: none but the
// absence of a pooler, which sentence vectors do not use, and the type in
// which weights are loaded.
func harmless(s *strictjson.Scanner, name, key string) error {
	if null(s) {
		return s.Null()
	}
	return s.Object(func(arg string) error {
		switch arg {
		case "add_pooling_layer", "torch_dtype", "dtype", "attn_implementation":
			return s.Skip()
		}
		return unknownKey(s, name, key+"."+arg)
	})
}

// readPrompts reads config_sentence_transformers.json, which may be absent: prompts by
// name, of which a default one is put before every text that is given no other.
func (p *pipeline) readPrompts(f *folder) error {
	data, ok, err := f.readIfThere(promptsName, maxConfig)
	if err != nil || !ok {
		return err
	}
	prompts, chosen, any := make(map[string]string), "", false
	err = object(promptsName, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) (err error) {
			switch key {
			case "__version__", "similarity_fn_name":
				return s.Skip()
			case "model_type":
				p.class = p.either("CrossEncoder", "SentenceTransformer")
				return exactly(s, promptsName, key, p.class)
			case "activation_fn":
				if !p.ranks || null(s) {
					return unknownKey(s, promptsName, key)
				}
				linear, err := linearScore(s, promptsName, key)
				p.linear = &linear
				return err
			case "prompts":
				return s.Object(func(name string) (err error) {
					prompts[name], err = s.String()
					any = any || prompts[name] != ""
					return err
				})
			case "default_prompt_name":
				if null(s) {
					return s.Null()
				}
				chosen, err = s.String()
				return err
			}
			return unknownKey(s, promptsName, key)
		})
	})
	if err != nil {
		return err
	}
	if any && p.ranks {
		return unsupported(promptsName, "prompts", "", "prompts of a cross-encoder")
	}
	if any { // else there are names of empty prompts, which change nothing
		p.prompts = prompts
	}
	if _, ok := prompts[chosen]; !ok && chosen != "" {
		return invalid(promptsName, "default_prompt_name", "", "%q is none of the prompts", chosen)
	}
	p.prefix = prompts[chosen]
	return nil
}

// object runs read over a whole document of the file name.
func object(name string, data []byte, read func(s *strictjson.Scanner) error) error {
	s, err := strictjson.New(data, maxConfigDepth)
	if err == nil {
		err = read(s)
	}
	if err == nil {
		err = s.End()
	}
	return jsonError(name, err)
}

// null reports whether the next value is null.
func null(s *strictjson.Scanner) bool {
	k, err := s.Kind()
	return err == nil && k == strictjson.Null
}

// exactly reads a string that has one implemented value.
func exactly(s *strictjson.Scanner, file, key, want string) error {
	got, err := s.String()
	if err == nil && got != want {
		return unsupported(file, key, "known is "+want, "unknown value %q", got)
	}
	return err
}

// unknownKey refuses a key unless its value is null.
func unknownKey(s *strictjson.Scanner, file, key string) error {
	if null(s) {
		return s.Null()
	}
	return unsupported(file, key, "remove the key if the model does not depend on it", "an unknown key that may change the result")
}
