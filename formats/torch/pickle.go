package torch

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// The opcodes that weight files use. Every other one is refused by number.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opDup            = '2'
	opBinFloat       = 'G'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opBinInt2        = 'M'
	opNone           = 'N'
	opBinPersID      = 'Q'
	opReduce         = 'R'
	opBinString      = 'T'
	opShortBinString = 'U'
	opBinUnicode     = 'X'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opDict           = 'd'
	opAppends        = 'e'
	opBinGet         = 'h'
	opInst           = 'i'
	opLongBinGet     = 'j'
	opList           = 'l'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opSetItems       = 'u'
	opEmptyTuple     = ')'
	opEmptyList      = ']'
	opEmptyDict      = '}'
	opProto          = 0x80
	opTuple1         = 0x85
	opTuple2         = 0x86
	opTuple3         = 0x87
	opNewTrue        = 0x88
	opNewFalse       = 0x89
	opLong1          = 0x8a
	opLong4          = 0x8b
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'
	opShortUnicode   = 0x8c
	opBinUnicode8    = 0x8d
	opStackGlobal    = 0x93
	opMemoize        = 0x94
	opFrame          = 0x95
)

// Limits on a pickle. Memory is counted as it is asked for: at most spend bytes
// for each byte read, and spendBase on top.
const (
	maxProto  = 5
	maxDepth  = 32      // of containers in containers
	maxStack  = 1 << 16 // values and marks
	maxName   = 128     // bytes of a line of GLOBAL
	maxLong   = 255     // bytes of an integer
	spend     = 32
	spendBase = 1 << 16
)

// Values of a pickle are nil, bool, int64, float64, string, long, global, *seq,
// *dict, *storage and *array. Nothing walks them deeper than a few fixed steps,
// so a value that contains itself does no harm.
type (
	// long is an integer beyond int64, little-endian.
	long string
	// global is the full name of something of Python's, one of those known.
	global string
	// seq is a list or a tuple.
	seq struct {
		items []any
		depth int
		list  bool
	}
	// dict is a dictionary in the order of insertion; it may hold a key twice.
	dict struct {
		pairs []pair
		depth int
	}
	pair struct{ key, value any }
)

// get is the last value of a key.
func (d *dict) get(key string) (any, bool) {
	for _, p := range slices.Backward(d.pairs) {
		if p.key == key {
			return p.value, true
		}
	}
	return nil, false
}

// depth is how many containers a value nests, as far as it is known when it is
// put into the next one.
func depth(v any) int {
	switch v := v.(type) {
	case *seq:
		return v.depth
	case *dict:
		return v.depth
	}
	return 0
}

// machine interprets pickles. It knows how to build numbers, strings,
// containers and the arrays of weights, and to do nothing else.
type machine struct {
	entry    string // for messages
	data     []byte
	pos      int
	at       int // of the current opcode
	stack    []any
	marks    []int
	memo     []any
	ops      int // that the current pickle has used
	spent    int
	claimed  uint64 // bytes of all arrays so far
	most     uint64 // what claimed may come to
	storages map[string]*storage
}

// newMachine reads pickles from pos of data, in a file of size bytes.
func newMachine(entry string, data []byte, pos, size int) *machine {
	return &machine{entry: entry, data: data, pos: pos, most: maxShare*uint64(size) + shareBase, storages: make(map[string]*storage)}
}

// errorf is a fault at the current opcode.
func (m *machine) errorf(format string, args ...any) error {
	return fault(m.entry, m.at, format, args...)
}

// charge counts n bytes of memory.
func (m *machine) charge(n int) error {
	m.spent += n
	if m.spent > spend*m.pos+spendBase {
		return m.errorf("the pickle asks for more memory than weights need: %d bytes after %d", m.spent, m.pos)
	}
	return nil
}

// take is the next n bytes.
func (m *machine) take(n uint64) ([]byte, error) {
	if rest := len(m.data) - m.pos; n > uint64(rest) {
		return nil, m.errorf("wants %d bytes, but %d are left", n, rest)
	}
	b := m.data[m.pos:][:n]
	m.pos += int(n)
	return b, nil
}

// number is the next n bytes as a little-endian unsigned number.
func (m *machine) number(n uint64) (uint64, error) {
	b, err := m.take(n)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), nil
}

// push puts a value on the stack.
func (m *machine) push(v any) error {
	if len(m.stack) == maxStack {
		return m.errorf("more than %d values on the stack", maxStack)
	}
	if len(m.stack) == cap(m.stack) {
		if err := m.charge(32*len(m.stack) + 64); err != nil {
			return err
		}
	}
	m.stack = append(m.stack, v)
	return nil
}

// pop takes n values off the stack, above the last mark; the slice is valid
// until the next push.
func (m *machine) pop(n int) ([]any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack)-floor < n {
		return nil, m.errorf("wants %d values of a stack that has %d", n, len(m.stack)-floor)
	}
	top := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return top, nil
}

// peek is the value on top of the stack.
func (m *machine) peek() (any, error) {
	top, err := m.pop(1)
	if err != nil {
		return nil, err
	}
	m.stack = m.stack[:len(m.stack)+1]
	return top[0], nil
}

// popMark takes everything above the last mark off the stack, and the mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, m.errorf("wants a mark, and there is none")
	}
	at := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	top := m.stack[at:]
	m.stack = m.stack[:at]
	return top, nil
}

// run interprets one pickle up to its STOP and returns its value.
func (m *machine) run() (any, error) {
	m.stack, m.marks, m.memo, m.ops = m.stack[:0], m.marks[:0], m.memo[:0], 0
	for {
		m.at = m.pos
		if m.pos == len(m.data) {
			return nil, m.errorf("the pickle ends without a STOP")
		}
		op := m.data[m.pos]
		m.pos++
		if op == opStop {
			break
		}
		m.ops++
		if err := m.step(op); err != nil {
			return nil, err
		}
	}
	if len(m.stack) != 1 || len(m.marks) != 0 {
		return nil, m.errorf("STOP with %d values and %d marks on the stack", len(m.stack), len(m.marks))
	}
	return m.stack[0], nil
}

// step performs one opcode.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		v, err := m.number(1)
		if err == nil && v > maxProto {
			err = m.errorf("pickle protocol %d; up to %d is known", v, maxProto)
		}
		return err
	case opFrame: // a length that only helps readers of streams
		_, err := m.take(8)
		return err
	case opMark, opPop, opPopMark, opDup:
		return m.shuffle(op)
	case opNone, opNewTrue, opNewFalse, opBinFloat, opBinInt, opBinInt1, opBinInt2, opLong1, opLong4:
		return m.constant(op)
	case opBinString, opShortBinString, opBinUnicode, opShortUnicode, opBinUnicode8, opBinBytes, opShortBinBytes:
		return m.text(op)
	case opEmptyTuple, opEmptyList, opTuple, opTuple1, opTuple2, opTuple3, opList, opAppend, opAppends:
		return m.sequence(op)
	case opEmptyDict, opDict, opSetItem, opSetItems, opBuild:
		return m.dictionary(op)
	case opBinGet, opLongBinGet, opBinPut, opLongBinPut, opMemoize:
		return m.memory(op)
	case opGlobal, opStackGlobal, opInst, opReduce, opBinPersID:
		return m.outside(op)
	}
	return m.errorf("opcode 0x%02x, which weights do not need", op)
}

// shuffle moves what is on the stack.
func (m *machine) shuffle(op byte) error {
	switch op {
	case opMark:
		if len(m.marks) == maxStack {
			return m.errorf("more than %d marks on the stack", maxStack)
		}
		m.marks = append(m.marks, len(m.stack))
		return m.charge(16)
	case opPop:
		_, err := m.pop(1)
		return err
	case opPopMark:
		_, err := m.popMark()
		return err
	}
	top, err := m.peek()
	if err != nil {
		return err
	}
	return m.push(top)
}

// constant pushes None, a bool or a number.
func (m *machine) constant(op byte) error {
	switch op {
	case opNone:
		return m.push(nil)
	case opNewTrue, opNewFalse:
		return m.push(op == opNewTrue)
	case opLong1, opLong4:
		return m.long(op)
	}
	size := uint64(1)
	switch op {
	case opBinFloat:
		size = 8
	case opBinInt:
		size = 4
	case opBinInt2:
		size = 2
	}
	n, err := m.number(size)
	if err != nil {
		return err
	}
	if err := m.charge(8); err != nil {
		return err
	}
	switch op {
	case opBinFloat:
		return m.push(math.Float64frombits(bits.ReverseBytes64(n)))
	case opBinInt:
		return m.push(int64(int32(n)))
	}
	return m.push(int64(n))
}

// long pushes an integer of any length.
func (m *machine) long(op byte) error {
	width := uint64(1)
	if op == opLong4 {
		width = 4
	}
	n, err := m.number(width)
	if err != nil {
		return err
	}
	if n > maxLong {
		return m.errorf("an integer of %d bytes, more than %d", n, maxLong)
	}
	b, err := m.take(n)
	if err != nil {
		return err
	}
	if err := m.charge(16 + len(b)); err != nil {
		return err
	}
	if n > 8 {
		return m.push(long(b))
	}
	var wide [8]byte
	if n > 0 && b[n-1]&0x80 != 0 {
		wide = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(wide[:], b)
	return m.push(int64(binary.LittleEndian.Uint64(wide[:])))
}

// text pushes a string. Strings and bytes are not told apart.
func (m *machine) text(op byte) error {
	width := uint64(4)
	switch op {
	case opShortBinString, opShortUnicode, opShortBinBytes:
		width = 1
	case opBinUnicode8:
		width = 8
	}
	n, err := m.number(width)
	if err != nil {
		return err
	}
	b, err := m.take(n)
	if err != nil {
		return err
	}
	switch op {
	case opBinUnicode, opShortUnicode, opBinUnicode8:
		if !utf8.Valid(b) {
			return m.errorf("a string that is no UTF-8")
		}
	}
	if err := m.charge(32 + len(b)); err != nil {
		return err
	}
	return m.push(string(b))
}

// memory keeps and recalls values. Numbers are given out one after another, so
// none is larger than the count of the opcodes.
func (m *machine) memory(op byte) error {
	index := uint64(len(m.memo))
	width := uint64(1)
	if op == opLongBinGet || op == opLongBinPut {
		width = 4
	}
	if op != opMemoize {
		var err error
		if index, err = m.number(width); err != nil {
			return err
		}
	}
	if op == opBinGet || op == opLongBinGet {
		if index >= uint64(len(m.memo)) || m.memo[index] == (unset{}) {
			return m.errorf("recalls memo %d, which was never kept", index)
		}
		return m.push(m.memo[index])
	}
	top, err := m.peek()
	if err != nil {
		return err
	}
	if index > uint64(m.ops) {
		return m.errorf("keeps memo %d after %d opcodes", index, m.ops)
	}
	for uint64(len(m.memo)) <= index {
		if len(m.memo) == cap(m.memo) {
			if err := m.charge(32*len(m.memo) + 64); err != nil {
				return err
			}
		}
		m.memo = append(m.memo, unset{})
	}
	m.memo[index] = top
	return nil
}

// unset stands for a memo that was not kept.
type unset struct{}

// line is the next line, without its end.
func (m *machine) line() (string, error) {
	rest := m.data[m.pos:]
	n := bytes.IndexByte(rest[:min(len(rest), maxName+1)], '\n')
	if n < 0 {
		return "", m.errorf("a name that does not end within %d bytes", maxName)
	}
	m.pos += n + 1
	return string(rest[:n]), m.charge(16 + n)
}
