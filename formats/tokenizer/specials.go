package tokenizer

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// roleToken is a special token in a role of its class, such as cls_token.
type roleToken struct {
	addedToken
	plain bool // only its text is given: it changes no token there is
	named bool // a file says it, not the class
	known bool // it is seen to be special while added_tokens.json is read
}

// specialRoles are the roles of special tokens, in the order in which they are added.
func specialRoles() []string {
	return []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
}

// extraRole is the role of a list of tokens.
const extraRole = "additional_special_tokens"

// special returns the text of the special token in a role.
func (f *files) special(role string) string { return f.role(role).content }

// role returns the special token in a role. With added_tokens_decoder the other
// files do not count, and it has the flags of a token that is named.
func (f *files) role(role string) roleToken {
	list, modern := f.config["added_tokens_decoder"]
	t := roleToken{addedToken: addedToken{content: defaultSpecial(f.kind, role)}, plain: true}
	for i, file := range []settings{f.config, f.specials} {
		if v, ok := file[role]; ok {
			if given, ok := readRole(v); ok {
				t = given
				t.known = t.plain || i == 1
			}
		}
		if modern {
			break
		}
	}
	if !t.named {
		return classFlags(f.kind, role, t)
	}
	if modern {
		if members, err := list.members(); err == nil {
			for _, m := range members {
				if d, _ := readRole(m); d.content == t.content {
					t = d
				}
			}
		}
	}
	if t.plain {
		return classFlags(f.kind, role, t)
	}
	return t
}

// readRole reads a token that is a text or an object with flags.
func readRole(v value) (t roleToken, ok bool) {
	t.named = true
	if s, err := v.str(); err == nil {
		t.content, t.plain = s, true
		return t, s != ""
	}
	members, err := v.members()
	if err != nil {
		return t, false
	}
	for key, m := range members {
		b, _ := m.boolean()
		switch key {
		case "content":
			t.content, _ = m.str()
		case "single_word":
			t.singleWord = b
		case "lstrip":
			t.lstrip = b
		case "rstrip":
			t.rstrip = b
		case "normalized":
			t.normalized = b
		}
	}
	return t, t.content != ""
}

// classFlags gives a text the flags that its class does, if it does.
func classFlags(kind, role string, t roleToken) roleToken {
	mask := role == "mask_token"
	switch kind {
	case "Roberta", "GPT2":
		t.plain, t.lstrip, t.normalized = false, mask, !mask
	case "MPNet":
		t.plain, t.lstrip = false, mask
	case "Albert", "XLMRoberta", "Camembert":
		t.plain, t.lstrip = !mask, mask
	case "DebertaV2":
		t.plain, t.normalized = role != "unk_token", role == "unk_token"
	}
	return t
}

// defaultSpecial returns what a class has for a role that files do not name.
func defaultSpecial(kind, role string) string {
	names := map[string]string{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
	switch kind {
	case "Roberta", "XLMRoberta", "Camembert", "MPNet":
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

// extras are the special tokens without a role: those of both files, one after the other.
func (f *files) extras() []roleToken {
	var out []roleToken
	lists := []settings{f.config, f.specials}
	if _, modern := f.config["added_tokens_decoder"]; modern {
		lists = lists[:1]
	}
	named := false
	for i, file := range lists {
		v, ok := file[extraRole]
		if !ok {
			continue
		}
		list, err := v.list()
		if err != nil {
			continue
		}
		named = true
		for e := range list {
			t, ok := readRole(e)
			again := t.plain && slices.ContainsFunc(out, func(u roleToken) bool { return u.plain && u.content == t.content })
			if t.known = t.plain || i == 1; ok && !again {
				out = append(out, t)
			}
		}
	}
	if !named && f.kind == "Camembert" {
		for _, s := range []string{"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"} {
			out = append(out, roleToken{addedToken: addedToken{content: s}, plain: true})
		}
	}
	return out
}

// roles returns all special tokens. Of those with one text the first counts, but those
// without a role are all added in turn.
func (f *files) roles() []roleToken {
	var all []roleToken
	has := func(t roleToken) bool {
		return t.content == "" || slices.ContainsFunc(all, func(u roleToken) bool { return u.content == t.content })
	}
	for _, role := range specialRoles() {
		if t := f.role(role); !has(t) {
			all = append(all, t)
		}
	}
	return append(all, slices.DeleteFunc(f.extras(), has)...)
}

// addedTokens writes section "added_tokens", by id.
func (f *files) addedTokens(dst []byte) ([]byte, error) {
	list, err := f.allAdded()
	if err != nil {
		return nil, err
	}
	a := addedVocabulary{tokens: list}
	slices.SortFunc(a.tokens, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return a.appendJSON(dst), nil
}

// allAdded returns the added tokens as transformers adds them: what a
// SentencePiece model sets apart, then what the files list, then the special
// tokens. A token that is there already keeps its id and takes the later flags.
func (f *files) allAdded() ([]addedToken, error) {
	given, err := f.given()
	if err != nil {
		return nil, err
	}
	roles := f.roles()
	list := addedList{index: map[string]int{}, ids: f.ids, next: f.size}
	for _, t := range f.pieces {
		list.add(t)
	}
	for _, t := range given {
		t.special = t.special || slices.ContainsFunc(roles, func(r roleToken) bool { return r.content == t.content })
		list.add(t)
	}
	there := maps.Clone(list.index)
	for _, r := range roles {
		if _, ok := there[r.content]; ok && r.plain {
			continue
		}
		r.addedToken.special = true
		list.add(r.addedToken)
	}
	return list.tokens, nil
}

// addedList is added tokens with the ids that the library gives them.
type addedList struct {
	tokens []addedToken
	index  map[string]int
	ids    map[string]int // of the vocabulary
	next   int
}

func (l *addedList) add(t addedToken) {
	if t.content == "" {
		return
	}
	if i, ok := l.index[t.content]; ok {
		was := l.tokens[i]
		t.id = was.id
		// The library looks for it as before: it keeps the first special token of a
		// text in its searches, and a token that is not special beside it.
		t.normalized = was.normalized && (was.special || t.normalized)
		l.tokens[i] = t
		return
	}
	id, ok := l.ids[t.content]
	if !ok {
		id = l.next
	}
	l.next = max(l.next, id+1)
	t.id = int32(id)
	l.index[t.content] = len(l.tokens)
	l.tokens = append(l.tokens, t)
}

// id returns the id of a token of the vocabulary or an added one.
func (f *files) id(token string) (int, bool) {
	if id, ok := f.ids[token]; ok {
		return id, true
	}
	list, err := f.allAdded()
	if err != nil {
		return 0, false
	}
	i := slices.IndexFunc(list, func(t addedToken) bool { return t.content == token })
	if i < 0 {
		return 0, false
	}
	return int(list[i].id), true
}

// given reads added_tokens_decoder, which has flags, or else added_tokens.json.
func (f *files) given() ([]addedToken, error) {
	v, ok := f.config["added_tokens_decoder"]
	if !ok {
		return f.givenWithoutFlags(), nil
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
	slices.SortFunc(list, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return list, nil
}

func (f *files) givenWithoutFlags() []addedToken {
	known := map[string]bool{}
	for _, r := range f.roles() {
		known[r.content] = known[r.content] || r.known
	}
	var list []addedToken
	for content, v := range f.added {
		if id, err := v.integer(1<<31 - 1); err == nil {
			list = append(list, addedToken{content: content, id: int32(id), normalized: !known[content], special: known[content]})
		}
	}
	slices.SortFunc(list, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.content, b.content))
	})
	return list
}
