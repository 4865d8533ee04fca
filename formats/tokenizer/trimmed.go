package tokenizer

// trimmed is a post-processor that takes spaces out of spans before it joins.
type trimmed struct {
	postProcessor
	trims     []byteLevel
	zeroTypes bool   // with special tokens, all that overflows has type 0 too
	json      string // the section
}

func newTrimmed(p postProcessor, levels []byteLevel, json []byte) *trimmed {
	t := &trimmed{postProcessor: p, json: string(json)}
	for _, l := range levels {
		if l.trim {
			t.trims = append(t.trims, l)
		}
	}
	return t
}

func (t *trimmed) process(texts []Encoding, special bool) (Encoding, error) {
	for i := range texts {
		for _, l := range t.trims {
			l.trimOffsets(&texts[i])
		}
	}
	if t.zeroTypes && special {
		for _, e := range texts {
			for i := range e.Overflowing {
				clear(e.Overflowing[i].TypeIDs)
			}
		}
	}
	return t.postProcessor.process(texts, special)
}

func (t *trimmed) appendJSON(dst []byte) []byte { return append(dst, t.json...) }

// parseRoberta reads RobertaProcessing: <s> A </s> and <s> A </s> </s> B </s>,
// all of type 0.
func parseRoberta(v value, ids int) (postProcessor, error) {
	o := v.object("type", "sep", "cls", "trim_offsets", "add_prefix_space")
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
	t.pair = []part{cls, {text: 0}, sep, sep, {text: 1}, sep}
	l := byteLevel{trim: o.boolean("trim_offsets"), prefix: o.boolean("add_prefix_space")}
	dst := []byte(`{"type":"RobertaProcessing"`)
	for _, key := range []string{"sep", "cls"} {
		s := t.specials[key]
		if o.err() != nil {
			return nil, o.err()
		}
		dst = append(append(append(dst, `,"`...), key...), `":[`...)
		dst = appendString(dst, s.tokens[0])
		dst = append(appendInt(append(dst, ','), int(s.ids[0])), ']')
	}
	dst = appendBool(append(dst, `,"trim_offsets":`...), l.trim)
	dst = appendBool(append(dst, `,"add_prefix_space":`...), l.prefix)
	p := newTrimmed(t, []byteLevel{l}, append(dst, '}'))
	p.zeroTypes = true
	return p, nil
}

// parsePostProcessors reads Sequence: any number of ByteLevel and at most one
// that joins.
func parsePostProcessors(v value, ids int) (postProcessor, error) {
	o := v.object("type", "processors")
	var joiner postProcessor
	var levels []byteLevel
	zeroTypes := false
	dst := []byte(`{"type":"Sequence","processors":[`)
	for e := range o.list("processors") {
		if e.isNull() {
			return nil, e.corrupt("expected a post-processor")
		}
		p, err := parsePostProcessor(e, ids)
		if err != nil {
			return nil, err
		}
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = p.appendJSON(dst)
		t, isTrimmed := p.(*trimmed)
		if isTrimmed {
			levels, zeroTypes = append(levels, t.trims...), zeroTypes || t.zeroTypes
			p = t.postProcessor
		}
		if plain, ok := p.(*template); ok && plain.none {
			continue
		}
		if joiner != nil {
			return nil, e.fail(ErrUnsupported, "a second post-processor that adds special tokens")
		}
		joiner = p
	}
	if joiner == nil {
		joiner = plainTemplate()
	}
	all := newTrimmed(joiner, levels, append(dst, "]}"...))
	all.zeroTypes = zeroTypes
	return all, o.err()
}
