package tokenizer

import (
	"maps"
	"slices"
)

// postProcessor puts texts and special tokens together.
type postProcessor interface {
	// added is the number of special tokens put in.
	added(pair bool) int
	// process joins one or two encodings; special asks for special tokens.
	process(texts []Encoding, special bool) (Encoding, error)
	// appendIDs is process for the ids of a single text.
	appendIDs(dst, ids []int32) []int32
	// appendJSON appends the section that parses to this post-processor.
	appendJSON(dst []byte) []byte
}

// parsePostProcessor is the dispatch table of section "post_processor". ids is
// the number of ids there are.
func parsePostProcessor(v value, ids int) (postProcessor, error) {
	if v.isNull() {
		return plainTemplate(), nil
	}
	typ, err := v.typeOf()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "BertProcessing":
		return parseBertProcessing(v, ids)
	case "ByteLevel":
		l, err := parseByteLevel(v)
		return newTrimmed(plainTemplate(), []byteLevel{l}, l.appendJSON(nil)), err
	case "RobertaProcessing":
		return parseRoberta(v, ids)
	case "Sequence":
		return parsePostProcessors(v, ids)
	case "TemplateProcessing":
		return parseTemplate(v, ids)
	}
	return nil, v.unsupported(typ)
}

// template is TemplateProcessing, which the others are cases of.
type template struct {
	single, pair []part
	specials     map[string]special
	none         bool // the file has no post-processor
}

// part is a text or a special token in a template.
type part struct {
	text    int    // 0 or 1; -1: a special token
	special string // key in specials
	typeID  int32
}

// special is what a special token of a template stands for.
type special struct {
	ids    []int32
	tokens []string
}

// plainTemplate only joins a pair.
func plainTemplate() *template {
	return &template{
		single: []part{{text: 0}},
		pair:   []part{{text: 0}, {text: 1, typeID: 1}},
		none:   true,
	}
}

// parseBertProcessing reads [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
func parseBertProcessing(v value, ids int) (postProcessor, error) {
	o := v.object("type", "sep", "cls")
	t := &template{specials: map[string]special{}}
	for _, key := range []string{"cls", "sep"} {
		s, err := parseTokenID(o, key, ids)
		if err != nil {
			return nil, err
		}
		t.specials[key] = s
	}
	cls, sep := part{text: -1, special: "cls"}, part{text: -1, special: "sep"}
	t.single = []part{cls, {text: 0}, sep}
	t.pair = append(slices.Clone(t.single), part{text: 1, typeID: 1}, part{text: -1, special: "sep", typeID: 1})
	return t, o.err()
}

// parseTokenID reads a [token, id].
func parseTokenID(o *object, key string, ids int) (special, error) {
	var s special
	for v := range o.list(key) {
		switch {
		case len(s.tokens) == 0:
			token, err := v.str()
			if err != nil {
				return s, err
			}
			s.tokens = append(s.tokens, token)
		case len(s.ids) == 0:
			id, err := v.index(int64(ids))
			if err != nil {
				return s, err
			}
			s.ids = append(s.ids, int32(id))
		default:
			return s, v.corrupt("expected a token and an id")
		}
	}
	if o.err() == nil && len(s.ids) == 0 {
		o.keep(o.corrupt("%s: expected a token and an id", key))
	}
	return s, o.err()
}

func parseTemplate(v value, ids int) (postProcessor, error) {
	o := v.object("type", "single", "pair", "special_tokens")
	t := &template{specials: map[string]special{}}
	specials, ok := o.get("special_tokens", false)
	if !ok {
		return nil, o.err()
	}
	members, err := specials.members()
	if err != nil {
		return nil, err
	}
	for key, m := range members {
		if _, ok := t.specials[key]; ok {
			return nil, m.corrupt("duplicate key")
		}
		if t.specials[key], err = parseSpecial(key, m, ids); err != nil {
			return nil, err
		}
	}
	if t.single, err = t.parts(o, "single", 1); err != nil {
		return nil, err
	}
	if t.pair, err = t.parts(o, "pair", 2); err != nil {
		return nil, err
	}
	return t, o.err()
}

func parseSpecial(key string, v value, ids int) (special, error) {
	o := v.object("id", "ids", "tokens")
	var s special
	for e := range o.list("ids") {
		id, err := e.index(int64(ids))
		if err != nil {
			return s, err
		}
		s.ids = append(s.ids, int32(id))
	}
	for e := range o.list("tokens") {
		token, err := e.str()
		if err != nil {
			return s, err
		}
		s.tokens = append(s.tokens, token)
	}
	if id := o.str("id"); o.err() == nil && id != key {
		return s, v.corrupt("id %.60q under key %q", id, key)
	}
	if o.err() == nil && len(s.ids) != len(s.tokens) {
		return s, v.corrupt("%d ids for %d tokens", len(s.ids), len(s.tokens))
	}
	return s, o.err()
}

// parts reads the template for n texts.
func (t *template) parts(o *object, key string, n int) ([]part, error) {
	var out []part
	for e := range o.list(key) {
		p, err := t.part(e, n)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, o.err()
}

func (t *template) part(v value, texts int) (part, error) {
	p := part{text: -1}
	o := v.object("Sequence", "SpecialToken")
	if len(o.fields) != 1 {
		o.keep(v.corrupt("expected a Sequence or a SpecialToken"))
		return p, o.err()
	}
	if seq, ok := o.get("Sequence", true); ok {
		s := seq.object("id", "type_id")
		p.text = s.choice("id", "A", "B")
		p.typeID = int32(s.integer("type_id", maxTypeID))
		if p.text >= texts {
			s.keep(seq.corrupt("a template for one text names the second"))
		}
		return p, s.err()
	}
	tok, _ := o.get("SpecialToken", true)
	s := tok.object("id", "type_id")
	p.special = s.str("id")
	p.typeID = int32(s.integer("type_id", maxTypeID))
	if _, ok := t.specials[p.special]; !ok {
		s.keep(tok.corrupt("special token %.60q is not defined", p.special))
	}
	return p, s.err()
}

// of returns the template for one text or a pair.
func (t *template) of(pair bool) []part {
	if pair {
		return t.pair
	}
	return t.single
}

func (t *template) added(pair bool) (n int) {
	for _, p := range t.of(pair) {
		if p.text < 0 {
			n += len(t.specials[p.special].ids)
		}
	}
	return n
}

func (t *template) process(texts []Encoding, special bool) (Encoding, error) {
	var out Encoding
	for _, p := range t.of(len(texts) == 2) {
		switch {
		case p.text >= 0:
			e := texts[p.text]
			e.TypeIDs = slices.Repeat([]int32{p.typeID}, e.Len())
			if err := out.merge(&e); err != nil {
				return out, err
			}
		case special:
			e := t.specials[p.special].encoding(p.typeID)
			if err := out.merge(&e); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func (s special) encoding(typeID int32) Encoding {
	n := len(s.ids)
	ones, none := slices.Repeat([]int32{1}, n), slices.Repeat([]int32{-1}, n)
	return Encoding{
		IDs:           s.ids,
		TypeIDs:       slices.Repeat([]int32{typeID}, n),
		Tokens:        s.tokens,
		Offsets:       make([][2]int, n),
		SpecialMask:   ones,
		AttentionMask: ones,
		Words:         none,
		Sequences:     none,
	}
}

func (t *template) appendIDs(dst, ids []int32) []int32 {
	for _, p := range t.single {
		if p.text >= 0 {
			dst = append(dst, ids...)
		} else {
			dst = append(dst, t.specials[p.special].ids...)
		}
	}
	return dst
}

func (t *template) appendJSON(dst []byte) []byte {
	if t.none {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"type":"TemplateProcessing","single":`...)
	dst = appendParts(dst, t.single)
	dst = append(dst, `,"pair":`...)
	dst = appendParts(dst, t.pair)
	dst = append(dst, `,"special_tokens":{`...)
	for i, key := range slices.Sorted(maps.Keys(t.specials)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, key)
		dst = append(dst, `:{"id":`...)
		dst = appendString(dst, key)
		dst = append(dst, `,"ids":`...)
		dst = appendList(dst, t.specials[key].ids, func(dst []byte, id int32) []byte { return appendInt(dst, int(id)) })
		dst = append(dst, `,"tokens":`...)
		dst = appendList(dst, t.specials[key].tokens, appendString)
		dst = append(dst, '}')
	}
	return append(dst, "}}"...)
}

func appendParts(dst []byte, parts []part) []byte {
	return appendList(dst, parts, func(dst []byte, p part) []byte {
		if p.text >= 0 {
			dst = append(dst, `{"Sequence":{"id":"`...)
			dst = append(dst, "AB"[p.text], '"')
		} else {
			dst = append(dst, `{"SpecialToken":{"id":`...)
			dst = appendString(dst, p.special)
		}
		dst = append(dst, `,"type_id":`...)
		dst = appendInt(dst, int(p.typeID))
		return append(dst, "}}"...)
	})
}
