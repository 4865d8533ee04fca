package tokenizer

// foldSequences lets characters match several that they equal without case, and
// the other way round, such as \u00df and ss. Like the library's engine it
// does so for literal text; in classes only single characters count.
func foldSequences(subs []*regexNode) []*regexNode {
	var out []*regexNode
	for i := 0; i < len(subs); {
		alternatives, n := []*regexNode(nil), 1
		for at := 0; at < len(foldFull); at += 12 {
			r, seq := three(foldFull[at:]), fullFold(at)
			switch {
			case equalsFolded(subs[i:], seq):
				if len(seq) > n {
					alternatives, n = nil, len(seq)
				}
				alternatives = append(alternatives, foldedSet(r))
			case subs[i].folded == foldKey(r) && n == 1:
				text := &regexNode{op: reConcat}
				for _, c := range seq {
					text.subs = append(text.subs, foldedSet(c))
				}
				alternatives = append(alternatives, text)
			}
		}
		if len(alternatives) == 0 {
			out = append(out, subs[i])
		} else {
			text := &regexNode{op: reConcat, subs: subs[i : i+n]}
			out = append(out, &regexNode{op: reAlternate, subs: append([]*regexNode{text}, alternatives...)})
		}
		i += n
	}
	return out
}

// fullFold returns the folding in the record of foldFull at a byte.
func fullFold(at int) []rune {
	seq := []rune{three(foldFull[at+3:]), three(foldFull[at+6:])}
	if last := three(foldFull[at+9:]); last != 0 {
		seq = append(seq, last)
	}
	return seq
}

// equalsFolded reports whether nodes start with literal characters that equal
// seq without case.
func equalsFolded(nodes []*regexNode, seq []rune) bool {
	if len(nodes) < len(seq) {
		return false
	}
	for i, r := range seq {
		if nodes[i].folded == 0 || nodes[i].folded != foldKey(r) {
			return false
		}
	}
	return true
}

// foldedSet returns the set of a character and its equals without case.
func foldedSet(r rune) *regexNode {
	s := single(r)
	s.fold()
	return &regexNode{op: reSet, set: s.finish()}
}
