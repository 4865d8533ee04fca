package tokenizer

import (
	"fmt"
	"strings"
	"sync"
)

// Tokenizer is a compiled tokenizer.json. It does not change after Parse and
// may be used from several goroutines.
type Tokenizer struct {
	truncation    *truncation // nil: none
	padding       *padding    // nil: none
	added         *addedVocabulary
	normalizer    normalizer
	preTokenizer  preTokenizer
	model         model
	postProcessor postProcessor
	decoder       decoder
	needsSpans    bool      // words depend on where in the text they are
	scratch       sync.Pool // of *scratch
}

// Input is one text or, with Pair, two.
type Input struct {
	Text string
	Pair *string
}

// Parse compiles a tokenizer.json. An error is an *Error that wraps ErrCorrupt,
// ErrUnsupported or ErrLimit. data is not kept.
func Parse(data []byte) (*Tokenizer, error) {
	doc, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	o := value{doc: doc, path: "tokenizer"}.object("version", "truncation", "padding", "added_tokens",
		"normalizer", "pre_tokenizer", "post_processor", "decoder", "model")
	if err := o.err(); err != nil {
		return nil, err
	}
	for key, v := range o.fields {
		v.path = key // sections are named without the root
		o.fields[key] = v
	}
	if v, ok := o.get("version", true); ok {
		if s, err := v.str(); err != nil || s != "1.0" {
			return nil, v.fail(ErrUnsupported, "unsupported version %.20q", doc.data[v.node().off:v.node().end])
		}
	}
	return compile(o)
}

// compile builds the components in the order in which they need one another.
func compile(o *object) (*Tokenizer, error) {
	k := new(Tokenizer)
	for _, s := range []struct {
		key   string
		parse func(value) error
	}{
		{"normalizer", func(v value) (err error) { k.normalizer, err = parseNormalizer(v); return err }},
		{"pre_tokenizer", func(v value) (err error) { k.preTokenizer, err = parsePreTokenizer(v); return err }},
		{"model", func(v value) (err error) { k.model, err = parseModel(v); return err }},
		{"added_tokens", func(v value) (err error) { k.added, err = parseAdded(v, k.model, k.normalizer); return err }},
		{"post_processor", func(v value) (err error) { k.postProcessor, err = parsePostProcessor(v, k.ids()); return err }},
		{"decoder", func(v value) (err error) { k.decoder, err = parseDecoder(v); return err }},
		{"truncation", func(v value) (err error) { k.truncation, err = parseTruncation(v); return err }},
		{"padding", func(v value) (err error) { k.padding, err = parsePadding(v); return err }},
	} {
		v, ok := o.get(s.key, s.key != "model")
		if !ok && s.key == "model" {
			return nil, o.err()
		}
		if !ok {
			v = nothing(s.key)
		}
		if err := s.parse(v); err != nil {
			return nil, err
		}
	}
	k.needsSpans = needsSpans(k.preTokenizer)
	return k, nil
}

// nothing is a section that a file leaves out.
func nothing(key string) value {
	null := node{next: 1, kind: kindNull}
	if key == "added_tokens" {
		null.kind = kindArray
	}
	return value{doc: &document{nodes: []node{null}}, path: key}
}

// ids returns the least number above all ids.
func (k *Tokenizer) ids() int {
	n := k.model.ids()
	for _, t := range k.added.tokens {
		n = max(n, int(t.id)+1)
	}
	return n
}

// VocabSize returns the least number above all ids, added tokens included: the
// rows that an embedding table needs.
func (k *Tokenizer) VocabSize() int { return k.ids() }

// Token returns the text of an id as the vocabulary has it.
func (k *Tokenizer) Token(id int32) (string, bool) {
	if i, ok := k.added.byID[id]; ok {
		return k.added.tokens[i].content, true
	}
	return k.model.token(id)
}

// ID returns the id of a token as the vocabulary has it.
func (k *Tokenizer) ID(token string) (int32, bool) {
	if i, ok := k.added.byContent[token]; ok {
		return k.added.tokens[i].id, true
	}
	return k.model.id(token)
}

// IsSpecial reports whether id is an added token marked special.
func (k *Tokenizer) IsSpecial(id int32) bool {
	i, ok := k.added.byID[id]
	return ok && k.added.tokens[i].special
}

// SpecialCount returns the number of tokens that the post-processor adds to a
// text or a pair.
func (k *Tokenizer) SpecialCount(pair bool) int { return k.postProcessor.added(pair) }

// MaxLength returns the file's own truncation length, special tokens included;
// 0 means none.
func (k *Tokenizer) MaxLength() int {
	if k.truncation == nil {
		return 0
	}
	return k.truncation.max
}

// Encode tokenizes a text or, where pair is not nil, a pair, as the file says:
// with its truncation and padding, and its special tokens if special. Bytes
// that are not UTF-8 count as U+FFFD. It fails where the truncation asked for
// is impossible and where text or result exceed a limit.
func (k *Tokenizer) Encode(text string, pair *string, special bool) (Encoding, error) {
	out, err := k.encode(text, pair, special, k.truncation)
	if err != nil || k.padding == nil {
		return out, err
	}
	batch := []Encoding{out}
	k.padding.apply(batch)
	return batch[0], nil
}

// Windows tokenizes a pair whose second text may be long: in windows of at most max
// tokens, special tokens included, each with the whole first text and a part of the
// second, of which neighbours share stride tokens.
func (k *Tokenizer) Windows(first, second string, max, stride int) ([]Encoding, error) {
	out, err := k.encode(first, &second, true, &truncation{max: max, stride: stride, strategy: onlySecond})
	if err != nil {
		return nil, err
	}
	rest := out.Overflowing
	out.Overflowing = nil
	return append([]Encoding{out}, rest...), nil
}

// encode is Encode with a truncation, or none, and without padding.
func (k *Tokenizer) encode(text string, pair *string, special bool, cut *truncation) (Encoding, error) {
	texts := make([]Encoding, 1, 2)
	if err := k.sequence(text, 0, &texts[0]); err != nil {
		return Encoding{}, err
	}
	added := 0
	if special {
		added = k.postProcessor.added(pair != nil)
	}
	var second *Encoding
	if pair != nil {
		texts = append(texts, Encoding{})
		second = &texts[1]
		if err := k.sequence(*pair, 1, second); err != nil {
			return Encoding{}, err
		}
	}
	if cut != nil {
		if err := cut.apply(&texts[0], second, added); err != nil {
			return Encoding{}, err
		}
	}
	out, err := k.postProcessor.process(texts, special)
	if err != nil {
		return Encoding{}, fmt.Errorf("join pair: %w", err)
	}
	return out, nil
}

// EncodeBatch encodes each input and pads all to one length if the file pads.
func (k *Tokenizer) EncodeBatch(inputs []Input, special bool) ([]Encoding, error) {
	out := make([]Encoding, len(inputs))
	for i, in := range inputs {
		var err error
		if out[i], err = k.Encode(in.Text, in.Pair, special); err != nil {
			return nil, fmt.Errorf("encode input %d: %w", i, err)
		}
	}
	if k.padding != nil {
		k.padding.apply(out)
	}
	return out, nil
}

// Decode returns the text of ids; ids without a token are left out, and so are
// special tokens if skipSpecial.
func (k *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var tokens []string
	for _, id := range ids {
		t, ok := k.Token(id)
		if !ok {
			continue
		}
		if i, added := k.added.byContent[t]; skipSpecial && added && k.added.tokens[i].special {
			continue
		}
		tokens = append(tokens, t)
	}
	return strings.Join(k.decoder.decode(tokens), "")
}

// AppendIDs appends the ids of a single text with special tokens to dst. With
// max > 0 the text is cut on the right so that max ids are appended at most;
// with 0 the file's own length and direction hold. Padding is never added. Of
// a text over 256 MiB only that much is read; what the vocabulary has no token for is left
// out, as Check tells. It does not allocate once dst has
// room and the tokenizer has met a text as long.
func (k *Tokenizer) AppendIDs(dst []int32, text string, max int) []int32 {
	limit, left := k.room(max)
	if len(text) > maxText {
		text = text[:maxText]
	}
	s := k.get()
	enough := limit
	if left {
		enough = -1
	}
	k.run(s, text, enough, nil)
	ids := s.ids
	switch {
	case limit < 0 || len(ids) <= limit:
	case left:
		ids = ids[len(ids)-limit:]
	default:
		ids = ids[:limit]
	}
	start := len(dst)
	dst = k.postProcessor.appendIDs(dst, ids)
	k.put(s)
	if max > 0 && len(dst)-start > max {
		dst = dst[:start+max]
	}
	return dst
}

// room returns the tokens of a single text that AppendIDs may use, -1 for any
// number, and whether they are its last.
func (k *Tokenizer) room(max int) (n int, left bool) {
	added := k.postProcessor.added(false)
	switch {
	case max > added:
		return max - added, false
	case max > 0:
		return 0, false
	case k.truncation == nil || k.truncation.max < added:
		return -1, false
	}
	return k.truncation.max - added, k.truncation.left
}
