package tokenizer

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = 1 + iota
	kindTrue
	kindFalse
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "true", "false", "a number", "a string", "an array", "an object"}[k]
}

// node is one JSON value, in document order. An object's children are its keys
// and values in turn. 16 bytes for at least two of input.
type node struct {
	off, end uint32 // bytes of the value; of a string, between the quotes
	next     uint32 // index after this value and all in it
	kind     kind
	escaped  bool // string with a backslash
}

// document is a parsed JSON file. encoding/json is not used: it merges
// duplicate keys, repairs broken UTF-8 and lone surrogates, and is five times
// slower on a vocabulary.
type document struct {
	data  []byte
	nodes []node
	pos   int
	regex int // bytes of regexes compiled so far
	parts int // components read so far
}

// parseJSON parses one strict JSON value (RFC 8259, valid UTF-8, no lone
// surrogates, limited depth). Duplicate keys are left to the readers of objects.
func parseJSON(data []byte) (*document, error) {
	d := &document{data: data}
	if len(data) > maxFile {
		return nil, &Error{"json", maxFile, "file too large", ErrLimit}
	}
	if off := invalidUTF8(data); off >= 0 {
		return nil, &Error{"json", off, "invalid UTF-8", ErrCorrupt}
	}
	d.nodes = make([]node, 0, maxNodes(data))
	if err := d.value(0); err != nil {
		return nil, err
	}
	if d.space(); d.pos != len(data) {
		return nil, d.errorf("data after the value")
	}
	return d, nil
}

// maxNodes bounds the number of nodes: one of these bytes stands before each.
func maxNodes(data []byte) int {
	n := 1
	for _, c := range []string{",", ":", "[", "{"} {
		n += bytes.Count(data, []byte(c))
	}
	return n
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

func (d *document) errorf(format string, args ...any) error {
	return &Error{"json", d.pos, fmt.Sprintf(format, args...), ErrCorrupt}
}

// unexpected reports what was expected, or that the file ends here.
func (d *document) unexpected(reason string) error {
	if d.pos == len(d.data) {
		reason = "unexpected end"
	}
	return d.errorf("%s", reason)
}

func (d *document) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\n', '\t', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (d *document) peek() byte {
	d.space()
	if d.pos == len(d.data) {
		return 0
	}
	return d.data[d.pos]
}

func (d *document) value(depth int) error {
	if depth == maxDepth {
		return &Error{"json", d.pos, "nested too deeply", ErrLimit}
	}
	switch c := d.peek(); c {
	case '{':
		return d.container(kindObject, '}', depth)
	case '[':
		return d.container(kindArray, ']', depth)
	case '"':
		return d.str()
	case 't':
		return d.word("true", kindTrue)
	case 'f':
		return d.word("false", kindFalse)
	case 'n':
		return d.word("null", kindNull)
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return d.number()
		}
	}
	return d.unexpected("expected a value")
}

func (d *document) add(k kind, off, end int) {
	d.nodes = append(d.nodes, node{uint32(off), uint32(end), uint32(len(d.nodes) + 1), k, false})
}

func (d *document) word(w string, k kind) error {
	if len(d.data)-d.pos < len(w) || string(d.data[d.pos:d.pos+len(w)]) != w {
		return d.errorf("expected %s", w)
	}
	d.add(k, d.pos, d.pos+len(w))
	d.pos += len(w)
	return nil
}

func (d *document) container(k kind, last byte, depth int) error {
	self := len(d.nodes)
	d.add(k, d.pos, 0)
	d.pos++
	for first := true; d.peek() != last; first = false {
		if !first {
			if err := d.expect(','); err != nil {
				return err
			}
		}
		if k == kindObject {
			if err := d.key(); err != nil {
				return err
			}
		}
		if err := d.value(depth + 1); err != nil {
			return err
		}
	}
	d.pos++
	d.nodes[self].end = uint32(d.pos)
	d.nodes[self].next = uint32(len(d.nodes))
	return nil
}

func (d *document) key() error {
	if d.peek() != '"' {
		return d.unexpected("expected a key")
	}
	if err := d.str(); err != nil {
		return err
	}
	return d.expect(':')
}

func (d *document) expect(c byte) error {
	if d.peek() != c {
		return d.unexpected(fmt.Sprintf("expected %q", c))
	}
	d.pos++
	return nil
}

func (d *document) number() error {
	start := d.pos
	if d.data[d.pos] == '-' {
		d.pos++
	}
	if d.pos < len(d.data) && d.data[d.pos] == '0' {
		d.pos++
	} else if !d.digits() {
		return d.errorf("expected a digit")
	}
	if d.pos < len(d.data) && d.data[d.pos] == '.' {
		if d.pos++; !d.digits() {
			return d.errorf("expected a digit")
		}
	}
	if d.pos < len(d.data) && d.data[d.pos]|0x20 == 'e' {
		d.pos++
		if d.pos < len(d.data) && (d.data[d.pos] == '+' || d.data[d.pos] == '-') {
			d.pos++
		}
		if !d.digits() {
			return d.errorf("expected a digit")
		}
	}
	d.add(kindNumber, start, d.pos)
	return nil
}

func (d *document) digits() bool {
	start := d.pos
	for d.pos < len(d.data) && '0' <= d.data[d.pos] && d.data[d.pos] <= '9' {
		d.pos++
	}
	return d.pos > start
}

func (d *document) str() error {
	d.pos++
	start, escaped := d.pos, false
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			d.add(kindString, start, d.pos)
			d.nodes[len(d.nodes)-1].escaped = escaped
			d.pos++
			return nil
		case c == '\\':
			escaped = true
			if err := d.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return d.errorf("control character in a string")
		default:
			d.pos++
		}
	}
	return d.errorf("unexpected end in a string")
}

// escape checks the escape at pos and steps over it.
func (d *document) escape() error {
	_, n := unescape(d.data[d.pos:])
	if n == 0 {
		return d.errorf("invalid escape")
	}
	d.pos += n
	return nil
}

// unescape decodes the escape at the start of s and returns its length, 0 if
// it is not valid.
func unescape(s []byte) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	r := hex4(s)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if r = utf16.DecodeRune(r, hex4(s[6:])); r == utf8.RuneError {
		return 0, 0 // a lone surrogate
	}
	return r, 12
}

// hex4 returns the value of the escape \uXXXX that s starts with, or -1.
func hex4(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// bytes returns the contents of string node i: a part of the file, or buf where
// the string has escapes.
func (d *document) bytes(i uint32, buf []byte) []byte {
	n := d.nodes[i]
	raw := d.data[n.off:n.end]
	if !n.escaped {
		return raw
	}
	buf = buf[:0]
	for len(raw) > 0 {
		if raw[0] != '\\' {
			buf = append(buf, raw[0])
			raw = raw[1:]
			continue
		}
		r, size := unescape(raw)
		buf = utf8.AppendRune(buf, r)
		raw = raw[size:]
	}
	return buf
}
