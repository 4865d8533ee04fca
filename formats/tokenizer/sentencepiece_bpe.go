package tokenizer

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// maxMergeWork bounds the bytes of all halves of all pieces of a SentencePiece BPE model.
const maxMergeWork = 1 << 27

// spMerge is a merge that makes a piece.
type spMerge struct {
	left, right string
	score       float64
}

// bpeModel writes section "model" for a SentencePiece model of kind BPE. Such a file has
// no merges: they are all the ways to make a piece of two others, the best pieces first.
// own is the file's pieces, pieces the ones of the vocabulary to write.
func (f *files) bpeModel(name string, sp *sentencePiece, own []spPiece) ([]byte, error) {
	work := 0
	for _, p := range sp.pieces {
		if work += len(p.text) * len(p.text); work > maxMergeWork {
			return nil, &Error{name, 0, "pieces too long to find their merges", ErrLimit}
		}
		f.addWord(p.text)
	}
	f.size = len(f.ids)
	model := appendString([]byte(`{"type":"BPE","unk_token":`), cmp.Or(sp.unknownPiece, "<unk>"))
	model = append(model, `,"fuse_unk":true,"vocab":{`...)
	first := true
	for id, p := range sp.pieces {
		if f.ids[p.text] != id {
			continue
		}
		if !first {
			model = append(model, ',')
		}
		first = false
		model = appendInt(append(appendString(model, p.text), ':'), id)
	}
	model = append(model, `},"merges":`...)
	model = appendList(model, f.spMerges(sp.pieces, own), func(dst []byte, m spMerge) []byte {
		dst = appendString(append(dst, '['), m.left)
		return append(appendString(append(dst, ','), m.right), ']')
	})
	return append(model, '}'), nil
}

// spMerges returns the merges in the order of their ranks. Of pieces of one score those of
// long halves go first, and else the order of the pieces holds.
func (f *files) spMerges(pieces, own []spPiece) []spMerge {
	ids, scores := map[string]int{}, map[string]float64{}
	for i, p := range own {
		ids[p.text] = i
	}
	for _, p := range pieces {
		scores[p.text] = f.score(p)
	}
	var merges []spMerge
	seen := map[string]bool{}
	for _, p := range pieces {
		if seen[p.text] {
			continue
		}
		seen[p.text] = true
		begin := len(merges)
		for i := range p.text {
			left, right := p.text[:i], p.text[i:]
			if _, ok := ids[left]; !ok || i == 0 {
				continue
			}
			if _, ok := ids[right]; ok {
				merges = append(merges, spMerge{left, right, scores[p.text]})
			}
		}
		slices.SortStableFunc(merges[begin:], func(a, b spMerge) int {
			return cmp.Or(cmp.Compare(ids[a.left], ids[b.left]), cmp.Compare(ids[a.right], ids[b.right]))
		})
	}
	slices.SortStableFunc(merges, func(a, b spMerge) int {
		return cmp.Or(cmp.Compare(b.score, a.score),
			cmp.Compare(utf8.RuneCountInString(b.left), utf8.RuneCountInString(a.left)),
			cmp.Compare(utf8.RuneCountInString(b.right), utf8.RuneCountInString(a.right)))
	})
	return merges
}
