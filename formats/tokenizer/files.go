package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// FromFiles returns the tokenizer of a model folder: its tokenizer.json or, if
// there is none, what transformers makes of the older files, vocab.txt, or
// vocab.json and merges.txt, or a SentencePiece model, with what
// tokenizer_config.json, special_tokens_map.json and added_tokens.json say.
// The error is fs.ErrNotExist where there is nothing of these.
func FromFiles(fsys fs.FS) (*Tokenizer, error) {
	if data, err := readBounded(fsys, "tokenizer.json"); err == nil || !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, err
		}
		return Parse(data)
	}
	f := &files{fsys: fsys}
	if err := f.read(); err != nil {
		return nil, err
	}
	data, err := f.convert()
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// files is a model folder on its way to a tokenizer.json.
type files struct {
	fsys     fs.FS
	config   settings // tokenizer_config.json
	specials settings // special_tokens_map.json
	added    settings // added_tokens.json
	kind     string   // tokenizer class without Tokenizer and Fast
	tokens   []string // words by id, "" for none
	ids      map[string]int
	size     int          // words as the library counts them: what the first new id is
	pieces   []addedToken // of a SentencePiece model
}

func readBounded(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, &Error{name, maxFile, "file too large", ErrLimit}
	}
	return data, nil
}

// settings is a JSON object of which only some keys are read.
type settings map[string]value

func readSettings(fsys fs.FS, name string) (settings, error) {
	data, err := readBounded(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := parseJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	members, err := value{doc: doc, path: name}.members()
	if err != nil {
		return nil, err
	}
	s := settings{}
	for key, v := range members {
		s[key] = v
	}
	return s, nil
}

// flag returns a truth value, or what it is where there is none.
func (s settings) flag(key string, without bool) bool {
	if v, ok := s[key]; ok {
		if b, err := v.boolean(); err == nil {
			return b
		}
	}
	return without
}

// str returns a string, or the content of a token, or "".
func (s settings) str(key string) string {
	v, ok := s[key]
	if !ok {
		return ""
	}
	if v.node().kind == kindObject {
		members, err := v.members()
		if err != nil {
			return ""
		}
		for k, m := range members {
			if k == "content" {
				v = m
			}
		}
	}
	text, err := v.str()
	if err != nil {
		return ""
	}
	return text
}

func (f *files) read() error {
	var err error
	for name, s := range map[string]*settings{
		"tokenizer_config.json": &f.config, "special_tokens_map.json": &f.specials, "added_tokens.json": &f.added,
	} {
		if *s, err = readSettings(f.fsys, name); err != nil {
			return err
		}
	}
	if f.kind = kindOf(f.config.str("tokenizer_class")); f.kind != "" {
		return nil
	}
	model, err := readSettings(f.fsys, "config.json")
	if err != nil {
		return err
	}
	if f.kind = kindOf(model.str("tokenizer_class")); f.kind == "" {
		f.kind = f.guess(model.str("model_type"))
	}
	return nil
}

// kindOf returns the kind of a tokenizer class; "" where the class does not tell.
func kindOf(class string) string {
	kind := strings.TrimSuffix(strings.TrimSuffix(class, "Fast"), "Tokenizer")
	if kind == "PreTrained" {
		return ""
	}
	return kind
}

// guess returns the kind for a model type, or for the files there are.
func (f *files) guess(modelType string) string {
	for _, k := range []struct{ modelType, kind string }{
		{"bert", "Bert"}, {"distilbert", "DistilBert"}, {"electra", "Electra"}, {"mobilebert", "MobileBert"}, {"mpnet", "MPNet"},
		{"roberta", "Roberta"}, {"gpt2", "GPT2"}, {"albert", "Albert"}, {"xlm-roberta", "XLMRoberta"}, {"camembert", "Camembert"}, {"deberta-v2", "DebertaV2"},
	} {
		if k.modelType == modelType {
			return k.kind
		}
	}
	for _, k := range []struct{ name, kind string }{
		{"vocab.txt", "Bert"}, {"merges.txt", "Roberta"}, {"spiece.model", "Albert"}, {"sentencepiece.bpe.model", "XLMRoberta"}, {"spm.model", "DebertaV2"},
	} {
		if _, err := fs.Stat(f.fsys, k.name); err == nil {
			return k.kind
		}
	}
	return "Bert"
}

// convert writes the tokenizer.json.
func (f *files) convert() ([]byte, error) {
	switch f.kind {
	case "Bert", "DistilBert", "Electra", "MobileBert", "MPNet":
		return f.wordPiece()
	case "Roberta", "GPT2":
		return f.byteLevelBPE()
	case "Albert":
		return f.sentencePiece("spiece.model")
	case "XLMRoberta", "Camembert":
		return f.sentencePiece("sentencepiece.bpe.model")
	case "DebertaV2":
		return f.sentencePiece("spm.model")
	}
	return nil, &Error{"tokenizer_config.json", 0, fmt.Sprintf("unsupported tokenizer_class %.60q without a tokenizer.json", f.kind+"Tokenizer"), ErrUnsupported}
}

// addWord gives a word the next id; of equal words the last counts.
func (f *files) addWord(word string) {
	if f.ids == nil {
		f.ids = map[string]int{}
	}
	f.ids[word] = len(f.tokens)
	f.tokens = append(f.tokens, word)
}
