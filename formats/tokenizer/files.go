package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
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
	class := strings.TrimSuffix(f.config.str("tokenizer_class"), "Fast")
	if f.kind = strings.TrimSuffix(class, "Tokenizer"); f.kind != "" && f.kind != "PreTrained" {
		return nil
	}
	model, err := readSettings(f.fsys, "config.json")
	if err != nil {
		return err
	}
	f.kind = f.guess(model.str("model_type"))
	return nil
}

// guess returns the kind for a model type, or for the files there are.
func (f *files) guess(modelType string) string {
	for _, k := range []struct{ modelType, kind string }{
		{"bert", "Bert"}, {"distilbert", "DistilBert"}, {"electra", "Electra"}, {"mobilebert", "MobileBert"}, {"mpnet", "MPNet"},
		{"roberta", "Roberta"}, {"gpt2", "GPT2"}, {"albert", "Albert"}, {"xlm-roberta", "XLMRoberta"}, {"deberta-v2", "DebertaV2"},
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
		return f.unigram("spiece.model")
	case "XLMRoberta":
		return f.unigram("sentencepiece.bpe.model")
	case "DebertaV2":
		return f.unigram("spm.model")
	}
	return nil, &Error{"tokenizer_config.json", 0, fmt.Sprintf("unsupported tokenizer_class %.60q without a tokenizer.json", f.kind+"Tokenizer"), ErrUnsupported}
}

// special returns the special token in a role, such as "cls_token".
func (f *files) special(role string) string {
	if s := f.config.str(role); s != "" {
		return s
	}
	if s := f.specials.str(role); s != "" {
		return s
	}
	return defaultSpecial(f.kind, role)
}

// specialRoles are the roles of special tokens.
func specialRoles() []string {
	return []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
}

// defaultSpecial returns what a class has for a role that files do not name.
func defaultSpecial(kind, role string) string {
	names := map[string]string{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
	switch kind {
	case "Roberta", "XLMRoberta", "MPNet":
		names = map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"}
		if kind == "MPNet" {
			names["unk_token"] = "[UNK]"
		}
	case "GPT2":
		names = map[string]string{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
	case "Albert":
		names["unk_token"], names["pad_token"], names["bos_token"], names["eos_token"] = "<unk>", "<pad>", "[CLS]", "[SEP]"
	case "DebertaV2":
		names["bos_token"], names["eos_token"] = "[CLS]", "[SEP]"
	}
	return names[role]
}

// addWord gives a word the next id; of equal words the last counts.
func (f *files) addWord(word string) {
	if f.ids == nil {
		f.ids = map[string]int{}
	}
	f.ids[word] = len(f.tokens)
	f.tokens = append(f.tokens, word)
}

// addedTokens writes section "added_tokens": what added_tokens_decoder lists, or
// else the special tokens and added_tokens.json, and what a SentencePiece model
// sets apart; by id.
func (f *files) addedTokens(dst []byte) ([]byte, error) {
	list, err := f.listed()
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = f.unlisted()
	}
	seen := map[string]bool{}
	for _, t := range list {
		seen[t.content] = true
	}
	for _, t := range f.pieces {
		if !seen[t.content] {
			list, seen[t.content] = append(list, t), true
		}
	}
	next := len(f.tokens)
	for i := range list {
		id, ok := f.ids[list[i].content]
		if !ok {
			id = next
			next++
		}
		list[i].id = int32(id)
	}
	a := addedVocabulary{}
	slices.SortFunc(list, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	for _, t := range list {
		if n := len(a.tokens); n == 0 || a.tokens[n-1].id != t.id {
			a.tokens = append(a.tokens, t)
		}
	}
	return a.appendJSON(dst), nil
}

// listed reads added_tokens_decoder, which has flags; nil if there is none.
func (f *files) listed() ([]addedToken, error) {
	v, ok := f.config["added_tokens_decoder"]
	if !ok {
		return nil, nil
	}
	members, err := v.members()
	if err != nil {
		return nil, err
	}
	var list []addedToken
	for key, m := range members {
		o := m.object("content", "single_word", "lstrip", "rstrip", "normalized", "special")
		t := addedToken{content: o.str("content"), singleWord: o.optionalBool("single_word"), lstrip: o.optionalBool("lstrip"),
			rstrip: o.optionalBool("rstrip"), normalized: o.optionalBool("normalized"), special: o.optionalBool("special")}
		id, err := strconv.ParseUint(key, 10, 31)
		if err != nil {
			o.keep(m.corrupt("key is not an id"))
		}
		if o.err() != nil {
			return nil, o.err()
		}
		t.id = int32(id)
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	return list, nil
}

// unlisted makes added tokens of the special ones, with their class's flags,
// and of added_tokens.json.
func (f *files) unlisted() []addedToken {
	var list []addedToken
	has := func(s string) bool {
		return slices.ContainsFunc(list, func(t addedToken) bool { return t.content == s })
	}
	for _, role := range specialRoles() {
		s := f.special(role)
		if s == "" || has(s) {
			continue
		}
		t := addedToken{content: s, special: true}
		t.lstrip = role == "mask_token" && slices.Contains([]string{"Roberta", "XLMRoberta", "MPNet", "Albert"}, f.kind)
		t.normalized = role == "unk_token" && f.kind == "DebertaV2"
		list = append(list, t)
	}
	type extra struct {
		content string
		id      int64
	}
	var extras []extra
	for content, v := range f.added {
		if id, err := v.integer(1<<31 - 1); err == nil && content != "" && !has(content) {
			extras = append(extras, extra{content, id})
		}
	}
	slices.SortFunc(extras, func(a, b extra) int { return int(a.id - b.id) })
	for _, e := range extras {
		list = append(list, addedToken{content: e.content, normalized: true})
	}
	return list
}
