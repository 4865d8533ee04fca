package tokenizer

import (
	"fmt"
	"sync"
)

// instOp is what an instruction does.
type instOp uint8

const (
	opAccept instOp = iota
	opSet           // one character of a set
	opRun           // lo to hi characters of a set
	opSplit         // try x, then y
	opJump          // to x
	opAssert        // lo: the assertion
	opLook          // the program after it, up to its accept; then x
	opAtomic        // the same
	opMark          // slot lo takes the position
	opMoved         // to x unless the position is past slot lo
)

// inst is one instruction of a compiled regex.
type inst struct {
	op               instOp
	lazy, possessive bool
	negated, behind  bool
	set              *runeSet
	x, y             int32
	lo, hi           int32 // opRun and widths of a lookbehind; hi -1: no bound
}

// regex is a compiled regex, safe for concurrent use. Its time is bounded, see
// machine.
type regex struct {
	prog     []inst
	first    [256]bool // bytes that a match can start with
	anywhere bool      // a match can be empty
	slots    int32
	room     int       // instructions that prog may have
	machines sync.Pool // of *machine
}

func compileRegex(src string) (*regex, error) {
	n, err := parseRegex(src)
	if err != nil {
		return nil, err
	}
	re := &regex{room: 256 + 4*len(src)}
	re.anywhere = n.starts(&re.first)
	if err := re.compile(n); err != nil {
		return nil, err
	}
	re.emit(inst{op: opAccept})
	return re, nil
}

func (re *regex) emit(i inst) int32 {
	re.prog = append(re.prog, i)
	return int32(len(re.prog) - 1)
}

func (re *regex) here() int32 { return int32(len(re.prog)) }

func (re *regex) compile(n *regexNode) error {
	if len(re.prog) > re.room {
		return fmt.Errorf("%w: over %d instructions", ErrLimit, re.room)
	}
	switch n.op {
	case reSet:
		re.emit(inst{op: opSet, set: n.set})
	case reConcat:
		for _, s := range n.subs {
			if err := re.compile(s); err != nil {
				return err
			}
		}
	case reAlternate:
		return re.alternate(n.subs)
	case reRepeat:
		return re.repeat(n)
	case reAssert:
		re.emit(inst{op: opAssert, lo: int32(n.assert)})
	case reAtomic:
		return re.sub(inst{op: opAtomic}, n.subs[0])
	case reLook:
		i := inst{op: opLook, negated: n.negated, behind: n.behind}
		if n.behind {
			lo, hi := n.subs[0].width()
			if hi < 0 || hi > maxRegexBehind {
				return fmt.Errorf("a lookbehind of no bounded width")
			}
			i.lo, i.hi = int32(lo), int32(hi)
		}
		return re.sub(i, n.subs[0])
	}
	return nil
}

// sub emits an instruction with a program of its own.
func (re *regex) sub(i inst, n *regexNode) error {
	at := re.emit(i)
	if err := re.compile(n); err != nil {
		return err
	}
	re.emit(inst{op: opAccept})
	re.prog[at].x = re.here()
	return nil
}

func (re *regex) alternate(subs []*regexNode) error {
	var jumps []int32
	for i, s := range subs {
		split := int32(-1)
		if i < len(subs)-1 {
			split = re.emit(inst{op: opSplit, x: re.here() + 1})
		}
		if err := re.compile(s); err != nil {
			return err
		}
		if split >= 0 {
			jumps = append(jumps, re.emit(inst{op: opJump}))
			re.prog[split].y = re.here()
		}
	}
	for _, j := range jumps {
		re.prog[j].x = re.here()
	}
	return nil
}

// repeat emits a run for a set; other loops are unrolled to their bounds.
func (re *regex) repeat(n *regexNode) error {
	sub := n.subs[0]
	if sub.op == reSet {
		re.emit(inst{op: opRun, set: sub.set, lo: int32(n.min), hi: int32(n.max), lazy: n.lazy, possessive: n.possessive})
		return nil
	}
	if n.possessive {
		plain := *n
		plain.possessive = false
		return re.sub(inst{op: opAtomic}, &plain)
	}
	for range n.min {
		if err := re.compile(sub); err != nil {
			return err
		}
	}
	if n.max < 0 {
		return re.loop(sub, n.lazy)
	}
	var splits []int32
	for range n.max - n.min {
		splits = append(splits, re.emit(inst{op: opSplit}))
		if err := re.compile(sub); err != nil {
			return err
		}
	}
	for _, at := range splits {
		re.branch(at, at+1, re.here(), n.lazy)
	}
	return nil
}

// branch sets where the split at goes first: into the loop or, if lazy, out.
func (re *regex) branch(at, in, out int32, lazy bool) {
	if lazy {
		in, out = out, in
	}
	re.prog[at].x, re.prog[at].y = in, out
}

// loop emits sub any number of times; an empty round ends it, and what follows is next.
func (re *regex) loop(sub *regexNode, lazy bool) error {
	split := re.emit(inst{op: opSplit})
	lo, _ := sub.width()
	if lo == 0 {
		re.emit(inst{op: opMark, lo: re.slots})
		re.slots++
	}
	slot := re.slots - 1
	if err := re.compile(sub); err != nil {
		return err
	}
	moved := int32(-1)
	if lo == 0 {
		moved = re.emit(inst{op: opMoved, lo: slot})
	}
	re.emit(inst{op: opJump, x: split})
	if moved >= 0 {
		re.prog[moved].x = re.here()
	}
	re.branch(split, split+1, re.here(), lazy)
	return nil
}
