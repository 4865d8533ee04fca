package tokenizer

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// sections writes a tokenizer.json of its sections and the added tokens.
func (f *files) sections(normalizer, pre, post, decoder string, model []byte) ([]byte, error) {
	dst, err := f.addedTokens([]byte(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":`))
	if err != nil {
		return nil, err
	}
	for _, s := range []struct{ key, json string }{
		{"normalizer", normalizer}, {"pre_tokenizer", pre}, {"post_processor", post}, {"decoder", decoder}, {"model", string(model)},
	} {
		dst = append(append(append(dst, `,"`...), s.key...), `":`...)
		dst = append(dst, s.json...)
	}
	return append(dst, '}'), nil
}

// template writes a TemplateProcessing of a pattern such as "C A S S B S", where
// C and S are the cls and sep tokens; a type is 1 from the second text on if
// types is true.
func (f *files) template(pair string, types bool) (string, error) {
	cls, sep := f.special("cls_token"), f.special("sep_token")
	switch f.kind { // some classes write them down
	case "Albert", "DebertaV2":
		cls, sep = "[CLS]", "[SEP]"
	case "XLMRoberta", "Camembert":
		cls, sep = "<s>", "</s>"
	}
	t := &template{specials: map[string]special{}}
	for _, s := range []string{cls, sep} {
		id, ok := f.id(s)
		if !ok {
			return "", &Error{"vocabulary", 0, fmt.Sprintf("special token %.60q is missing", s), ErrCorrupt}
		}
		t.specials[s] = special{ids: []int32{int32(id)}, tokens: []string{s}}
	}
	t.single = []part{{text: -1, special: cls}, {text: 0}, {text: -1, special: sep}}
	typeID := int32(0)
	for _, c := range strings.Fields(pair) {
		p := part{text: -1, special: sep, typeID: typeID}
		switch c {
		case "C":
			p.special = cls
		case "A":
			p = part{text: 0}
		case "B":
			if types {
				typeID = 1
			}
			p = part{text: 1, typeID: typeID}
		}
		t.pair = append(t.pair, p)
	}
	return string(t.appendJSON(nil)), nil
}

// startTemplate writes the TemplateProcessing that puts bos_token before the first text.
func (f *files) startTemplate() (string, error) {
	bos := f.special("bos_token")
	id, ok := f.id(bos)
	if !ok {
		return "", &Error{"vocab.json", 0, fmt.Sprintf("special token %.60q is missing", bos), ErrCorrupt}
	}
	t := &template{specials: map[string]special{bos: {ids: []int32{int32(id)}, tokens: []string{bos}}}}
	t.single = []part{{text: -1, special: bos}, {text: 0}}
	t.pair = append(t.single[:2:2], part{text: 1, typeID: 1})
	return string(t.appendJSON(nil)), nil
}

// wordPiece converts vocab.txt.
func (f *files) wordPiece() ([]byte, error) {
	data, err := readBounded(f.fsys, "vocab.txt")
	if err != nil {
		return nil, err
	}
	if off := invalidUTF8(data); off >= 0 {
		return nil, &Error{"vocab.txt", off, "invalid UTF-8", ErrCorrupt}
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	for line := range strings.Lines(text) {
		f.addWord(strings.TrimSuffix(line, "\n"))
	}
	f.size = len(f.ids)
	model := []byte(`{"type":"WordPiece","unk_token":`)
	model = appendString(model, f.special("unk_token"))
	model = append(model, `,"continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{`...)
	first := true
	for id, word := range f.tokens {
		if f.ids[word] != id {
			continue
		}
		if !first {
			model = append(model, ',')
		}
		first = false
		model = appendInt(append(appendString(model, word), ':'), id)
	}
	model = append(model, "}}"...)
	n := &bertNormalizer{clean: true, chinese: f.config.flag("tokenize_chinese_chars", true), lower: f.config.flag("do_lower_case", true)}
	n.strip = f.config.flag("strip_accents", n.lower)
	pair := "C A S B S"
	if f.kind == "MPNet" {
		pair = "C A S S B S"
		n.chinese = n.chinese && f.config.flag("do_basic_tokenize", true) // the other classes set it again
	}
	post, err := f.template(pair, true)
	if err != nil {
		return nil, err
	}
	return f.sections(string(n.appendJSON(nil)), `{"type":"BertPreTokenizer"}`, post, `{"type":"WordPiece","prefix":"##","cleanup":true}`, model)
}

// byteLevelBPE converts vocab.json and merges.txt.
func (f *files) byteLevelBPE() ([]byte, error) {
	vocab, err := readBounded(f.fsys, "vocab.json")
	if err != nil {
		return nil, err
	}
	merges, err := readBounded(f.fsys, "merges.txt")
	if err != nil {
		return nil, err
	}
	if err := f.readIDs(vocab); err != nil {
		return nil, err
	}
	model := append([]byte(`{"type":"BPE","vocab":`), vocab...)
	model = append(model, `,"merges":[`...)
	for i, merge := range mergeLines(merges) {
		if i > 0 {
			model = append(model, ',')
		}
		model = appendString(model, merge)
	}
	model = append(model, "]}"...)
	prefix := f.config.flag("add_prefix_space", false)
	level := func(l byteLevel) string { return string(l.appendJSON(nil)) }
	decoder := level(byteLevel{prefix: true, trim: true, regex: true})
	pre := level(byteLevel{prefix: prefix, trim: true, regex: true})
	if f.kind == "GPT2" && f.config.flag("add_bos_token", false) {
		post, err := f.startTemplate()
		if err != nil {
			return nil, err
		}
		return f.sections("null", pre, post, decoder, model)
	}
	if f.kind == "GPT2" {
		return f.sections("null", pre, level(byteLevel{prefix: true, regex: true}), decoder, model)
	}
	post := []byte(`{"type":"RobertaProcessing"`)
	for _, role := range []string{"sep", "cls"} {
		token := f.special(role + "_token")
		id, ok := f.id(token)
		if !ok {
			return nil, &Error{"vocab.json", 0, fmt.Sprintf("special token %.60q is missing", token), ErrCorrupt}
		}
		post = append(append(append(post, `,"`...), role...), `":[`...)
		post = append(appendInt(append(appendString(post, token), ','), id), ']')
	}
	post = appendBool(append(post, `,"trim_offsets":`...), f.config.flag("trim_offsets", true))
	post = append(appendBool(append(post, `,"add_prefix_space":`...), prefix), '}')
	return f.sections("null", pre, string(post), decoder, model)
}

// mergeLines returns the merges in a merges.txt: what is between its first line,
// whatever that says, and the last line end.
func mergeLines(data []byte) []string {
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return nil
	}
	return lines[1 : len(lines)-1]
}

// readIDs reads a vocab.json.
func (f *files) readIDs(data []byte) error {
	doc, err := parseJSON(data)
	if err != nil {
		return fmt.Errorf("vocab.json: %w", err)
	}
	members, err := value{doc: doc, path: "vocab.json"}.members()
	if err != nil {
		return err
	}
	f.ids = map[string]int{}
	for word, v := range members {
		id, err := v.integer(1<<31 - 1)
		if err != nil {
			return err
		}
		f.ids[word] = int(id)
	}
	f.size = len(f.ids)
	return nil
}

// sentencePiece converts a SentencePiece model.
func (f *files) sentencePiece(name string) ([]byte, error) {
	data, err := readBounded(f.fsys, name)
	if err != nil {
		return nil, err
	}
	sp, err := parseSentencePiece(name, data)
	if err != nil {
		return nil, err
	}
	f.keepPieces(sp.pieces)
	own := sp.pieces
	unknown := sp.unknown
	switch f.kind { // fairseq's ids
	case "XLMRoberta":
		if len(own) < 3 {
			return nil, &Error{name, 0, "under three pieces", ErrCorrupt}
		}
		unknown = 3
		sp.pieces = append([]spPiece{{text: "<s>"}, {text: "<pad>"}, {text: "</s>"}, {text: "<unk>"}}, own[3:]...)
		sp.pieces = append(sp.pieces, spPiece{text: "<mask>"})
	case "Camembert":
		unknown = 3
		sp.pieces = append([]spPiece{{text: "<s>NOTUSED"}, {text: "<pad>"}, {text: "</s>NOTUSED"}, {text: "<unk>"}, {text: "<unk>NOTUSED", score: -100}}, own[1:]...)
		sp.pieces = append(sp.pieces, spPiece{text: "<mask>"})
	}
	var model []byte
	switch sp.kind {
	case 1:
		model, err = f.unigramModel(name, sp.pieces, unknown)
	case 2:
		model, err = f.bpeModel(name, sp, own)
	default:
		return nil, &Error{name, 0, fmt.Sprintf("unsupported model_type %d, expected 1 (unigram) or 2 (BPE)", sp.kind), ErrUnsupported}
	}
	if err != nil {
		return nil, err
	}
	return f.spSections(sp, model)
}

// unigramModel writes section "model" of pieces.
func (f *files) unigramModel(name string, pieces []spPiece, unknown uint64) ([]byte, error) {
	f.size = len(pieces)
	model := append([]byte(`{"type":"Unigram","unk_id":`), strconv.FormatUint(unknown, 10)...)
	model = append(model, `,"byte_fallback":false,"vocab":[`...)
	for i, p := range pieces {
		f.addWord(p.text)
		score := f.score(p)
		if score-score != 0 {
			return nil, &Error{name, 0, fmt.Sprintf("score of piece %d is not finite", i), ErrCorrupt}
		}
		if i > 0 {
			model = append(model, ',')
		}
		model = append(appendString(append(model, '['), p.text), ',')
		model = append(appendNumber(model, score), ']')
	}
	return append(model, "]}"...), nil
}

// keepPieces makes added tokens of control and user-defined pieces.
func (f *files) keepPieces(pieces []spPiece) {
	for _, p := range pieces {
		if p.text != "" && (p.kind == spControl || p.kind == spUserDefined) {
			f.pieces = append(f.pieces, addedToken{content: p.text, special: p.kind == spControl})
		}
	}
}

// score returns the score of a piece. ALBERT wants no digit and comma in one.
func (f *files) score(p spPiece) float64 {
	if f.kind == "Albert" && digitComma(p.text) {
		return float64(p.score) - 100
	}
	return float64(p.score)
}

// digitComma reports whether a piece ends in a digit and a comma.
func digitComma(s string) bool {
	r := []rune(s)
	n := len(r)
	return n >= 2 && r[n-1] == ',' && props(r[n-2])&propCategory == 9
}

func (f *files) spSections(sp *sentencePiece, model []byte) ([]byte, error) {
	const spaces = `{"type":"Replace","pattern":{"Regex":" {2,}"},"content":`
	precompiled := ""
	if len(sp.charsmap) > 0 {
		precompiled = `{"type":"Precompiled","precompiled_charsmap":"` + base64.StdEncoding.EncodeToString(sp.charsmap) + `"}`
	}
	meta := `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`
	pre, pair, types := meta, "C A S B S", true
	var list []string
	switch f.kind {
	case "Albert":
		for _, quote := range []string{"``", "''"} {
			list = append(list, `{"type":"Replace","pattern":{"String":"`+quote+`"},"content":"\""}`)
		}
		if !f.config.flag("keep_accents", false) {
			list = append(list, `{"type":"NFKD"}`, `{"type":"StripAccents"}`)
		}
		if f.config.flag("do_lower_case", true) {
			list = append(list, `{"type":"Lowercase"}`)
		}
		list = append(list, precompiled, spaces+`" "}`)
	case "XLMRoberta", "Camembert":
		pair, types = "C A S S B S", false
		list = append(list, precompiled, `{"type":"Strip","strip_left":false,"strip_right":true}`, spaces+`"▁"}`)
	default: // DebertaV2
		if f.config.flag("do_lower_case", false) {
			list = append(list, `{"type":"Lowercase"}`)
		}
		list = append(list, `{"type":"Strip","strip_left":true,"strip_right":true}`, precompiled, spaces+`" "}`)
		if f.config.flag("split_by_punct", false) {
			meta = `{"type":"Punctuation","behavior":"Isolated"},` + meta
		}
		pre, meta = `{"type":"Sequence","pretokenizers":[`+meta+`]}`, pre
	}
	var parts []string
	for _, s := range list {
		if s != "" {
			parts = append(parts, s)
		}
	}
	post, err := f.template(pair, types)
	if err != nil {
		return nil, err
	}
	return f.sections(`{"type":"Sequence","normalizers":[`+strings.Join(parts, ",")+`]}`, pre, post, meta, model)
}
