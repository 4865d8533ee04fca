package tokenizer

import (
	"errors"
	"math"
)

// Errors of a truncation that a file asks for and a text does not allow. They
// are the library's.
var (
	errNoSecond = errors.New("truncate: there is no second text to cut")
	errTooShort = errors.New("truncate: the text to cut is too short")
	errStride   = errors.New("truncate: stride is not less than the length left for the text")
)

// strategy says which text of a pair truncation cuts.
type strategy int

const (
	longestFirst strategy = iota
	onlyFirst
	onlySecond
)

func (s strategy) String() string {
	return [...]string{"LongestFirst", "OnlyFirst", "OnlySecond"}[s]
}

// truncation is section "truncation".
type truncation struct {
	max, stride int
	strategy    strategy
	left        bool
}

func parseTruncation(v value) (*truncation, error) {
	if v.isNull() {
		return nil, nil
	}
	o := v.object("max_length", "strategy", "stride", "direction")
	t := &truncation{
		max:      clamp(o.integer("max_length", 1<<53)),
		stride:   clamp(o.integer("stride", 1<<53)),
		strategy: strategy(o.choice("strategy", "LongestFirst", "OnlyFirst", "OnlySecond")),
	}
	if _, ok := o.get("direction", true); ok {
		t.left = o.choice("direction", "Right", "Left") == 1
	}
	return t, o.err()
}

// clamp brings a length to what int holds everywhere; no text has as many tokens.
func clamp(n int64) int { return int(min(n, math.MaxInt32)) }

// apply cuts a, and b where there is a pair, to t.max less added tokens. Where
// added exceeds t.max the library's subtraction wraps round and nothing is cut.
func (t *truncation) apply(a, b *Encoding, added int) error {
	if added > t.max {
		return nil
	}
	limit, na, nb := t.max-added, a.Len(), 0
	if b != nil {
		nb = b.Len()
	}
	switch {
	case limit == 0:
		na, nb = 0, 0
	case na+nb <= limit:
		return nil
	case t.strategy == longestFirst && b == nil:
		na = limit
	case t.strategy == longestFirst:
		na, nb = longest(na, nb, limit)
	case t.strategy == onlySecond && b == nil:
		return errNoSecond
	case t.strategy == onlySecond:
		if nb = limit - na; nb <= 0 {
			return errTooShort
		}
	default:
		if na = limit - nb; na <= 0 {
			return errTooShort
		}
	}
	if err := a.truncate(na, t.stride, t.left); err != nil || b == nil {
		return err
	}
	return b.truncate(nb, t.stride, t.left)
}

// longest shares limit between texts of a and b tokens: the shorter stays whole
// if the longer alone can give what is too much, or else each gets half.
func longest(a, b, limit int) (int, int) {
	if a > b {
		b, a = longest(b, a, limit)
		return a, b
	}
	if a > limit {
		b = a
	} else {
		b = max(a, limit-a)
	}
	if a+b > limit {
		a = limit / 2
		b = a + limit%2
	}
	return a, b
}

func (t *truncation) appendJSON(dst []byte) []byte {
	if t == nil {
		return append(dst, "null"...)
	}
	side := "Right"
	if t.left {
		side = "Left"
	}
	dst = append(dst, `{"direction":`...)
	dst = appendString(dst, side)
	dst = append(dst, `,"max_length":`...)
	dst = appendInt(dst, t.max)
	dst = append(dst, `,"strategy":`...)
	dst = appendString(dst, t.strategy.String())
	dst = append(dst, `,"stride":`...)
	dst = appendInt(dst, t.stride)
	return append(dst, '}')
}

// padding is section "padding".
type padding struct {
	fixed    int // 0: to the longest of the batch
	isFixed  bool
	multiple int // 0 or 1: any
	left     bool
	id       int32
	typeID   int32
	token    string
}

func parsePadding(v value) (*padding, error) {
	if v.isNull() {
		return nil, nil
	}
	o := v.object("strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token")
	p := &padding{
		left:   o.choice("direction", "Right", "Left") == 1,
		id:     int32(o.integer("pad_id", 1<<31-1)),
		typeID: int32(o.integer("pad_type_id", maxTypeID)),
		token:  o.str("pad_token"),
	}
	if _, ok := o.optional("pad_to_multiple_of"); ok {
		p.multiple = int(o.integer("pad_to_multiple_of", maxPad))
	}
	s, ok := o.get("strategy", false)
	switch {
	case !ok:
	case s.node().kind == kindObject:
		fixed := s.object("Fixed")
		p.fixed, p.isFixed = int(fixed.integer("Fixed", maxPad)), true
		o.keep(fixed.err())
	default:
		o.choice("strategy", "BatchLongest")
	}
	return p, o.err()
}

// apply pads all of a batch to one length.
func (p *padding) apply(batch []Encoding) {
	n := p.fixed
	if !p.isFixed {
		for i := range batch {
			n = max(n, batch[i].Len())
		}
	}
	if p.multiple > 1 && n%p.multiple > 0 {
		n += p.multiple - n%p.multiple
	}
	for i := range batch {
		batch[i].pad(n, p)
	}
}
