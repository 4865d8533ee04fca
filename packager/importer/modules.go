package importer

import (
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

// pipeline is what modules.json and the modules' own files say: a transformer,
// a pooling, perhaps a normalisation. Its zero value is a folder without them.
type pipeline struct {
	present   bool
	sub       string // folder of the transformer, "" for the model's own
	pool      graph.Pooling
	normalize bool
	prefix    string
	maxTokens int // 0 where not said

	width              int // of the vectors that pooling expects; 0 where not said
	poolFile, widthKey string
	includePrompt      bool
}

// module is one entry of modules.json.
type module struct{ path, kind, class string }

// readModules reads everything of sentence-transformers in the folder.
func readModules(f *folder) (*pipeline, error) {
	p := &pipeline{includePrompt: true}
	data, ok, err := f.readIfThere(modulesName, maxConfig)
	if err != nil || !ok {
		return p, err
	}
	p.present = true
	modules, err := parseModules(data)
	if err != nil {
		return nil, err
	}
	if err := p.order(modules); err != nil {
		return nil, err
	}
	p.sub = modules[0].path
	if err := p.readPooling(f, modules[1].path); err != nil {
		return nil, err
	}
	p.normalize = len(modules) == 3
	if err := p.readSentences(f); err != nil {
		return nil, err
	}
	return p, p.readPrompts(f)
}

// finish puts the pipeline's part into the model. A model with a pipeline
// embeds, whatever head its checkpoint has.
func (p *pipeline) finish(m *graph.Model) {
	if !p.present {
		return
	}
	m.Task, m.Head = graph.TaskEmbed, nil
	m.Pool, m.Normalize, m.Prefix = p.pool, p.normalize, p.prefix
}

// order checks that the modules are transformer, pooling and at most normalise.
func (p *pipeline) order(modules []module) error {
	want := []string{"Transformer", "Pooling", "Normalize"}
	if len(modules) < 2 {
		return unsupported(modulesName, "", "a transformer and a pooling make an embedding", "%d modules", len(modules))
	}
	for i, m := range modules {
		if i >= len(want) || m.kind != want[i] {
			return unsupported(modulesName, fmt.Sprintf("module %d", i), "known are Transformer, Pooling and Normalize, in this order", "type %q", m.class)
		}
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
	}
	return ""
}

// readPooling reads the config.json of the pooling: flags a mode in the classic
// layout, one string since 5.x.
func (p *pipeline) readPooling(f *folder, dir string) error {
	p.poolFile = path.Join(dir, configName)
	data, err := f.read(p.poolFile, maxConfig)
	if err != nil {
		return &Error{File: p.poolFile, Err: err}
	}
	var modes []string
	err = object(p.poolFile, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return p.poolingMember(s, key, &modes) })
	})
	if err != nil {
		return err
	}
	if !slices.Equal(modes, []string{"mean"}) {
		return unsupported(p.poolFile, "pooling_mode", "known is mean", "mode %q", strings.Join(modes, "+"))
	}
	p.pool = graph.PoolMean
	return nil
}

// poolingMember reads one key of it and collects the modes that are on.
func (p *pipeline) poolingMember(s *strictjson.Scanner, key string, modes *[]string) error {
	switch key {
	case "word_embedding_dimension", "embedding_dimension":
		off := s.Offset()
		n, err := s.Int()
		if err == nil && (n < 1 || n > 1<<20) {
			return s.Errorf(off, "%d is no width", n)
		}
		p.width, p.widthKey = int(n), key
		return err
	case "pooling_mode":
		mode, err := s.String()
		*modes = append(*modes, mode)
		return err
	case "include_prompt":
		var err error
		p.includePrompt, err = s.Bool()
		return err
	}
	mode, ok := strings.CutPrefix(key, "pooling_mode_")
	if !ok {
		return unknownKey(s, p.poolFile, key)
	}
	on, err := s.Bool()
	if on {
		*modes = append(*modes, strings.TrimSuffix(strings.TrimSuffix(mode, "s"), "_token"))
	}
	return err
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
		return exactly(s, name, key, "feature-extraction")
	case "module_output_name":
		return exactly(s, name, key, "token_embeddings")
	case "modality_config":
		return modality(s, name)
	case "model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs", "config_kwargs":
		return harmless(s, name, key)
	}
	return unknownKey(s, name, key)
}

// modality checks {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}.
func modality(s *strictjson.Scanner, name string) error {
	return s.Object(func(key string) error {
		if key != "text" {
			return unsupported(name, "modality_config", "known is text", "modality %q", key)
		}
		return s.Object(func(key string) error {
			switch key {
			case "method":
				return exactly(s, name, key, "forward")
			case "method_output_name":
				return exactly(s, name, key, "last_hidden_state")
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

// readPrompts reads config_sentence_transformers.json, which may be absent: its
// default prompt is put before every text.
func (p *pipeline) readPrompts(f *folder) error {
	data, ok, err := f.readIfThere(promptsName, maxConfig)
	if err != nil || !ok {
		return err
	}
	prompts, chosen := make(map[string]string), ""
	err = object(promptsName, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) (err error) {
			switch key {
			case "__version__", "similarity_fn_name":
				return s.Skip()
			case "model_type":
				return exactly(s, promptsName, key, "SentenceTransformer")
			case "prompts":
				return s.Object(func(name string) (err error) {
					prompts[name], err = s.String()
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
	return p.choose(prompts, chosen)
}

// choose sets the prefix.
func (p *pipeline) choose(prompts map[string]string, name string) error {
	if name == "" {
		return nil
	}
	text, ok := prompts[name]
	if !ok {
		return invalid(promptsName, "default_prompt_name", "", "%q is none of the prompts", name)
	}
	if text != "" && !p.includePrompt {
		return unsupported(p.poolFile, "include_prompt", "", "a default prompt that pooling leaves out")
	}
	p.prefix = text
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
