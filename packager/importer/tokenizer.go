package importer

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"

	"skiff/formats/strictjson"
	"skiff/formats/tokenizer"
	"skiff/packager/graph"
)

// The tokenizer's files.
const (
	tokenizerName       = "tokenizer.json"
	tokenizerConfigName = "tokenizer_config.json"
)

// maxTokenizerDepth bounds the nesting of tokenizer.json.
const maxTokenizerDepth = 64

// readTokenizer reads the tokenizer of the folder's part and decides how many
// tokens a text may have: what sentence_bert_config.json says, else what
// tokenizer_config.json says, else the truncation in tokenizer.json, and never
// more than there are positions.
func readTokenizer(f *folder, p *pipeline, m *graph.Model, c *contents) error {
	name := path.Join(p.sub, tokenizerName)
	text, err := tokenizerText(f, p.sub)
	if err != nil {
		return err
	}
	data := text.json
	parsed, info, err := parseTokenizer(name, data)
	if err != nil {
		return err
	}
	if parsed.VocabSize() > m.Vocab {
		return invalid(name, "", "it belongs to another model", "ids up to %d, but vocab_size is %d", parsed.VocabSize()-1, m.Vocab)
	}
	c.tokenizer = info
	side, err := readTokenizerConfig(f, path.Join(p.sub, tokenizerConfigName))
	if err != nil {
		return err
	}
	if !text.converted { // what was made of tokenizer_config.json agrees with it
		options, err := normalizerOptions(name, data)
		if err != nil {
			return err
		}
		if err := side.agrees(options); err != nil {
			return err
		}
	}
	m.Tokenizer, m.TokenizerJSON = parsed, data
	m.MaxTokens = m.MaxPositions
	for _, n := range []int{p.maxTokens, side.maxTokens, parsed.MaxLength()} {
		if n != 0 {
			m.MaxTokens = min(n, m.MaxPositions)
			break
		}
	}
	return nil
}

// TokenizerJSON is the tokenizer.json of the model in the folder, or of the ONNX file, at
// path: as it was read, or made of older files. Nothing else of the model is looked at.
func TokenizerJSON(path string) ([]byte, error) {
	f, err := modelAt(path)
	if err != nil {
		return nil, err
	}
	p, err := readModules(f)
	if err != nil {
		return nil, err
	}
	data, err := tokenizerText(f, p.sub)
	return data.json, err
}

// tokenizerFile is a tokenizer.json, read or made of older files.
type tokenizerFile struct {
	json      []byte
	converted bool
}

// tokenizerText reads the tokenizer of the folder's part sub.
func tokenizerText(f *folder, sub string) (t tokenizerFile, err error) {
	t.json, err = f.read(path.Join(sub, tokenizerName), maxTokenizer)
	if t.converted = errors.Is(err, fs.ErrNotExist); t.converted {
		t.json, err = convertTokenizer(f, sub)
	}
	return t, err
}

// convertTokenizer makes a tokenizer.json of the older files: vocab.txt, or vocab.json and
// merges.txt, or a SentencePiece model, with their settings.
func convertTokenizer(f *folder, sub string) ([]byte, error) {
	name := path.Join(sub, tokenizerName)
	tok, err := tokenizer.FromFiles(partOf{f, sub})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: name, Problem: "no such file, and no older tokenizer files", Cure: "save the tokenizer beside the model", Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, &Error{File: name, Problem: "made of older files", Err: err}
	}
	return tok.Canonical(tok.MaxLength()), nil
}

// partOf is a folder's part as a file system whose files, once read, count as used.
type partOf struct {
	*folder
	sub string
}

// Open reads the whole file.
func (p partOf) Open(name string) (fs.File, error) {
	data, err := p.read(path.Join(p.sub, name), maxTokenizer)
	if err != nil {
		return nil, err
	}
	return &readFile{Reader: *bytes.NewReader(data)}, nil
}

// readFile is a file in memory; nothing asks for its Stat.
type readFile struct{ bytes.Reader }

func (*readFile) Stat() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
func (*readFile) Close() error               { return nil }

// TokenizerInfo describes a tokenizer.json.
type TokenizerInfo struct {
	Vocab     int `json:"vocab"`                // one more than the largest id
	MaxTokens int `json:"max_tokens,omitempty"` // the file's own truncation
}

// parseTokenizer checks a tokenizer.json.
func parseTokenizer(name string, data []byte) (*tokenizer.Tokenizer, *TokenizerInfo, error) {
	t, err := tokenizer.Parse(data)
	if err != nil {
		return nil, nil, &Error{File: name, Err: err}
	}
	return t, &TokenizerInfo{Vocab: t.VocabSize(), MaxTokens: t.MaxLength()}, nil
}

// flag is a switch that may be null.
type flag struct{ set, on bool }

// normalizerOptions are the switches of the BertNormalizer of a tokenizer.json;
// nil where the normalizer is another one.
func normalizerOptions(name string, data []byte) (map[string]flag, error) {
	var found map[string]flag
	s, err := strictjson.New(data, maxTokenizerDepth)
	if err == nil {
		err = s.Object(func(key string) error {
			if k, err := s.Kind(); err != nil || key != "normalizer" || k != strictjson.Object {
				return s.Skip()
			}
			found, err = switches(s)
			return err
		})
	}
	return found, jsonError(name, err)
}

// switches reads a normalizer.
func switches(s *strictjson.Scanner) (map[string]flag, error) {
	kind, options := "", make(map[string]flag)
	err := s.Object(func(key string) error {
		k, err := s.Kind()
		switch {
		case err != nil:
			return err
		case key == "type" && k == strictjson.String:
			kind, err = s.String()
			return err
		case k == strictjson.Bool:
			on, err := s.Bool()
			options[key] = flag{true, on}
			return err
		}
		options[key] = flag{}
		return s.Skip()
	})
	if kind != "BertNormalizer" {
		options = nil
	}
	return options, err
}

// tokenizerConfig is what tokenizer_config.json says that could matter.
type tokenizerConfig struct {
	file      string
	maxTokens int // 0 where not said
	class     string
	options   map[string]flag
}

// readTokenizerConfig reads tokenizer_config.json, which may be absent. It is
// only asked for a few keys: tokenizer.json says how to tokenise.
func readTokenizerConfig(f *folder, name string) (tokenizerConfig, error) {
	c := tokenizerConfig{file: name, options: make(map[string]flag)}
	data, ok, err := f.readIfThere(name, maxConfig)
	if err != nil || !ok {
		return c, err
	}
	err = object(name, data, func(s *strictjson.Scanner) error {
		return s.Object(func(key string) error { return c.member(s, key) })
	})
	return c, err
}

func (c *tokenizerConfig) member(s *strictjson.Scanner, key string) error {
	if null(s) {
		if _, ok := tokenizerOptions()[key]; ok {
			c.options[key] = flag{}
		}
		return s.Null()
	}
	switch key {
	case "model_max_length":
		off := s.Offset()
		n, err := s.Float() // transformers writes 1e30 for no limit
		if err == nil && (n < 3 || n != math.Trunc(n)) {
			return s.Errorf(off, "%g is no length", n)
		}
		if n <= math.MaxInt32 {
			c.maxTokens = int(n)
		}
		return err
	case "tokenizer_class":
		var err error
		c.class, err = s.String()
		return err
	case "do_lower_case", "strip_accents", "tokenize_chinese_chars":
		on, err := s.Bool()
		c.options[key] = flag{true, on}
		return err
	}
	return s.Skip()
}

// tokenizerOptions gives the names that keys of tokenizer_config.json have in
// a BertNormalizer.
func tokenizerOptions() map[string]string {
	return map[string]string{
		"do_lower_case":          "lowercase",
		"strip_accents":          "strip_accents",
		"tokenize_chinese_chars": "handle_chinese_chars",
	}
}

// agrees refuses a tokenizer_config.json that says otherwise than the
// BertNormalizer of tokenizer.json: transformers would change the latter.
func (c *tokenizerConfig) agrees(normalizer map[string]flag) error {
	if normalizer == nil || c.class != "BertTokenizer" && c.class != "BertTokenizerFast" {
		return nil
	}
	names := tokenizerOptions()
	for _, key := range slices.Sorted(maps.Keys(names)) {
		name := names[key]
		here, said := c.options[key]
		there, known := normalizer[name]
		if said && known && here != there {
			return unsupported(c.file, key, "make both files say the same", "not what the normalizer in %s says", tokenizerName)
		}
	}
	return nil
}
