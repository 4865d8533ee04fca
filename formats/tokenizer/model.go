package tokenizer

// model splits words into tokens of a vocabulary.
type model interface {
	// tokenize appends the tokens of a word; their bytes count from its start.
	tokenize(s *workspace, dst []piece, word []byte) []piece
	// text returns the text of a piece of a word.
	text(p piece, word []byte) string
	id(token string) (int32, bool)
	token(id int32) (string, bool)
	// size is the number of words, ids the least number above all ids.
	size() int
	ids() int
	// appendJSON appends the section that parses to this model.
	appendJSON(dst []byte) []byte
}

// piece is a token and the bytes of its word that it stands for.
type piece struct{ id, lo, hi int32 }

// workspace is the room models need for one word at a time.
type workspace struct {
	hashes  []uint64    // wordPiece
	symbols []symbol    // bpe
	cache   wordCache   // bpe
	heap    []candidate // bpe
	buf     []byte      // bpe
	best    []arrival   // unigram
	pieces  []piece     // unigram
	failed  error       // what Encode cannot answer: errUnknown, errNoWord, errGrowth
}

// parseModel is the dispatch table of section "model".
func parseModel(v value) (model, error) {
	typ, err := v.modelType()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "BPE":
		return parseBPE(v)
	case "Unigram":
		return parseUnigram(v)
	case "WordPiece":
		return parseWordPiece(v)
	case "WordLevel":
		return parseWordLevel(v)
	}
	return nil, v.unsupported(typ)
}

// modelType returns the type of a model. Files before 2022 do not name it; what
// they have tells.
func (v value) modelType() (string, error) {
	members, err := v.members()
	if err != nil {
		return "", err
	}
	guess, unknown := "", false
	for key := range members {
		switch key {
		case "type":
			return v.typeOf()
		case "merges":
			guess = "BPE"
		case "max_input_chars_per_word":
			guess = "WordPiece"
		case "unk_id":
			guess = "Unigram"
		case "unk_token":
			unknown = true
		}
	}
	if guess == "" && unknown {
		guess = "WordLevel"
	}
	if guess == "" {
		return v.typeOf()
	}
	return guess, nil
}

// vocabulary is words with ids, both ways. Words are stored once, as runs of
// one string.
type vocabulary struct {
	words *trie       // nil where there is a dict
	dict  *dictionary // of a model that looks whole words up
	text  string
	runs  []run // by id
	count int
}

// run is a word's place in text; the zero run is an id without a word.
type run struct{ off, len uint32 }

// parseVocabulary reads an object of words to ids, into a trie.
func parseVocabulary(v value) (*vocabulary, error) { return parseWords(v, false) }

// parseDictionary is parseVocabulary into a dictionary.
func parseDictionary(v value) (*vocabulary, error) { return parseWords(v, true) }

func parseWords(v value, dict bool) (*vocabulary, error) {
	if err := v.want(kindObject); err != nil {
		return nil, err
	}
	nodes, first, end := v.doc.nodes, v.i+1, v.node().next
	count, size := 0, uint32(0)
	for i := first; i < end; i = nodes[i+1].next {
		count++
		size += nodes[i].end - nodes[i].off
	}
	if size > maxVocabBytes {
		return nil, v.fail(ErrLimit, "%d bytes of words", size)
	}
	b := vocabularyBuilder{
		vocabulary: vocabulary{runs: make([]run, 0, count), count: count},
		text:       make([]byte, 1, size+1), // offset 0 is no word's
	}
	if dict {
		b.dict = newDictionary(count)
	} else {
		b.words = newTrie(int(size) / 4)
	}
	for i := first; i < end; i = nodes[i+1].next {
		if err := b.add(value{v.doc, i, v.path}, value{v.doc, i + 1, v.path}); err != nil {
			return nil, err
		}
	}
	b.vocabulary.text = string(b.text)
	return &b.vocabulary, nil
}

type vocabularyBuilder struct {
	vocabulary
	text []byte
	buf  []byte
}

func (b *vocabularyBuilder) add(key, id value) error {
	word := key.doc.bytes(key.i, b.buf)
	if key.node().escaped {
		b.buf = word
	}
	if len(word) > maxWord {
		return key.fail(ErrLimit, "word of %d bytes, expected at most %d", len(word), maxWord)
	}
	n, err := id.index(maxID(b.count))
	if err != nil {
		return err
	}
	for len(b.runs) <= n {
		b.runs = append(b.runs, run{})
	}
	if b.runs[n] != (run{}) {
		return id.corrupt("duplicate id %d", n)
	}
	r := run{uint32(len(b.text)), uint32(len(word))}
	b.text = append(b.text, word...)
	if b.dict != nil && !b.dict.insert(b.text, b.runs, n, r) || b.words != nil && !b.words.insert(word, int32(n)) {
		return key.corrupt("duplicate word %.60q", word)
	}
	b.runs[n] = r
	return nil
}

func (v *vocabulary) id(token string) (int32, bool) {
	if v.dict != nil {
		return v.dict.find(v, v.dict.hash(0, token), token, nil)
	}
	return v.words.get(token)
}

func (v *vocabulary) token(id int32) (string, bool) {
	if uint32(id) >= uint32(len(v.runs)) || v.runs[id] == (run{}) {
		return "", false
	}
	r := v.runs[id]
	return v.text[r.off : r.off+r.len], true
}

func (v *vocabulary) size() int { return v.count }
func (v *vocabulary) ids() int  { return len(v.runs) }

func (v *vocabulary) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for id := range v.runs {
		word, ok := v.token(int32(id))
		if !ok {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, word)
		dst = append(dst, ':')
		dst = appendInt(dst, id)
	}
	return append(dst, '}')
}
