package tokenizer

import (
	"fmt"
	"slices"
)

// Encoding is a tokenized text or pair. All slices have one element per token
// and belong to the caller.
type Encoding struct {
	IDs           []int32
	TypeIDs       []int32
	Tokens        []string
	Offsets       [][2]int // code points [start, end) of the text the token is from; special tokens 0, 0
	SpecialMask   []int32  // 1 for tokens that the post-processor or padding put in
	AttentionMask []int32  // 0 for padding
	Words         []int32  // index of the token's word in its text; -1 for special tokens
	Sequences     []int32  // 0 or 1, the text the token is from; -1 for special tokens

	// Overflowing is what truncation cut off, in pieces of the same maximum
	// length. Only its first level is kept: the library nests the pieces of a
	// pair in one another again.
	Overflowing []Encoding
}

// Len returns the number of tokens.
func (e *Encoding) Len() int { return len(e.IDs) }

func (e *Encoding) push(id int32, token string, offsets [2]int, word int32) {
	e.IDs = append(e.IDs, id)
	e.Words = append(e.Words, word)
	e.Tokens = append(e.Tokens, token)
	e.Offsets = append(e.Offsets, offsets)
}

// finish fills the slices that are the same for all tokens of a sequence.
func (e *Encoding) finish(typeID int32) {
	e.TypeIDs = slices.Repeat([]int32{typeID}, e.Len())
	e.Sequences = slices.Clone(e.TypeIDs)
	e.SpecialMask = make([]int32, e.Len())
	e.AttentionMask = slices.Repeat([]int32{1}, e.Len())
}

// window returns a copy of tokens lo to hi, without what overflows.
func (e *Encoding) window(lo, hi int) Encoding {
	return Encoding{
		IDs:           slices.Clone(e.IDs[lo:hi]),
		TypeIDs:       slices.Clone(e.TypeIDs[lo:hi]),
		Tokens:        slices.Clone(e.Tokens[lo:hi]),
		Offsets:       slices.Clone(e.Offsets[lo:hi]),
		SpecialMask:   slices.Clone(e.SpecialMask[lo:hi]),
		AttentionMask: slices.Clone(e.AttentionMask[lo:hi]),
		Words:         slices.Clone(e.Words[lo:hi]),
		Sequences:     slices.Clone(e.Sequences[lo:hi]),
	}
}

// join returns e followed by f, without what overflows.
func join(e, f *Encoding) Encoding {
	return Encoding{
		IDs:           slices.Concat(e.IDs, f.IDs),
		TypeIDs:       slices.Concat(e.TypeIDs, f.TypeIDs),
		Tokens:        slices.Concat(e.Tokens, f.Tokens),
		Offsets:       slices.Concat(e.Offsets, f.Offsets),
		SpecialMask:   slices.Concat(e.SpecialMask, f.SpecialMask),
		AttentionMask: slices.Concat(e.AttentionMask, f.AttentionMask),
		Words:         slices.Concat(e.Words, f.Words),
		Sequences:     slices.Concat(e.Sequences, f.Sequences),
	}
}

// merge appends f to e. What overflows of one is joined with the other and with
// what overflows of the other: for each piece a of e (a, f) and all (a, piece
// of f), then all (e, piece of f).
func (e *Encoding) merge(f *Encoding) error {
	if (len(e.Overflowing)+1)*(len(f.Overflowing)+1) > maxOverflow {
		return fmt.Errorf("%w: over %d pieces", ErrLimit, maxOverflow)
	}
	var over []Encoding
	for i := range e.Overflowing {
		a := &e.Overflowing[i]
		over = append(over, join(a, f))
		for j := range f.Overflowing {
			over = append(over, join(a, &f.Overflowing[j]))
		}
	}
	for j := range f.Overflowing {
		over = append(over, join(e, &f.Overflowing[j]))
	}
	*e = join(e, f)
	e.Overflowing = over
	return nil
}

// truncate cuts e to n tokens; the rest overflows in windows of n that share
// stride tokens, counted from the start or, leftwards, from the end.
func (e *Encoding) truncate(n, stride int, left bool) error {
	size := e.Len()
	switch {
	case n >= size:
		return nil
	case n == 0:
		*e = Encoding{Overflowing: []Encoding{e.window(0, size)}}
		return nil
	case stride >= n:
		return errStride
	case size/(n-stride) > maxOverflow:
		return fmt.Errorf("truncate: %w: over %d pieces", ErrLimit, maxOverflow)
	}
	var windows []Encoding
	for at := 0; ; at += n - stride {
		lo, hi := at, min(at+n, size)
		if left {
			lo, hi = size-hi, size-lo
		}
		windows = append(windows, e.window(lo, hi))
		if at+n >= size {
			break
		}
	}
	*e = windows[0]
	e.Overflowing = windows[1:]
	return nil
}

// pad brings e and all that overflows to n tokens.
func (e *Encoding) pad(n int, p *padding) {
	for i := range e.Overflowing {
		e.Overflowing[i].pad(n, p)
	}
	n -= e.Len()
	if n <= 0 {
		return
	}
	fill := Encoding{
		IDs:           slices.Repeat([]int32{p.id}, n),
		TypeIDs:       slices.Repeat([]int32{p.typeID}, n),
		Tokens:        slices.Repeat([]string{p.token}, n),
		Offsets:       make([][2]int, n),
		SpecialMask:   slices.Repeat([]int32{1}, n),
		AttentionMask: make([]int32, n),
		Words:         slices.Repeat([]int32{-1}, n),
		Sequences:     slices.Repeat([]int32{-1}, n),
	}
	over := e.Overflowing
	if p.left {
		*e = join(&fill, e)
	} else {
		*e = join(e, &fill)
	}
	e.Overflowing = over
}
